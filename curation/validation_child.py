"""The process that decodes an upload: one JSON request comes in, one JSON answer goes out."""

import ctypes
import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from curation.intake import ValidationRequest
from curation.sample_kinds import Modality, Role
from curation.validation import Refusal, Validation, validate_dataset
from curation.validation_limits import ValidationLimits

OUT_OF_MEMORY_EXIT = 3
_ORPHANED_EXIT = 75
_PR_SET_PDEATHSIG = 1
_MAX_OPEN_FILES = 64


def main() -> int:
    """Answer the request on standard input, and return the exit code."""
    message = json.load(sys.stdin.buffer)
    limits = ValidationLimits(**message["limits"])
    _die_with_parent(message["parent"])
    _limit_resources(limits)
    try:
        answer = _answer(message, limits)
    except MemoryError:
        return OUT_OF_MEMORY_EXIT
    except Exception as error:  # noqa: BLE001 - the parent has to hear of a fault of ours.
        answer = {"fault": _whereabouts(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


def _answer(
    message: dict[str, Any],  # JSON values, as the parent wrote them.
    limits: ValidationLimits,
) -> dict[str, Any]:  # JSON values.
    raw = message["request"]
    modality = raw["modality"]
    request = ValidationRequest(
        file_name=raw["file_name"],
        role=Role(raw["role"]),
        modality=None if modality is None else Modality(modality),
        label_column=raw["label_column"],
        id_column=raw["id_column"],
        image_size=raw["image_size"],
    )
    match validate_dataset(Path(message["path"]), Path(message["destination"]), request, limits):
        case Validation() as validation:
            return asdict(validation)
        case Refusal(error=error) as refusal:
            return {
                "error": {
                    "reason": error.reason,
                    "detail": error.detail,
                    "field": error.field,
                    "row": error.row,
                    "cure": error.cure,
                },
                "rejected_count": refusal.rejected_count,
                "rejections": [asdict(rejection) for rejection in refusal.rejections],
            }


def _limit_resources(limits: ValidationLimits) -> None:
    seconds = limits.max_validation_seconds
    for kind, limit in (
        (resource.RLIMIT_AS, limits.max_validation_memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.max_archive_bytes),
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


if __name__ == "__main__":
    raise SystemExit(main())
