"""Starts the training process, speaks with it and ends everything that it started."""

import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, Final, TypeAlias, final

import structlog
from pydantic import ValidationError

from worker.child_link import (
    Alive,
    ChildMessage,
    Start,
    Stop,
    SupervisorMessage,
    decode_from_child,
    encode_for_child,
)
from worker.log_tail import LogTail
from worker.process_tree import ATTEMPT_VARIABLE, kill_group, kill_marked

TRAINING_COMMAND: Final = (sys.executable, "-m", "worker.training_process")
_END_SECONDS: Final = 10.0
_LOG_CHUNK_BYTES: Final = 8192
_STDERR: Final = 2
TRAINING_ENVIRONMENT: Final = {
    # Threads that wait for each other by spinning burn the cores that the others need: on a machine
    # that is also busy with something else, training then takes several times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
    # glibc gives large blocks back to the kernel, which has to clear them again at every training
    # step. Kept, they made a step up to a fifth cheaper; the process ends with its job and so
    # frees them.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
"""Environment of a training process, where the worker's own says nothing else."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ChildGone:
    """The child process ended.

    Attributes:
        return_code: Its exit code, or minus the number of the signal that ended it.
    """

    return_code: int


ChildEvent: TypeAlias = ChildMessage | ChildGone


@final
class ChildProcess:
    """One training process in a session of its own.

    It must be made by the thread that waits for its end: the child's death signal fires when the
    thread that spawned it ends.

    Attributes:
        pid: Its process id, which is also its group's.
        log_tail: The end of what it and its descendants wrote.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        mark: str,
        on_event: Callable[[ChildEvent], None],
    ) -> None:
        """Spawn the process.

        Args:
            command: Program and arguments; the parent's pid and the report descriptor follow.
            mark: Value by which all its descendants are found.
            on_event: Called from other threads with each message, and once with `ChildGone`.
        """
        self._mark = mark
        self._on_event = on_event
        self.log_tail = LogTail()
        report_reader, report_writer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # The command is the worker's own.
                [*command, str(os.getpid()), str(report_writer)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(report_writer,),
                env={**TRAINING_ENVIRONMENT, **os.environ, ATTEMPT_VARIABLE: mark},
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(report_reader)
            raise
        finally:
            os.close(report_writer)
        self.pid = self._process.pid
        # A child that stopped reading must never block the one who watches it.
        os.set_blocking(self._stdin.fileno(), False)
        self._report_thread = _start_thread(self._read_reports, os.fdopen(report_reader, "rb"))
        self._log_thread = _start_thread(self._read_log, self._process.stdout)
        self._wait_thread = _start_thread(self._wait)

    def start(self, message: Start) -> None:
        """Tell the child what to run."""
        self._send(message)

    def renew(self) -> None:
        """Tell the child that it may go on for one lease more."""
        self._send(Alive())

    def ask_to_stop(self) -> None:
        """Ask the child to save a checkpoint and leave."""
        self._send(Stop())
        self._process.send_signal(signal.SIGTERM)

    def kill_everything(self) -> None:
        """Kill the child and all its descendants, and collect their last words."""
        if self._process.poll() is None:
            kill_group(self.pid)
        if not kill_marked(self._mark):
            log.error("processes_survived_kill", mark=self._mark)
        # All writers of the pipes are dead now, so the readers come to the end of file. A process
        # that hangs in the kernel outlives even this signal; the bound keeps the worker usable.
        for thread in (self._wait_thread, self._report_thread, self._log_thread):
            thread.join(_END_SECONDS)
        with contextlib.suppress(OSError):
            self._stdin.close()

    @property
    def _stdin(self) -> IO[bytes]:
        stream = self._process.stdin
        if stream is None:
            raise RuntimeError("The child was started without a pipe.")
        return stream

    def _send(self, message: SupervisorMessage) -> None:
        try:
            os.write(self._stdin.fileno(), encode_for_child(message))
        except BlockingIOError:
            # The pipe is full: the child has not read for thousands of messages.
            log.warning("child_does_not_read", pid=self.pid)
        except (BrokenPipeError, ValueError):
            # The child is gone; its end is reported by the waiting thread.
            log.info("child_pipe_closed", pid=self.pid)

    def _read_reports(self, stream: BinaryIO) -> None:
        with stream:
            for line in stream:
                try:
                    message = decode_from_child(line)
                except ValidationError:
                    log.warning("child_message_unreadable", length_bytes=len(line))
                    continue
                self._on_event(message)

    def _read_log(self, stream: BinaryIO) -> None:
        with stream:
            while chunk := stream.read(_LOG_CHUNK_BYTES):
                self.log_tail.write(chunk)
                with contextlib.suppress(OSError):
                    os.write(_STDERR, chunk)

    def _wait(self) -> None:
        self._on_event(ChildGone(self._process.wait()))


def _start_thread(target: Callable[..., None], *arguments: object) -> threading.Thread:
    # The context carries the job's id into the thread's log lines.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(target, *arguments), daemon=True
    )
    thread.start()
    return thread
