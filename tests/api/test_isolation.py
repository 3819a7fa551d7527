"""No caller sees, changes or probes another workspace's rows, on any route that there is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from callers import Finished
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from curation.identifiers import new_id

NOWHERE = "0190f000-0000-7000-8000-000000000000"
# What a stranger sends is well formed, so that only the missing right stands in the way. Each id
# is written as the name of the row that it points to.
JOB_BODY = {
    "synthetic_id": "{dataset_id}",
    "reference_id": "{reference_id}",
    "test_id": "{test_id}",
}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_job": JOB_BODY,
    "estimate_job": JOB_BODY,
    "create_selection": {"name": "mine", "rule": {"kind": "suggested"}},
    "score_dataset": {"dataset_id": "{dataset_id}"},
    "complete_upload": {"file_name": "a.csv", "sha256": "0" * 64, "part_count": 1},
    "update_webhook": {"url": "https://example.org/stolen", "events": ["job.failed"]},
    "rotate_key": {"overlap_seconds": 0},
}
QUERIES: Mapping[str, Mapping[str, str]] = {
    "list_jobs": {"dataset_id": "{dataset_id}"},
    "list_audit": {"object_id": "{job_id}"},
    "upload_content": {"file_name": "a.csv"},
    "upload_part": {"sha256": "0" * 64},
    "list_samples": {"position": "0"},
}
VALUES = {"file_format": "csv", "position": "0", "number": "1", "column": "score"}
# What differs between two answers to the same question.
CHANGING_HEADERS = frozenset({"x-request-id", "date", "ratelimit"})


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    name: str
    method: str
    path: str
    description: Mapping[str, Any]  # JSON values.

    @property
    def id_parameters(self) -> set[str]:
        parameters = self.description.get("parameters", [])
        return {part["name"] for part in parameters if takes_id(part["schema"])}


def takes_id(schema: Mapping[str, Any]) -> bool:
    return any(part.get("format") == "uuid" for part in (schema, *schema.get("anyOf", ())))


def operations_of(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, description in methods.items():
            yield Operation(description["operationId"], method, path, description)


def body_ids(operation: Operation, document: Mapping[str, Any]) -> set[str]:
    """Names of the ids that the operation's JSON body may hold."""
    content = operation.description.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref")
    if reference is None:
        return set()
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return {name for name, part in schema["properties"].items() if takes_id(part)}


def filled(value: Any, ids: Mapping[str, str]) -> Any:  # A JSON value.
    if isinstance(value, Mapping):
        return {name: filled(part, ids) for name, part in value.items()}
    return value.format(**ids) if isinstance(value, str) else value


def ask(caller: TestClient, operation: Operation, ids: Mapping[str, str]) -> Response:
    return caller.request(
        operation.method,
        operation.path.format(**ids, **VALUES),
        json=filled(BODIES.get(operation.name), ids),
        params=filled(QUERIES.get(operation.name), ids),
        headers={"Idempotency-Key": "probe"},
    )


