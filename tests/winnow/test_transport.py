"""What is repeated, what is not, and how a refusal reads: against a real HTTP server."""

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from winnow.errors import ApiError, ServerUnreachableError, WinnowError
from winnow.transport import Call, Transport

GET = Call(method="GET", path="/thing")
PROBLEM = {
    "status": 422,
    "reason": "UNKNOWN_CONFIG_KEY",
    "detail": "There is no setting 'stepz'.",
    "field": "config.stepz",
    "cure": "Did you mean steps?",
    "request_id": "r1",
}


@dataclass
class Script:
    """What the server answers, one entry a request, and what it was asked."""

    answers: list[tuple[int, bytes]]
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    promised_bytes: list[int] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    script: Script


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        assert isinstance(self.server, Server)
        script = self.server.script
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        script.seen.append((f"{self.command} {self.path}", dict(self.headers), body))
        status, content = script.answers.pop(0)
        promised = script.promised_bytes.pop(0) if script.promised_bytes else len(content)
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = answer  # noqa: N815 - The names that http.server looks for.

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(server: Server, pauses: list[float]) -> Iterator[Transport]:
    address = f"http://127.0.0.1:{server.server_port}"
    with Transport(address, "wnw_a_b", max_tries=3, sleep=pauses.append) as transport:
        yield transport


def test_passing_fault_is_waited_out(
    server: Server, transport: Transport, pauses: list[float]
) -> None:
    server.script = Script([(503, b""), (503, b""), (200, b'{"a": 1}')])
    assert transport.send_for_json(GET) == {"a": 1}
    assert len(pauses) == 2
    assert pauses[1] > pauses[0] / 2


def test_lasting_fault_ends_in_its_own_words(server: Server, transport: Transport) -> None:
    server.script = Script([(503, b"")] * 3)
    with pytest.raises(ApiError, match="HTTP_503"):
        transport.send(GET)
    assert len(server.script.seen) == 3


def test_request_that_must_not_be_doubled_is_sent_once(
    server: Server, transport: Transport
) -> None:
    server.script = Script([(503, b"")])
    with pytest.raises(ApiError):
        transport.send(Call(method="POST", path="/thing", body={}, is_repeatable=False))
    assert len(server.script.seen) == 1


def test_refusal_names_reason_field_and_cure(server: Server, transport: Transport) -> None:
    server.script = Script([(422, json.dumps(PROBLEM).encode())])
    with pytest.raises(ApiError) as caught:
        transport.send(GET)
    assert caught.value.problem.request_id == "r1"
    assert str(caught.value) == (
        "UNKNOWN_CONFIG_KEY: There is no setting 'stepz'. (field config.stepz) Did you mean steps?"
    )


def test_another_programs_page_is_told_apart(server: Server, transport: Transport) -> None:
    server.script = Script([(200, b"<html>")])
    with pytest.raises(WinnowError, match="not as Winnow does"):
        transport.send_for_json(GET)


def test_key_travels_as_a_bearer_token(server: Server, transport: Transport) -> None:
    server.script = Script([(200, b"{}")])
    transport.send(GET)
    assert server.script.seen[0][1]["Authorization"] == "Bearer wnw_a_b"


def test_upload_is_whole_again_after_a_fault_and_has_a_length(
    server: Server, transport: Transport
) -> None:
    content = bytes(range(256)) * 12_000
    server.script = Script([(502, b""), (202, b"{}")])
    progress: list[int] = []
    transport.upload(
        Call(method="PUT", path="/content"),
        io.BytesIO(content),
        size_bytes=len(content),
        on_progress=progress.append,
    )
    [(_, first, one), (_, second, two)] = server.script.seen
    assert one == two == content
    assert first["Content-Length"] == second["Content-Length"] == str(len(content))
    assert "Transfer-Encoding" not in second
    assert progress[-1] == len(content)


def test_download_that_breaks_off_is_repeated_and_leaves_no_part(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    server.script = Script([(200, b"half"), (200, b"whole")], promised_bytes=[5, 5])
    transport.download(GET, tmp_path / "file.csv", on_progress=lambda _: None)
    assert (tmp_path / "file.csv").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


def test_refused_download_keeps_the_older_file(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_bytes(b"older")
    server.script = Script([(404, b"{}")])
    with pytest.raises(ApiError):
        transport.download(GET, tmp_path / "file.csv", on_progress=lambda _: None)
    assert (tmp_path / "file.csv").read_bytes() == b"older"


def test_absent_service_is_named(pauses: list[float]) -> None:
    with (
        Transport("http://127.0.0.1:1", None, max_tries=2, sleep=pauses.append) as transport,
        pytest.raises(ServerUnreachableError, match=r"http://127\.0\.0\.1:1"),
    ):
        transport.send(Call(method="POST", path="/thing", is_repeatable=False))
    assert len(pauses) == 1
