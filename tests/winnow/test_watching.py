"""A job is watched by its event stream, through breaks, and by asking where no stream passes."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from event_service import (
    JOB,
    SIGN_OF_LIFE,
    EventService,
    event_service,
    history,
    job_body,
    progress,
)

from winnow.client import AsyncClient, Client
from winnow.errors import JobFailedError, NotFoundError, WaitTimeoutError
from winnow.resources import Job

Watch = Callable[[EventService], list[Job]]


@pytest.fixture
def service() -> Iterator[EventService]:
    with event_service() as service:
        yield service


def watch_blocking(service: EventService) -> list[Job]:
    with Client(service.address, "wnw_a_b") as client:
        return list(client.watch_job(JOB))


def watch_async(service: EventService) -> list[Job]:
    async def watch() -> list[Job]:
        async with AsyncClient(service.address, "wnw_a_b") as client:
            return [job async for job in client.watch_job(JOB)]

    return asyncio.run(watch())


@pytest.fixture(params=[watch_blocking, watch_async], ids=["blocking", "async"])
def watch(request: pytest.FixtureRequest) -> Watch:
    chosen: Watch = request.param
    return chosen


def test_stream_tells_every_change_and_signs_of_life_to_the_end(
    service: EventService, watch: Watch
) -> None:
    service.streams = [
        [
            history(1, "created"),
            progress("queued", 0.0),
            SIGN_OF_LIFE,
            progress("running", 0.5),
            progress("succeeded", 1.0),
            progress("succeeded", 1.0, "end"),
        ]
    ]
    assert [(job.state, job.fraction) for job in watch(service)] == [
        ("queued", 0.0),
        ("queued", 0.0),
        ("running", 0.5),
        ("succeeded", 1.0),
    ]
    assert service.asked == ["events"]


def test_broken_stream_is_resumed_after_the_last_event_seen(
    service: EventService, watch: Watch
) -> None:
    service.streams = [
        [history(1, "created"), history(7, "claimed"), progress("running", 0.1), b"event: pro"],
        [progress("running", 0.6), progress("succeeded", 1.0, "end")],
    ]
    service.jobs = [job_body("running", 0.2)]
    assert [job.fraction for job in watch(service)] == [0.1, 0.2, 0.6, 1.0]
    assert service.resumed_after == [None, "7"]


def test_job_is_asked_for_where_streams_keep_breaking(service: EventService, watch: Watch) -> None:
    service.streams = [[history(1, "created")], 503, []]
    service.jobs = [job_body("running", 0.1)] * 4 + [job_body("succeeded", 1.0)]
    seen = watch(service)
    assert seen[-1].state == "succeeded"
    assert service.asked[:6] == ["events", "job", "events", "job", "events", "job"]
    assert service.resumed_after == [None, "1", "1"]
    assert "events" not in service.asked[6:]


def test_job_is_asked_for_where_something_else_answers(service: EventService, watch: Watch) -> None:
    service.content_type = "text/html"
    service.streams = [[b"<html>"]]
    service.jobs = [job_body("running", 0.1), job_body("succeeded", 1.0)]
    assert [job.fraction for job in watch(service)] == [0.1, 1.0]
    assert service.asked.count("events") == 1


def test_refused_stream_is_told(service: EventService, watch: Watch) -> None:
    service.streams = [404]
    with pytest.raises(NotFoundError):
        watch(service)


def test_failed_job_ends_the_waiting_with_its_reason(service: EventService) -> None:
    failure = {"reason": "OUT_OF_MEMORY", "detail": "No room."}
    service.jobs = [job_body("failed", 0.3) | {"failure": failure}]
    service.streams = [[]]
    with (
        Client(service.address, "wnw_a_b") as client,
        pytest.raises(JobFailedError, match="OUT_OF_MEMORY: No room") as caught,
    ):
        client.wait_for_job(JOB)
    assert (caught.value.job_id, caught.value.reason) == (JOB, "OUT_OF_MEMORY")


def test_waiting_ends_with_the_callers_patience(service: EventService) -> None:
    service.jobs = [job_body("running", 0.3)]
    with (
        Client(service.address, "wnw_a_b") as client,
        pytest.raises(WaitTimeoutError, match=r"did not end within 0\.5 s"),
    ):
        client.wait_for_job(JOB, timeout_seconds=0.5)
    # A quiet stream would have held the caller beyond its patience.
    assert "events" not in service.asked
    assert service.asked[1:] == ["wait"] * (len(service.asked) - 1)
