"""A scripted service that takes a dataset's content by parts, and fails when it is told to."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from served import served

from winnow.resources import DatasetId

DATASET = DatasetId(UUID("0190f000-0000-7000-8000-000000000000"))


CUT = 0
"""In place of a status: the connection is cut in the midst of the request."""


class PartService(ThreadingHTTPServer):
    """Takes parts as the service does; ``failures`` are the statuses of its next answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.parts: dict[int, bytes] = {}
        self.received: list[int] = []
        self.failures: list[int] = []
        self.completed: list[dict[str, object]] = []
        self.created = 0
        self.deletions = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        service = self._service
        found = re.fullmatch(r"/v1/datasets/\S+/parts/(\d+)\?sha256=(\w{64})", self.path)
        number = int(found[1]) if found else 0
        service.received.append(number)
        status = service.failures.pop(0) if service.failures else 200
        size_bytes = int(self.headers["Content-Length"])
        if status == CUT:
            self.rfile.read(size_bytes // 2)
            self.close_connection = True
            return
        content = self.rfile.read(size_bytes)
        if status == 200:
            assert found is None or hashlib.sha256(content).hexdigest() == found[2]
            service.parts[number] = content
        self._answer(status, {} if status == 200 else {"reason": "HTTP_ERROR"})

    def do_GET(self) -> None:
        if self.path.startswith(f"/v1/datasets/{DATASET}/parts"):
            self._answer(200, {"items": self._parts(), "next_cursor": None})
        else:
            self._answer(200, self._dataset())

    def do_DELETE(self) -> None:
        self._service.deletions += 1
        self.send_response(204)
        self.end_headers()

    def _parts(self) -> list[dict[str, object]]:
        return [
            {"number": n, "size_bytes": len(p), "sha256": hashlib.sha256(p).hexdigest()}
            for n, p in sorted(self._service.parts.items())
        ]

    def _dataset(self) -> dict[str, Any]:
        return {
            "id": str(DATASET),
            "name": "pool",
            "role": "synthetic",
            "state": "ready" if self._service.completed else "created",
            "modality": "tabular",
            "sample_count": 2,
            "rejected_count": 0,
            "classes": [],
            "input_shape": None,
            "content": None,
            "failure": None,
            "created_at": "2026-01-01T00:00:00Z",
            "validated_at": None,
        }

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/datasets":
            self._service.created += 1
            self._answer(201, self._dataset())
            return
        self._service.completed.append(body)
        self._answer(202, {})

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""

    @property
    def _service(self) -> PartService:
        assert isinstance(self.server, PartService)
        return self.server

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def part_service() -> Iterator[PartService]:
    with served(PartService()) as server:
        yield server
