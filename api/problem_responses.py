"""The error answers that each operation declares in the OpenAPI document, with an example each."""

from http import HTTPStatus
from typing import Any

from api.errors import PROBLEM_MEDIA_TYPE
from api.schemas.problem import Problem

_EXAMPLES: dict[HTTPStatus, tuple[str, str, str | None]] = {
    HTTPStatus.BAD_REQUEST: ("MALFORMED_JSON", "JSON decode error.", None),
    HTTPStatus.UNAUTHORIZED: ("API_KEY_MISSING", "This call needs an API key.", "Authorization"),
    HTTPStatus.FORBIDDEN: ("SCOPE_MISSING", "The API key lacks the scope write.", "Authorization"),
    HTTPStatus.NOT_FOUND: ("JOB_NOT_FOUND", "There is no such job.", None),
    HTTPStatus.CONFLICT: (
        "DATASET_IN_USE",
        "The dataset is used by a job that has not finished.",
        None,
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "BODY_TOO_LARGE",
        "The body is larger than 1048576 bytes.",
        None,
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "OUT_OF_RANGE",
        "The setting steps must be at least 1.",
        "config.steps",
    ),
    HTTPStatus.INSUFFICIENT_STORAGE: (
        "STORAGE_FULL",
        "There is no room left where files are stored.",
        None,
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "RATE_LIMITED",
        "This key calls more often than it may.",
        None,
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "DATABASE_UNAVAILABLE",
        "The database does not answer at the moment.",
        None,
    ),
}


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of an operation that may answer with `statuses`."""
    return {status.value: _entry(status) for status in statuses}


def authorised_problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the same for an operation that needs a key and checks its parameters."""
    return problems(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        *statuses,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _entry(status: HTTPStatus) -> dict[str, Any]:
    reason, detail, field = _EXAMPLES[status]
    example = Problem(
        title=status.phrase,
        status=status.value,
        detail=detail,
        instance="/v1/jobs/0193a3c0-7c1e-7aa0-8d6e-0f5d1c2b3a49",
        reason=reason,
        field=field,
        request_id="0193a3c1-2b0d-7c52-9a4e-6b8f0d1e2a3c",
    ).model_dump(mode="json")
    return {
        "description": status.phrase,
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }
        },
    }
