"""Every request leaves one line that says who asked for what, and its id goes with its work."""

from typing import Any

import kombu
import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from curation.database import unit_of_work
from curation.identifiers import JobId, WorkspaceId
from curation.job_queue import TRAIN_QUEUE
from curation.models import Job, JobEvent

REQUEST_ID = "a-request.7"


def finished_lines(client: TestClient, method: str, path: str, **options: Any) -> list[Any]:
    merge = structlog.contextvars.merge_contextvars
    with structlog.testing.capture_logs(processors=[merge]) as lines:
        client.request(method, path, headers={"X-Request-ID": REQUEST_ID}, **options)
    return [line for line in lines if line["event"] == "request_finished"]


def test_request_leaves_one_line_with_its_route_and_workspace(
    client: TestClient, queued: JobId, workspace: WorkspaceId
) -> None:
    (line,) = finished_lines(client, "GET", f"/v1/jobs/{queued}")
    assert line["request_id"] == REQUEST_ID
    assert line["workspace_id"] == str(workspace)
    assert line["job_id"] == str(queued)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/jobs/{job_id}", 200)
    assert line["duration_seconds"] > 0


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/healthz", "/healthz", 200),
        ("/v1/jobs/not-an-id", "/v1/jobs/{job_id}", 422),
        ("/no/such/path", "unmatched", 404),
    ],
)
def test_line_of_a_request_that_names_no_row_names_none(
    client: TestClient, path: str, route: str, status: int
) -> None:
    (line,) = finished_lines(client, "GET", path)
    assert (line["route"], line["status"]) == (route, status)
    assert "job_id" not in line


def test_one_requests_workspace_is_not_anothers(client: TestClient, queued: JobId) -> None:
    assert "workspace_id" in finished_lines(client, "GET", f"/v1/jobs/{queued}")[0]
    assert "workspace_id" not in finished_lines(client, "GET", "/healthz")[0]


def test_job_and_its_message_name_the_request(
    client: TestClient, job_body: dict[str, object], engine: Engine, emptied_broker_url: str
) -> None:
    answer = client.post("/v1/jobs", json=job_body, headers={"X-Request-ID": REQUEST_ID})
    assert answer.status_code == 202
    assert message_headers(emptied_broker_url)["winnow_request_id"] == REQUEST_ID
    with unit_of_work(engine) as session:
        assert session.get_one(Job, answer.json()["id"]).request_id == REQUEST_ID
        assert session.query(JobEvent).one().data == {"request_id": REQUEST_ID}


def test_retry_ties_the_next_run_to_its_own_request(
    client: TestClient, queued: JobId, engine: Engine
) -> None:
    client.post(f"/v1/jobs/{queued}:cancel")
    path = f"/v1/jobs/{queued}:retry"
    assert client.post(path, headers={"X-Request-ID": "second"}).status_code == 202
    with unit_of_work(engine) as session:
        assert session.get_one(Job, queued).request_id == "second"


def message_headers(broker_url: str) -> dict[str, Any]:
    with kombu.Connection(broker_url) as connection:
        messages = connection.SimpleQueue(TRAIN_QUEUE)
        message = messages.get(timeout=5)
        message.ack()
        messages.close()
        headers: dict[str, Any] = message.headers
        return headers
