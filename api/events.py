"""The live stream of a job: what happened, and how far it is, as server-sent events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.dependencies import Reader, SharedResources
from api.jobs import view_of
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from api.schemas.jobs import JobEventView, JobView
from curation.database import unit_of_work
from curation.errors import NotFoundError
from curation.identifiers import JobId, WorkspaceId
from curation.jobs import get_job, job_events
from curation.models import FINAL_STATES

router = APIRouter(prefix="/v1", tags=["jobs"])

_EVENTS_AT_A_TIME = 100
# PostgreSQL's bigint, the type of an event's id.
_MAX_EVENT_ID = 2**63 - 1


@dataclass(frozen=True)
class _Watched:
    """A job that the caller may watch, found before the stream begins."""

    resources: Resources
    workspace_id: WorkspaceId
    job_id: JobId


@dataclass(frozen=True)
class _News:
    """What a look at the job found."""

    view: JobView
    events: list[JobEventView]


def _find_job(job_id: Identifier, caller: Reader, resources: SharedResources) -> _Watched:
    """Return what to watch; a job that is not there is told by a status, not by a stream."""
    with unit_of_work(resources.engine) as session:
        get_job(session, caller.workspace_id, JobId(job_id))
    return _Watched(resources=resources, workspace_id=caller.workspace_id, job_id=JobId(job_id))


@router.get(
    "/jobs/{job_id}/events",
    operation_id="watch_job",
    summary="Watch a job",
    response_class=EventSourceResponse,
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
async def watch_job(
    watched: Annotated[_Watched, Depends(_find_job)],
    last_event_id: Annotated[
        int,
        Header(
            alias="Last-Event-ID",
            ge=0,
            le=_MAX_EVENT_ID,
            description="Go on after this event; a browser sends it by itself.",
        ),
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream what happens to a job until it reaches a final state.

    Events of the job's history carry an `id` and are named by their kind; `progress` carries the
    job as it is now whenever that changes; `end` is the last event, after which a client closes.
    """
    seen_id = last_event_id
    shown: JobView | None = None
    while True:
        try:
            news = await run_in_threadpool(_look, watched, seen_id)
        except NotFoundError:
            # Deleted while it was watched: the stream ends as it would have.
            yield ServerSentEvent(event="end", data=shown)
            return
        for event in news.events:
            seen_id = event.id
            yield ServerSentEvent(data=event, event=event.kind, id=str(event.id))
        if len(news.events) == _EVENTS_AT_A_TIME:
            continue
        if news.view != shown:
            shown = news.view
            yield ServerSentEvent(data=shown, event="progress")
        if news.view.state in FINAL_STATES:
            yield ServerSentEvent(data=shown, event="end")
            return
        await anyio.sleep(watched.resources.settings.poll_seconds)


def _look(watched: _Watched, seen_id: int) -> _News:
    """Return the job and its events after `seen_id`, in a transaction of its own."""
    with unit_of_work(watched.resources.engine) as session:
        # The job is read first: a final state that is seen has its event among those that follow.
        job = get_job(session, watched.workspace_id, watched.job_id)
        view = view_of(session, job)
        rows = job_events(session, watched.job_id, after_id=seen_id, limit=_EVENTS_AT_A_TIME)
        return _News(view=view, events=[JobEventView.from_row(row) for row in rows])
