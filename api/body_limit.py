"""A bound on request bodies, since the framework reads a JSON body into memory whole."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES = 1024 * 1024
_LIMIT_SCOPE_KEY = "winnow_max_body_bytes"


class BodyLimitMiddleware:
    """Refuses a body over `MAX_JSON_BYTES`, except where the route has raised its own bound."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_LIMIT_SCOPE_KEY] = MAX_JSON_BYTES
        announced_bytes = _content_length(scope)
        received_bytes = 0

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            # Refused before the first byte is read: a client that waits for 100 Continue is
            # then spared the upload.
            if announced_bytes > scope[_LIMIT_SCOPE_KEY]:
                raise _body_too_large(scope[_LIMIT_SCOPE_KEY])
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > scope[_LIMIT_SCOPE_KEY]:
                raise _body_too_large(scope[_LIMIT_SCOPE_KEY])
            return message

        await self._app(scope, bounded_receive, send)


def raise_body_limit(scope: Scope, *, max_bytes: int) -> None:
    """Let the request of `scope` carry up to `max_bytes`, because its route streams the body."""
    scope[_LIMIT_SCOPE_KEY] = max_bytes


def _content_length(scope: Scope) -> int:
    """Return the announced size of the body in bytes, or 0 where none is announced."""
    announced = Headers(scope=scope).get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else 0


def _body_too_large(max_bytes: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {max_bytes} bytes."
    )
