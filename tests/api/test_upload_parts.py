"""Uploads by parts: each with its hash, in any order, put together only where all is right."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from callers import rung_ids
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select

from api.settings import ApiSettings
from curation.database import unit_of_work
from curation.models import ObjectRow, UploadPart
from curation.objects import LocalObjectStore

PARTS = [b"label,x\n" + b"a,1\n" * 1000, b"b,2\n" * 2000, b"a,3\n"]
CONTENT = b"".join(PARTS)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def path(client: TestClient) -> str:
    made = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()
    return f"/v1/datasets/{made['id']}"


def put_part(client: TestClient, path: str, number: int, content: bytes, **params: str) -> Any:
    params = {"sha256": sha256(content), **params}
    return client.put(f"{path}/parts/{number}", params=params, content=content)


def complete(client: TestClient, path: str, **changes: object) -> Any:
    body = {"file_name": "a.csv", "sha256": sha256(CONTENT), "part_count": 3, **changes}
    return client.post(f"{path}/complete", json=body)


def files_of(store: LocalObjectStore) -> list[Path]:
    return [path for path in store.unfinished_folder.parent.rglob("*") if path.is_file()]


def test_parts_in_any_order_become_the_content_and_nothing_else_is_left(
    client: TestClient,
    path: str,
    object_store: LocalObjectStore,
    engine: Engine,
    emptied_broker_url: str,
) -> None:
    for number in (3, 1, 2):
        response = put_part(client, path, number, PARTS[number - 1])
        assert response.status_code == 200, response.text
        assert response.json()["sha256"] == sha256(PARTS[number - 1])
    response = complete(client, path)
    assert response.status_code == 202, response.text
    assert response.json()["state"] == "validating"
    assert response.json()["content"]["sha256"] == sha256(CONTENT)
    with object_store.open(sha256(CONTENT)) as file:
        assert file.read() == CONTENT
    assert len(files_of(object_store)) == 1
    with unit_of_work(engine) as session:
        assert session.scalar(select(func.count()).select_from(UploadPart)) == 0
        assert session.scalar(select(func.count()).select_from(ObjectRow)) == 1
    assert rung_ids(emptied_broker_url, "short", count=1) == [path.rpartition("/")[2]]


def test_list_tells_which_parts_have_arrived_a_page_at_a_time(
    client: TestClient, path: str
) -> None:
    for number in (3, 1):
        put_part(client, path, number, PARTS[number - 1])
    first = client.get(f"{path}/parts", params={"limit": 1}).json()
    assert [(part["number"], part["size_bytes"]) for part in first["items"]] == [(1, len(PARTS[0]))]
    second = client.get(f"{path}/parts", params={"cursor": first["next_cursor"]}).json()
    assert [part["sha256"] for part in second["items"]] == [sha256(PARTS[2])]
    assert second["next_cursor"] is None


def test_part_with_another_hash_is_refused_and_not_stored(
    client: TestClient, path: str, object_store: LocalObjectStore
) -> None:
    response = put_part(client, path, 1, b"damaged on its way", sha256=sha256(PARTS[0]))
    assert response.status_code == 422
    assert response.json()["reason"] == "HASH_MISMATCH"
    assert client.get(f"{path}/parts").json()["items"] == []
    assert files_of(object_store) == []


def test_part_that_comes_again_replaces_the_first(
    client: TestClient, path: str, object_store: LocalObjectStore
) -> None:
    put_part(client, path, 1, b"wrong")
    put_part(client, path, 1, CONTENT)
    assert [file.name for file in files_of(object_store)] == [sha256(CONTENT)]
    # The same bytes are part and whole, and stay when the part is forgotten.
    assert complete(client, path, part_count=1).status_code == 202
    assert object_store.exists(sha256(CONTENT))


def test_empty_part_is_refused(client: TestClient, path: str) -> None:
    response = put_part(client, path, 1, b"")
    assert (response.status_code, response.json()["reason"]) == (422, "EMPTY_PART")


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x"])
def test_number_out_of_range_is_refused(client: TestClient, path: str, number: str) -> None:
    response = client.put(f"{path}/parts/{number}", params={"sha256": sha256(b"a")}, content=b"a")
    assert response.status_code == 422


def test_whole_with_another_hash_is_refused_and_the_parts_stay(
    client: TestClient, path: str, object_store: LocalObjectStore
) -> None:
    for number, part in enumerate([PARTS[0], PARTS[2], PARTS[1]], start=1):
        put_part(client, path, number, part)
    response = complete(client, path)
    assert (response.status_code, response.json()["reason"]) == (422, "HASH_MISMATCH")
    assert len(files_of(object_store)) == 3
    for number, part in enumerate(PARTS, start=1):
        put_part(client, path, number, part)
    assert complete(client, path).status_code == 202


@pytest.mark.parametrize(("count", "reason"), [(4, "PARTS_MISSING"), (1, "PARTS_TOO_MANY")])
def test_wrong_count_of_parts_is_a_conflict(
    client: TestClient, path: str, count: int, reason: str
) -> None:
    for number, part in enumerate(PARTS, start=1):
        put_part(client, path, number, part)
    response = complete(client, path, part_count=count)
    assert (response.status_code, response.json()["reason"]) == (409, reason)


def test_unreadable_kind_is_refused_before_the_parts_are_put_together(
    client: TestClient, path: str
) -> None:
    put_part(client, path, 1, CONTENT)
    response = complete(client, path, part_count=1, file_name="a.pkl")
    assert (response.status_code, response.json()["reason"]) == (422, "UNSUPPORTED_FORMAT")


def test_dataset_with_content_takes_no_parts(client: TestClient, path: str) -> None:
    put_part(client, path, 1, CONTENT)
    assert complete(client, path, part_count=1).status_code == 202
    assert put_part(client, path, 2, b"more").json()["reason"] == "DATASET_HAS_CONTENT"
    assert complete(client, path, part_count=1).json()["reason"] == "DATASET_HAS_CONTENT"


def test_file_that_is_sent_whole_after_all_takes_the_place_of_its_parts(
    client: TestClient, path: str, object_store: LocalObjectStore
) -> None:
    put_part(client, path, 1, PARTS[0])
    response = client.put(f"{path}/content", params={"file_name": "a.csv"}, content=CONTENT)
    assert response.status_code == 202
    assert [file.name for file in files_of(object_store)] == [sha256(CONTENT)]


def test_deleted_dataset_takes_its_parts_with_it(
    client: TestClient, path: str, object_store: LocalObjectStore, engine: Engine
) -> None:
    put_part(client, path, 1, PARTS[0])
    assert client.delete(path).status_code == 204
    assert files_of(object_store) == []
    with unit_of_work(engine) as session:
        assert session.scalar(select(func.count()).select_from(ObjectRow)) == 0


class TestBounds:
    """An installation with small bounds."""

    @pytest.fixture
    def api_settings(self, api_settings: ApiSettings) -> ApiSettings:
        return api_settings.model_copy(update={"max_upload_bytes": 1000, "max_part_bytes": 600})

    @pytest.fixture
    def own(self, app: FastAPI, client: TestClient) -> Any:
        with TestClient(app, headers=client.headers) as own:
            yield own

    def test_part_and_all_parts_together_are_bounded(self, own: TestClient, path: str) -> None:
        assert put_part(own, path, 1, b"a" * 700).status_code == 413
        assert put_part(own, path, 1, b"a" * 600).status_code == 200
        response = put_part(own, path, 2, b"b" * 500)
        assert (response.status_code, response.json()["reason"]) == (413, "UPLOAD_TOO_LARGE")
        assert len(own.get(f"{path}/parts").json()["items"]) == 1
