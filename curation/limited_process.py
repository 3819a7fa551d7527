"""Asks a process of its own, which may be killed or crash and nothing else, to decode something."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from curation.limited_child import FULL_DISK_EXIT, OUT_OF_MEMORY_EXIT, ResourceLimits

_POLL_SECONDS = 0.05
_REPOSITORY = Path(__file__).parents[1]
_OUTSIDE_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGINT})


class ProcessEnd(StrEnum):
    """How such a process ended."""

    ANSWERED = "answered"
    TOO_SLOW = "too_slow"
    OUT_OF_MEMORY = "out_of_memory"
    FULL_DISK = "full_disk"
    KILLED = "killed"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class ProcessAnswer:
    """What became of a request.

    Attributes:
        end: How the process ended.
        exit_code: Its exit code, or minus the number of the signal that ended it.
        content: What it answered; empty unless it did.
    """

    end: ProcessEnd
    exit_code: int
    content: dict[str, Any]  # JSON values, as the child wrote them.


def ask_limited_process(  # noqa: PLR0913 - a process, its question and its bounds.
    module: str,
    request: Mapping[str, Any],  # JSON values.
    *,
    answer_path: Path,
    limits: ResourceLimits,
    keep_going: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> ProcessAnswer:
    """Return what a process of its own answers under hard limits.

    Call it from a thread that lives as long as the process: the kernel ends one with the other.

    Args:
        module: What it runs; its main part calls `answer_request`.
        request: What it is asked.
        answer_path: Where its answer is written, in the folder that it works in.
        limits: What it may use.
        keep_going: Asked about twenty times a second; False ends the process.
        environment: What its environment holds beside the bare necessities.
    """
    message = {"parent": os.getpid(), "limits": asdict(limits), "request": request}
    with answer_path.open("wb") as answer:
        child = _spawn(module, answer.fileno(), answer_path.parent, environment or {})
        try:
            _send(child, message)
            cut_short = _wait(child, limits.seconds, keep_going)
        finally:
            # The child's whole session; a decoder may have started processes of its own.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    end = cut_short or _end_of(child.returncode)
    content = json.loads(answer_path.read_bytes()) if end is ProcessEnd.ANSWERED else {}
    return ProcessAnswer(end, child.returncode, content)


def _spawn(
    module: str, answer: int, folder: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a module of our own.
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=answer,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        # None of the service's own settings: whoever takes over a decoder finds neither an
        # address nor a password.
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(_REPOSITORY),
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            # Both reserve address space by the gibibyte otherwise, which the limit counts.
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "2",
            **environment,
        },
        start_new_session=True,
    )


def _send(child: "subprocess.Popen[bytes]", message: dict[str, Any]) -> None:  # JSON values.
    if child.stdin is None:
        raise ValueError("the child was started without an input")
    # A child that has died already tells by its exit code.
    with suppress(BrokenPipeError), child.stdin as stream:
        stream.write(json.dumps(message).encode())


def _wait(
    child: "subprocess.Popen[bytes]", seconds: float, keep_going: Callable[[], bool]
) -> ProcessEnd | None:
    """Wait for the child's end, and return why it is not waited for any longer, or None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_POLL_SECONDS)
            return None
        if not keep_going():
            return ProcessEnd.INTERRUPTED
    return ProcessEnd.TOO_SLOW


def _end_of(exit_code: int) -> ProcessEnd:
    ends = {
        0: ProcessEnd.ANSWERED,
        OUT_OF_MEMORY_EXIT: ProcessEnd.OUT_OF_MEMORY,
        FULL_DISK_EXIT: ProcessEnd.FULL_DISK,
        -signal.SIGKILL: ProcessEnd.KILLED,
        -signal.SIGXCPU: ProcessEnd.TOO_SLOW,
        **{-number: ProcessEnd.INTERRUPTED for number in _OUTSIDE_SIGNALS},
    }
    return ends.get(exit_code, ProcessEnd.CRASHED)
