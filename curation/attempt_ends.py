"""How an attempt at a job ends: with success, failure, release, loss or cancellation, counted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from curation.job_transitions import change_state
from curation.job_types import Claim, EventKind, Failure
from curation.models import CLAIMED_STATES, Job, JobState
from curation.running_totals import Total, add_to_total

_LOG_TAIL_CHARACTERS = 65_536
_UNCLAIMED: Mapping[str, Any] = MappingProxyType({"lease_expires_at": None, "runner": None})


def succeed_job(
    session: Session,
    claim: Claim,
    *,
    sample_count: int,
    seconds_by_phase: Mapping[str, float] | None = None,
    now: datetime,
) -> bool:
    """Mark a claimed job as succeeded, and return whether the claim still holds.

    `results.finish_job` calls it in the transaction that makes the results visible.
    """
    return _end_attempt(
        session,
        claim,
        JobState.SUCCEEDED,
        EventKind.SUCCEEDED,
        data={"samples": sample_count},
        at=now,
        sample_count=sample_count,
        finished_at=now,
        fraction=1.0,
        eta_seconds=0.0,
        **known_seconds(seconds_by_phase),
    )


def fail_job(session: Session, claim: Claim, failure: Failure, now: datetime) -> bool:
    """Mark a claimed job as failed for good, and return whether the claim still held.

    A job that was asked to stop becomes cancelled instead.
    """
    has_failed = _end_attempt(
        session,
        claim,
        JobState.FAILED,
        EventKind.FAILED,
        data={"reason": failure.reason, "detail": failure.detail},
        at=now,
        failure_reason=failure.reason,
        failure_detail=failure.detail,
        log_tail=_tail(failure.log_tail),
        finished_at=now,
    )
    return has_failed or mark_cancelled(session, claim, now)


def release_job(session: Session, claim: Claim, now: datetime) -> bool:
    """Put a claimed job back into the queue, and return whether the claim still held.

    The attempt is not counted: its worker leaves through no fault of the job. A job that was
    asked to stop becomes cancelled instead.
    """
    is_released = _end_attempt(
        session,
        claim,
        JobState.QUEUED,
        EventKind.RELEASED,
        at=now,
        attempt=Job.attempt - 1,
        last_rung_at=None,
        ring_count=0,
    )
    return is_released or mark_cancelled(session, claim, now)


def lose_job(session: Session, claim: Claim, failure: Failure, now: datetime) -> bool:
    """End an attempt that the infrastructure lost, and return whether the claim still held.

    The job is queued again while it has attempts left, and fails for this reason when it has none;
    a job that was asked to stop becomes cancelled.

    Args:
        session: The transaction.
        claim: The claim that is given up; a sweep gives up those whose lease has expired.
        failure: What happened to the attempt.
        now: The time.
    """
    is_requeued = _end_attempt(
        session,
        claim,
        JobState.QUEUED,
        EventKind.REQUEUED,
        Job.attempt < Job.max_attempts,
        data={"reason": failure.reason, "detail": failure.detail},
        at=now,
        last_rung_at=None,
        ring_count=0,
    )
    if is_requeued:
        return True
    last = replace(failure, detail=f"{failure.detail} That was the last of its attempts.")
    return fail_job(session, claim, last, now)


def mark_cancelled(session: Session, claim: Claim, now: datetime) -> bool:
    """Mark a job that was asked to stop as cancelled, and return whether the claim still held."""
    return _end_attempt(
        session, claim, JobState.CANCELLED, EventKind.CANCELLED, at=now, finished_at=now
    )


def held_by(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of a job's row while a claim on it holds."""
    return (
        Job.id == claim.job_id,
        Job.fencing_token == claim.fencing_token,
        Job.state.in_(CLAIMED_STATES),
    )


def count_attempt(
    session: Session, event: EventKind, reason: str, spent: Mapping[str, float]
) -> None:
    """Add an attempt that ended by `event` to the totals, and the seconds that it spent."""
    add_to_total(session, Total.ATTEMPT_ENDS, event, reason)
    for phase, seconds in spent.items():
        add_to_total(session, Total.PHASE_SECONDS, phase, amount=max(0.0, seconds))


def seconds_of(session: Session, *conditions: ColumnElement[bool]) -> dict[str, float] | None:
    """Return the seconds of a job's attempt, and lock its row; None where no job fits."""
    row = session.execute(
        select(Job.seconds_by_phase).where(*conditions).with_for_update()
    ).one_or_none()
    return None if row is None else row.seconds_by_phase or {}


def known_seconds(seconds_by_phase: Mapping[str, float] | None) -> dict[str, Any]:
    """Return the value of the column, where there is one to write."""
    if seconds_by_phase is None:
        return {}
    rounded = {phase: round(seconds, 3) for phase, seconds in seconds_by_phase.items()}
    return {"seconds_by_phase": rounded}


def _end_attempt(  # noqa: PLR0913 - what a change of state takes.
    session: Session,
    claim: Claim,
    target: JobState,
    event: EventKind,
    *conditions: ColumnElement[bool],
    at: datetime,
    data: Mapping[str, Any] = MappingProxyType({}),  # JSON values, as an event holds them.
    **values: Any,  # Column values and SQL expressions for them.
) -> bool:
    """Give a claim up for another state, count the attempt, and return whether the claim held."""
    spent = values.get("seconds_by_phase") or seconds_of(session, *held_by(claim))
    job = change_state(
        session,
        target,
        event,
        *held_by(claim),
        *conditions,
        data={**data, "seconds_by_phase": spent},
        at=at,
        **_UNCLAIMED,
        **values,
    )
    if job is None:
        return False
    count_attempt(session, event, data.get("reason", ""), spent or {})
    return True


def _tail(log: str | None) -> str | None:
    # PostgreSQL stores no NUL in a text.
    return (
        None
        if log is None
        else log[-_LOG_TAIL_CHARACTERS:].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    )
