"""Requests made up from the OpenAPI document never break the service or its promises."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from callers import Finished, Sets, bearer, served
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fuzzing_rules import RULES, fuzzing_config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()  # Before that, the registry holds the first of them alone.
ALL_CHECKS = [CHECKS.get_one(name) for name in CHECKS.get_all_names()]
EXAMPLES = 20
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


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
        response = case.call_and_validate(
            base_url=self.address, headers=bearer(self.key), checks=ALL_CHECKS
        )
        if _is_well_formed(case) and response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            # What a schema could say must not be left to a refusal.
            assert response.json()["reason"] in RULES[case.operation.definition.raw["operationId"]]

    def _point_at_rows(self, case: Case) -> None:
        parts: list[Any] = [case.path_parameters, case.body]  # Whatever was made up.
        for part in parts:
            if not isinstance(part, dict):
                continue
            for name, value in self.known.items():
                # What was made wrong stays wrong.
                if isinstance(part.get(name), str) and _UUID.fullmatch(part[name]):
                    part[name] = value


def _is_well_formed(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


@pytest.fixture
def sender(
    app: FastAPI, client: TestClient, key: str, finished: Finished, sets: Sets
) -> Iterator[Sender]:
    selector_id = client.get("/v1/selectors").json()["items"][0]["id"]
    webhook = client.post(
        "/v1/webhooks", json={"url": "https://example.org/winnow", "events": ["job.succeeded"]}
    ).json()["webhook"]
    delivery = client.post(f"/v1/webhooks/{webhook['id']}:ping").json()
    known = {
        "job_id": str(finished.job_id),
        "dataset_id": str(sets.synthetic_id),
        "synthetic_id": str(sets.synthetic_id),
        "reference_id": str(sets.reference_id),
        "test_id": None,
        "selector_id": selector_id,
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
    }
    with served(app) as address:
        yield Sender(address, key, known)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_made_up_request_breaks_the_service(
    app: FastAPI, sender: Sender, mode: GenerationMode
) -> None:
    assert len(ALL_CHECKS) >= 14
    schema = schemathesis.openapi.from_dict(app.openapi(), config=fuzzing_config())
    operations = [found.ok() for found in schema.get_all_operations()]
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
