"""What routes ask for by their parameters: the resources, the caller, and the page of a list."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from api.callers import Credential
from api.cursors import MAX_CURSOR_LENGTH
from api.errors import REQUEST_ID_SCOPE_KEY
from api.rate_limits import RATE_HEADERS_SCOPE_KEY
from api.resources import Resources, resources_of
from api.schemas.fields import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from api.session_cookie import require_own_page, session_token
from curation.errors import ForbiddenError, UnauthenticatedError
from curation.jobs import Origin
from curation.keys import Principal, Scope
from curation.tracing import current_trace_parent

_LOGGED_PARAMETERS = ("job_id", "dataset_id")
_UUID = re.compile("[0-9a-fA-F-]{32,36}")

_bearer = HTTPBearer(
    scheme_name="ApiKey",
    description="`Authorization: Bearer wnw_<prefix>_<secret>`",
    # A missing key is a domain error like a wrong one, so that both are answered alike.
    auto_error=False,
)


SharedResources = Annotated[Resources, Depends(resources_of)]


def _require(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency that lets a request through whose key has `scope`."""

    async def authorised(
        request: Request,
        resources: SharedResources,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        principal = await _caller(request, resources, credentials)
        if scope not in principal.scopes:
            raise ForbiddenError(
                "SCOPE_MISSING",
                f"The API key lacks the scope {scope.value}.",
                field="Authorization",
                cure=f"Use a key that was made with the scope {scope.value}.",
            )
        limiter = resources.rate_limiter
        # A turn in a thread is spared where there is nothing to be counted.
        if limiter.is_on and (
            allowance := await run_in_threadpool(limiter.count, principal.key_id)
        ):
            request.scope[RATE_HEADERS_SCOPE_KEY] = allowance.headers()
        request.app.state.query_parameters.refuse_unknown(request)
        # What a thread would bind to the log is lost with the thread.
        bind_contextvars(workspace_id=str(principal.workspace_id), **_named_rows(request))
        return principal

    return authorised


def _named_rows(request: Request) -> dict[str, str]:
    """Return the ids of a job or a dataset that the path of `request` holds, for the log."""
    given = {name: request.path_params.get(name, "") for name in _LOGGED_PARAMETERS}
    return {name: text for name, text in given.items() if _UUID.fullmatch(text)}


async def _caller(
    request: Request, resources: Resources, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """Return who sends `request`: by its key, else by the session of its browser."""
    caller = await resources.callers.answer(_credential(request, credentials))
    if isinstance(caller, Principal):
        return caller
    raise caller


def _credential(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Credential:
    if credentials is not None:
        return Credential(credentials.credentials, is_session=False)
    token = session_token(request)
    if token is not None:
        require_own_page(request, token)
        return Credential(token, is_session=True)
    raise UnauthenticatedError(
        "API_KEY_MISSING",
        "This call needs an API key.",
        field="Authorization",
        cure="Send the header Authorization: Bearer wnw_...",
    )


Reader = Annotated[Principal, Depends(_require(Scope.READ))]
Writer = Annotated[Principal, Depends(_require(Scope.WRITE))]
Admin = Annotated[Principal, Depends(_require(Scope.ADMIN))]


@dataclass(frozen=True)
class PageRequest:
    """Which page of a list is asked for."""

    limit: int
    cursor: str | None


def _page_request(
    limit: Annotated[
        int, Query(ge=1, le=MAX_PAGE_SIZE, description="Items on a page.")
    ] = DEFAULT_PAGE_SIZE,
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR_LENGTH,
            pattern=r"^[A-Za-z0-9_-]+$",
            description="`next_cursor` of the page before.",
        ),
    ] = None,
) -> PageRequest:
    return PageRequest(limit=limit, cursor=cursor)


AskedPage = Annotated[PageRequest, Depends(_page_request)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key with the same body creates one job, however often it is sent.",
    ),
]
WaitSeconds = Annotated[
    float | None,
    Query(
        alias="wait",
        ge=0,
        le=60,
        description="Seconds to hold the answer: until it differs from If-None-Match, or, "
        "without that header, until the final state.",
    ),
]


def _location_setter(request: Request, response: Response) -> Callable[[str], None]:
    """Return what tells the client where the new resource is, behind whatever proxy it came."""

    def set_location(path: str) -> None:
        response.headers["Location"] = f"{request.scope['root_path']}{path}"

    return set_location


async def _origin_of(request: Request) -> Origin:
    return Origin(
        request_id=request.scope.get(REQUEST_ID_SCOPE_KEY), trace_parent=current_trace_parent()
    )


RequestOrigin = Annotated[Origin, Depends(_origin_of)]


SetLocation = Annotated[Callable[[str], None], Depends(_location_setter)]
