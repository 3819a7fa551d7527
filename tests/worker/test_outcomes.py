"""How a child ended decides whether its job is done, tried again or failed, and with what word."""

import errno
import signal
from typing import Any

import pytest

from curation.jobs import FailureReason
from worker.child_link import Failed, Finished, Interrupted, Stopped, Superseded
from worker.death_signal import EXIT_ORPHANED
from worker.outcomes import (
    Broken,
    Cancelled,
    ChildEnd,
    Done,
    Lost,
    Outcome,
    Released,
    StopReason,
    judge,
    judge_worker_error,
    out_of_memory_detail,
)


def end(**changes: Any) -> ChildEnd:  # Any: fields of different types.
    fields: dict[str, Any] = {
        "verdict": None,
        "return_code": 0,
        "stop_reason": None,
        "has_memory_evidence": False,
        "config": {"micro_batch_size": None},
        "max_runtime_seconds": 60,
        "stall_seconds": 3600.0,
    }
    return ChildEnd(**{**fields, **changes})


@pytest.mark.parametrize("stop_reason", [None, *StopReason])
def test_finished_child_needs_no_further_word(stop_reason: StopReason | None) -> None:
    assert judge(end(verdict=Finished(), stop_reason=stop_reason)) == Done()


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [(StopReason.CANCEL, Cancelled()), (StopReason.SHUTDOWN, Released())],
)
@pytest.mark.parametrize("return_code", [0, -signal.SIGTERM, -signal.SIGKILL])
def test_child_that_was_asked_to_leave_is_judged_by_the_reason(
    stop_reason: StopReason, expected: Outcome, return_code: int
) -> None:
    assert judge(end(stop_reason=stop_reason, return_code=return_code)) == expected
    stopped = end(verdict=Stopped(), stop_reason=stop_reason, return_code=return_code)
    assert judge(stopped) == expected


def test_child_over_its_time_fails_and_says_which_setting_helps() -> None:
    outcome = judge(end(verdict=Stopped(), stop_reason=StopReason.MAX_RUNTIME))

    assert isinstance(outcome, Broken)
    assert outcome.reason is FailureReason.MAX_RUNTIME_EXCEEDED
    assert "max_runtime_seconds" in outcome.detail


def test_child_without_progress_is_tried_again_and_fails_by_a_reason_of_its_own() -> None:
    outcome = judge(end(return_code=-signal.SIGKILL, stop_reason=StopReason.STALL))

    assert outcome == Lost(
        "The training process made no progress for 3600 seconds.", FailureReason.STALLED
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_worker_without_room_fails_the_job_and_names_the_disk(number: int) -> None:
    outcome = judge_worker_error(OSError(number, "No space left on device"))

    assert isinstance(outcome, Broken)
    assert outcome.reason is FailureReason.STORAGE_FULL


def test_worker_without_a_process_to_spare_leaves_the_job_to_another() -> None:
    outcome = judge_worker_error(OSError(errno.EAGAIN, "Resource temporarily unavailable"))

    assert isinstance(outcome, Lost)


def test_refused_write_ends_as_cancelled_where_the_token_still_holds() -> None:
    assert judge(end(verdict=Superseded())) == Cancelled()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_child_ended_from_outside_is_tried_again(signal_number: signal.Signals) -> None:
    assert isinstance(judge(end(return_code=-signal_number)), Lost)


def test_child_that_left_as_an_orphan_is_tried_again() -> None:
    assert isinstance(judge(end(return_code=EXIT_ORPHANED)), Lost)


def test_interrupted_child_is_tried_again() -> None:
    assert judge(end(verdict=Interrupted(detail="No database."))) == Lost("No database.")


@pytest.mark.parametrize("return_code", [1, -signal.SIGSEGV, -signal.SIGABRT])
def test_crash_is_not_tried_again(return_code: int) -> None:
    outcome = judge(end(return_code=return_code))

    assert isinstance(outcome, Broken)
    assert outcome.reason is FailureReason.INTERNAL_ERROR


def test_kill_for_memory_names_the_setting_to_turn() -> None:
    outcome = judge(
        end(
            return_code=-signal.SIGKILL,
            has_memory_evidence=True,
            config={"micro_batch_size": 256},
        )
    )

    assert isinstance(outcome, Broken)
    assert outcome.reason is FailureReason.OUT_OF_MEMORY
    assert "micro_batch_size below 256" in outcome.detail


def test_own_word_of_a_failing_child_is_kept() -> None:
    verdict = Failed(reason=FailureReason.INVALID_DATA, detail="Shapes differ.")

    assert judge(end(verdict=verdict)) == Broken(FailureReason.INVALID_DATA, "Shapes differ.")


def test_memory_of_a_scoring_names_no_setting_that_it_lacks() -> None:
    assert "micro_batch_size" not in out_of_memory_detail({})
