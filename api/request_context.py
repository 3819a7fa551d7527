"""What surrounds every request: its id, log line and latency, and the answer to a fault."""

import re
import time

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import REQUEST_ID_SCOPE_KEY, internal_error_response
from api.metrics import RequestMetrics
from api.rate_limits import RATE_HEADERS_SCOPE_KEY
from curation.identifiers import new_id

REQUEST_ID_HEADER = "X-Request-ID"
# The status under which a request counts whose client left before the answer began.
_STATUS_CLIENT_LEFT = 499

# Anything else could forge lines in a log.
_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SECURITY_HEADERS = {
    # A JSON service needs nothing of the page that shows its answer.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers belong to one workspace; a route that may be cached says so itself.
    "Cache-Control": "no-store",
}

_log = structlog.get_logger()


class RequestContextMiddleware:
    """Gives a request its id and headers, logs and measures it, and answers a fault."""

    def __init__(self, app: ASGIApp, *, metrics: RequestMetrics) -> None:
        """Wrap `app`; `metrics` takes the latencies."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID_SCOPE_KEY] = _request_id(Headers(scope=scope))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=scope[REQUEST_ID_SCOPE_KEY])
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                _add_headers(headers, scope[REQUEST_ID_SCOPE_KEY])
                headers.update(scope.get(RATE_HEADERS_SCOPE_KEY, {}))
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # Nobody is left to answer; the finished line says so by its status.
            _log.info("client_disconnected", method=scope["method"], path=scope["path"])
        except Exception:
            # This is the outermost edge: whatever was not foreseen is logged with its traceback
            # here and nowhere else, and none of it reaches the client.
            _log.exception("request_failed", method=scope["method"], path=scope["path"])
            if status is not None:
                # The answer is under way, so only a broken connection can say that it is no good.
                raise
            response = internal_error_response(Request(scope, receive))
            await response(scope, receive, send_with_headers)
        finally:
            self._record(
                scope, status=status or _STATUS_CLIENT_LEFT, seconds=time.perf_counter() - started
            )

    def _record(self, scope: Scope, *, status: int, seconds: float) -> None:
        # The route's template, not the path: ids would make one time series each.
        template = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.observe(
            method=scope["method"], route=template, status=status, seconds=seconds
        )
        _log.info(
            "request_finished",
            method=scope["method"],
            route=template,
            path=scope["path"],
            status=status,
            duration_seconds=round(seconds, 4),
        )


def _request_id(headers: Headers) -> str:
    """Return the caller's request id where it is harmless, else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTED_REQUEST_ID.fullmatch(given) else str(new_id())


def _add_headers(headers: MutableHeaders, request_id: str) -> None:
    headers[REQUEST_ID_HEADER] = request_id
    for name, value in _SECURITY_HEADERS.items():
        headers.setdefault(name, value)
