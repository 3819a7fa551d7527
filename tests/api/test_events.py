"""The live stream of a job, over a real socket as a browser reads it."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import pytest
from callers import Finished
from sqlalchemy import Engine

from curation import jobs
from curation.database import unit_of_work
from curation.identifiers import JobId


@dataclass(frozen=True)
class Event:
    name: str
    id: str | None
    data: dict[str, object]


def read_events(response: httpx2.Response) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            if "event" in fields:
                yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


def watch(live: httpx2.Client, job_id: JobId, *, last_event_id: str | None = None) -> list[Event]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with live.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(read_events(response))


def test_history_of_a_finished_job_ends_by_itself(live: httpx2.Client, finished: Finished) -> None:
    events = watch(live, finished.job_id)
    assert [event.name for event in events] == [
        "created",
        "claimed",
        "succeeded",
        "progress",
        "end",
    ]
    assert events[-1].data["state"] == "succeeded"
    assert all(event.id is not None for event in events[:3])
    assert all(event.id is None for event in events[3:])


def test_stream_goes_on_after_the_last_event_seen(live: httpx2.Client, finished: Finished) -> None:
    first = watch(live, finished.job_id)
    rest = watch(live, finished.job_id, last_event_id=first[1].id)
    assert [event.name for event in rest] == ["succeeded", "progress", "end"]


def test_progress_and_end_arrive_as_they_happen(
    live: httpx2.Client, claim: jobs.Claim, engine: Engine
) -> None:
    arrived: list[tuple[float, Event]] = []

    def read() -> None:
        with live.stream("GET", f"/v1/jobs/{claim.job_id}/events") as response:
            arrived.extend((time.monotonic(), event) for event in read_events(response))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.5)
    advanced_at = time.monotonic()
    with unit_of_work(engine) as session:
        progress = jobs.Progress(phase="train", fraction=0.5, step=10, total_steps=20)
        assert jobs.record_progress(session, claim, progress)
    time.sleep(0.5)
    with unit_of_work(engine) as session:
        failure = jobs.Failure(jobs.FailureReason.NON_FINITE, "The loss was not finite.")
        assert jobs.fail_job(session, claim, failure, datetime.now(UTC))
    reader.join(10)
    assert not reader.is_alive()
    moment, halfway = next(
        (at, event) for at, event in arrived if event.data.get("fraction") == 0.5
    )
    assert halfway.data["step"] == 10
    assert 0 <= moment - advanced_at < 0.5
    names = [event.name for _, event in arrived]
    assert names[-3:] == ["failed", "progress", "end"]


def test_unknown_job_is_told_by_a_status(live: httpx2.Client) -> None:
    response = live.get("/v1/jobs/01890000-0000-7000-8000-000000000000/events")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("last", ["x", "-1", "99999999999999999999"])
def test_event_id_of_another_shape_is_refused(
    live: httpx2.Client, finished: Finished, last: str
) -> None:
    response = live.get(f"/v1/jobs/{finished.job_id}/events", headers={"Last-Event-ID": last})
    assert response.status_code == 422
    assert response.json()["field"] == "Last-Event-ID"


def test_job_deleted_while_watched_ends_the_stream(live: httpx2.Client, queued: JobId) -> None:
    names: list[str] = []

    def read() -> None:
        with live.stream("GET", f"/v1/jobs/{queued}/events") as response:
            names.extend(event.name for event in read_events(response))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    live.post(f"/v1/jobs/{queued}:cancel")
    live.delete(f"/v1/jobs/{queued}")
    reader.join(10)
    assert not reader.is_alive()
    assert names[-1] == "end"
