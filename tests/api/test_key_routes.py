"""Keys as administrators handle them: created, seen, replaced, ended; and who did what."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from callers import Finished, bearer, make_key
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from curation.keys import main
from curation.settings import CurationSettings

BODY = {"name": "nightly", "scopes": ["read"]}


@pytest.fixture
def admin(client: TestClient, engine: Engine) -> TestClient:
    client.headers.update(bearer(make_key(engine, "tests", "read", "write", "admin")))
    return client


def opens(client: TestClient, word: str) -> bool:
    return client.get("/v1/jobs", headers=bearer(word)).status_code == 200


def made(admin: TestClient, **changes: Any) -> dict[str, Any]:
    response = admin.post("/v1/keys", json={**BODY, **changes})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_new_key_opens_and_is_shown_once(admin: TestClient) -> None:
    new = made(admin)
    assert opens(admin, new["secret"])
    seen = admin.get(f"/v1/keys/{new['key']['id']}")
    assert seen.json()["last_used_at"] is not None
    assert seen.json()["prefix"] == new["secret"].split("_")[1]
    secret = new["secret"].split("_", 2)[2]
    assert secret not in seen.text
    assert secret not in admin.get("/v1/keys").text


@pytest.mark.parametrize("scopes", [("read",), ("write",), ("read", "write")])
def test_keys_without_the_scope_admin_see_no_key(
    client: TestClient, engine: Engine, scopes: tuple[str, ...]
) -> None:
    client.headers.update(bearer(make_key(engine, "tests", *scopes)))
    for answer in (
        client.get("/v1/keys"),
        client.post("/v1/keys", json=BODY),
        client.get("/v1/audit"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (403, "SCOPE_MISSING")


def test_revoked_key_opens_nothing_at_once(admin: TestClient) -> None:
    new = made(admin)
    assert opens(admin, new["secret"])
    path = f"/v1/keys/{new['key']['id']}"
    ended = admin.post(f"{path}:revoke").json()
    assert ended["revoked_at"] is not None
    assert not opens(admin, new["secret"])
    assert admin.post(f"{path}:revoke").json() == {**ended, "last_used_at": ended["last_used_at"]}
    refused = admin.post(f"{path}:rotate", json={})
    assert (refused.status_code, refused.json()["reason"]) == (409, "KEY_ENDED")


@pytest.mark.parametrize("overlap", [0, 3600])
def test_replaced_key_ends_after_the_overlap(admin: TestClient, overlap: int) -> None:
    old = made(admin)
    path = f"/v1/keys/{old['key']['id']}"
    new = admin.post(f"{path}:rotate", json={"overlap_seconds": overlap}).json()
    assert new["key"]["scopes"] == old["key"]["scopes"]
    assert new["key"]["name"] == old["key"]["name"]
    assert opens(admin, new["secret"])
    assert opens(admin, old["secret"]) is (overlap > 0)
    assert admin.get(path).json()["expires_at"] is not None


def test_key_that_would_be_born_dead_is_refused(admin: TestClient) -> None:
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    response = admin.post("/v1/keys", json={**BODY, "expires_at": past})
    assert (response.status_code, response.json()["reason"]) == (422, "EXPIRY_PAST")


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("9999-12-31T23:59:59-12:00", "OUT_OF_RANGE"),
        (1_900_000_000, "INVALID_REQUEST"),
        ("1900000000", "INVALID_REQUEST"),
        ("2090-01-01T00:00:00", "INVALID_REQUEST"),
    ],
)
def test_expiry_is_a_time_that_calendars_have(
    admin: TestClient, moment: str | int, reason: str
) -> None:
    response = admin.post("/v1/keys", json={**BODY, "expires_at": moment})
    assert (response.status_code, response.json()["reason"]) == (422, reason)


def test_expiry_is_shown_in_utc(admin: TestClient) -> None:
    key = made(admin, expires_at="2090-01-01T01:00:00+01:00")["key"]
    assert key["expires_at"] == "2090-01-01T00:00:00Z"


def test_list_is_paged(admin: TestClient) -> None:
    for _ in range(3):
        made(admin)
    first = admin.get("/v1/keys", params={"limit": 3}).json()
    rest = admin.get("/v1/keys", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert len(ids) == len(set(ids)) == 5


def test_every_deed_is_in_the_log_with_the_key_that_did_it(
    app: FastAPI, admin: TestClient, finished: Finished
) -> None:
    do_everything(admin, finished)
    page = admin.get("/v1/audit", params={"limit": 1000}).json()
    changing = {
        operation["operationId"]
        for methods in app.openapi()["paths"].values()
        for method, operation in methods.items()
        if method != "get" and operation.get("security")
    } - {"estimate_job"}  # It is asked by POST for its body alone, and changes nothing.
    assert {item["action"] for item in page["items"]} == changing
    prefix = admin.headers["authorization"].split("_")[1]
    assert prefix in {item["key_prefix"] for item in page["items"]}
    deletion = next(item for item in page["items"] if item["action"] == "delete_job")
    assert deletion["object_id"] == str(finished.job_id)
    asked = admin.get("/v1/audit", params={"object_id": str(finished.job_id)}).json()
    assert {item["action"] for item in asked["items"]} == {"create_job", "delete_job"}


def do_everything(admin: TestClient, finished: Finished) -> None:
    """Use every operation that changes something."""
    job = f"/v1/jobs/{finished.job_id}"
    found = admin.get(job).json()
    cut = {"name": "cut", "rule": {"kind": "suggested"}}
    assert admin.post(f"{job}/selections", json=cut).status_code == 201
    selector = admin.get("/v1/selectors").json()["items"][0]["id"]
    body = {"dataset_id": found["synthetic_id"]}
    scored = admin.post(f"/v1/selectors/{selector}/scores", json=body)
    path = f"/v1/jobs/{scored.json()['id']}"
    for answer in (
        admin.post(f"{path}:cancel"),
        admin.post(f"{path}:retry"),
        admin.post(f"{path}:cancel"),
        admin.delete(path),
        admin.delete(f"/v1/selectors/{selector}"),
        admin.delete(job),
    ):
        assert answer.status_code < 300, answer.text
    dataset = admin.post("/v1/datasets", json={"name": "a", "role": "test"}).json()
    path = f"/v1/datasets/{dataset['id']}"
    upload = admin.put(f"{path}/content", params={"file_name": "a.csv"}, content=b"a,label\n1,2\n")
    assert upload.status_code == 202
    assert admin.delete(path).status_code == 204
    dataset = admin.post("/v1/datasets", json={"name": "a", "role": "test"}).json()
    path = f"/v1/datasets/{dataset['id']}"
    digest = hashlib.sha256(b"a,label\n").hexdigest()
    whole = {"file_name": "a.csv", "sha256": digest, "part_count": 1}
    part = admin.put(f"{path}/parts/1", params={"sha256": digest}, content=b"a,label\n")
    assert part.status_code == 200
    assert admin.post(f"{path}/complete", json=whole).status_code == 202
    fetched = {"name": "a", "role": "test", "url": "s3://pools/open/a.csv"}
    assert admin.post("/v1/datasets:import", json=fetched).status_code == 202
    hook = {"url": "https://example.org/", "events": ["job.failed"]}
    path = f"/v1/webhooks/{admin.post('/v1/webhooks', json=hook).json()['webhook']['id']}"
    sent = admin.post(f"{path}:ping").json()["id"]
    for answer in (
        admin.post(f"/v1/webhook-deliveries/{sent}:redeliver"),
        admin.post(f"{path}:rotate"),
        admin.put(path, json=hook),
        admin.delete(path),
    ):
        assert answer.status_code < 300, answer.text
    new = made(admin)
    admin.post(f"/v1/keys/{new['key']['id']}:rotate", json={})
    admin.post(f"/v1/keys/{new['key']['id']}:revoke")


def test_what_failed_is_not_in_the_log(admin: TestClient) -> None:
    assert admin.post("/v1/keys", json={**BODY, "expires_at": "2001-01-01T00:00:00Z"}).is_error
    assert admin.get("/v1/audit").json()["items"] == []


def test_log_is_paged_newest_first(admin: TestClient) -> None:
    for _ in range(3):
        made(admin)
    first = admin.get("/v1/audit", params={"limit": 2}).json()
    rest = admin.get("/v1/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    times = [item["at"] for item in first["items"] + rest["items"]]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)


def test_operator_revokes_a_key_from_the_command_line(
    admin: TestClient,
    engine: Engine,
    settings: CurationSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("database_url", "broker_url", "object_store"):
        monkeypatch.setenv(f"WINNOW_{name.upper()}", str(getattr(settings, name)))
    word = make_key(engine, "tests")
    prefix = word.split("_")[1]
    assert opens(admin, word)
    assert main(["list", "--workspace", "tests"]) == 0
    listed = capsys.readouterr().out
    assert prefix in listed
    assert word.split("_", 2)[2] not in listed
    assert main(["revoke", "--prefix", prefix]) == 0
    assert not opens(admin, word)
    assert main(["revoke", "--prefix", "nothing"]) == 1
    actions = [item["action"] for item in admin.get("/v1/audit").json()["items"]]
    assert actions == ["revoke_key"]
