"""Reads of jobs: one, lists, the place in the queue, events and the newest checkpoint."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session

from curation.errors import NotFoundError
from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.models import Checkpoint, Job, JobEvent, JobState

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class CheckpointRef:
    """The state that an attempt goes on from.

    Attributes:
        phase: The pipeline's phase in which it was taken.
        step: The phase's step after which it was taken.
        digest: The object that holds it.
        attempt: The attempt that took it.
    """

    phase: str
    step: int
    digest: str
    attempt: int


def get_job(
    session: Session, workspace_id: WorkspaceId, job_id: JobId, *, is_locked: bool = False
) -> Job:
    """Return one job.

    Args:
        session: The transaction.
        workspace_id: Whose job.
        job_id: Which.
        is_locked: Whether to hold the row until the transaction ends.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    query = select(Job).where(Job.workspace_id == workspace_id, Job.id == job_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    job = session.scalars(query).one_or_none()
    if job is None:
        raise NotFoundError("JOB_NOT_FOUND", f"There is no job {job_id}.")
    return job


def list_jobs(  # noqa: PLR0913 - one keyword for each filter.
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
    state: JobState | None = None,
    dataset_id: DatasetId | None = None,
) -> list[Job]:
    """Return jobs of a workspace, newest first.

    Args:
        session: The transaction.
        workspace_id: Whose jobs.
        after: `(created_at, id)` of the last row of the page before.
        limit: Most rows to return.
        state: Only jobs in this state.
        dataset_id: Only jobs that use this dataset, in whatever role.
    """
    query = select(Job).where(Job.workspace_id == workspace_id)
    if state is not None:
        query = query.where(Job.state == state)
    if dataset_id is not None:
        query = query.where(
            or_(
                Job.synthetic_id == dataset_id,
                Job.reference_id == dataset_id,
                Job.test_id == dataset_id,
            )
        )
    if after is not None:
        query = query.where(tuple_(Job.created_at, Job.id) < tuple_(*after))
    query = query.order_by(Job.created_at.desc(), Job.id.desc()).limit(min(limit, MAX_PAGE))
    return list(session.scalars(query))


def queue_position(session: Session, job: Job) -> int | None:
    """Return how many claims away a queued job is, 1 for the next; None where it is not queued.

    Workspaces take turns, so a job's place is told by its turn within its own workspace first.
    The workspaces' recent use may move it by less than one round.
    """
    turn = (
        func.row_number()
        .over(partition_by=Job.workspace_id, order_by=(Job.created_at, Job.id))
        .label("turn")
    )
    queue = (
        select(Job.id, Job.created_at, turn).where(Job.state == JobState.QUEUED).subquery("queue")
    )
    place = func.row_number().over(order_by=(queue.c.turn, queue.c.created_at, queue.c.id))
    places = select(queue.c.id, place.label("place")).subquery("places")
    return session.scalars(select(places.c.place).where(places.c.id == job.id)).one_or_none()


def job_events(
    session: Session, job_id: JobId, *, after_id: int = 0, limit: int = 100
) -> list[JobEvent]:
    """Return a job's events in the order in which they happened.

    Args:
        session: The transaction.
        job_id: Which job.
        after_id: Id of the last event already seen.
        limit: Most rows to return.
    """
    query = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.id > after_id)
        .order_by(JobEvent.id)
        .limit(min(limit, MAX_PAGE))
    )
    return list(session.scalars(query))


def newest_checkpoint(session: Session, job_id: JobId) -> CheckpointRef | None:
    """Return the checkpoint that the next attempt goes on from, or None to begin anew."""
    row = session.scalars(
        select(Checkpoint)
        .where(Checkpoint.job_id == job_id)
        .order_by(Checkpoint.fencing_token.desc(), Checkpoint.ordinal.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return CheckpointRef(phase=row.phase, step=row.step, digest=row.digest, attempt=row.attempt)
