"""Turns what a training run raised into the word that its job is left with."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from sqlalchemy.exc import InterfaceError, OperationalError

from curation.errors import StorageFullError
from curation.jobs import FailureReason
from curation.objects import is_full_disk
from mts_core.errors import ConfigError, MissingClassError, NonFiniteError
from worker.child_link import Failed, Interrupted
from worker.dataset_loader import DatasetMissingError
from worker.decoding_process import DecodingInterruptedError
from worker.device import DeviceError
from worker.outcomes import FULL_DISK_DETAIL, out_of_memory_detail
from worker.sample_arrays import InvalidDataError

_DATABASE_AWAY: Final = "The database was not reachable."
_INTERRUPTIONS: Final[Mapping[type[Exception], str]] = {
    OperationalError: _DATABASE_AWAY,
    InterfaceError: _DATABASE_AWAY,
    DecodingInterruptedError: "The process that decodes samples was ended from outside.",
}
# These errors carry sentences that are written for the user. All others may quote data or paths,
# so only their type is told, and the rest stays in the log.
_TOLD_ERRORS: Final[Mapping[type[Exception], FailureReason]] = {
    DatasetMissingError: FailureReason.DATASET_MISSING,
    InvalidDataError: FailureReason.INVALID_DATA,
    MissingClassError: FailureReason.INVALID_DATA,
    ConfigError: FailureReason.INVALID_DATA,
    DeviceError: FailureReason.INTERNAL_ERROR,
}


def failure_of(
    error: Exception,
    config: Mapping[str, Any],  # Any: a JSON object.
) -> Failed | Interrupted:
    """Return the child's last word on an exception.

    Args:
        error: What ended the run.
        config: The job's resolved settings, for advice.
    """
    for kind, detail in _INTERRUPTIONS.items():
        if isinstance(error, kind):
            return Interrupted(detail=detail)
    if isinstance(error, OSError | StorageFullError):
        return _failure_of_files(error)
    if _is_out_of_memory(error):
        return Failed(reason=FailureReason.OUT_OF_MEMORY, detail=out_of_memory_detail(config))
    if isinstance(error, NonFiniteError):
        advice = "Lower classifier_learning_rate or meta_learning_rate."
        return Failed(reason=FailureReason.NON_FINITE, detail=f"{error} {advice}")
    for kind, reason in _TOLD_ERRORS.items():
        if isinstance(error, kind):
            return Failed(reason=reason, detail=str(error))
    return Failed(
        reason=FailureReason.INTERNAL_ERROR,
        detail=f"An unexpected {type(error).__name__} ended the run; the log's end tells more.",
    )


def _failure_of_files(error: OSError | StorageFullError) -> Failed | Interrupted:
    if isinstance(error, StorageFullError) or is_full_disk(error):
        return Failed(reason=FailureReason.STORAGE_FULL, detail=FULL_DISK_DETAIL)
    return Interrupted(detail="A file or the object store could not be read or written.")


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch has a type of its own for the GPU alone; its CPU allocator raises a RuntimeError that
    # only its message tells apart.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
