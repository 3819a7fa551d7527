"""Jobs over HTTP: created once, watched, stopped, and never held up by the broker."""

import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from callers import Finished, bearer, rung_ids, silent_server
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from api.main import create_app
from api.settings import ApiSettings
from curation import jobs
from curation.database import unit_of_work
from curation.identifiers import JobId, new_id
from curation.models import Job


def test_new_job_is_queued_with_its_settings_in_full(
    client: TestClient, job_body: dict[str, object]
) -> None:
    body = {**job_body, "config": {"steps": 50}, "seed": 2**53 - 1, "max_runtime_seconds": 60}
    created = client.post("/v1/jobs", json=body)
    assert created.status_code == 202
    shown = client.get(created.headers["location"])
    assert shown.json() == created.json()
    job = shown.json()
    assert job["state"] == "queued"
    assert job["queue_position"] == 1
    assert job["config"]["steps"] == 50
    assert job["config"]["encoder"] == "auto"
    assert job["seed"] == 2**53 - 1
    assert job["max_runtime_seconds"] == 60
    assert job["failure"] is None
    assert shown.headers["retry-after"] == "2"


def test_worker_is_rung_once_the_job_can_be_found(
    client: TestClient, job_body: dict[str, object], emptied_broker_url: str, engine: Engine
) -> None:
    client.post("/v1/jobs", json=job_body)
    (job_id,) = rung_ids(emptied_broker_url, "train", count=1)
    with unit_of_work(engine) as session:
        assert session.get(Job, job_id) is not None


def test_job_is_accepted_quickly_while_the_broker_is_down(
    api_settings: ApiSettings, key: str, job_body: dict[str, object]
) -> None:
    with ExitStack() as stack:
        # A server that never answers holds its callers up for longer than one that is not there.
        broker_url = f"redis://{stack.enter_context(silent_server())}"
        app = create_app(api_settings.model_copy(update={"broker_url": broker_url}))
        client = stack.enter_context(TestClient(app, headers=bearer(key)))
        for _ in range(2):
            began = time.monotonic()
            response = client.post("/v1/jobs", json=job_body)
            assert response.status_code == 202
            assert time.monotonic() - began < 2
        assert client.get(f"/v1/jobs/{response.json()['id']}").json()["state"] == "queued"


def test_same_idempotency_key_creates_one_job(
    client: TestClient, job_body: dict[str, object]
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/jobs", json=job_body, headers=headers)
    second = client.post("/v1/jobs", json=job_body, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert second.status_code == 202
    assert len(client.get("/v1/jobs").json()["items"]) == 1
    other = client.post("/v1/jobs", json={**job_body, "seed": 7}, headers=headers)
    assert other.status_code == 409
    assert other.json()["reason"] == "IDEMPOTENCY_KEY_REUSED"


def test_idempotency_key_of_another_shape_is_refused(
    client: TestClient, job_body: dict[str, object]
) -> None:
    response = client.post("/v1/jobs", json=job_body, headers={"Idempotency-Key": "a b"})
    assert response.status_code == 422
    assert response.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"config": {"stepz": 1}}, "UNKNOWN_CONFIG_KEY", "config.stepz"),
        ({"config": {"\u0000": 1}}, "UNKNOWN_CONFIG_KEY", "config.\u0000"),
        ({"config": {"steps": 0}}, "OUT_OF_RANGE", "config.steps"),
        ({"config": {"steps": True}}, "OUT_OF_RANGE", "config.steps"),
        ({"config": {"score_floor": 2}}, "OUT_OF_RANGE", "config.score_floor"),
        ({"config": {"encoder": "magic"}}, "OUT_OF_RANGE", "config.encoder"),
        ({"config": {"keep": {"a": [1]}}}, "OUT_OF_RANGE", "config.keep"),
        ({"config": {"baselines": "cosine"}}, "OUT_OF_RANGE", "config.baselines"),
        ({"config": {"baselines": ["magic"]}}, "OUT_OF_RANGE", "config.baselines"),
        ({"config": {"baselines": ["el2n", "el2n"]}}, "OUT_OF_RANGE", "config.baselines"),
        ({"method": "guess"}, "UNKNOWN_METHOD", "method"),
        ({"synthetic_id": str(new_id())}, "DATASET_NOT_FOUND", "synthetic_id"),
        ({"test_id": str(new_id())}, "DATASET_NOT_FOUND", "test_id"),
        ({"seed": -1}, "INVALID_REQUEST", "seed"),
        ({"seed": 1.5}, "INVALID_REQUEST", "seed"),
        ({"max_runtime_seconds": 0}, "INVALID_REQUEST", "max_runtime_seconds"),
        ({"synthetic_id": "7"}, "INVALID_REQUEST", "synthetic_id"),
        ({"steps": 7}, "INVALID_REQUEST", "steps"),
    ],
)
def test_wrong_job_names_the_field_and_leaves_no_row(
    client: TestClient,
    job_body: dict[str, object],
    change: dict[str, object],
    reason: str,
    field: str,
) -> None:
    response = client.post("/v1/jobs", json={**job_body, **change})
    assert response.status_code == 422, response.text
    assert (response.json()["reason"], response.json()["field"]) == (reason, field)
    assert response.json()["cure"]
    assert client.get("/v1/jobs").json()["items"] == []