def without_ids(response: Response, ids: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
    """All that an answer says, with the ids of the question and of the answer itself taken out."""
    text = response.text.replace(response.headers["x-request-id"], "<request>")
    for value in ids.values():
        text = text.replace(value, "<id>")
    headers = {
        name: value for name, value in response.headers.items() if name not in CHANGING_HEADERS
    }
    return response.status_code, headers, text


@pytest.fixture
def theirs(client: TestClient, finished: Finished) -> dict[str, str]:
    """Ids of rows of every kind that the caller's workspace holds."""
    job = client.get(f"/v1/jobs/{finished.job_id}").json()
    selection = client.post(
        f"/v1/jobs/{finished.job_id}/selections",
        json={"name": "cut", "rule": {"kind": "suggested"}},
    ).json()
    return {
        "job_id": job["id"],
        "dataset_id": job["synthetic_id"],
        "reference_id": job["reference_id"],
        "test_id": job["reference_id"],
        "selection_id": selection["id"],
        "selector_id": client.get("/v1/selectors").json()["items"][0]["id"],
        **webhook_and_key_of(client),
    }


def webhook_and_key_of(client: TestClient) -> dict[str, str]:
    hook = {"url": "https://example.org/hook", "events": ["job.failed"]}
    webhook_id = client.post("/v1/webhooks", json=hook).json()["webhook"]["id"]
    return {
        "webhook_id": webhook_id,
        "delivery_id": client.post(f"/v1/webhooks/{webhook_id}:ping").json()["id"],
        "key_id": client.get("/v1/keys").json()["items"][0]["id"],
    }


def test_anothers_id_is_answered_as_an_id_of_nothing(
    app: FastAPI, client: TestClient, stranger: TestClient, theirs: dict[str, str]
) -> None:
    document = app.openapi()
    before = whole_of(client, theirs)
    tried = set()
    for operation in operations_of(document):
        in_body = body_ids(operation, document)
        if not operation.id_parameters and not in_body:
            continue
        # A new operation has to say here what a stranger would send to it.
        assert in_body <= set(BODIES.get(operation.name, {})), operation.name
        nothing = {name: str(new_id()) for name in theirs}
        probed = ask(stranger, operation, theirs)
        missing = ask(stranger, operation, nothing)
        assert without_ids(probed, theirs) == without_ids(missing, nothing), operation.name
        # A filter by an id that is not there finds nothing.
        if operation.name not in {"list_jobs", "list_audit"}:
            refusal = 422 if operation.name in {"create_job", "estimate_job"} else 404
            assert probed.status_code == refusal, (operation.name, probed.text)
            assert probed.headers["content-type"] == "application/problem+json"
        tried.add(operation.name)
    assert {"get_job", "create_job", "list_jobs", "score_dataset", "watch_job"} <= tried
    assert len(tried) >= 22
    # Nothing of it had an effect either.
    assert whole_of(client, theirs) == before


def whole_of(client: TestClient, ids: Mapping[str, str]) -> list[Any]:
    """Everything that the workspace shows of itself."""
    lists = [
        *LISTS,
        "/v1/audit",
        "/v1/usage",
        f"/v1/jobs/{ids['job_id']}/selections",
        f"/v1/webhooks/{ids['webhook_id']}/deliveries",
        f"/v1/datasets/{ids['dataset_id']}/parts",
    ]
    keys = client.get("/v1/keys").json()["items"]
    # The looks themselves are a use of the key.
    known = [{**key, "last_used_at": None} for key in keys]
    return [known, *(client.get(path).json() for path in lists)]


LISTS = ["/v1/datasets", "/v1/jobs", "/v1/selectors", "/v1/webhooks"]


@pytest.mark.parametrize("path", LISTS)
def test_lists_hold_only_the_callers_rows(
    stranger: TestClient, client: TestClient, theirs: dict[str, str], path: str
) -> None:
    assert theirs
    assert client.get(path).json()["items"] != []
    assert stranger.get(path).json()["items"] == []


@pytest.mark.parametrize("path", LISTS)
def test_anothers_cursor_and_entity_tag_open_nothing(
    stranger: TestClient, client: TestClient, theirs: dict[str, str], path: str
) -> None:
    first = client.get(path, params={"limit": 1}).json()
    assert stranger.get(path, params={"cursor": first["next_cursor"]}).json()["items"] == []
    tag = client.get(f"/v1/jobs/{theirs['job_id']}").headers["etag"]
    probed = stranger.get(f"/v1/jobs/{theirs['job_id']}", headers={"If-None-Match": tag})
    assert probed.status_code == 404


def test_idempotency_keys_of_two_workspaces_are_apart(
    client: TestClient, stranger: TestClient, job_body: dict[str, object]
) -> None:
    headers = {"Idempotency-Key": "shared"}
    assert client.post("/v1/jobs", json=job_body, headers=headers).status_code == 202
    refused = stranger.post("/v1/jobs", json=job_body, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["reason"] == "DATASET_NOT_FOUND"


def test_every_route_but_those_for_operations_needs_a_key(app: FastAPI, client: TestClient) -> None:
    del client.headers["Authorization"]
    for operation in operations_of(app.openapi()):
        if operation.description["tags"] == ["operations"]:
            continue
        path = re.sub(r"\{\w+\}", NOWHERE, operation.path)
        response = client.request(operation.method, path)
        assert response.status_code == 401, operation.name
        assert operation.description["security"] == [{"ApiKey": []}]
