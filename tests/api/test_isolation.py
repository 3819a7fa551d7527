"""No caller sees another workspace's rows, on any route that there is."""

import re

import pytest
from callers import Finished
from fastapi import FastAPI
from fastapi.testclient import TestClient

# What a stranger sends is well formed, so that only the missing right stands in the way.
BODIES = {
    "create_selection": {"name": "mine", "rule": {"kind": "suggested"}},
    "score_dataset": {"dataset_id": "0190f000-0000-7000-8000-000000000000"},
}
QUERIES = {"upload_content": {"file_name": "a.csv"}}
VALUES = {"file_format": "csv", "position": "0"}


def test_every_route_hides_other_workspaces(
    app: FastAPI, client: TestClient, stranger: TestClient, finished: Finished
) -> None:
    job = client.get(f"/v1/jobs/{finished.job_id}").json()
    selection = client.post(
        f"/v1/jobs/{finished.job_id}/selections",
        json={"name": "cut", "rule": {"kind": "suggested"}},
    ).json()
    ids = {
        "job_id": job["id"],
        "dataset_id": job["synthetic_id"],
        "selection_id": selection["id"],
        "selector_id": client.get("/v1/selectors").json()["items"][0]["id"],
    }
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        if not re.search(r"\{\w+_id\}", path):
            continue
        for method, operation in operations.items():
            name = operation["operationId"]
            response = stranger.request(
                method,
                path.format(**ids, **VALUES),
                json=BODIES.get(name),
                params=QUERIES.get(name),
            )
            assert response.status_code == 404, (name, response.status_code, response.text)
            assert response.headers["content-type"] == "application/problem+json"
            tried += 1
    assert tried >= 20
    # Nothing of it had an effect either.
    assert client.get(f"/v1/jobs/{finished.job_id}").json() == job


@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/jobs", "/v1/selectors"])
def test_lists_hold_only_the_callers_rows(
    stranger: TestClient, client: TestClient, finished: Finished, path: str
) -> None:
    assert finished.job_id
    assert client.get(path).json()["items"] != []
    assert stranger.get(path).json()["items"] == []


def test_job_on_anothers_datasets_is_refused_as_if_they_were_not_there(
    stranger: TestClient, job_body: dict[str, object]
) -> None:
    response = stranger.post("/v1/jobs", json=job_body)
    assert response.status_code == 422
    assert response.json()["reason"] == "DATASET_NOT_FOUND"


def test_idempotency_keys_of_two_workspaces_are_apart(
    client: TestClient, stranger: TestClient, job_body: dict[str, object]
) -> None:
    headers = {"Idempotency-Key": "shared"}
    assert client.post("/v1/jobs", json=job_body, headers=headers).status_code == 202
    assert stranger.post("/v1/jobs", json=job_body, headers=headers).status_code == 422


def test_every_route_but_those_for_operations_needs_a_key(app: FastAPI, client: TestClient) -> None:
    del client.headers["Authorization"]
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            if operation["tags"] == ["operations"]:
                continue
            filled = re.sub(r"\{\w+\}", "0190f000-0000-7000-8000-000000000000", path)
            response = client.request(method, filled)
            assert response.status_code == 401, operation["operationId"]
            assert operation["security"] == [{"ApiKey": []}]
