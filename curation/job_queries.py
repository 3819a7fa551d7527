"""Reads of jobs: one, lists, the place in the queue, events and the newest checkpoint."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, Uuid, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from curation.errors import NotFoundError
from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.models import Checkpoint, Job, JobEvent, JobState
from curation.pages import Place, newest_first


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
        raise job_not_found(job_id)
    return job


def job_not_found(job_id: JobId) -> NotFoundError:
    """Return the error that tells a caller of a job that is not there, or is another's."""
    return NotFoundError("JOB_NOT_FOUND", f"There is no job {job_id}.")


def list_jobs(  # noqa: PLR0913 - one keyword for each filter.
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: Place | None = None,
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
    return newest_first(session, query, Job.created_at, Job.id, after=after, limit=limit)


def queue_positions(session: Session, job_ids: Collection[JobId]) -> dict[JobId, int]:
    """Return how many claims away jobs are, 1 for the next; those that are not queued are left out.

    Workspaces take turns, so a job's place is told by its turn within its own workspace first.
    The workspaces' recent use may move it by less than one round. The cost is linear in the queue,
    however many jobs are asked for.
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
    rows = session.execute(
        select(places.c.id, places.c.place).where(places.c.id.in_(list(job_ids)))
    )
    return {JobId(job_id): position for job_id, position in rows}


def jobs_of_ids(session: Session, job_ids: Collection[JobId]) -> list[Job]:
    """Return those of some jobs that are still there, in no order and of any workspace."""
    return list(session.scalars(select(Job).where(Job.id.in_(list(job_ids)))))


def job_events(session: Session, seen: Mapping[JobId, int]) -> dict[JobId, list[JobEvent]]:
    """Return what happened to several jobs, each after the event that was last seen of it.

    Args:
        session: The transaction.
        seen: Id of the last event already seen of each job.
    """
    last = (
        func.unnest(
            cast(list(seen.keys()), ARRAY(Uuid)), cast(list(seen.values()), ARRAY(BigInteger))
        )
        .table_valued("job_id", "event_id", name="last_seen")
        .render_derived()
    )
    query = (
        select(JobEvent)
        .join(last, and_(last.c.job_id == JobEvent.job_id, JobEvent.id > last.c.event_id))
        .order_by(JobEvent.id)
    )
    events: dict[JobId, list[JobEvent]] = {job_id: [] for job_id in seen}
    for event in session.scalars(query):
        events[JobId(event.job_id)].append(event)
    return events


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
