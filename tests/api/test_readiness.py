"""The service says in time which part fails, however it fails and however often one asks."""

import threading
import time

import anyio
import pytest
from callers import silent_server
from fastapi.testclient import TestClient

from api.main import create_app
from api.readiness import Readiness
from api.settings import ApiSettings

NOWHERE = "127.0.0.1:1"


def failed_parts(settings: ApiSettings) -> list[str]:
    with TestClient(create_app(settings)) as client:
        began = time.monotonic()
        response = client.get("/readyz")
        # Those who ask seldom wait for longer than ten seconds.
        assert time.monotonic() - began < 8
        assert client.get("/healthz").status_code == 200
    assert response.status_code == 503
    assert response.json()["reason"] == "NOT_READY"
    assert response.json()["field"] == response.json()["errors"][0]["field"]
    return [cause["field"] for cause in response.json()["errors"]]


def changes_of(part: str, address: str) -> dict[str, str]:
    return {
        "database": {"database_url": f"postgresql+psycopg://{address}/none"},
        "broker": {"broker_url": f"redis://{address}"},
        "store": {"object_store": f"s3://bucket/objects?endpoint=http://{address}&region=x"},
    }[part]


@pytest.mark.parametrize("part", ["database", "broker", "store"])
def test_part_that_is_not_there_is_named(
    api_settings: ApiSettings, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_credentials(monkeypatch)
    settings = api_settings.model_copy(update=changes_of(part, NOWHERE))
    assert failed_parts(settings) == [part]


def test_parts_that_never_answer_are_named_in_time(
    api_settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_credentials(monkeypatch)
    with silent_server() as address:
        changes = [changes_of(part, address) for part in ("database", "broker", "store")]
        settings = api_settings.model_copy(update={**changes[0], **changes[1], **changes[2]})
        assert failed_parts(settings) == ["broker", "database", "store"]


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")


def test_part_that_hangs_costs_few_threads_and_is_ready_again_when_it_answers() -> None:
    release = threading.Event()
    hanging = []

    def hang() -> None:
        hanging.append(threading.current_thread())
        release.wait(30)

    readiness = Readiness({"store": hang, "broker": lambda: None}, seconds=0.3)

    async def ask_often() -> None:
        for _ in range(6):
            assert "store" in await readiness.failed_parts()
        assert len(hanging) <= 4
        release.set()
        for _ in range(50):
            if await readiness.failed_parts() == set():
                return
        pytest.fail("It answers, and nobody sees it.")

    anyio.run(ask_often)
