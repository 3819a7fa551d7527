"""Requests made up from the OpenAPI document never break the service or its promises."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from callers import Finished, Sets, bearer, served
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 20


@dataclass(frozen=True)
class Sender:
    """Sends made-up requests, some of them to rows that are there.

    Attributes:
        address: The service.
        key: The caller's key.
        known: Ids of rows that are there, by the name of the field.
    """

    address: str
    key: str
    known: Mapping[str, str | None]

    def send(self, case: Case, *, is_pointed: bool) -> None:
        if is_pointed and case.method != "DELETE":
            self._point_at_rows(case)
        case.call_and_validate(base_url=self.address, headers=bearer(self.key), checks=CHECKS)

    def _point_at_rows(self, case: Case) -> None:
        parts: list[Any] = [case.path_parameters, case.body]  # Whatever was made up.
        for part in parts:
            if isinstance(part, dict):
                part.update({name: value for name, value in self.known.items() if name in part})


@pytest.fixture
def sender(
    app: FastAPI, client: TestClient, key: str, finished: Finished, sets: Sets
) -> Iterator[Sender]:
    selector_id = client.get("/v1/selectors").json()["items"][0]["id"]
    known = {
        "job_id": str(finished.job_id),
        "dataset_id": str(sets.synthetic_id),
        "synthetic_id": str(sets.synthetic_id),
        "reference_id": str(sets.reference_id),
        "test_id": None,
        "selector_id": selector_id,
    }
    with served(app) as address:
        yield Sender(address, key, known)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_made_up_request_breaks_the_service(
    app: FastAPI, sender: Sender, mode: GenerationMode
) -> None:
    operations = [
        found.ok() for found in schemathesis.openapi.from_dict(app.openapi()).get_all_operations()
    ]
    sent = [try_out(operation, mode, sender) for operation in operations]
    if mode is GenerationMode.POSITIVE:
        assert all(sent)
    assert sum(sent) > len(operations)


def try_out(operation: Any, mode: GenerationMode, sender: Sender) -> int:  # Any: not exported.
    """Send requests to one operation and return how many were sent."""
    sent = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), is_pointed=booleans())
    def send(case: Case, is_pointed: bool) -> None:  # noqa: FBT001 - Hypothesis makes it up.
        nonlocal sent
        sender.send(case, is_pointed=is_pointed)
        sent += 1

    try:
        send()
    except Unsatisfiable:
        # An operation that takes nothing cannot be called wrongly.
        assert mode is GenerationMode.NEGATIVE
    return sent
