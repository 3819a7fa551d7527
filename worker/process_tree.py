"""Finds and kills every process that one attempt started."""

import contextlib
import os
import signal
import time
from typing import Final

import psutil

ATTEMPT_VARIABLE: Final = "WINNOW_ATTEMPT"
_ROUND_SECONDS: Final = 0.05


def attempt_mark(job_id: object, fencing_token: int) -> str:
    """Return the environment value that every process of an attempt inherits."""
    return f"{job_mark(job_id)}{fencing_token}:"


def job_mark(job_id: object) -> str:
    """Return what the marks of all attempts of a job begin with."""
    return f"{job_id}:"


def marked_processes(mark_prefix: str) -> list[psutil.Process]:
    """Return the living processes whose environment carries a mark with this prefix.

    The environment is inherited across sessions and re-parenting, where process groups and
    parent links are lost: torchrun starts each rank in a session of its own, and an orphan
    belongs to init.
    """
    own_pid = os.getpid()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_marked = process.environ().get(ATTEMPT_VARIABLE, "").startswith(mark_prefix)
            if is_marked and process.pid != own_pid and not _is_zombie(process):
                found.append(process)
    return found


def kill_marked(mark_prefix: str, *, timeout_seconds: float = 10.0) -> bool:
    """Kill all processes with the mark until none is left, and return whether none is.

    A process may fork between the listing and its death, so the listing is repeated.
    """
    deadline = time.monotonic() + timeout_seconds
    while processes := marked_processes(mark_prefix):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() >= deadline:
            return False
        time.sleep(_ROUND_SECONDS)
    return True


def kill_group(group_id: int) -> None:
    """Kill a whole process group, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def _is_zombie(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)
