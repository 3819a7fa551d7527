"""The cookie of a signed-in browser, and the check that a request comes from a page of ours."""

import hmac
from http import HTTPMethod

from fastapi import Request, Response

from curation.browser_sessions import LIFETIME, csrf_token_of
from curation.errors import ForbiddenError

COOKIE_NAME = "winnow_session"
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS})
# What a browser says of requests that a page of ours, or the user's own hand, has caused.
_OWN_SITES = frozenset({"", "same-origin", "none"})


def session_token(request: Request) -> str | None:
    """Return the token of the session that `request` belongs to, or None."""
    return request.cookies.get(COOKIE_NAME)


def require_own_page(request: Request, token: str) -> None:
    """Refuse a request that changes something unless a page of ours has sent it.

    Raises:
        ForbiddenError: The header is missing or wrong, or another site sent the request.
    """
    if request.method in _SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER, "")
    is_right = hmac.compare_digest(given.encode(), csrf_token_of(token).encode())
    if not is_right or is_foreign(request):
        raise ForbiddenError(
            "CSRF_TOKEN_WRONG",
            "The request does not come from a page of this service.",
            field=CSRF_HEADER,
            cure="Load the page again, or send an API key as `Authorization: Bearer wnw_...`.",
        )


def is_foreign(request: Request) -> bool:
    """Return whether a browser says that another site has caused `request`."""
    return request.headers.get("sec-fetch-site", "") not in _OWN_SITES


def set_session_cookie(request: Request, response: Response, token: str) -> None:
    """Give the browser its token; no script can read it, and no other site can send it."""
    response.set_cookie(
        COOKIE_NAME,
        token,
        max_age=int(LIFETIME.total_seconds()),
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def drop_session_cookie(request: Request, response: Response) -> None:
    """Take the token away from the browser."""
    response.delete_cookie(
        COOKIE_NAME,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _path(request: Request) -> str:
    return request.scope["root_path"] or "/"
