"""Every refusal is a problem that a program and a person can act on."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from test_isolation import NOWHERE, VALUES, operations_of

PROBLEM = "application/problem+json"


def test_unknown_path_is_a_problem_even_for_a_browser(client: TestClient) -> None:
    response = client.get("/nowhere", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["reason"] == "NO_SUCH_PATH"
    assert response.json()["instance"] == "/nowhere"


def test_wrong_method_is_a_problem_that_names_the_right_one(client: TestClient) -> None:
    response = client.patch("/v1/jobs")
    assert response.status_code == 405
    assert response.json()["reason"] == "METHOD_NOT_ALLOWED"
    assert "GET" in response.headers["allow"]


def test_broken_json_is_told_from_a_wrong_value(client: TestClient) -> None:
    response = client.post(
        "/v1/datasets", content=b'{"name": ', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["reason"] == "MALFORMED_JSON"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "synthetic"}, "name"),
        ({"name": "a", "role": "judge"}, "role"),
        ({"name": "", "role": "test"}, "name"),
        ({"name": " \u00a0 ", "role": "test"}, "name"),
        ({"name": "nul\x00", "role": "test"}, "name"),
        ({"name": "\ud800", "role": "test"}, "name"),
        ({"name": "a", "role": "test", "image_size": 100_000}, "image_size"),
        ({"name": "a", "role": "test", "image_size": "28"}, "image_size"),
        ({"name": "a", "role": "test", "\ud800": 1}, "body"),
        ({"name": "a", "role": "test", "rolle": "test"}, "rolle"),
    ],
)
def test_wrong_body_names_the_field(
    client: TestClient, body: dict[str, object], field: str
) -> None:
    content = json.dumps(body)
    response = client.post(
        "/v1/datasets", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, response.text
    problem = response.json()
    assert problem["field"] == field
    assert problem["reason"] == "INVALID_REQUEST"
    assert problem["errors"][0]["field"] == field
    assert problem["cure"]


def test_whole_number_may_be_written_with_a_fraction_of_zero(client: TestClient) -> None:
    body = {"name": "a", "role": "test", "image_size": 28.0}
    assert client.post("/v1/datasets", json=body).json()["image_size"] == 28
    refused = client.post("/v1/datasets", json={**body, "image_size": 28.5})
    assert refused.json()["field"] == "image_size"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=100000", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxIiwgIngiXQ", "cursor"),
        ("state=asleep", "state"),
        ("dataset_id=7", "dataset_id"),
    ],
)
def test_wrong_query_names_the_parameter(client: TestClient, query: str, field: str) -> None:
    response = client.get(f"/v1/jobs?{query}")
    assert response.status_code == 422
    assert response.json()["field"] == field


def test_large_json_is_refused_before_it_is_read(client: TestClient) -> None:
    response = client.post("/v1/datasets", json={"name": "a" * 2_000_000, "role": "test"})
    assert response.status_code == 413
    assert response.json()["reason"] == "BODY_TOO_LARGE"


def test_large_json_of_unknown_length_is_refused(client: TestClient) -> None:
    response = client.post(
        "/v1/datasets",
        content=(b" " * 65_536 for _ in range(20)),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413
    assert response.json()["reason"] == "BODY_TOO_LARGE"


def test_fault_of_the_service_says_nothing_of_its_cause(app: FastAPI) -> None:
    @app.get("/broken")
    def fail() -> None:
        raise RuntimeError("the secret is 42")

    with TestClient(app) as client:
        response = client.get("/broken", headers={"X-Request-ID": "abc-1"})
    assert response.status_code == 500
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["reason"] == "INTERNAL_ERROR"
    assert response.json()["request_id"] == "abc-1"
    assert "42" not in response.text
    assert "Traceback" not in response.text


def test_request_id_is_kept_only_where_it_is_harmless(client: TestClient) -> None:
    kept = client.get("/healthz", headers={"X-Request-ID": "trace-7"})
    assert kept.headers["x-request-id"] == "trace-7"
    forged = client.get("/healthz", headers={"X-Request-ID": "a b{}"})
    assert forged.headers["x-request-id"] != "a b{}"


def test_every_answer_carries_security_headers(app: FastAPI, client: TestClient) -> None:
    asked = [("get", "/nowhere"), ("get", "/v1/nowhere"), ("trace", "/v1/jobs")]
    for operation in operations_of(app.openapi()):
        ids = dict.fromkeys(operation.id_parameters, NOWHERE)
        asked.append((operation.method, operation.path.format(**VALUES, **ids)))
    for method, path in asked:
        headers = client.request(method, path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
        policy = "default-src 'none'; frame-ancestors 'none'"
        assert headers["content-security-policy"] == policy, path
        assert headers["cache-control"] == "no-store", path


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_for_people_run_no_script_but_the_services_own(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
