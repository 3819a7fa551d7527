"""A key that calls too often waits; a counter that is away stops nobody."""

import time
from collections.abc import Iterator

import pytest
from callers import bearer, make_key, silent_server
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.main import create_app
from api.settings import ApiSettings


@pytest.fixture
def limited(api_settings: ApiSettings, key: str, emptied_broker_url: str) -> Iterator[TestClient]:
    assert emptied_broker_url
    settings = api_settings.model_copy(update={"rate_limit_requests": 3, "rate_limit_seconds": 30})
    with TestClient(create_app(settings), headers=bearer(key)) as client:
        yield client


def test_key_that_calls_too_often_is_told_when_to_come_again(limited: TestClient) -> None:
    answers = [limited.get("/v1/jobs") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"key";q=3;w=30'
    assert answers[0].headers["ratelimit"].startswith('"key";r=2;t=')
    refused = answers[-1]
    assert refused.json()["reason"] == "RATE_LIMITED"
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')


def test_keys_are_counted_apart(limited: TestClient, engine: Engine) -> None:
    for _ in range(4):
        limited.get("/v1/jobs")
    other = bearer(make_key(engine, "tests"))
    assert limited.get("/v1/jobs", headers=other).status_code == 200


def test_two_processes_count_together(
    limited: TestClient, api_settings: ApiSettings, key: str
) -> None:
    for _ in range(3):
        limited.get("/v1/jobs")
    settings = api_settings.model_copy(update={"rate_limit_requests": 3, "rate_limit_seconds": 30})
    with TestClient(create_app(settings), headers=bearer(key)) as second:
        assert second.get("/v1/jobs").status_code == 429


def test_counter_that_is_away_stops_nobody_and_is_told_once(
    api_settings: ApiSettings, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with silent_server() as address:
        settings = api_settings.model_copy(
            update={"rate_limit_requests": 1, "broker_url": f"redis://:word@{address}"}
        )
        with TestClient(create_app(settings), headers=bearer(key)) as client:
            began = time.monotonic()
            assert [client.get("/v1/jobs").status_code for _ in range(5)] == [200] * 5
            assert time.monotonic() - began < 2
    said = capsys.readouterr().out
    assert said.count("rate_limit_unavailable") == 1
    assert "word" not in said


def test_zero_counts_nothing(api_settings: ApiSettings, key: str) -> None:
    settings = api_settings.model_copy(update={"rate_limit_requests": 0})
    with TestClient(create_app(settings), headers=bearer(key)) as client:
        assert "ratelimit" not in client.get("/v1/jobs").headers
