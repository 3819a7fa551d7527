"""Jobs as users handle them: create, cancel, retry, delete; and the face of all job modules."""

from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from curation import partitions
from curation.attempt_ends import (
    fail_job,
    lose_job,
    mark_cancelled,
    release_job,
    succeed_job,
)
from curation.errors import ConflictError, InvalidInputError
from curation.identifiers import JobId, WorkspaceId, new_id
from curation.job_claims import (
    claim_job,
    claim_next_job,
    heartbeat,
    held_back_job,
    record_progress,
    register_checkpoint,
)
from curation.job_queries import (
    CheckpointRef,
    get_job,
    job_events,
    job_not_found,
    jobs_of_ids,
    list_jobs,
    newest_checkpoint,
    queue_positions,
)
from curation.job_requests import (
    JobRequest,
    ScoreRequest,
    check_job_request,
    check_scorable,
    checked_runtime,
    request_hash,
)
from curation.job_transitions import TRANSITIONS, change_state, record_event
from curation.job_types import (
    Claim,
    CreatedJob,
    EventKind,
    Failure,
    FailureReason,
    Heartbeat,
    Origin,
    Progress,
)
from curation.models import (
    FINAL_STATES,
    Checkpoint,
    Dataset,
    IdempotencyKey,
    Job,
    JobObject,
    JobState,
)
from curation.object_rows import OrphanedObject, forget_unnamed
from curation.quotas import check_queued_jobs
from curation.selectors import get_selector
from curation.settings import CurationSettings

# Callers see one module for all that happens to jobs, whichever file it stands in.
__all__ = [
    "TRANSITIONS",
    "CheckpointRef",
    "Claim",
    "CreatedJob",
    "EventKind",
    "Failure",
    "FailureReason",
    "Heartbeat",
    "JobRequest",
    "Origin",
    "Progress",
    "ScoreRequest",
    "cancel_job",
    "claim_job",
    "claim_next_job",
    "create_job",
    "create_score_job",
    "delete_job",
    "fail_job",
    "get_job",
    "heartbeat",
    "held_back_job",
    "job_events",
    "job_not_found",
    "jobs_of_ids",
    "list_jobs",
    "lose_job",
    "mark_cancelled",
    "newest_checkpoint",
    "queue_positions",
    "record_progress",
    "register_checkpoint",
    "release_job",
    "retry_job",
    "succeed_job",
]

_MAX_IDEMPOTENCY_KEY_LENGTH = 255
_DROP_WAIT_SECONDS = 5.0
_NO_ORIGIN = Origin()
SELECTOR_METHOD = "selector"
"""Method of a job whose scores a selector makes."""


def create_job(  # noqa: PLR0913 - the request, and what the installation adds to it.
    session: Session,
    *,
    workspace_id: WorkspaceId,
    request: JobRequest,
    settings: CurationSettings,
    now: datetime,
    idempotency_key: str | None = None,
    origin: Origin = _NO_ORIGIN,
) -> CreatedJob:
    """Return a new queued job, or the one that an equal request made before.

    Args:
        session: The transaction; the caller rings after its commit.
        workspace_id: Whose job.
        request: What is asked for.
        settings: Limits and defaults of the installation.
        now: The time of creation.
        idempotency_key: The client's word for this request; a second request with the same word
            gets the same job.
        origin: The request that the run's log lines and spans are tied to.

    Raises:
        InvalidInputError: The datasets do not fit, or a setting is unknown or out of range.
        ConflictError: The key was used for another request.
        QuotaExceededError: As many jobs of the workspace wait as may.
    """
    job_id = JobId(new_id())
    if idempotency_key is not None:
        earlier = _win_key(
            session,
            workspace_id=workspace_id,
            key=idempotency_key,
            request=request,
            job_id=job_id,
            now=now,
        )
        if earlier is not None:
            return CreatedJob(get_job(session, workspace_id, earlier), is_new=False)
    checked = check_job_request(session, workspace_id, request, settings)
    job = Job(
        id=job_id,
        workspace_id=workspace_id,
        synthetic_id=request.synthetic_id,
        reference_id=request.reference_id,
        test_id=request.test_id,
        method=request.method,
        config=checked.config,
        seed=request.seed,
        max_runtime_seconds=checked.max_runtime_seconds,
    )
    return _queue(session, job, settings, origin, now)


