"""A scripted service whose event streams break off, and whose jobs can be asked for too."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from served import served

from winnow.resources import JobId

JOB = JobId(UUID("0190f000-0000-7000-8000-00000000000a"))


def job_body(state: str, fraction: float) -> dict[str, Any]:
    return {
        "id": str(JOB),
        "state": state,
        "synthetic_id": str(JOB),
        "reference_id": str(JOB),
        "test_id": None,
        "method": "winnow",
        "config": {},
        "seed": 0,
        "attempt": 1,
        "fraction": fraction,
        "created_at": "2026-01-01T00:00:00Z",
    }


def history(number: int, kind: str) -> bytes:
    return f"event: {kind}\ndata: {{}}\nid: {number}\n\n".encode()


def progress(state: str, fraction: float, name: str = "progress") -> bytes:
    return f"event: {name}\ndata: {json.dumps(job_body(state, fraction))}\n\n".encode()


SIGN_OF_LIFE = b": ping\n\n"


class EventService(ThreadingHTTPServer):
    """Plays one stream a connection, each a list of pieces; then asks are answered by ``jobs``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.streams: list[list[bytes] | int] = []
        self.jobs: list[dict[str, Any]] = []
        self.content_type = "text/event-stream; charset=utf-8"
        self.asked: list[str] = []
        self.resumed_after: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        service = self.server
        assert isinstance(service, EventService)
        if self.path.endswith("/events"):
            service.asked.append("events")
            service.resumed_after.append(self.headers["Last-Event-ID"])
            self._play(service.streams.pop(0), service.content_type)
            return
        service.asked.append("wait" if "?wait=" in self.path else "job")
        job = service.jobs.pop(0) if len(service.jobs) > 1 else service.jobs[0]
        content = json.dumps(job).encode()
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _play(self, stream: list[bytes] | int, content_type: str) -> None:
        self.close_connection = True
        if isinstance(stream, int):
            self.send_response(stream)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        # A promised length makes an end before it a broken connection.
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        for piece in stream:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def event_service() -> Iterator[EventService]:
    with served(EventService()) as server:
        yield server
