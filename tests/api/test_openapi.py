"""The OpenAPI document: complete, and the same as the snapshot in the repository."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from api.openapi_snapshot import render_openapi

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture
def operations(app: FastAPI) -> dict[str, dict[str, Any]]:  # JSON values.
    paths = app.openapi()["paths"]
    return {
        operation["operationId"]: {**operation, "path": path, "method": method}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_document_is_that_of_the_snapshot() -> None:
    assert SNAPSHOT.read_text(encoding="utf-8") == render_openapi(), "run `make openapi`"


def test_operations_are_those_that_clients_are_made_from(
    operations: dict[str, dict[str, Any]],
) -> None:
    assert set(operations) == {
        "create_dataset", "list_datasets", "get_dataset", "delete_dataset", "list_rejections",
        "import_dataset", "upload_content", "upload_part", "list_parts", "complete_upload",
        "get_usage",
        "create_job", "estimate_job", "list_jobs", "get_job", "delete_job", "cancel_job",
        "retry_job", "watch_job", "get_job_config_schema", "list_weights", "download_weights",
        "get_traces", "get_report", "get_histogram", "get_sample", "create_selection",
        "list_selections", "get_selection", "download_job_manifest",
        "download_selection_manifest", "list_selectors", "get_selector", "delete_selector",
        "score_dataset", "get_column", "list_samples", "get_thumbnail",
        "create_webhook", "list_webhooks", "get_webhook", "update_webhook",
        "delete_webhook", "rotate_webhook_secret", "ping_webhook", "list_webhook_deliveries",
        "get_webhook_delivery", "redeliver_webhook", "create_key", "list_keys", "get_key",
        "revoke_key", "rotate_key", "list_audit", "get_health", "get_readiness", "get_metrics",
    }  # fmt: skip


def test_every_operation_says_how_it_fails(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        if operation["tags"] == ["operations"]:
            continue
        failures = {code for code in operation["responses"] if code[0] in "45" and code != "416"}
        assert {"401", "403", "422", "503"} <= failures, name
        if "_id}" in operation["path"]:
            assert "404" in failures, name
        for code in failures:
            content = operation["responses"][code]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == int(code)


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()

    def references(value: Any) -> list[str]:  # Any part of a JSON document.
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for part in value.values() for found in references(part)]
        if isinstance(value, list):
            return [found for part in value for found in references(part)]
        return []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_framework_s_own_error_shape_is_nowhere(app: FastAPI) -> None:
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]