def create_score_job(  # noqa: PLR0913 - the request, and what the installation adds to it.
    session: Session,
    *,
    workspace_id: WorkspaceId,
    request: ScoreRequest,
    settings: CurationSettings,
    now: datetime,
    idempotency_key: str | None = None,
    origin: Origin = _NO_ORIGIN,
) -> CreatedJob:
    """Return a new queued job that scores a dataset by a selector, or an equal request's.

    It has results like any job and is claimed, cancelled and deleted like any; it trains nothing.

    Args:
        session: The transaction; the caller rings after its commit.
        workspace_id: Whose job.
        request: What is to be scored by what.
        settings: Limits and defaults of the installation.
        now: The time of creation.
        idempotency_key: The client's word for this request, as in `create_job`.
        origin: The request that the run's log lines and spans are tied to.

    Raises:
        NotFoundError: There is no such selector.
        InvalidInputError: The selector cannot score the dataset.
        ConflictError: The key was used for another request.
    """
    job_id = JobId(new_id())
    if idempotency_key is not None:
        earlier = _win_key(
            session,
            workspace_id=workspace_id,
            key=idempotency_key,
            request=request,
            job_id=job_id,
            now=now,
        )
        if earlier is not None:
            return CreatedJob(get_job(session, workspace_id, earlier), is_new=False)
    # Held until the commit, so that the selector is not deleted before the job names it.
    selector = get_selector(session, workspace_id, request.selector_id, is_locked=True)
    check_scorable(session, workspace_id, selector, request.synthetic_id)
    job = Job(
        id=job_id,
        workspace_id=workspace_id,
        synthetic_id=request.synthetic_id,
        selector_id=request.selector_id,
        method=SELECTOR_METHOD,
        config={},
        seed=0,
        max_runtime_seconds=checked_runtime(request.max_runtime_seconds, settings),
    )
    return _queue(session, job, settings, origin, now)


def cancel_job(session: Session, workspace_id: WorkspaceId, job_id: JobId, now: datetime) -> Job:
    """Ask a job to stop and return it: a queued one is cancelled at once.

    Asking again changes nothing.

    Raises:
        NotFoundError: There is no such job.
        ConflictError: The job is over already.
    """
    job = get_job(session, workspace_id, job_id, is_locked=True)
    if job.state in {JobState.CANCELLING, JobState.CANCELLED}:
        return job
    if job.state is JobState.QUEUED:
        changed = change_state(
            session,
            JobState.CANCELLED,
            EventKind.CANCELLED,
            Job.id == job_id,
            at=now,
            cancel_requested_at=now,
            finished_at=now,
        )
    else:
        changed = change_state(
            session,
            JobState.CANCELLING,
            EventKind.CANCEL_REQUESTED,
            Job.id == job_id,
            at=now,
            cancel_requested_at=now,
        )
    if changed is None:
        raise ConflictError("JOB_FINISHED", f"The job has {job.state} already.")
    return changed


def retry_job(
    session: Session,
    workspace_id: WorkspaceId,
    job_id: JobId,
    now: datetime,
    *,
    origin: Origin = _NO_ORIGIN,
) -> Job:
    """Queue a failed or cancelled job again, with all its attempts, and return it.

    It goes on from its newest checkpoint, and its next run is tied to this request. The caller
    rings after the commit.

    Raises:
        NotFoundError: There is no such job.
        ConflictError: The job has neither failed nor been cancelled.
    """
    job = get_job(session, workspace_id, job_id, is_locked=True)
    changed = change_state(
        session,
        JobState.QUEUED,
        EventKind.RETRIED,
        Job.id == job_id,
        Job.state.in_([JobState.FAILED, JobState.CANCELLED]),
        data=_said_of(origin),
        at=now,
        request_id=origin.request_id,
        trace_parent=origin.trace_parent,
        attempt=0,
        last_rung_at=func.now(),
        ring_count=0,
        cancel_requested_at=None,
        failure_reason=None,
        failure_detail=None,
        log_tail=None,
        fraction=0.0,
        started_at=None,
        finished_at=None,
    )
    if changed is None:
        raise ConflictError(
            "JOB_NOT_RETRYABLE",
            f"The job is {job.state}; only a failed or cancelled one can be tried again.",
        )
    return changed


