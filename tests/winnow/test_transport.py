"""What is repeated, what is not, and how a refusal reads: against a real HTTP server."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from served import served

from winnow.calls import Call
from winnow.errors import (
    ApiError,
    InvalidRequestError,
    ServerUnreachableError,
    TooManyRequestsError,
    WinnowError,
)
from winnow.transport import Transport
from winnow.wire import BlockingWire, WireOptions, run_to_end

GET = Call(method="GET", path="/thing")
POST = Call(method="POST", path="/thing", body={}, is_repeatable=False)
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
    retry_after: list[str] = field(default_factory=list)


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
        if script.retry_after:
            self.send_header("Retry-After", script.retry_after.pop(0))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = answer  # noqa: N815 - The names that http.server looks for.

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server(("127.0.0.1", 0), Handler)) as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


def transport_to(address: str, pauses: list[float], *, max_tries: int) -> Transport:
    options = WireOptions(server=address, api_key="wnw_a_b", timeout_seconds=10.0)
    wire = BlockingWire(options, sleep=pauses.append)
    return Transport(wire, server=address, max_tries=max_tries)


@pytest.fixture
def transport(server: Server, pauses: list[float]) -> Iterator[Transport]:
    address = f"http://127.0.0.1:{server.server_port}"
    transport = transport_to(address, pauses, max_tries=3)
    yield transport
    run_to_end(transport.wire.close())


def send(transport: Transport, call: Call = GET) -> object:
    return run_to_end(transport.send(call))


def download(transport: Transport, target: Path) -> None:
    run_to_end(transport.download(GET, target, on_progress=lambda _: None))


def test_passing_fault_is_waited_out(
    server: Server, transport: Transport, pauses: list[float]
) -> None:
    server.script = Script([(503, b""), (503, b""), (200, b'{"a": 1}')])
    assert run_to_end(transport.ask(dict[str, int], GET)) == {"a": 1}
    assert len(pauses) == 2
    assert pauses[1] > pauses[0] / 2


def test_lasting_fault_ends_in_its_own_words(server: Server, transport: Transport) -> None:
    server.script = Script([(503, b"")] * 3)
    with pytest.raises(ApiError, match="HTTP_503"):
        send(transport)
    assert len(server.script.seen) == 3


def test_request_that_must_not_be_doubled_is_sent_once(
    server: Server, transport: Transport
) -> None:
    server.script = Script([(503, b"")])
    with pytest.raises(ApiError):
        send(transport, POST)
    assert len(server.script.seen) == 1


def test_request_turned_away_at_the_door_is_sent_again_when_the_service_says(
    server: Server, transport: Transport, pauses: list[float]
) -> None:
    # Whether doubled or not does not matter: a rate limit is checked before anything is done.
    server.script = Script([(429, b""), (429, b""), (200, b"{}")], retry_after=["7", "2"])
    send(transport, POST)
    assert len(server.script.seen) == 3
    assert 7 <= pauses[0] < 8
    assert 2 <= pauses[1] < 3


def test_retry_after_may_be_a_date(
    server: Server, transport: Transport, pauses: list[float]
) -> None:
    moment = formatdate(time.time() + 20, usegmt=True)
    server.script = Script([(503, b""), (200, b"{}")], retry_after=[moment])
    send(transport)
    assert 10 < pauses[0] < 21


def test_long_retry_after_is_left_to_the_caller(
    server: Server, transport: Transport, pauses: list[float]
) -> None:
    server.script = Script([(429, b"")], retry_after=["3600"])
    with pytest.raises(TooManyRequestsError) as caught:
        send(transport)
    assert caught.value.retry_after_seconds == 3600
    assert pauses == []


def test_refusal_names_reason_field_and_cure(server: Server, transport: Transport) -> None:
    server.script = Script([(422, json.dumps(PROBLEM).encode())])
    with pytest.raises(ApiError) as caught:
        send(transport)
    assert type(caught.value) is InvalidRequestError
    assert (caught.value.status, caught.value.reason) == (422, "UNKNOWN_CONFIG_KEY")
    assert (caught.value.field, caught.value.request_id) == ("config.stepz", "r1")
    assert str(caught.value) == (
        "UNKNOWN_CONFIG_KEY: There is no setting 'stepz'. (field config.stepz) Did you mean steps?"
    )


def test_another_programs_page_is_told_apart(server: Server, transport: Transport) -> None:
    server.script = Script([(200, b"<html>")])
    with pytest.raises(WinnowError, match="not as Winnow does"):
        run_to_end(transport.ask(dict[str, int], GET))


def test_key_travels_as_a_bearer_token(server: Server, transport: Transport) -> None:
    server.script = Script([(200, b"{}")])
    send(transport)
    assert server.script.seen[0][1]["Authorization"] == "Bearer wnw_a_b"


def test_upload_is_whole_again_after_a_fault_and_has_a_length(
    server: Server, transport: Transport
) -> None:
    content = bytes(range(256)) * 12_000
    server.script = Script([(502, b""), (202, b"{}")])
    progress: list[int] = []
    run_to_end(
        transport.upload(
            Call(method="PUT", path="/content"),
            io.BytesIO(content),
            size_bytes=len(content),
            on_progress=progress.append,
        )
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
    download(transport, tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


def test_refused_download_keeps_the_older_file(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_bytes(b"older")
    server.script = Script([(404, b"{}")])
    with pytest.raises(ApiError):
        download(transport, tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == b"older"


def test_absent_service_is_named(pauses: list[float]) -> None:
    transport = transport_to("http://127.0.0.1:1", pauses, max_tries=2)
    with pytest.raises(ServerUnreachableError, match=r"http://127\.0\.0\.1:1"):
        send(transport, POST)
    assert len(pauses) == 1
