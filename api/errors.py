"""Every error as problem+json: the one place where a domain error gets its HTTP status."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.schemas.problem import Problem, ProblemCause
from curation.errors import (
    ConflictError,
    CurationError,
    ForbiddenError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
    QuotaExceededError,
    RateLimitedError,
    StorageFullError,
    TooLargeError,
    UnauthenticatedError,
)
from curation.objects import StoreUnavailableError

PROBLEM_MEDIA_TYPE = "application/problem+json"
REQUEST_ID_SCOPE_KEY = "winnow_request_id"

_STATUS_BY_ERROR: Mapping[type[CurationError], HTTPStatus] = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    GoneError: HTTPStatus.GONE,
    PreconditionError: HTTPStatus.PRECONDITION_FAILED,
    RateLimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    QuotaExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_REASON_BY_STATUS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "BAD_REQUEST",
    HTTPStatus.NOT_FOUND: "NO_SUCH_PATH",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BODY_TOO_LARGE",
}
# A waiting job begins when another ends, which takes a while.
_QUOTA_RETRY_SECONDS = "30"
# A request may be wrong in thousands of places; a reader needs the first few.
_MAX_CAUSES = 20
_RETRY_SECONDS = "5"

_log = structlog.get_logger()


class ProblemResponse(Response):
    """A problem on its way to the client."""

    media_type = PROBLEM_MEDIA_TYPE

    def render(self, content: Any) -> bytes:  # Any: starlette's own signature.
        """Return `content` as ASCII JSON.

        Escaping everything else also carries a lone surrogate that a request put into a field's
        name, which UTF-8 could not encode.
        """
        return json.dumps(content).encode("ascii")


def problem_response(
    request: Request,
    *,
    status: int,
    problem: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Return a problem about `request`.

    Args:
        request: What was asked; gives the instance and the request's id.
        status: HTTP status.
        problem: The fields of `Problem` that do not follow from the other arguments.
        headers: Further headers of the response.
    """
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        instance=request.url.path,
        request_id=request.scope.get(REQUEST_ID_SCOPE_KEY, ""),
        **problem,
    )
    return ProblemResponse(body.model_dump(mode="json"), status_code=status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every error with a problem."""
    app.exception_handler(CurationError)(_answer_domain_error)
    app.exception_handler(RequestValidationError)(_answer_invalid_request)
    app.exception_handler(HTTPException)(_answer_http_error)
    app.exception_handler(StoreUnavailableError)(_answer_store_error)
    for kind in (OperationalError, InterfaceError, PoolTimeoutError):
        app.exception_handler(kind)(_answer_database_error)


def internal_error_response(request: Request) -> ProblemResponse:
    """Return the problem for a fault of the service, which keeps its cause to itself."""
    return problem_response(
        request,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        problem={
            "reason": "INTERNAL_ERROR",
            "detail": "The service failed to answer; its log names this request by its id.",
        },
    )


def status_of(error: CurationError) -> HTTPStatus:
    """Return the HTTP status of a domain error, by the nearest class that has one."""
    for kind in type(error).__mro__:
        if kind in _STATUS_BY_ERROR:
            return _STATUS_BY_ERROR[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


async def _answer_domain_error(request: Request, error: CurationError) -> Response:
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("domain_error_without_status", reason=error.reason, error=str(error))
        return internal_error_response(request)
    headers = _headers_of(error)
    problem = {
        "reason": error.reason,
        "detail": error.detail,
        "field": error.field,
        "row": error.row,
        "cure": error.cure,
    }
    return problem_response(request, status=status, problem=problem, headers=headers)


def _headers_of(error: CurationError) -> dict[str, str] | None:
    match error:
        case UnauthenticatedError():
            return {"WWW-Authenticate": "Bearer"}
        case RateLimitedError():
            return {**error.headers, "Retry-After": str(error.retry_after_seconds)}
        case QuotaExceededError():
            return {"Retry-After": _QUOTA_RETRY_SECONDS}
        case _:
            return None


async def _answer_invalid_request(request: Request, error: RequestValidationError) -> Response:
    causes = _causes(error.errors())
    first = causes[0]
    is_unreadable = any(cause["type"] == "json_invalid" for cause in error.errors())
    problem = {
        "reason": "MALFORMED_JSON" if is_unreadable else "INVALID_REQUEST",
        "detail": first.detail,
        "field": None if is_unreadable else first.field,
        "cure": "See this operation in /openapi.json for what it takes.",
        "errors": causes,
    }
    status = HTTPStatus.BAD_REQUEST if is_unreadable else HTTPStatus.UNPROCESSABLE_ENTITY
    return problem_response(request, status=status, problem=problem)


def _causes(errors: Sequence[Any]) -> list[ProblemCause]:
    """Return what pydantic found, each with its field."""
    return [
        ProblemCause(field=_field_of(error["loc"]), detail=f"{error['msg'].rstrip('.')}.")
        for error in errors[:_MAX_CAUSES]
    ]


def _field_of(location: Sequence[str | int]) -> str:
    """Return the dotted path of a field, without the part of the request that holds it."""
    return ".".join(str(part) for part in (location[1:] or location))


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    problem = {
        "reason": _REASON_BY_STATUS.get(error.status_code, "HTTP_ERROR"),
        "detail": f"{str(error.detail).rstrip('.')}.",
    }
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem_response(request, status=error.status_code, problem=problem, headers=headers)


async def _answer_database_error(request: Request, error: Exception) -> Response:
    # A database that restarts is back in seconds, so the client is told to come again; the
    # cause may name the server and its user, so it goes to the log alone.
    _log.error("database_unavailable", error=str(error))
    return _come_again(
        request, "DATABASE_UNAVAILABLE", "The database does not answer at the moment."
    )


async def _answer_store_error(request: Request, error: Exception) -> Response:
    _log.error("store_unavailable", error=str(error))
    return _come_again(
        request,
        "STORE_UNAVAILABLE",
        "The place where files are stored does not answer at the moment.",
    )


def _come_again(request: Request, reason: str, detail: str) -> Response:
    problem = {
        "reason": reason,
        "detail": detail,
        "cure": "Send the request again in a few seconds.",
    }
    return problem_response(
        request,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        problem=problem,
        headers={"Retry-After": _RETRY_SECONDS},
    )


def _allowed_methods(request: Request) -> list[str]:
    """Return every method that the path takes; the framework names its first route's alone."""
    return [
        method
        for method in HTTPMethod
        if any(
            route.matches({**request.scope, "method": method.value})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
