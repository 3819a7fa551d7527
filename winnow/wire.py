"""The only code that does input and output for the client: once blocking, once asynchronous.

Everything above it is written once, as coroutines over the ``Wire``. The blocking wire never
suspends, so ``run_to_end`` takes such a coroutine to its end in one step, without an event loop.
"""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol, TypedDict, TypeVar, final

import anyio.to_thread
import httpx2

from winnow.calls import Answer, Call
from winnow.errors import ServerUnreachableError

CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS = 10.0
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class OpenAnswer:
    """An answer whose body is still to come.

    Attributes:
        head: Its status and headers.
        chunks: The body as bytes.
        lines: The body as lines of text, without their ends.
    """

    head: Answer
    chunks: Callable[[], AsyncIterator[bytes]]
    lines: Callable[[], AsyncIterator[str]]


class Wire(Protocol):
    """Sends a request once, and waits. What httpx raises passes through."""

    async def exchange(self, call: Call, body: AsyncIterator[bytes] | None = None) -> Answer:
        """Sends the request, with a streamed body where given, and returns the whole answer."""
        ...

    def open(
        self, call: Call, *, quiet_seconds: float | None = None
    ) -> AbstractAsyncContextManager[OpenAnswer]:
        """Sends the request and yields the answer while its body streams.

        Args:
            call: The request.
            quiet_seconds: How long nothing may come; None takes the usual time.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    async def work(self, task: Callable[[], AnswerT]) -> AnswerT:
        """Returns what blocking work returns, without holding other tasks up."""
        ...

    async def close(self) -> None:
        """Closes the sockets."""
        ...


@dataclass(frozen=True, kw_only=True)
class WireOptions:
    """Whom to talk to.

    Attributes:
        server: The service's address.
        api_key: Sent as a bearer token where not None.
        timeout_seconds: How long an answer may take, beyond what a call allows.
    """

    server: str
    api_key: str | None
    timeout_seconds: float

    def request_of(
        self,
        http: httpx2.Client | httpx2.AsyncClient,
        call: Call,
        *,
        content: Iterator[bytes] | AsyncIterator[bytes] | None = None,
        quiet_seconds: float | None = None,
    ) -> httpx2.Request:
        """Returns the call as httpx sends it."""
        answer_seconds = self.timeout_seconds + call.wait_seconds
        timeout = httpx2.Timeout(quiet_seconds or answer_seconds, connect=_CONNECT_SECONDS)
        return http.build_request(
            call.method,
            call.path,
            params=call.given_params,
            headers=call.headers,
            json=call.body,
            content=content,
            timeout=timeout,
        )

    def arguments(self) -> "_ClientArguments":
        """Returns how httpx's clients are made.

        Raises:
            ServerUnreachableError: the server's address is none.
        """
        headers = {"User-Agent": f"winnow/{version('winnow')}"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            # A proxy named by the environment cannot reach this machine's own services.
            is_local = httpx2.URL(self.server).host in _LOCAL_HOSTS
        except httpx2.InvalidURL as error:
            raise ServerUnreachableError(f"{self.server!r} is not an address: {error}") from error
        return {"base_url": self.server, "headers": headers, "trust_env": not is_local}


class _ClientArguments(TypedDict):
    base_url: str
    headers: dict[str, str]
    trust_env: bool


@final
class BlockingWire:
    """Blocks the calling thread; none of its coroutines ever suspends."""

    def __init__(
        self, options: WireOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Prepares; nothing is sent before the first call."""
        self._options = options
        self._sleep = sleep
        self._http = httpx2.Client(**options.arguments())

    async def exchange(self, call: Call, body: AsyncIterator[bytes] | None = None) -> Answer:
        """Sends the request and returns the whole answer."""
        content = None if body is None else iterate_to_end(body)
        response = self._http.send(self._options.request_of(self._http, call, content=content))
        return _answer_of(response, response.content)

    @asynccontextmanager
    async def open(
        self, call: Call, *, quiet_seconds: float | None = None
    ) -> AsyncIterator[OpenAnswer]:
        """Yields the answer while its body streams."""
        request = self._options.request_of(self._http, call, quiet_seconds=quiet_seconds)
        # The store may give a file itself; the key is not sent to another server.
        response = self._http.send(request, stream=True, follow_redirects=True)
        try:
            yield OpenAnswer(
                _answer_of(response),
                lambda: _each(response.iter_bytes(CHUNK_BYTES)),
                lambda: _each(response.iter_lines()),
            )
        finally:
            response.close()

    async def sleep(self, seconds: float) -> None:
        """Blocks."""
        self._sleep(seconds)

    async def work(self, task: Callable[[], AnswerT]) -> AnswerT:
        """Does the work here and now."""
        return task()

    async def close(self) -> None:
        """Closes the sockets."""
        self._http.close()


@final
class AsyncWire:
    """Suspends the calling task, and works in threads where it would hold others up."""

    def __init__(self, options: WireOptions) -> None:
        """Prepares; nothing is sent before the first call."""
        self._options = options
        self._http = httpx2.AsyncClient(**options.arguments())

    async def exchange(self, call: Call, body: AsyncIterator[bytes] | None = None) -> Answer:
        """Sends the request and returns the whole answer."""
        request = self._options.request_of(self._http, call, content=body)
        response = await self._http.send(request)
        return _answer_of(response, response.content)

    @asynccontextmanager
    async def open(
        self, call: Call, *, quiet_seconds: float | None = None
    ) -> AsyncIterator[OpenAnswer]:
        """Yields the answer while its body streams."""
        request = self._options.request_of(self._http, call, quiet_seconds=quiet_seconds)
        response = await self._http.send(request, stream=True, follow_redirects=True)
        try:
            yield OpenAnswer(
                _answer_of(response),
                lambda: response.aiter_bytes(CHUNK_BYTES),
                response.aiter_lines,
            )
        finally:
            await response.aclose()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await anyio.sleep(seconds)

    async def work(self, task: Callable[[], AnswerT]) -> AnswerT:
        """Does the work in a thread."""
        return await anyio.to_thread.run_sync(task)

    async def close(self) -> None:
        """Closes the sockets."""
        await self._http.aclose()


def run_to_end(coroutine: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """Returns what a coroutine over a blocking wire returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        returned: AnswerT = end.value
        return returned
    raise AssertionError("a coroutine over a blocking wire never suspends")


def iterate_to_end(items: AsyncIterator[AnswerT]) -> Iterator[AnswerT]:
    """Yields what an asynchronous generator over a blocking wire yields."""
    try:
        while True:
            try:
                item = run_to_end(_next_of(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        # Closes what the generator holds open, where the caller leaves before its end.
        close = getattr(items, "aclose", None)
        if close is not None:
            run_to_end(close())


async def _next_of(items: AsyncIterator[AnswerT]) -> AnswerT:
    return await anext(items)


async def _each(items: Iterator[AnswerT]) -> AsyncIterator[AnswerT]:
    for item in items:
        yield item


def _answer_of(response: httpx2.Response, content: bytes = b"") -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, content)
