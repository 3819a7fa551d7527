"""Sends requests to the service: who is asking, what may be repeated, and what an error means."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx2

from winnow.errors import ApiError, Problem, ServerUnreachableError, WinnowError

Progress = Callable[[int], None]
"""Called with the number of bytes that have passed so far."""

_CHUNK_BYTES = 1 << 20
_ANSWER_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_MAX_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 30.0
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_PASSING_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        method: The HTTP method.
        path: Path below the server's address, such as ``/v1/jobs``.
        params: Query parameters; those of value None are left out.
        headers: Further headers.
        body: Sent as JSON where not None.
        is_repeatable: Whether sending it twice does no more than sending it once.
        wait_seconds: How long the answer may take beyond the usual minute.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None  # Whatever has a text form.
    headers: Mapping[str, str] | None = None
    body: Any = None  # Whatever JSON holds.
    is_repeatable: bool = True
    wait_seconds: float = 0.0


class Transport:
    """A connection to one service with one key; keeps sockets open until closed."""

    def __init__(
        self,
        server: str,
        api_key: str | None,
        *,
        max_tries: int = _MAX_TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Names the service without contacting it.

        Args:
            server: Its address, such as ``http://127.0.0.1:8765``.
            api_key: Sent as a bearer token where not None.
            max_tries: How often a repeatable request is sent at most.
            sleep: Waits the given seconds between two tries.
        """
        headers = {"User-Agent": "winnow"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            # A proxy named by the environment cannot reach this machine's own services.
            is_local = httpx2.URL(server).host in _LOCAL_HOSTS
            self._http = httpx2.Client(base_url=server, headers=headers, trust_env=not is_local)
        except httpx2.InvalidURL as error:
            raise ServerUnreachableError(f"{server!r} is not an address: {error}") from error
        self.server = server
        self._max_tries = max_tries
        self._sleep = sleep

    def close(self) -> None:
        """Closes the sockets."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, call: Call) -> httpx2.Response:
        """Sends the request, again where that is safe, and returns the answer, read whole.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """
        return self._repeat(call, lambda: self._answer_of(self._http.send(self._request(call))))

    def send_for_json(self, call: Call) -> Any:  # Whatever JSON holds.
        """Sends the request and returns the answer's JSON.

        Raises:
            ApiError: the service refused it.
            WinnowError: whatever answered does not speak as Winnow does.
        """
        response = self.send(call)
        try:
            return response.json()
        except ValueError as error:
            raise WinnowError(
                f"{self.server} answers, but not as Winnow does; is the address right?"
            ) from error

    def upload(
        self, call: Call, source: IO[bytes], *, size_bytes: int, on_progress: Progress
    ) -> httpx2.Response:
        """Streams the source's whole content as the request's body.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """
        headers = {
            **(call.headers or {}),
            "Content-Type": "application/octet-stream",
            # A known length, unlike chunks, lets the service refuse a large file at once.
            "Content-Length": str(size_bytes),
        }

        def attempt() -> httpx2.Response:
            source.seek(0)
            content = _chunks(source, on_progress)
            request = self._http.build_request(
                call.method, call.path, params=_present(call.params), headers=headers,
                content=content,
            )  # fmt: skip
            return self._answer_of(self._http.send(request))

        return self._repeat(call, attempt)

    def download(self, call: Call, target: Path, *, on_progress: Progress) -> None:
        """Streams the answer into the file, which appears only when it is whole.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """
        partial = target.with_name(f".{target.name}.partial")

        def attempt() -> httpx2.Response:
            response = self._http.send(self._request(call), stream=True)
            try:
                self._answer_of(response)
                _write(response, partial, on_progress)
            finally:
                response.close()
            return response

        try:
            self._repeat(call, attempt)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _request(self, call: Call, content: Iterator[bytes] | None = None) -> httpx2.Request:
        timeout = httpx2.Timeout(_ANSWER_SECONDS + call.wait_seconds, connect=_CONNECT_SECONDS)
        return self._http.build_request(
            call.method,
            call.path,
            params=_present(call.params),
            headers=call.headers,
            json=call.body,
            content=content,
            timeout=timeout,
        )

    def _answer_of(self, response: httpx2.Response) -> httpx2.Response:
        if response.is_success or response.status_code == httpx2.codes.NOT_MODIFIED:
            return response
        response.read()
        raise ApiError(_problem_of(response))

    def _repeat(self, call: Call, attempt: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Tries until an answer comes that will not pass by itself."""
        for tries_left in range(self._max_tries - 1, -1, -1):
            try:
                return attempt()
            except ApiError as error:
                is_passing = error.problem.status in _PASSING_STATUSES
                if not (is_passing and call.is_repeatable and tries_left):
                    raise
            except httpx2.TransportError as error:
                # A connection that was never made carried nothing, so any request may go again.
                is_unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
                if not ((is_unsent or call.is_repeatable) and tries_left):
                    raise self._unreachable(error) from error
            self._sleep(_pause_seconds(self._max_tries - 1 - tries_left))
        raise AssertionError("the last try returns or raises")

    def _unreachable(self, error: httpx2.TransportError) -> ServerUnreachableError:
        said = str(error) or type(error).__name__
        return ServerUnreachableError(f"No Winnow service answers at {self.server}: {said}")


def _pause_seconds(tries_before: int) -> float:
    # Spread out, so that clients that failed together do not all come back together.
    spread = random.uniform(0.5, 1.0)  # noqa: S311 - Nothing secret hangs on it.
    return min(_FIRST_PAUSE_SECONDS * 2.0**tries_before, _MAX_PAUSE_SECONDS) * spread


def _present(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _chunks(source: IO[bytes], on_progress: Progress) -> Iterator[bytes]:
    sent_bytes = 0
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk
        sent_bytes += len(chunk)
        on_progress(sent_bytes)


def _write(response: httpx2.Response, path: Path, on_progress: Progress) -> None:
    received_bytes = 0
    with path.open("wb") as file:
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)
            received_bytes += len(chunk)
            on_progress(received_bytes)


def _problem_of(response: httpx2.Response) -> Problem:
    """Reads the problem, or makes one where a proxy or another program answered."""
    try:
        said = json.loads(response.content)
    except ValueError:
        said = None
    if not isinstance(said, dict) or "reason" not in said:
        return Problem(
            status=response.status_code,
            reason=f"HTTP_{response.status_code}",
            detail=f"The server answered {response.status_code} {response.reason_phrase}.",
        )
    return Problem(
        status=response.status_code,
        reason=str(said["reason"]),
        detail=str(said.get("detail", "")),
        field=said.get("field"),
        row=said.get("row"),
        cure=said.get("cure"),
        request_id=said.get("request_id"),
    )
