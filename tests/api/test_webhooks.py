"""Endpoints of webhooks over HTTP, and the messages that a job's end writes."""

import json
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from curation import jobs
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.models import WebhookDelivery

BODY = {"url": "https://example.org/hook", "events": ["job.failed", "job.cancelled"]}


@pytest.fixture
def webhook(client: TestClient) -> dict[str, str]:
    response = client.post("/v1/webhooks", json=BODY)
    assert response.status_code == 201, response.text
    made: dict[str, str] = response.json()
    assert response.headers["location"] == f"/v1/webhooks/{made['webhook']['id']}"  # type: ignore[index]
    return {"id": made["webhook"]["id"], "secret": made["secret"]}  # type: ignore[index]


def bodies(engine: Engine) -> list[dict[str, object]]:
    with unit_of_work(engine) as session:
        return [json.loads(body) for body in session.scalars(select(WebhookDelivery.body))]


def test_secret_is_shown_once(client: TestClient, webhook: dict[str, str]) -> None:
    assert webhook["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{webhook['id']}"
    for answer in (client.get(path), client.get("/v1/webhooks"), client.put(path, json=BODY)):
        assert answer.status_code == 200
        assert webhook["secret"] not in answer.text
    rotated = client.post(f"{path}:rotate").json()
    assert rotated["secret"] != webhook["secret"]


def test_endpoint_is_changed_disabled_and_deleted(
    client: TestClient, webhook: dict[str, str]
) -> None:
    path = f"/v1/webhooks/{webhook['id']}"
    change = {**BODY, "events": ["job.succeeded"], "description": "mine", "is_enabled": False}
    changed = client.put(path, json=change).json()
    assert (changed["events"], changed["is_enabled"]) == (["job.succeeded"], False)
    assert client.put(path, json=BODY).json()["is_enabled"] is True
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "http://example.org/"}, "INVALID_URL"),
        ({"url": "https://10.0.0.1/"}, "ADDRESS_REFUSED"),
        ({"events": []}, "INVALID_REQUEST"),
        ({"events": ["job.started"]}, "INVALID_REQUEST"),
    ],
)
def test_endpoint_that_cannot_be_used_is_refused(
    client: TestClient, change: dict[str, object], reason: str
) -> None:
    response = client.post("/v1/webhooks", json={**BODY, **change})
    assert response.status_code == 422
    assert response.json()["reason"] == reason


def test_number_of_endpoints_is_bounded(client: TestClient) -> None:
    answers = [client.post("/v1/webhooks", json=BODY).status_code for _ in range(21)]
    assert answers == [201] * 20 + [409]


def test_end_of_a_job_writes_a_message_with_it(
    client: TestClient, engine: Engine, webhook: dict[str, str], claim: jobs.Claim
) -> None:
    failure = jobs.Failure(jobs.FailureReason.NON_FINITE, "A loss became infinite.", "log")
    with unit_of_work(engine) as session:
        assert jobs.fail_job(session, claim, failure, datetime.now(UTC))
    (body,) = bodies(engine)
    assert body["type"] == "job.failed"
    assert body["data"] == {
        "job_id": str(claim.job_id),
        "state": "failed",
        "attempt": 1,
        "failure": {"reason": "NON_FINITE", "detail": "A loss became infinite."},
    }
    page = client.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()
    assert [item["state"] for item in page["items"]] == ["pending"]
    log = client.get(f"/v1/webhook-deliveries/{page['items'][0]['id']}").json()
    assert json.loads(log["body"]) == body
    assert log["attempts"] == []


def test_message_is_undone_with_the_transaction(
    engine: Engine, webhook: dict[str, str], claim: jobs.Claim
) -> None:
    assert webhook
    failure = jobs.Failure(jobs.FailureReason.NON_FINITE, "It did.", None)
    with pytest.raises(RuntimeError, match="never"):
        fail_without_commit(engine, claim, failure)
    assert bodies(engine) == []


def fail_without_commit(engine: Engine, claim: jobs.Claim, failure: jobs.Failure) -> None:
    with unit_of_work(engine) as session:
        jobs.fail_job(session, claim, failure, datetime.now(UTC))
        raise RuntimeError("the commit is never reached")


@pytest.mark.parametrize("is_stranger", [True, False])
def test_only_listeners_of_the_workspace_are_told(
    *, client: TestClient, stranger: TestClient, engine: Engine, queued: JobId, is_stranger: bool
) -> None:
    listener = stranger if is_stranger else client
    events = ["job.cancelled"] if is_stranger else ["job.succeeded"]
    assert listener.post("/v1/webhooks", json={**BODY, "events": events}).status_code == 201
    assert client.post(f"/v1/jobs/{queued}:cancel").status_code == 202
    assert bodies(engine) == []


def test_ping_and_redelivery_are_on_their_way_at_once(
    client: TestClient, engine: Engine, webhook: dict[str, str]
) -> None:
    sent = client.post(f"/v1/webhooks/{webhook['id']}:ping")
    assert (sent.status_code, sent.json()["event"]) == (202, "webhook.ping")
    again = client.post(f"/v1/webhook-deliveries/{sent.json()['id']}:redeliver")
    assert again.status_code == 202
    assert again.json()["message_id"] == sent.json()["message_id"]
    first, second = bodies(engine)
    assert first == second
