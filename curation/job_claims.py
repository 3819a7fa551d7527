"""What a runner does with a job: claim it, keep it, report on it, end it; all by its token."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from curation.identifiers import DatasetId, JobId, SelectorId, WorkspaceId
from curation.job_transitions import change_state, record_event
from curation.job_types import Claim, EventKind, Failure, FailureReason, Heartbeat, Progress
from curation.models import CLAIMED_STATES, Checkpoint, Job, JobState, Workspace
from curation.object_rows import record_object
from curation.objects import StoredObject

_LOG_TAIL_CHARACTERS = 65_536
_UNCLAIMED: Mapping[str, Any] = MappingProxyType({"lease_expires_at": None, "runner": None})


def claim_job(
    session: Session, job_id: JobId, *, runner: str, lease_seconds: float
) -> Claim | None:
    """Claim one job for a runner, or return None where another has it or it needs no run.

    One compare-and-set UPDATE decides; it bumps the attempt and the fencing token, so that
    whoever held the job before can write nothing any more.

    Args:
        session: The transaction.
        job_id: The job.
        runner: Who claims, for people.
        lease_seconds: How long the claim holds without a heartbeat, by the database's clock.
    """
    job = change_state(
        session,
        JobState.RUNNING,
        EventKind.CLAIMED,
        Job.id == job_id,
        _is_claimable(),
        data={"runner": runner},
        attempt=Job.attempt + 1,
        fencing_token=Job.fencing_token + 1,
        runner=runner,
        lease_expires_at=_lease_end(lease_seconds),
        started_at=func.coalesce(Job.started_at, func.now()),
        phase=None,
        step=None,
        total_steps=None,
        eta_seconds=None,
    )
    if job is None:
        return None
    session.execute(
        update(Workspace)
        .where(Workspace.id == job.workspace_id)
        .values(last_claimed_at=func.clock_timestamp())
    )
    return _claim_of(job)


def claim_next_job(
    session: Session, rung_job_id: JobId, *, runner: str, lease_seconds: float
) -> Claim | None:
    """Claim the job whose turn it is, or return None where none waits.

    A message is a doorbell, not a ticket: the job that is claimed need not be the one that was
    rung for, so a workspace that fills the broker with messages does not get ahead of others.
    Next is the workspace with the fewest running jobs, among those the one served longest ago,
    and within it the oldest job.

    Args:
        session: The transaction.
        rung_job_id: The job of the message; it may also be one whose runner is gone.
        runner: Who claims, for people.
        lease_seconds: How long the claim holds without a heartbeat, by the database's clock.
    """
    other = aliased(Job)
    running = (
        select(func.count())
        .where(
            other.workspace_id == Job.workspace_id,
            other.state.in_(CLAIMED_STATES),
        )
        .scalar_subquery()
    )
    candidate = (
        select(Job.id)
        .join(Workspace, Workspace.id == Job.workspace_id)
        .where(_is_claimable(), or_(Job.state == JobState.QUEUED, Job.id == rung_job_id))
        .order_by(running, Workspace.last_claimed_at.asc().nulls_first(), Job.created_at, Job.id)
        .limit(1)
        # Two runners that look at the same time take two different jobs.
        .with_for_update(of=Job, skip_locked=True)
    )
    job_id = session.scalars(candidate).one_or_none()
    if job_id is None:
        return None
    return claim_job(session, JobId(job_id), runner=runner, lease_seconds=lease_seconds)


def holds_claim(session: Session, claim: Claim, *, is_locked: bool = False) -> bool:
    """Return whether a claim still holds.

    Args:
        session: The transaction.
        claim: The claim.
        is_locked: Whether to hold the job's row until the transaction ends; heartbeats then wait.
    """
    held = select(Job.id).where(*_held_by(claim))
    if is_locked:
        held = held.with_for_update()
    return session.scalars(held).one_or_none() is not None


def heartbeat(session: Session, claim: Claim, *, lease_seconds: float) -> Heartbeat | None:
    """Renew a claim's lease, or return None where the claim is lost and the run must end at once.

    Args:
        session: The transaction.
        claim: The claim.
        lease_seconds: How long it holds from now, by the database's clock.
    """
    state = session.scalars(
        _claimed_update(claim)
        .values(lease_expires_at=_lease_end(lease_seconds))
        .returning(Job.state)
    ).one_or_none()
    if state is None:
        return None
    return Heartbeat(is_cancel_requested=state is JobState.CANCELLING)


def record_progress(session: Session, claim: Claim, progress: Progress) -> bool:
    """Write how far a run has come, and return whether the claim still holds.

    Only a new phase becomes an event; steps are read off the row.
    """
    before = session.scalars(
        select(Job.phase).where(*_held_by(claim)).with_for_update()
    ).one_or_none()
    held = session.scalars(
        _claimed_update(claim)
        .values(
            phase=progress.phase,
            fraction=progress.fraction,
            step=progress.step,
            total_steps=progress.total_steps,
            eta_seconds=progress.eta_seconds,
            device=func.coalesce(progress.device, Job.device),
        )
        .returning(Job.id)
    ).one_or_none()
    if held is None:
        return False
    if before != progress.phase:
        record_event(session, claim.job_id, EventKind.PHASE, {"phase": progress.phase})
    return True


def register_checkpoint(
    session: Session, claim: Claim, *, phase: str, step: int, stored: StoredObject
) -> bool:
    """Make a stored state the one to go on from, and return whether the claim still holds.

    Older states are of no use from then on; the sweep removes them.

    Args:
        session: The transaction.
        claim: The claim of the run that took it.
        phase: The pipeline's phase.
        step: The phase's step.
        stored: The state, complete in the object store.
    """
    if not holds_claim(session, claim, is_locked=True):
        return False
    record_object(session, stored)
    ordinal = session.scalars(
        select(func.coalesce(func.max(Checkpoint.ordinal), 0) + 1).where(
            Checkpoint.job_id == claim.job_id, Checkpoint.fencing_token == claim.fencing_token
        )
    ).one()
    session.add(
        Checkpoint(
            job_id=claim.job_id,
            fencing_token=claim.fencing_token,
            ordinal=ordinal,
            attempt=claim.attempt,
            phase=phase,
            step=step,
            digest=stored.digest,
        )
    )
    record_event(session, claim.job_id, EventKind.CHECKPOINT, {"phase": phase, "step": step})
    session.flush()
    return True


def succeed_job(session: Session, claim: Claim, *, sample_count: int, now: datetime) -> bool:
    """Mark a claimed job as succeeded, and return whether the claim still holds.

    `results.finish_job` calls it in the transaction that makes the results visible.
    """
    job = change_state(
        session,
        JobState.SUCCEEDED,
        EventKind.SUCCEEDED,
        *_held_by(claim),
        data={"samples": sample_count},
        at=now,
        sample_count=sample_count,
        finished_at=now,
        fraction=1.0,
        eta_seconds=0.0,
        **_UNCLAIMED,
    )
    return job is not None


def fail_job(session: Session, claim: Claim, failure: Failure, now: datetime) -> bool:
    """Mark a claimed job as failed for good, and return whether the claim still held.

    A job that was asked to stop becomes cancelled instead.
    """
    job = change_state(
        session,
        JobState.FAILED,
        EventKind.FAILED,
        *_held_by(claim),
        data={"reason": failure.reason, "detail": failure.detail},
        at=now,
        failure_reason=failure.reason,
        failure_detail=failure.detail,
        log_tail=_tail(failure.log_tail),
        finished_at=now,
        **_UNCLAIMED,
    )
    return job is not None or mark_cancelled(session, claim, now)


def release_job(session: Session, claim: Claim, now: datetime) -> bool:
    """Put a claimed job back into the queue, and return whether the claim still held.

    The attempt is not counted: its worker leaves through no fault of the job. A job that was
    asked to stop becomes cancelled instead.
    """
    job = change_state(
        session,
        JobState.QUEUED,
        EventKind.RELEASED,
        *_held_by(claim),
        at=now,
        attempt=Job.attempt - 1,
        last_rung_at=None,
        ring_count=0,
        **_UNCLAIMED,
    )
    return job is not None or mark_cancelled(session, claim, now)


def expired_claims(session: Session, *, limit: int) -> list[Claim]:
    """Return claims whose lease has run out, longest ago first, and lock their jobs' rows."""
    expired = (
        select(Job)
        .where(Job.state.in_(CLAIMED_STATES), Job.lease_expires_at < func.now())
        .order_by(Job.lease_expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_claim_of(job) for job in session.scalars(expired)]


def lose_job(
    session: Session, claim: Claim, now: datetime, *, detail: str, log_tail: str | None = None
) -> bool:
    """End an attempt that the infrastructure lost, and return whether the claim still held.

    The job is queued again while it has attempts left, and fails WORKER_LOST when it has none;
    a job that was asked to stop becomes cancelled.

    Args:
        session: The transaction.
        claim: The claim that is given up; a sweep gives up those whose lease has expired.
        now: The time.
        detail: What happened, in a sentence that is safe to show.
        log_tail: The last lines of the run's log, or None.
    """
    requeued = change_state(
        session,
        JobState.QUEUED,
        EventKind.REQUEUED,
        *_held_by(claim),
        Job.attempt < Job.max_attempts,
        data={"reason": FailureReason.WORKER_LOST, "detail": detail},
        at=now,
        last_rung_at=None,
        ring_count=0,
        **_UNCLAIMED,
    )
    if requeued is not None:
        return True
    failure = Failure(
        FailureReason.WORKER_LOST, f"{detail} That was the last of its attempts.", log_tail
    )
    return fail_job(session, claim, failure, now)


def mark_cancelled(session: Session, claim: Claim, now: datetime) -> bool:
    """Mark a job that was asked to stop as cancelled, and return whether the claim still held."""
    job = change_state(
        session,
        JobState.CANCELLED,
        EventKind.CANCELLED,
        *_held_by(claim),
        at=now,
        finished_at=now,
        **_UNCLAIMED,
    )
    return job is not None


def _is_claimable() -> ColumnElement[bool]:
    waits = Job.state == JobState.QUEUED
    is_abandoned = and_(Job.state == JobState.RUNNING, Job.lease_expires_at < func.now())
    return and_(or_(waits, is_abandoned), Job.attempt < Job.max_attempts)


def _held_by(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        Job.id == claim.job_id,
        Job.fencing_token == claim.fencing_token,
        Job.state.in_(CLAIMED_STATES),
    )


def _claimed_update(claim: Claim) -> Update:
    return update(Job).where(*_held_by(claim)).execution_options(synchronize_session=False)


def _lease_end(lease_seconds: float) -> ColumnElement[datetime]:
    return func.now() + timedelta(seconds=lease_seconds)


def _claim_of(job: Job) -> Claim:
    return Claim(
        job_id=JobId(job.id),
        workspace_id=WorkspaceId(job.workspace_id),
        attempt=job.attempt,
        fencing_token=job.fencing_token,
        synthetic_id=DatasetId(job.synthetic_id),
        reference_id=None if job.reference_id is None else DatasetId(job.reference_id),
        test_id=None if job.test_id is None else DatasetId(job.test_id),
        selector_id=None if job.selector_id is None else SelectorId(job.selector_id),
        method=job.method,
        config=job.config,
        seed=job.seed,
        max_runtime_seconds=job.max_runtime_seconds,
    )


def _tail(log: str | None) -> str | None:
    # PostgreSQL stores no NUL in a text.
    return (
        None
        if log is None
        else log[-_LOG_TAIL_CHARACTERS:].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    )
