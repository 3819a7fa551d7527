"""Runs a validation in a process of its own, which may be killed or crash and nothing else."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from curation.census import Rejection
from curation.dataset_warnings import warnings_from_json
from curation.errors import InvalidInputError
from curation.feature_columns import columns_from_json
from curation.intake import ValidationRequest
from curation.limited_child import ResourceLimits
from curation.limited_process import ProcessAnswer, ProcessEnd, ask_limited_process
from curation.objects import storage_full
from curation.sample_kinds import Modality
from curation.validation import Refusal, Validation
from curation.validation_limits import ValidationLimits

_SEND_AGAIN = "Upload a smaller or simpler file, or raise the installation's limits."

_log = structlog.get_logger(__name__)


class ValidationInterruptedError(Exception):
    """The child was stopped from outside; nothing was decided about the upload."""


def run_validation(
    path: Path,
    destination: Path,
    *,
    request: ValidationRequest,
    limits: ValidationLimits,
    keep_going: Callable[[], bool],
) -> Validation | Refusal:
    """Return what an upload holds, decoded in a process of its own under hard limits.

    Args:
        path: The upload.
        destination: Where the normalised file goes, in a folder of its own.
        request: What the user said about the upload.
        limits: Caps, among them the child's memory and time.
        keep_going: Asked about twenty times a second; False ends the child.

    Raises:
        StorageFullError: There is no room for the normalised file.
        ValidationInterruptedError: `keep_going` said no, or somebody else ended the child.
    """
    answer = ask_limited_process(
        "curation.validation_child",
        {
            "path": str(path),
            "destination": str(destination),
            "request": asdict(request),
            "limits": asdict(limits),
        },
        answer_path=destination.with_suffix(".json"),
        limits=ResourceLimits(
            memory_bytes=limits.max_validation_memory_bytes,
            seconds=limits.max_validation_seconds,
            file_bytes=limits.max_archive_bytes,
        ),
        keep_going=keep_going,
    )
    return _outcome(answer, limits)


def _outcome(answer: ProcessAnswer, limits: ValidationLimits) -> Validation | Refusal:
    match answer.end:
        case ProcessEnd.ANSWERED:
            return _read_answer(answer.content)
        case ProcessEnd.TOO_SLOW:
            return _refused(
                "VALIDATION_TOO_SLOW",
                f"Reading the file took longer than {limits.max_validation_seconds} seconds.",
            )
        case ProcessEnd.OUT_OF_MEMORY | ProcessEnd.KILLED:
            return _refused(
                "VALIDATION_OUT_OF_MEMORY",
                f"Reading the file took more than {limits.max_validation_memory_bytes} bytes of"
                " memory.",
            )
        case ProcessEnd.FULL_DISK:
            raise storage_full()
        case ProcessEnd.INTERRUPTED:
            raise ValidationInterruptedError(
                "the claim on the dataset is lost, or the validation was ended from outside"
            )
        case ProcessEnd.CRASHED:
            _log.warning("validation_crashed", exit_code=answer.exit_code)
            return _refused("DECODER_CRASHED", "The file makes its decoder crash.")


def _read_answer(
    answer: dict[str, Any],  # JSON values, as the child wrote them.
) -> Validation | Refusal:
    if "fault" in answer:
        _log.error("validation_fault", **answer["fault"])
        return _refused("VALIDATION_FAILED", "Reading the file failed in an unexpected way.")
    rejections = tuple(Rejection(**rejection) for rejection in answer.pop("rejections"))
    if "error" in answer:
        error = InvalidInputError(**answer.pop("error"))
        return Refusal(error=error, rejections=rejections, **answer)
    modality = Modality(answer.pop("modality"))
    columns = columns_from_json(answer.pop("feature_columns"))
    warnings = warnings_from_json(answer.pop("warnings"))
    return Validation(
        modality=modality,
        feature_columns=columns,
        rejections=rejections,
        warnings=warnings,
        **answer,
    )


def _refused(reason: str, detail: str) -> Refusal:
    return Refusal(InvalidInputError(reason, detail, field="content", cure=_SEND_AGAIN), 0, ())
