"""Uploads stream into the store: whole, within the limit, or not at all."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from callers import bearer, rung_ids, served, wait_until
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from curation.objects import LocalObjectStore

CONTENT = b"label,x\n" + b"a,1\n" * 50_000


@pytest.fixture
def dataset_id(client: TestClient) -> str:
    return str(client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()["id"])


def upload_path(dataset_id: str, file_name: str = "a.csv") -> str:
    return f"/v1/datasets/{dataset_id}/content?file_name={file_name}"


def stored_files(store: LocalObjectStore) -> list[Path]:
    return [path for path in store.unfinished_folder.parent.rglob("*") if path.is_file()]


def test_uploaded_file_lies_whole_in_the_store(
    client: TestClient, dataset_id: str, object_store: LocalObjectStore
) -> None:
    response = client.put(upload_path(dataset_id), content=CONTENT)
    assert response.status_code == 202
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert response.json()["state"] == "validating"
    assert response.json()["content"] == {
        "file_name": "a.csv",
        "size_bytes": len(CONTENT),
        "sha256": digest,
    }
    with object_store.open(digest) as file:
        assert file.read() == CONTENT


def test_worker_is_rung_for_the_upload(
    client: TestClient, dataset_id: str, emptied_broker_url: str
) -> None:
    client.put(upload_path(dataset_id), content=CONTENT)
    assert rung_ids(emptied_broker_url, "short", count=1) == [dataset_id]


def test_second_upload_is_refused_before_its_bytes_are_stored(
    client: TestClient, dataset_id: str, object_store: LocalObjectStore
) -> None:
    client.put(upload_path(dataset_id), content=CONTENT)
    response = client.put(upload_path(dataset_id), content=b"other")
    assert response.status_code == 409
    assert response.json()["reason"] == "DATASET_HAS_CONTENT"
    assert len(stored_files(object_store)) == 1


@pytest.mark.parametrize("file_name", ["a.exe", "zip", "a.pkl"])
def test_file_of_no_known_kind_is_refused(
    client: TestClient, dataset_id: str, file_name: str
) -> None:
    response = client.put(upload_path(dataset_id, file_name), content=CONTENT)
    assert response.status_code == 422
    assert response.json()["reason"] == "UNSUPPORTED_FORMAT"
    assert response.json()["field"] == "file_name"
    assert ".parquet" in response.json()["cure"]
    assert client.get(f"/v1/datasets/{dataset_id}").json()["state"] == "created"


@pytest.mark.parametrize("file_name", ["", "..%2Fa.csv", "a%00.csv", "C:%5Ca.csv", "a" * 300])
def test_name_that_is_no_file_name_is_refused(
    client: TestClient, dataset_id: str, file_name: str
) -> None:
    response = client.put(upload_path(dataset_id, file_name), content=CONTENT)
    assert response.status_code == 422
    assert response.json()["field"] == "file_name"


def test_empty_file_is_refused(client: TestClient, dataset_id: str) -> None:
    response = client.put(upload_path(dataset_id), content=b"")
    assert response.status_code == 422
    assert response.json()["reason"] == "EMPTY_DATASET"


class TestOverTheWire:
    """What only a real socket shows."""

    @pytest.fixture
    def api_settings(self, api_settings: ApiSettings) -> ApiSettings:
        return api_settings.model_copy(update={"max_upload_bytes": 200_000})

    def test_announced_size_over_the_limit_is_refused_unread(
        self, live: httpx2.Client, object_store: LocalObjectStore
    ) -> None:
        dataset_id = live.post("/v1/datasets", json={"name": "a", "role": "test"}).json()["id"]
        response = live.put(upload_path(dataset_id), content=b"a" * 5_000_000)
        assert response.status_code == 413
        assert response.json()["reason"] == "BODY_TOO_LARGE"
        assert stored_files(object_store) == []

    def test_body_that_grows_over_the_limit_is_refused(
        self, live: httpx2.Client, object_store: LocalObjectStore
    ) -> None:
        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b"a" * 50_000

        dataset_id = live.post("/v1/datasets", json={"name": "a", "role": "test"}).json()["id"]
        response = live.put(upload_path(dataset_id), content=endless())
        assert response.status_code == 413
        assert stored_files(object_store) == []
        assert live.get(f"/v1/datasets/{dataset_id}").json()["state"] == "created"

    def test_broken_connection_leaves_nothing_and_may_begin_again(
        self, app: FastAPI, key: str, object_store: LocalObjectStore
    ) -> None:
        with (
            served(app) as address,
            httpx2.Client(base_url=address, headers=bearer(key)) as client,
        ):
            dataset_id = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()[
                "id"
            ]
            host, port = address.removeprefix("http://").split(":")
            head = (
                f"PUT {upload_path(dataset_id)} HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {key}\r\nContent-Length: 150000\r\n\r\n"
            )
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(head.encode() + b"a" * 100_000)
                wait_until(lambda: stored_files(object_store) != [])
            wait_until(lambda: stored_files(object_store) == [])
            assert client.get(f"/v1/datasets/{dataset_id}").json()["state"] == "created"
            again = client.put(upload_path(dataset_id), content=b"label\na\n")
            assert again.status_code == 202
