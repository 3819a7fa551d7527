"""A query parameter that an operation does not name is refused, and told by a stable reason."""

import re

from fastapi import FastAPI
from fastapi.testclient import TestClient

from curation.identifiers import new_id


def test_unknown_parameter_is_refused_by_every_operation(
    shared_app: FastAPI, client: TestClient
) -> None:
    asked = [
        (method, re.sub(r"\{\w+\}", str(new_id()), path))
        for path, operations in shared_app.openapi()["paths"].items()
        for method, operation in operations.items()
        if operation["tags"] != ["operations"]
    ]
    assert len(asked) > 50
    for method, path in asked:
        response = client.request(method, path, params={"colour": "red"})
        assert response.status_code == 422, (method, path)
        assert response.json()["reason"] == "UNKNOWN_PARAMETER", (method, path)
        assert response.json()["field"] == "colour"


def test_misspelt_parameter_is_told_with_the_right_one(client: TestClient) -> None:
    problem = client.get("/v1/jobs", params={"limt": "5", "state": "queued"}).json()
    assert problem["detail"] == "This operation has no query parameter 'limt'."
    assert problem["cure"] == "Did you mean limit? It has cursor, dataset_id, limit, state."


def test_long_name_of_a_parameter_is_cut(client: TestClient) -> None:
    problem = client.get("/v1/usage", params={"a" * 5000: ""}).json()
    assert problem["reason"] == "UNKNOWN_PARAMETER"
    assert len(problem["field"]) < 100
    assert problem["cure"] == "It has none."


def test_who_may_not_ask_is_told_that_first(shared_app: FastAPI) -> None:
    response = TestClient(shared_app).get("/v1/jobs", params={"colour": "red"})
    assert response.status_code == 401


def test_pages_and_what_probes_read_take_any_parameter(client: TestClient) -> None:
    # Links from elsewhere carry marks, scrapers and load balancers parameters of their own.
    for path in ("/", "/jobs", "/docs", "/docs/start.js", "/openapi.json", "/healthz", "/metrics"):
        assert client.get(path, params={"utm_source": "mail"}).status_code == 200, path
