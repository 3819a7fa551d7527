"""Routes of the dashboard's sign-in: an API key is given once, a cookie stands for it after."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.dependencies import Reader, SharedResources
from api.schemas.fields import RequestModel, ResponseModel
from api.session_cookie import (
    drop_session_cookie,
    is_foreign,
    require_own_page,
    session_token,
    set_session_cookie,
)
from curation.browser_sessions import close_session, csrf_token_of, open_session
from curation.database import unit_of_work
from curation.errors import ForbiddenError, UnauthenticatedError
from curation.keys import Principal

# A browser's own business: programs send their key with each request.
router = APIRouter(prefix="/api/session", include_in_schema=False)

_MAX_KEY_LENGTH = 200


class SignIn(RequestModel):
    """The key to sign in with."""

    key: str = Field(min_length=1, max_length=_MAX_KEY_LENGTH)


class SessionView(ResponseModel):
    """A session: how far it reaches, and what requests that change something must carry."""

    scopes: list[str]
    csrf_token: str


@router.post("", status_code=HTTPStatus.CREATED)
def sign_in(
    body: SignIn, request: Request, response: Response, resources: SharedResources
) -> SessionView:
    """Open a session and set its cookie."""
    if is_foreign(request):
        # Another site could otherwise sign its visitor in to a workspace of its own.
        raise ForbiddenError("FOREIGN_SITE", "Another site has sent this sign-in.")
    with unit_of_work(resources.engine) as session:
        opened = open_session(session, body.key.strip(), resources.clock())
    set_session_cookie(request, response, opened.token)
    return _view(opened.principal, opened.token)


@router.get("")
def show_session(request: Request, caller: Reader) -> SessionView:
    """Show the session that the browser is in."""
    token = session_token(request)
    if token is None:
        raise UnauthenticatedError("SESSION_ENDED", "The request belongs to no session.")
    return _view(caller, token)


@router.delete("", status_code=HTTPStatus.NO_CONTENT)
def sign_out(request: Request, response: Response, resources: SharedResources) -> None:
    """End the session and take the cookie back."""
    token = session_token(request)
    if token is not None:
        require_own_page(request, token)
        with unit_of_work(resources.engine) as session:
            close_session(session, token)
    drop_session_cookie(request, response)


def _view(principal: Principal, token: str) -> SessionView:
    return SessionView(scopes=sorted(principal.scopes), csrf_token=csrf_token_of(token))
