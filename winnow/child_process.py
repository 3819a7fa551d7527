"""Starts child processes that die with their parent, and stops them step by step."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_GUARD = Path(__file__).with_name("guarded_exec.py")


@dataclass(frozen=True)
class Account:
    """The operating system's user that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """What to start, and how.

    Attributes:
        command: The program's absolute path and its arguments.
        folder: The working folder.
        environment: The child's whole environment.
        death_signal: Sent to the child when the thread that spawned it ends.
        account: The user to drop to; only root may name one.
        lock_fd: An open descriptor that the child keeps, with its process id written into it.
    """

    command: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]
    death_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    lock_fd: int | None = None


def spawn(spec: ChildSpec, *, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Starts the child in a session of its own, with both its outputs going to ``output``.

    The session of its own keeps the terminal's Ctrl-C from reaching the child: its parent decides
    in which order things stop. The calling thread must outlive the child, since the death signal
    fires when that thread ends.
    """
    guard = [sys.executable, "-I", "-S", str(_GUARD)]
    account = spec.account
    tie = [
        os.getpid(),
        int(spec.death_signal),
        account.uid if account else -1,
        account.gid if account else -1,
        -1 if spec.lock_fd is None else spec.lock_fd,
    ]
    return subprocess.Popen(  # noqa: S603 - The command is ours, never a user's text.
        [*guard, *map(str, tie), *map(str, spec.command)],
        cwd=spec.folder,
        env=dict(spec.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=() if spec.lock_fd is None else (spec.lock_fd,),
        umask=0o077,
    )


def stop(
    processes: Sequence[subprocess.Popen[bytes]], steps: Sequence[tuple[signal.Signals, float]]
) -> None:
    """Sends each step's signal once to all that still run, and waits its seconds for their end.

    SIGKILL goes to a child's whole process group, since a killed process stops nobody else.
    """
    for step, wait_seconds in steps:
        running = [process for process in processes if process.poll() is None]
        for process in running:
            _signal(process, step)
        deadline = time.monotonic() + wait_seconds
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))


def _signal(process: subprocess.Popen[bytes], step: signal.Signals) -> None:
    if step is signal.SIGKILL:
        # Not yet reaped, so its number still names this group and no other.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, step)
    else:
        process.send_signal(step)
