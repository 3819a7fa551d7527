"""Follows a job to its end: by its event stream, or by asking where no stream comes through."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx2

from winnow.calls import Call, parse_answer
from winnow.errors import JobCancelledError, JobFailedError, ServiceFaultError, TooManyRequestsError
from winnow.event_stream import SIGN_OF_LIFE, read_events
from winnow.operations.jobs import get_job
from winnow.operations.reading import Deadline, poll
from winnow.resources import Job, JobId, JobState
from winnow.transport import Transport

# The service says something every 15 s, if only that it lives.
_QUIET_SECONDS = 40.0
_LIFE_SECONDS = 15.0
# A stream that breaks this early and often is cut by something between, not by a restart.
_SHORT_SECONDS = 5.0
_SHORT_STREAMS = 3
_PAUSE_SECONDS = 0.5
# What a stream that does not come through looks like; a refusal is told to the caller instead.
_BROKEN = (httpx2.TransportError, ServiceFaultError, TooManyRequestsError, ValueError)


@dataclass
class _Stream:
    """Where the watching of a job's stream stands.

    Attributes:
        last_id: The last event seen that a stream can be resumed after.
        newest: The job as it was last told.
        short_count: How many streams in a row ended too early.
    """

    last_id: str | None = None
    newest: Job | None = None
    short_count: int = 0


async def watch_job(
    transport: Transport, job_id: JobId, *, timeout_seconds: float | None = None
) -> AsyncIterator[Job]:
    """Yields the job now, at every change and at least every fifteen seconds, to its end.

    It listens to the job's event stream. A stream that breaks is resumed after the last event
    seen; where streams do not come through, as behind some proxies, the job is asked for
    instead.

    Args:
        transport: The way to the service.
        job_id: The job.
        timeout_seconds: How long to watch; None watches as long as it takes.

    Raises:
        WaitTimeoutError: the job goes on beyond the time.
    """
    deadline = Deadline(timeout_seconds)
    stream = _Stream()
    # Near the deadline the job is asked for, since a quiet stream holds the caller up too long.
    while stream.short_count < _SHORT_STREAMS and deadline.remaining_seconds > _LIFE_SECONDS:
        async for job in _listen(transport, job_id, stream, deadline):
            yield job
        if stream.newest is not None and stream.newest.state.is_final:
            return
        # Told by a plain request, with its patience and its refusals, why the stream ended.
        stream.newest = await get_job(transport, job_id)
        yield stream.newest
        if stream.newest.state.is_final:
            return
        await transport.wire.sleep(_PAUSE_SECONDS)
    async for job in poll(transport, Job, f"/v1/jobs/{job_id}", deadline):
        yield job
        if job.state.is_final:
            return
        deadline.check(f"The job {job_id}")


async def _listen(
    transport: Transport, job_id: JobId, stream: _Stream, deadline: Deadline
) -> AsyncIterator[Job]:
    """Yields what one stream tells of the job, until it ends or breaks."""
    opened_at = time.monotonic()
    call = Call(
        method="GET",
        path=f"/v1/jobs/{job_id}/events",
        headers={} if stream.last_id is None else {"Last-Event-ID": stream.last_id},
    )
    has_spoken = False
    try:
        async with transport.open(call, quiet_seconds=_QUIET_SECONDS) as answer:
            if not answer.head.headers.get("content-type", "").startswith("text/event-stream"):
                stream.short_count = _SHORT_STREAMS
                return
            async for event in read_events(answer.lines()):
                stream.last_id = event.id or stream.last_id
                if event.name in {"progress", "end"} and event.data is not None:
                    has_spoken = True
                    told = parse_answer(Job, event.data)
                    if told != stream.newest:
                        stream.newest = told
                        yield told
                elif event is SIGN_OF_LIFE and stream.newest is not None:
                    yield stream.newest
                if event.name == "end" or deadline.remaining_seconds < _LIFE_SECONDS:
                    return
    except _BROKEN:
        # Whether the service is there, the next plain request finds out.
        pass
    is_short = not has_spoken or time.monotonic() - opened_at < _SHORT_SECONDS
    stream.short_count = stream.short_count + 1 if is_short else 0


async def wait_for_job(
    transport: Transport,
    job_id: JobId,
    *,
    on_news: Callable[[Job], None] = lambda _: None,
    timeout_seconds: float | None = None,
) -> Job:
    """Waits for the job's end and returns it.

    Args:
        transport: The way to the service.
        job_id: The job.
        on_news: Called with the job at every change, and at least every fifteen seconds.
        timeout_seconds: How long to wait; None waits as long as it takes.

    Raises:
        JobFailedError: it failed; the text holds the reason.
        JobCancelledError: it was cancelled.
        WaitTimeoutError: it goes on beyond the time.
    """
    job = None
    async for job in watch_job(transport, job_id, timeout_seconds=timeout_seconds):
        on_news(job)
    assert job is not None  # noqa: S101 - A watched job is yielded at least once.
    if job.state is JobState.CANCELLED:
        raise JobCancelledError(f"The job {job.id} was cancelled.", job_id=job.id)
    if job.state is JobState.FAILED:
        failure = job.failure
        said = f"{failure.reason}: {failure.detail}" if failure else "without a reason"
        reason = failure.reason if failure else None
        raise JobFailedError(f"The job {job.id} failed: {said}", job_id=job.id, reason=reason)
    return job