def delete_job(session: Session, workspace_id: WorkspaceId, job_id: JobId) -> list[OrphanedObject]:
    """Delete a finished job with all its results, and return the files that nothing names now.

    The caller removes the files by `object_rows.remove_files` after the commit.

    Raises:
        NotFoundError: There is no such job.
        ConflictError: The job is not over, or its results are being read just now.
    """
    job = get_job(session, workspace_id, job_id, is_locked=True)
    if job.state not in FINAL_STATES:
        raise ConflictError("JOB_NOT_FINISHED", f"The job is {job.state}.", cure="Cancel it first.")
    digests = [
        *session.scalars(select(JobObject.digest).where(JobObject.job_id == job_id)),
        *session.scalars(select(Checkpoint.digest).where(Checkpoint.job_id == job_id)),
    ]
    partitions.limit_lock_wait(session, _DROP_WAIT_SECONDS)
    try:
        for table in partitions.result_tables(session, job_id):
            partitions.drop(session, table.name)
    except OperationalError as error:
        raise ConflictError(
            "RESULTS_BUSY", "The results are being read just now.", cure="Try again."
        ) from error
    session.execute(delete(Job).where(Job.id == job_id))
    session.expunge(job)
    return forget_unnamed(session, digests)


def _queue(
    session: Session, job: Job, settings: CurationSettings, origin: Origin, now: datetime
) -> CreatedJob:
    job.state = JobState.QUEUED
    job.attempt = 0
    job.max_attempts = settings.max_attempts
    job.fencing_token = 0
    job.fraction = 0.0
    job.ring_count = 0
    # The sweep counts from here, by the database's clock.
    job.last_rung_at = session.scalars(select(func.now())).one()
    job.created_at = now
    job.request_id = origin.request_id
    job.trace_parent = origin.trace_parent
    session.add(job)
    session.flush()
    session.refresh(job)
    # This holds the workspace's row, so that two jobs do not wait for each other's datasets.
    check_queued_jobs(session, WorkspaceId(job.workspace_id), settings)
    session.execute(
        update(Dataset)
        .where(Dataset.id.in_([job.synthetic_id, job.reference_id, job.test_id]))
        .values(last_used_at=now),
        execution_options={"synchronize_session": False},
    )
    record_event(session, JobId(job.id), EventKind.CREATED, _said_of(origin), now)
    return CreatedJob(job, is_new=True)


def _said_of(origin: Origin) -> dict[str, str]:
    """Return what an event tells of the request that caused it."""
    return {} if origin.request_id is None else {"request_id": origin.request_id}


def _win_key(  # noqa: PLR0913 - a row's columns.
    session: Session,
    *,
    workspace_id: WorkspaceId,
    key: str,
    request: JobRequest | ScoreRequest,
    job_id: JobId,
    now: datetime,
) -> JobId | None:
    """Return None where this request is the first with its key, else the job of the first."""
    if not 0 < len(key) <= _MAX_IDEMPOTENCY_KEY_LENGTH or not key.isprintable():
        raise InvalidInputError(
            "INVALID_IDEMPOTENCY_KEY",
            f"The key has to be 1 to {_MAX_IDEMPOTENCY_KEY_LENGTH} printable characters.",
            field="Idempotency-Key",
            cure="Use a fresh UUID for each new request.",
        )
    wanted = request_hash(request)
    # The insert waits for a concurrent one of the same key, so that exactly one request wins.
    won = session.scalars(
        insert(IdempotencyKey)
        .values(
            workspace_id=workspace_id, key=key, request_hash=wanted, job_id=job_id, created_at=now
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.job_id)
    ).one_or_none()
    if won is not None:
        return None
    earlier = session.get(IdempotencyKey, (workspace_id, key))
    if earlier is None or earlier.request_hash != wanted:
        raise ConflictError(
            "IDEMPOTENCY_KEY_REUSED",
            "The key was used for another request.",
            field="Idempotency-Key",
            cure="Use a fresh key for each new request.",
        )
    return JobId(earlier.job_id)
