"""Datasets over HTTP: made, listed, shown, and deleted with everything that is theirs."""

import threading
import time
from uuid import UUID

import pytest
from callers import Sets
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.models import Dataset, DatasetRejection, DatasetState
from curation.objects import LocalObjectStore


def test_new_dataset_is_found_where_its_location_says(client: TestClient) -> None:
    body = {"name": "  digits ", "role": "synthetic", "label_column": "digit", "image_size": 28}
    created = client.post("/v1/datasets", json=body)
    assert created.status_code == 201
    shown = client.get(created.headers["location"])
    assert shown.json() == created.json()
    assert shown.json()["name"] == "digits"
    assert shown.json()["state"] == "created"
    assert shown.json()["content"] is None
    assert shown.json()["created_at"].endswith("Z")
    assert shown.json()["id"][14] == "7"


def test_location_holds_behind_a_proxy_with_a_path(client: TestClient) -> None:
    proxied = TestClient(client.app, headers=dict(client.headers), root_path="/winnow")
    created = proxied.post("/winnow/v1/datasets", json={"name": "a", "role": "test"})
    assert created.headers["location"] == f"/winnow/v1/datasets/{created.json()['id']}"


def test_pages_hold_every_dataset_once_newest_first(client: TestClient) -> None:
    ids = [
        client.post("/v1/datasets", json={"name": str(index), "role": "test"}).json()["id"]
        for index in range(5)
    ]
    found, cursor = [], None
    while True:
        page = client.get(
            "/v1/datasets", params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2}
        )
        found += [item["id"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]


def test_list_is_filtered_by_role_and_state(client: TestClient, sets: Sets) -> None:
    created = client.post("/v1/datasets", json={"name": "a", "role": "reference"}).json()
    page = client.get("/v1/datasets", params={"role": "reference", "state": "ready"}).json()
    assert [item["id"] for item in page["items"]] == [str(sets.reference_id)]
    page = client.get("/v1/datasets", params={"state": "created"}).json()
    assert [item["id"] for item in page["items"]] == [created["id"]]


def test_ready_dataset_tells_its_classes_in_label_order(client: TestClient, sets: Sets) -> None:
    shown = client.get(f"/v1/datasets/{sets.synthetic_id}").json()
    assert shown["classes"] == [{"name": "ant", "count": 20}, {"name": "bee", "count": 20}]
    assert shown["input_shape"] == [6]
    assert shown["modality"] == "embedding"


def test_invalid_dataset_says_why_and_what_helps(client: TestClient, engine: Engine) -> None:
    dataset_id = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()["id"]
    add_content(client, dataset_id)
    with unit_of_work(engine) as session:
        session.execute(
            update(Dataset).values(
                state=DatasetState.INVALID,
                failure_reason="NOT_FINITE",
                failure_detail="Row 3 holds NaN.",
                failure_field="embedding",
                failure_row=3,
                failure_cure="Remove it.",
                rejected_count=2,
            )
        )
        session.add_all(
            DatasetRejection(
                dataset_id=dataset_id, ordinal=index, row=index + 1, reason="NOT_FINITE", detail="x"
            )
            for index in range(2)
        )
    shown = client.get(f"/v1/datasets/{dataset_id}").json()
    assert shown["failure"] == {
        "reason": "NOT_FINITE",
        "detail": "Row 3 holds NaN.",
        "field": "embedding",
        "row": 3,
        "cure": "Remove it.",
    }
    path = f"/v1/datasets/{dataset_id}/rejections"
    first = client.get(path, params={"limit": 1}).json()
    second = client.get(path, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [item["row"] for item in first["items"] + second["items"]] == [1, 2]


def test_waiting_for_validation_ends_when_it_does(client: TestClient, engine: Engine) -> None:
    dataset_id = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()["id"]
    add_content(client, dataset_id)

    def refuse() -> None:
        time.sleep(0.3)
        with unit_of_work(engine) as session:
            session.execute(
                update(Dataset).values(state=DatasetState.INVALID, failure_reason="ONE_CLASS")
            )

    shown = client.get(f"/v1/datasets/{dataset_id}")
    assert shown.json()["state"] == "validating"
    assert shown.headers["retry-after"] == "1"
    thread = threading.Thread(target=refuse)
    thread.start()
    began = time.monotonic()
    shown = client.get(f"/v1/datasets/{dataset_id}", params={"wait": 20})
    thread.join()
    assert shown.json()["state"] == "invalid"
    assert "retry-after" not in shown.headers
    assert 0.2 < time.monotonic() - began < 10


def test_deleted_dataset_leaves_no_file(
    client: TestClient, sets: Sets, object_store: LocalObjectStore
) -> None:
    assert len(list(object_store.list_digests())) == 2
    assert client.delete(f"/v1/datasets/{sets.synthetic_id}").status_code == 204
    assert client.get(f"/v1/datasets/{sets.synthetic_id}").status_code == 404
    assert len(list(object_store.list_digests())) == 1


def test_dataset_that_a_job_needs_is_not_deleted(
    client: TestClient, sets: Sets, queued: JobId
) -> None:
    response = client.delete(f"/v1/datasets/{sets.reference_id}")
    assert response.status_code == 409
    assert response.json()["reason"] == "DATASET_IN_USE"
    assert client.post(f"/v1/jobs/{queued}:cancel").status_code == 202
    assert client.delete(f"/v1/datasets/{sets.reference_id}").status_code == 409
    assert client.delete(f"/v1/jobs/{queued}").status_code == 204
    assert client.delete(f"/v1/datasets/{sets.reference_id}").status_code == 204


@pytest.mark.parametrize("dataset_id", [str(UUID(int=1)), "0" * 32])
def test_unknown_dataset_is_not_found(client: TestClient, dataset_id: str) -> None:
    response = client.get(f"/v1/datasets/{dataset_id}")
    assert response.status_code == 404
    assert response.json()["reason"] == "DATASET_NOT_FOUND"


def add_content(client: TestClient, dataset_id: str) -> None:
    response = client.put(
        f"/v1/datasets/{dataset_id}/content", params={"file_name": "a.csv"}, content=b"label\na\n"
    )
    assert response.status_code == 202, response.text
