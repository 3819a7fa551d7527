"""The live stream of a job: what happened, and how far it is, as server-sent events."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.dependencies import Reader, SharedResources
from api.job_views import JobNews, find_news
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from curation.database import reading
from curation.identifiers import JobId
from curation.jobs import get_job

router = APIRouter(prefix="/v1", tags=["jobs"])

# PostgreSQL's bigint, the type of an event's id.
_MAX_EVENT_ID = 2**63 - 1
# Proxies close connections that are silent for long; some hold answers back to send more at once.
_LONGEST_SILENCE_SECONDS = 15.0
_MEDIA_TYPE = "text/event-stream"
_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

# The OpenAPI entry of the stream, whose messages are formatted once for all who get them.
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events as they happen.",
        "content": {
            _MEDIA_TYPE: {
                "itemSchema": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("event", "data", "id")},
                }
            }
        },
    }
}


@dataclass(frozen=True)
class _Watched:
    """A job that the caller may watch, found before the stream begins."""

    resources: Resources
    job_id: JobId


def _find_job(job_id: Identifier, caller: Reader, resources: SharedResources) -> _Watched:
    """Return what to watch; a job that is not there is told by a status, not by a stream."""
    with reading(resources.engine) as session:
        get_job(session, caller.workspace_id, JobId(job_id))
    return _Watched(resources=resources, job_id=JobId(job_id))


@router.get(
    "/jobs/{job_id}/events",
    operation_id="watch_job",
    summary="Watch a job",
    response_class=Response,
    responses={**_STREAM, **authorised_problems(HTTPStatus.NOT_FOUND)},
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
) -> Response:
    """Stream what happens to a job until it reaches a final state.

    Events of the job's history carry an `id` and are named by their kind; `progress` carries the
    job as it is now whenever that changes; `end` is the last event, after which a client closes.
    """
    return StreamingResponse(
        _messages(watched, last_event_id), media_type=_MEDIA_TYPE, headers=_STREAM_HEADERS
    )


async def _messages(watched: _Watched, seen_id: int) -> AsyncIterator[bytes]:
    """Yield server-sent events, and a comment where there have been none for a while."""
    news = await run_in_threadpool(_look_now, watched, seen_id)
    shown: str | None = None
    sent_at = time.monotonic()
    while news is not None:
        for event in news.events:
            seen_id = event.id
            yield event.message
        if news.text != shown:
            shown = news.text
            sent_at = time.monotonic()
            yield format_sse_event(data_str=shown, event="progress")
        if news.is_final:
            break
        if time.monotonic() - sent_at > _LONGEST_SILENCE_SECONDS:
            sent_at = time.monotonic()
            yield KEEPALIVE_COMMENT
        news = await watched.resources.job_watch.next_news(watched.job_id, seen_id=seen_id)
    # A job that was deleted while it was watched ends the stream, too.
    yield format_sse_event(data_str=shown, event="end")


def _look_now(watched: _Watched, seen_id: int) -> JobNews | None:
    """Return how the job stands; whoever has just come does not wait for the next look."""
    return find_news(watched.resources.engine, {watched.job_id: seen_id}).get(watched.job_id)
