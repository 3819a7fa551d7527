"""Starts a training process: ties its life to the supervisor's, then hands over to the run."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Final, final

import structlog

from curation.log_setup import configure_logging
from worker.child_link import ChildMessage, encode_for_supervisor
from worker.parent_watch import SupervisorListener, die_with_parent
from worker.settings import WorkerSettings

EXIT_DONE: Final = 0
_ARGUMENTS: Final = 2


@final
class SupervisorReporter:
    """Writes messages to the supervisor; any thread may call it."""

    def __init__(self, stream: BinaryIO) -> None:
        """Take the pipe that the supervisor reads."""
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: ChildMessage) -> None:
        """Send one message; nobody hears it where the supervisor is gone."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._stream.write(encode_for_supervisor(message))
            self._stream.flush()


def main(arguments: list[str]) -> int:
    """Run one attempt and return the process's exit code.

    Args:
        arguments: The supervisor's process id, and the number of the descriptor it reads.
    """
    if len(arguments) != _ARGUMENTS:
        raise SystemExit("The training process is started by a worker, not by hand.")
    parent_pid, report_descriptor = (int(argument) for argument in arguments)
    die_with_parent(parent_pid)
    # Processes that the run starts must not hold the pipe open after this one's end.
    os.set_inheritable(report_descriptor, False)
    reporter = SupervisorReporter(os.fdopen(report_descriptor, "wb"))
    should_stop = threading.Event()
    # The handler comes before the heavy imports, so that a request to stop is never deadly.
    signal.signal(signal.SIGTERM, lambda *_: should_stop.set())
    listener = SupervisorListener(os.fdopen(0, "rb"), on_stop=should_stop.set)
    start = listener.wait_for_start()
    listener.listen(start.lease_seconds)
    settings = WorkerSettings()
    configure_logging(settings)
    structlog.contextvars.bind_contextvars(
        job_id=str(start.claim.job_id), attempt=start.claim.attempt
    )
    # torch takes seconds to import, in which the parent is watched already.
    from worker.training_run import run_attempt  # noqa: PLC0415

    verdict = run_attempt(
        start.claim,
        settings,
        scratch=Path(start.scratch),
        send=reporter.send,
        should_stop=should_stop.is_set,
    )
    reporter.send(verdict)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