def test_roles_are_not_mixed_up(client: TestClient, job_body: dict[str, object]) -> None:
    swapped = {
        "synthetic_id": job_body["reference_id"],
        "reference_id": job_body["synthetic_id"],
    }
    response = client.post("/v1/jobs", json=swapped)
    assert response.status_code == 422
    assert response.json()["reason"] == "WRONG_ROLE"


def test_list_is_filtered_by_state_and_dataset(client: TestClient, queued: JobId) -> None:
    found = client.get("/v1/jobs", params={"state": "queued"}).json()["items"]
    assert [item["id"] for item in found] == [str(queued)]
    assert client.get("/v1/jobs", params={"state": "running"}).json()["items"] == []
    dataset_id = found[0]["reference_id"]
    assert len(client.get("/v1/jobs", params={"dataset_id": dataset_id}).json()["items"]) == 1
    assert client.get("/v1/jobs", params={"dataset_id": str(new_id())}).json()["items"] == []


def test_known_version_is_not_sent_again(client: TestClient, queued: JobId, engine: Engine) -> None:
    path = f"/v1/jobs/{queued}"
    first = client.get(path)
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get(path, headers=known)
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    with unit_of_work(engine) as session:
        session.execute(update(Job).values(ring_count=5))
    assert client.get(path, headers=known).status_code == 304
    client.post(f"{path}:cancel")
    changed = client.get(path, headers=known)
    assert changed.status_code == 200
    assert changed.json()["state"] == "cancelled"


def test_waiting_with_a_known_version_ends_with_the_next_one(
    client: TestClient, engine: Engine, claim: jobs.Claim
) -> None:
    path = f"/v1/jobs/{claim.job_id}"
    known = {"If-None-Match": client.get(path).headers["etag"]}

    def advance() -> None:
        time.sleep(0.3)
        with unit_of_work(engine) as session:
            jobs.record_progress(session, claim, jobs.Progress(phase="train", fraction=0.25))

    thread = threading.Thread(target=advance)
    thread.start()
    began = time.monotonic()
    shown = client.get(path, headers=known, params={"wait": 20})
    thread.join()
    assert shown.json()["fraction"] == 0.25
    assert shown.json()["phase"] == "train"
    assert 0.2 < time.monotonic() - began < 10


def test_waiting_in_vain_ends_in_time(client: TestClient, queued: JobId) -> None:
    known = {"If-None-Match": client.get(f"/v1/jobs/{queued}").headers["etag"]}
    began = time.monotonic()
    shown = client.get(f"/v1/jobs/{queued}", headers=known, params={"wait": 0.4})
    assert shown.status_code == 304
    assert 0.4 <= time.monotonic() - began < 5


def test_waiting_for_a_finished_job_does_not_wait(client: TestClient, finished: Finished) -> None:
    began = time.monotonic()
    shown = client.get(f"/v1/jobs/{finished.job_id}", params={"wait": 30})
    assert shown.json()["state"] == "succeeded"
    assert shown.json()["sample_count"] == len(finished.rows.sample_ids)
    assert time.monotonic() - began < 5


def test_running_job_is_cancelled_in_two_steps(client: TestClient, claim: jobs.Claim) -> None:
    response = client.post(f"/v1/jobs/{claim.job_id}:cancel")
    assert response.status_code == 202
    assert response.json()["state"] == "cancelling"


def test_failed_job_tells_its_reason_and_may_be_retried(
    client: TestClient, engine: Engine, claim: jobs.Claim, emptied_broker_url: str
) -> None:
    failure = jobs.Failure(jobs.FailureReason.OUT_OF_MEMORY, "Lower micro_batch_size.", "log")
    with unit_of_work(engine) as session:
        assert jobs.fail_job(session, claim, failure, datetime.now(UTC))
    path = f"/v1/jobs/{claim.job_id}"
    shown = client.get(path).json()
    assert shown["state"] == "failed"
    assert shown["failure"] == {
        "reason": "OUT_OF_MEMORY",
        "detail": "Lower micro_batch_size.",
        "log_tail": "log",
    }
    retried = client.post(f"{path}:retry")
    assert retried.status_code == 202
    assert retried.json()["state"] == "queued"
    assert retried.json()["failure"] is None
    assert rung_ids(emptied_broker_url, "train", count=1) == [str(claim.job_id)]


def test_queued_job_is_not_retried_nor_deleted(client: TestClient, queued: JobId) -> None:
    assert client.post(f"/v1/jobs/{queued}:retry").status_code == 409
    assert client.delete(f"/v1/jobs/{queued}").status_code == 409


def test_deleted_job_is_gone_with_its_results(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(f"{path}/weights").status_code == 404


def test_schema_of_settings_names_default_range_and_help(client: TestClient) -> None:
    schema = client.get("/v1/job-config-schema").json()["methods"]["mts"]
    floor = schema["properties"]["score_floor"]
    assert {"default", "minimum", "maximum", "description", "symbol"} <= floor.keys()


def test_every_method_has_a_schema_of_its_own(client: TestClient) -> None:
    methods = client.get("/v1/job-config-schema").json()["methods"]
    assert list(methods) == ["winnow", "mts", "meta_weight_net", "tess"]
    assert all(schema["title"] == name for name, schema in methods.items())
