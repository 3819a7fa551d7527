"""What a runner does with a job: claim it, keep it, report on it, end it; all by its token."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from curation.attempt_ends import count_attempt, held_by, known_seconds, seconds_of
from curation.identifiers import DatasetId, JobId, SelectorId, WorkspaceId
from curation.job_transitions import change_state, record_event
from curation.job_types import (
    Claim,
    EventKind,
    FailureReason,
    Heartbeat,
    Origin,
    Progress,
)
from curation.models import CLAIMED_STATES, Checkpoint, Job, JobState, Workspace
from curation.object_rows import record_object
from curation.objects import StoredObject

# Any number that nothing else in the database uses.
_CLAIM_LOCK = 7_241_550_084


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
    abandoned = _abandoned_seconds(session, job_id)
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
        seconds_by_phase=None,
    )
    if job is None:
        return None
    if abandoned is not None:
        count_attempt(session, EventKind.REQUEUED, FailureReason.WORKER_LOST, abandoned)
    session.execute(
        update(Workspace)
        .where(Workspace.id == job.workspace_id)
        .values(last_claimed_at=func.clock_timestamp())
    )
    return _claim_of(job)


def claim_next_job(
    session: Session,
    rung_job_id: JobId,
    *,
    runner: str,
    lease_seconds: float,
    max_running_jobs: int,
) -> Claim | None:
    """Claim the job whose turn it is, or return None where none waits.

    A message is a doorbell, not a ticket: the job that is claimed need not be the one that was
    rung for, so a workspace that fills the broker with messages does not get ahead of others.
    Next is the workspace with the fewest running jobs, among those the one served longest ago,
    and within it the oldest job. A workspace that runs as many jobs as it may is passed over.

    Args:
        session: The transaction.
        rung_job_id: The job of the message; it may also be one whose runner is gone.
        runner: Who claims, for people.
        lease_seconds: How long the claim holds without a heartbeat, by the database's clock.
        max_running_jobs: Most running jobs of a workspace without a quota of its own.
    """
    # One runner looks at a time, or two would each take the last job that a workspace may run.
    session.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK)))
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
        # A job whose runner is gone counts as running already.
        .where(
            or_(
                Job.state != JobState.QUEUED,
                running < func.coalesce(Workspace.max_running_jobs, max_running_jobs),
            )
        )
        .order_by(running, Workspace.last_claimed_at.asc().nulls_first(), Job.created_at, Job.id)
        .limit(1)
        # Two runners that look at the same time take two different jobs.
        .with_for_update(of=Job, skip_locked=True)
    )
    job_id = session.scalars(candidate).one_or_none()
    if job_id is None:
        return None
    return claim_job(session, JobId(job_id), runner=runner, lease_seconds=lease_seconds)


def held_back_job(
    session: Session, workspace_id: WorkspaceId, *, max_running_jobs: int
) -> JobId | None:
    """Return the job that may begin because another of its workspace has ended, or None.

    Its message was dropped while the workspace ran as many jobs as it may.

    Args:
        session: The transaction; the caller rings after it.
        workspace_id: The workspace, one of whose jobs has just ended.
        max_running_jobs: Most running jobs of a workspace without a quota of its own.
    """
    limit = session.scalars(
        select(func.coalesce(Workspace.max_running_jobs, max_running_jobs)).where(
            Workspace.id == workspace_id
        )
    ).one()
    running = session.scalars(
        select(func.count()).where(Job.workspace_id == workspace_id, Job.state.in_(CLAIMED_STATES))
    ).one()
    if running != limit - 1:
        return None
    waiting = (
        select(Job.id)
        .where(Job.workspace_id == workspace_id, Job.state == JobState.QUEUED)
        .order_by(Job.created_at, Job.id)
        .limit(1)
    )
    job_id = session.scalars(waiting).one_or_none()
    return None if job_id is None else JobId(job_id)


def holds_claim(session: Session, claim: Claim, *, is_locked: bool = False) -> bool:
    """Return whether a claim still holds.

    Args:
        session: The transaction.
        claim: The claim.
        is_locked: Whether to hold the job's row until the transaction ends; heartbeats then wait.
    """
    held = select(Job.id).where(*held_by(claim))
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
        select(Job.phase).where(*held_by(claim)).with_for_update()
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
            **known_seconds(progress.seconds_by_phase),
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


def _abandoned_seconds(session: Session, job_id: JobId) -> Mapping[str, float] | None:
    """Return what the runner of an expired lease has spent, or None where there is no such."""
    return seconds_of(session, Job.id == job_id, _is_abandoned())


def _is_abandoned() -> ColumnElement[bool]:
    return and_(Job.state == JobState.RUNNING, Job.lease_expires_at < func.now())


def _is_claimable() -> ColumnElement[bool]:
    waits = Job.state == JobState.QUEUED
    return and_(or_(waits, _is_abandoned()), Job.attempt < Job.max_attempts)


def _claimed_update(claim: Claim) -> Update:
    return update(Job).where(*held_by(claim)).execution_options(synchronize_session=False)


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
        origin=Origin(job.request_id, job.trace_parent),
    )
