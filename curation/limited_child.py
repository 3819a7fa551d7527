"""What a process does that decodes users' bytes for another: it takes limits, answers, and ends."""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.objects import is_full_disk

OUT_OF_MEMORY_EXIT = 3
FULL_DISK_EXIT = 4
_ORPHANED_EXIT = 75
_PR_SET_PDEATHSIG = 1
_MAX_OPEN_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """What such a process may use.

    Attributes:
        memory_bytes: Address space.
        seconds: Time by the clock, and of CPUs together.
        file_bytes: Size of each file that it writes.
    """

    memory_bytes: int
    seconds: int
    file_bytes: int


def answer_request(
    respond: Callable[[dict[str, Any]], dict[str, Any]],  # JSON values.
) -> int:
    """Answer the one request on standard input, on standard output, and return the exit code.

    Args:
        respond: Returns the answer; what it raises is told as a fault, by its kind and place.
    """
    message = json.load(sys.stdin.buffer)
    _die_with_parent(message["parent"])
    _limit_resources(ResourceLimits(**message["limits"]))
    try:
        answer = respond(message["request"])
    except MemoryError:
        return OUT_OF_MEMORY_EXIT
    except OSError as error:
        if is_full_disk(error):
            return FULL_DISK_EXIT
        answer = {"fault": _whereabouts(error)}
    except Exception as error:  # noqa: BLE001 - the parent has to hear of a fault of ours.
        answer = {"fault": _whereabouts(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


def _limit_resources(limits: ResourceLimits) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        capped = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (capped, capped))


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have ended before the kernel knew of the wish.
    if os.getppid() != parent:
        os._exit(_ORPHANED_EXIT)


def _whereabouts(error: Exception) -> dict[str, str]:
    # Neither message nor values: they may quote the user's samples.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "unknown"
    if trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return {"kind": type(error).__name__, "place": place}
