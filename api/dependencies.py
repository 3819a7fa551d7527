"""What routes ask for by their parameters: the resources, the caller, and the page of a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.cursors import MAX_CURSOR_LENGTH
from api.resources import Resources, resources_of
from api.schemas.fields import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from curation.database import unit_of_work
from curation.errors import ForbiddenError, UnauthenticatedError
from curation.keys import Principal, Scope, authenticate

_bearer = HTTPBearer(
    scheme_name="ApiKey",
    description="`Authorization: Bearer wnw_<prefix>_<secret>`",
    # A missing key is a domain error like a wrong one, so that both are answered alike.
    auto_error=False,
)


SharedResources = Annotated[Resources, Depends(resources_of)]


def _require(scope: Scope) -> Callable[..., Principal]:
    """Return the dependency that lets a request through whose key has `scope`."""

    def authorised(
        resources: SharedResources,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        if credentials is None:
            raise UnauthenticatedError(
                "API_KEY_MISSING",
                "This call needs an API key.",
                field="Authorization",
                cure="Send the header Authorization: Bearer wnw_...",
            )
        with unit_of_work(resources.engine) as session:
            principal = authenticate(session, credentials.credentials, resources.clock())
        if scope not in principal.scopes:
            raise ForbiddenError(
                "SCOPE_MISSING",
                f"The API key lacks the scope {scope.value}.",
                field="Authorization",
                cure=f"Use a key that was made with the scope {scope.value}.",
            )
        return principal

    return authorised


Reader = Annotated[Principal, Depends(_require(Scope.READ))]
Writer = Annotated[Principal, Depends(_require(Scope.WRITE))]


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


SetLocation = Annotated[Callable[[str], None], Depends(_location_setter)]
