"""Browsers sign in once, and what changes something must come from a page of the service."""

import hashlib
from datetime import timedelta

import pytest
from callers import bearer
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select, text, update

from curation.browser_sessions import LIFETIME
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.models import ApiKey, BrowserSession

DATASET = {"name": "digits", "role": "synthetic"}


@pytest.fixture
def browser(shared_app: FastAPI, key: str) -> TestClient:
    """A browser that has signed in."""
    browser = TestClient(shared_app)
    response = browser.post("/api/session", json={"key": key})
    assert response.status_code == 201, response.text
    browser.headers["X-CSRF-Token"] = response.json()["csrf_token"]
    return browser


def test_cookie_stands_for_the_key(browser: TestClient) -> None:
    assert browser.get("/v1/datasets").json()["items"] == []
    assert browser.post("/v1/datasets", json=DATASET).status_code == 201
    assert len(browser.get("/v1/datasets").json()["items"]) == 1


def test_cookie_is_kept_from_scripts_and_other_sites(shared_app: FastAPI, key: str) -> None:
    secure = TestClient(shared_app, base_url="https://winnow.example")
    response = secure.post("/api/session", json={"key": key})
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" in cookie
    assert key not in response.headers["set-cookie"]
    assert key not in response.text


def test_neither_token_nor_key_is_stored(browser: TestClient, engine: Engine, key: str) -> None:
    token = browser.cookies["winnow_session"]
    with unit_of_work(engine) as session:
        rows = "SELECT s::text FROM browser_sessions s UNION ALL SELECT k::text FROM api_keys k"
        stored = "\n".join(session.scalars(text(rows)))
    # Without its hash there would be nothing to find in a row of another form either.
    assert hashlib.sha256(token.encode()).hexdigest() in stored
    assert token not in stored
    assert token.encode().hex() not in stored
    secret = key.split("_", 2)[2]
    assert secret not in stored
    assert secret.encode().hex() not in stored


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "ü"}])
def test_request_from_elsewhere_changes_nothing(
    browser: TestClient, headers: dict[str, str]
) -> None:
    del browser.headers["X-CSRF-Token"]
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    response = browser.post("/v1/datasets", json=DATASET, headers=raw)
    assert response.status_code == 403
    assert response.json()["reason"] == "CSRF_TOKEN_WRONG"
    assert browser.get("/v1/datasets").json()["items"] == []


def test_other_site_is_refused_even_with_the_right_word(browser: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/v1/datasets", json=DATASET, headers=headers).status_code == 403


def test_other_site_cannot_sign_its_visitor_in(shared_app: FastAPI, key: str) -> None:
    browser = TestClient(shared_app, headers={"Sec-Fetch-Site": "cross-site"})
    response = browser.post("/api/session", json={"key": key})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


def test_keys_in_headers_need_no_word(shared_app: FastAPI, key: str) -> None:
    program = TestClient(shared_app, headers=bearer(key))
    assert program.post("/v1/datasets", json=DATASET).status_code == 201


def test_wrong_key_opens_no_session(shared_app: FastAPI, engine: Engine) -> None:
    response = TestClient(shared_app).post("/api/session", json={"key": "wnw_abc_def"})
    assert response.status_code == 401
    assert response.json()["reason"] == "INVALID_KEY"
    assert "set-cookie" not in response.headers
    with unit_of_work(engine) as session:
        assert session.scalars(select(BrowserSession)).all() == []


def test_signing_out_ends_the_session_itself(browser: TestClient) -> None:
    token = browser.cookies["winnow_session"]
    assert browser.delete("/api/session").status_code == 204
    browser.cookies.set("winnow_session", token)
    response = browser.get("/v1/datasets")
    assert response.status_code == 401
    assert response.json()["reason"] == "SESSION_ENDED"


def test_session_ends_with_its_key(browser: TestClient, engine: Engine) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(ApiKey).values(revoked_at=utc_now()))
    assert browser.get("/v1/datasets").status_code == 401


def test_session_runs_out(browser: TestClient, engine: Engine, key: str) -> None:
    with unit_of_work(engine) as session:
        past = utc_now() - timedelta(seconds=1)
        session.execute(update(BrowserSession).values(expires_at=past, created_at=past - LIFETIME))
    assert browser.get("/v1/datasets").status_code == 401
    # The next sign-in forgets what has run out.
    assert browser.post("/api/session", json={"key": key}).status_code == 201
    with unit_of_work(engine) as session:
        assert len(session.scalars(select(BrowserSession)).all()) == 1


def test_session_reaches_as_far_as_its_key(browser: TestClient, engine: Engine) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(ApiKey).values(scopes=["read"]))
    assert browser.get("/api/session").json()["scopes"] == ["read"]
    assert browser.post("/v1/datasets", json=DATASET).json()["reason"] == "SCOPE_MISSING"
