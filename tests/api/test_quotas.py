"""Quotas of a workspace: what is over them is refused with a reason, and /v1/usage shows them."""

import hashlib

import pytest
from callers import Finished
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.settings import ApiSettings
from curation import quotas
from curation.database import unit_of_work
from curation.objects import LocalObjectStore


def limit(engine: Engine, **changes: int | None) -> None:
    with unit_of_work(engine) as session:
        assert quotas.set_quotas(session, "tests", changes)


def create(client: TestClient) -> str:
    response = client.post("/v1/datasets", json={"name": "a", "role": "test"})
    assert response.status_code == 201, response.text
    return f"/v1/datasets/{response.json()['id']}"


def test_usage_counts_each_file_once_and_shows_the_installations_quotas(
    client: TestClient, stranger: TestClient, shared_settings: ApiSettings
) -> None:
    for _ in range(2):
        path = create(client)
        client.put(f"{path}/content", params={"file_name": "a.csv"}, content=b"label\na\n")
    assert client.get("/v1/usage").json() == {
        "stored_bytes": {"used": 8, "limit": shared_settings.quota_bytes},
        "datasets": {"used": 2, "limit": shared_settings.quota_datasets},
        "running_jobs": {"used": 0, "limit": shared_settings.quota_running_jobs},
        "queued_jobs": {"used": 0, "limit": shared_settings.quota_queued_jobs},
    }
    assert stranger.get("/v1/usage").json()["stored_bytes"]["used"] == 0


def test_usage_counts_results_and_jobs(
    client: TestClient, finished: Finished, job_body: dict[str, object]
) -> None:
    before = client.get("/v1/usage").json()["stored_bytes"]["used"]
    client.post("/v1/jobs", json=job_body)
    usage = client.get("/v1/usage").json()
    assert (usage["queued_jobs"]["used"], usage["running_jobs"]["used"]) == (1, 0)
    client.delete(f"/v1/jobs/{finished.job_id}")
    assert 0 < client.get("/v1/usage").json()["stored_bytes"]["used"] < before


def test_dataset_over_the_quota_is_a_conflict(client: TestClient, engine: Engine) -> None:
    limit(engine, max_datasets=1)
    path = create(client)
    response = client.post("/v1/datasets", json={"name": "b", "role": "test"})
    assert (response.status_code, response.json()["reason"]) == (409, "QUOTA_DATASETS_EXCEEDED")
    client.delete(path)
    create(client)


def test_upload_over_the_quota_is_refused_unread(
    client: TestClient, engine: Engine, object_store: LocalObjectStore
) -> None:
    limit(engine, max_bytes=100)
    path = create(client)
    sent = {"params": {"file_name": "a.csv"}, "content": b"a" * 101}
    response = client.put(f"{path}/content", **sent)  # type: ignore[arg-type] # A client's options.
    assert (response.status_code, response.json()["reason"]) == (413, "QUOTA_BYTES_EXCEEDED")
    assert list(object_store.list_digests()) == []
    limit(engine, max_bytes=None)
    assert client.put(f"{path}/content", **sent).status_code == 202  # type: ignore[arg-type] # As above.


def test_parts_count_against_the_quota_and_their_completion_does_not_count_twice(
    client: TestClient, engine: Engine
) -> None:
    limit(engine, max_bytes=100)
    path = create(client)
    parts = [b"label\n" + b"a\n" * 22, b"b\n" * 25]
    for number, part in enumerate(parts, start=1):
        digest = hashlib.sha256(part).hexdigest()
        sent = client.put(f"{path}/parts/{number}", params={"sha256": digest}, content=part)
        assert sent.status_code == 200, sent.text
    more = b"c\n"
    response = client.put(
        f"{path}/parts/3", params={"sha256": hashlib.sha256(more).hexdigest()}, content=more
    )
    assert (response.status_code, response.json()["reason"]) == (413, "QUOTA_BYTES_EXCEEDED")
    whole = hashlib.sha256(b"".join(parts)).hexdigest()
    body = {"file_name": "a.csv", "sha256": whole, "part_count": 2}
    assert client.post(f"{path}/complete", json=body).status_code == 202
    assert client.get("/v1/usage").json()["stored_bytes"] == {"used": 100, "limit": 100}


def test_queued_job_over_the_quota_is_to_come_again_later(
    client: TestClient, engine: Engine, job_body: dict[str, object]
) -> None:
    limit(engine, max_queued_jobs=1)
    headers = {"Idempotency-Key": "one"}
    first = client.post("/v1/jobs", json=job_body, headers=headers)
    assert first.status_code == 202
    response = client.post("/v1/jobs", json=job_body)
    assert (response.status_code, response.json()["reason"]) == (429, "QUOTA_QUEUED_JOBS_EXCEEDED")
    assert int(response.headers["Retry-After"]) > 0
    # The same request again is no second job.
    assert (
        client.post("/v1/jobs", json=job_body, headers=headers).json()["id"] == first.json()["id"]
    )
    job = f"/v1/jobs/{first.json()['id']}"
    client.post(f"{job}:cancel")
    assert client.post("/v1/jobs", json=job_body).status_code == 202
    assert client.post(f"{job}:retry").status_code == 429
    assert client.get(job).json()["state"] == "cancelled"


def test_command_sets_shows_and_takes_back_a_workspaces_quotas(
    client: TestClient,
    shared_settings: ApiSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("database_url", "broker_url", "object_store"):
        monkeypatch.setenv(f"WINNOW_{name.upper()}", getattr(shared_settings, name))
    named = ["--workspace", "tests"]
    assert quotas.main([*named, "--max-bytes", "5", "--max-running-jobs", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "max_bytes 5",
        f"max_datasets {shared_settings.quota_datasets}",
        "max_running_jobs 2",
        f"max_queued_jobs {shared_settings.quota_queued_jobs}",
    ]
    assert client.get("/v1/usage").json()["running_jobs"]["limit"] == 2
    quotas.main([*named, "--max-running-jobs", "default"])
    assert "max_bytes 5" in capsys.readouterr().out
    usage = client.get("/v1/usage").json()
    assert usage["running_jobs"]["limit"] == shared_settings.quota_running_jobs
    with pytest.raises(SystemExit):
        quotas.main(["--workspace", "nobody's", "--max-bytes", "5"])
    with pytest.raises(SystemExit):
        quotas.main([*named, "--max-bytes", "-5"])
