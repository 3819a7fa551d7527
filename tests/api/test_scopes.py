"""A key reaches as far as its scopes, on every operation that there is."""

import pytest
from callers import bearer, make_key
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from test_isolation import NOWHERE, VALUES, Operation, operations_of

from curation.keys import Scope

# It is asked by POST for its body alone, and changes nothing.
READ_BY_POST = {"estimate_job"}
OF_ADMINISTRATORS = ["keys"], ["audit"]


def needed_scope(operation: Operation) -> Scope:
    if operation.description["tags"] in OF_ADMINISTRATORS:
        return Scope.ADMIN
    is_reading = operation.method == "get" or operation.name in READ_BY_POST
    return Scope.READ if is_reading else Scope.WRITE


@pytest.mark.parametrize("missing", list(Scope))
def test_what_needs_a_scope_is_closed_to_a_key_with_all_the_others(
    app: FastAPI, client: TestClient, engine: Engine, missing: Scope
) -> None:
    client.headers.update(bearer(make_key(engine, "tests", *(set(Scope) - {missing}))))
    closed = set()
    for operation in operations_of(app.openapi()):
        if operation.description["tags"] == ["operations"]:
            continue
        ids = dict.fromkeys(operation.id_parameters, NOWHERE)
        response = client.request(operation.method, operation.path.format(**VALUES, **ids))
        is_closed = response.status_code == 403 and response.json()["reason"] == "SCOPE_MISSING"
        assert is_closed is (needed_scope(operation) is missing), (operation.name, response.text)
        if is_closed:
            assert missing in response.json()["cure"]
            closed.add(operation.name)
    known = {Scope.READ: "get_job", Scope.WRITE: "delete_job", Scope.ADMIN: "list_audit"}
    assert known[missing] in closed
    assert len(closed) >= 5
