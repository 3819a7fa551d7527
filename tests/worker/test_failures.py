"""Each kind of error leaves the reason that tells the user, or the operator, what to do."""

import errno

import pytest
import torch
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from curation.errors import StorageFullError
from curation.jobs import FailureReason
from mts_core.errors import ConfigError, NonFiniteError
from worker.child_link import Failed, Interrupted
from worker.dataset_loader import DatasetMissingError
from worker.failures import failure_of
from worker.sample_arrays import InvalidDataError

CAUSE = Exception("cause")


def reason_of(error: Exception) -> FailureReason:
    verdict = failure_of(error, {"micro_batch_size": None})
    assert isinstance(verdict, Failed)
    return verdict.reason


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_memory_that_ran_out_names_the_setting_to_turn(error: Exception) -> None:
    verdict = failure_of(error, {"micro_batch_size": None})

    assert isinstance(verdict, Failed)
    assert verdict.reason is FailureReason.OUT_OF_MEMORY
    assert "micro_batch_size" in verdict.detail


def test_torch_out_of_main_memory_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)

    assert reason_of(caught.value) is FailureReason.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NonFiniteError("classifier loss", step=3), FailureReason.NON_FINITE),
        (DatasetMissingError("The test dataset was deleted."), FailureReason.DATASET_MISSING),
        (InvalidDataError("Shapes differ."), FailureReason.INVALID_DATA),
        (ConfigError("steps is too large."), FailureReason.INVALID_DATA),
        (OSError(errno.ENOSPC, "No space left on device"), FailureReason.STORAGE_FULL),
        (StorageFullError("STORAGE_FULL", "There is no room."), FailureReason.STORAGE_FULL),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureReason.INTERNAL_ERROR),
        (IntegrityError("INSERT", {}, CAUSE), FailureReason.INTERNAL_ERROR),
    ],
)
def test_error_of_the_run_is_not_tried_again(error: Exception, reason: FailureReason) -> None:
    assert reason_of(error) is reason


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT", {}, CAUSE),
        InterfaceError("SELECT", {}, CAUSE),
        OSError(errno.EIO, "Input/output error"),
        ConnectionResetError(),
    ],
)
def test_infrastructure_that_gave_way_is_tried_again(error: Exception) -> None:
    assert isinstance(failure_of(error, {}), Interrupted)


def test_unknown_error_shows_neither_data_nor_paths() -> None:
    verdict = failure_of(ValueError("sample 17 at /srv/secret holds 'Jane Doe'"), {})

    assert isinstance(verdict, Failed)
    assert "ValueError" in verdict.detail
    assert "Jane" not in verdict.detail
    assert "/srv" not in verdict.detail
