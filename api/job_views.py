"""How jobs look on the wire: one by one, many at once, and what is new of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fastapi.sse import format_sse_event
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api.schemas.jobs import JobEventView, JobView
from curation import jobs
from curation.database import reading
from curation.identifiers import JobId, WorkspaceId
from curation.models import FINAL_STATES, Job, JobEvent, JobState

JobName = tuple[WorkspaceId, JobId]
"""A job as a caller names it, whose workspace decides whether it is seen."""


@dataclass(frozen=True)
class SentEvent:
    """Something that happened to a job, as it is sent.

    Attributes:
        id: Grows from one event of a job to the next.
        message: The whole server-sent event.
    """

    id: int
    message: bytes


@dataclass(frozen=True)
class JobNews:
    """What a look at a job found.

    Attributes:
        text: The job as JSON; made once for all who watch it.
        is_final: Whether the job will not change any more.
        events: What happened to it since, in order.
    """

    text: str
    is_final: bool
    events: Sequence[SentEvent]


def view_of(session: Session, job: Job) -> JobView:
    """Return the wire form of a job with its place in the queue."""
    return _views_of(session, [job])[0]


def find_views(engine: Engine, names: Collection[JobName]) -> dict[JobName, JobView | None]:
    """Return each job, or None where there is none of its name; by a fixed number of queries."""
    with reading(engine) as session:
        rows = jobs.jobs_of_ids(session, [job_id for _, job_id in names])
        views = _views_of(session, rows)
    found = {
        (WorkspaceId(row.workspace_id), JobId(row.id)): view
        for row, view in zip(rows, views, strict=True)
    }
    return {name: found.get(name) for name in names}


def find_news(engine: Engine, seen: Mapping[JobId, int]) -> dict[JobId, JobNews]:
    """Return news of those jobs that are still there, by a fixed number of queries.

    Args:
        engine: The database.
        seen: Id of the last event already seen of each job.
    """
    with reading(engine) as session:
        # Jobs are read first: a final state that is seen has its event among those that follow.
        rows = jobs.jobs_of_ids(session, seen.keys())
        views = _views_of(session, rows)
        events = jobs.job_events(session, seen)
    return {
        JobId(row.id): JobNews(
            text=view.model_dump_json(),
            is_final=row.state in FINAL_STATES,
            events=[_sent(event) for event in events[JobId(row.id)]],
        )
        for row, view in zip(rows, views, strict=True)
    }


def _views_of(session: Session, rows: Sequence[Job]) -> list[JobView]:
    queued = [JobId(row.id) for row in rows if row.state is JobState.QUEUED]
    positions = jobs.queue_positions(session, queued) if queued else {}
    return [JobView.from_row(row, queue_position=positions.get(JobId(row.id))) for row in rows]


def _sent(row: JobEvent) -> SentEvent:
    text = JobEventView.from_row(row).model_dump_json()
    return SentEvent(row.id, format_sse_event(data_str=text, event=row.kind, id=str(row.id)))
