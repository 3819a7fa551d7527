"""The OpenAPI document: the framework's own, with the schema of problems."""

from typing import Any

from fastapi import FastAPI

from api.schemas.problem import Problem

DESCRIPTION = """Winnow takes a synthetic labelled dataset and a small real reference set, learns a
weight for every synthetic sample, and gives back weights, diagnostics and filtered manifests.

Every call but those for operations needs an API key: `Authorization: Bearer wnw_...`.
Every error is problem+json (RFC 9457) with a stable `reason`. Lists are paged by opaque cursors.
A query parameter or a field of a body that an operation does not name is refused, not ignored.
Times are UTC, ids are UUIDv7."""

TAGS = [
    {"name": "datasets", "description": "Samples that are uploaded and validated."},
    {"name": "jobs", "description": "Curation runs and their progress."},
    {"name": "results", "description": "What a finished job found."},
    {"name": "selections", "description": "Named cuts, and the manifests of what they keep."},
    {"name": "selectors", "description": "What jobs learned, and the scoring of new datasets."},
    {"name": "usage", "description": "What the workspace holds, and what it may."},
    {"name": "webhooks", "description": "Addresses that are told when jobs end."},
    {"name": "keys", "description": "API keys and the audit log, for administrators."},
    {"name": "operations", "description": "For whoever runs the service."},
]


def install_openapi_document(app: FastAPI) -> None:
    """Make `app` describe its problems by one shared schema."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {}).update(_problem_schemas())
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it.


def _problem_schemas() -> dict[str, Any]:
    """Return the schema of `Problem` and of those that it refers to, by name."""
    schema = Problem.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization"
    )
    return {**schema.pop("$defs"), "Problem": schema}
