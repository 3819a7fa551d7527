"""Who may call: a key that lives, with the scope that the call needs."""

from datetime import UTC, datetime, timedelta

import pytest
from callers import bearer, make_key
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from curation.database import unit_of_work
from curation.models import ApiKey

ANYTIME = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "API_KEY_MISSING"),
        ("Basic abc", "API_KEY_MISSING"),
        ("Bearer ", "API_KEY_MISSING"),
        ("Bearer abc", "INVALID_KEY"),
        ("Bearer wnw_000000000000_nothing", "INVALID_KEY"),
        ("Bearer wnw_\xff_\xff", "INVALID_KEY"),
    ],
)
def test_caller_without_a_good_key_is_told_how_to_send_one(
    client: TestClient, header: str | None, reason: str
) -> None:
    del client.headers["Authorization"]
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    response = client.get("/v1/jobs", headers=headers)
    assert response.status_code == 401
    assert response.json()["reason"] == reason
    assert response.headers["www-authenticate"] == "Bearer"
    assert "Bearer" in response.json()["cure"]


@pytest.mark.parametrize("change", [{"revoked_at": ANYTIME}, {"expires_at": ANYTIME}])
def test_dead_key_opens_nothing(
    client: TestClient, engine: Engine, change: dict[str, datetime]
) -> None:
    assert client.get("/v1/jobs").status_code == 200
    with unit_of_work(engine) as session:
        session.execute(update(ApiKey).values(**change))
    assert client.get("/v1/jobs").status_code == 401


def test_key_that_expires_later_still_opens(client: TestClient, engine: Engine) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    with unit_of_work(engine) as session:
        session.execute(update(ApiKey).values(expires_at=later))
    assert client.get("/v1/jobs").status_code == 200


def test_key_without_the_scope_is_forbidden(client: TestClient, engine: Engine) -> None:
    client.headers.update(bearer(make_key(engine, "tests", "read")))
    assert client.get("/v1/datasets").status_code == 200
    response = client.post("/v1/datasets", json={"name": "a", "role": "test"})
    assert response.status_code == 403
    assert response.json()["reason"] == "SCOPE_MISSING"
    assert "write" in response.json()["cure"]


def test_secret_of_one_key_does_not_open_another(client: TestClient, engine: Engine) -> None:
    mine, other = make_key(engine, "tests"), make_key(engine, "elsewhere")
    mixed = "_".join([*other.split("_", 2)[:2], mine.split("_", 2)[2]])
    assert client.get("/v1/jobs", headers=bearer(mixed)).status_code == 401
