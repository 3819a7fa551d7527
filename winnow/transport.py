"""Sends requests to the service: what is repeated, what an error means, how files pass."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar, final

import httpx2

from winnow.calls import Answer, Call, Progress, parse_answer, refusal_of
from winnow.errors import ServerUnreachableError, WinnowError
from winnow.retry import retrying
from winnow.wire import CHUNK_BYTES, OpenAnswer, Wire

MAX_TRIES = 5
"""How often a request that is safe to repeat is sent at most."""

AnswerT = TypeVar("AnswerT")


@final
class Transport:
    """A connection to one service with one key, blocking or not as its wire is."""

    def __init__(self, wire: Wire, *, server: str, max_tries: int = MAX_TRIES) -> None:
        """Speaks over the wire, without contacting the service.

        Args:
            wire: Sends each request once.
            server: The service's address, for messages.
            max_tries: How often a repeatable request is sent at most.
        """
        self.server = server
        self.wire = wire
        self._max_tries = max_tries

    async def send(self, call: Call) -> Answer:
        """Sends the request, again where that is safe, and returns the answer, read whole.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """
        return await self._repeat(call, lambda: self._exchange(call))

    async def ask(self, kind: type[AnswerT], call: Call) -> AnswerT:
        """Sends the request and returns the answer's JSON as a value of the kind.

        Raises:
            ApiError: the service refused it.
            WinnowError: whatever answered does not speak as Winnow does.
        """
        return parse_answer(kind, self.json_of(await self.send(call)))

    def json_of(self, answer: Answer) -> Any:  # Whatever JSON holds.
        """Returns the answer's JSON.

        Raises:
            WinnowError: it is none.
        """
        try:
            return json.loads(answer.content)
        except ValueError as error:
            raise WinnowError(
                f"{self.server} answers, but not as Winnow does; is the address right?"
            ) from error

    async def upload(
        self, call: Call, source: IO[bytes], *, size_bytes: int, on_progress: Progress
    ) -> Answer:
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
        sized = replace(call, headers=headers)

        async def attempt() -> Answer:
            return await self._exchange(sized, self._chunks(source, on_progress))

        return await self._repeat(call, attempt)

    async def download(self, call: Call, target: Path, *, on_progress: Progress) -> None:
        """Streams the answer into the file, which appears only when it is whole.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """
        partial_target = target.with_name(f".{target.name}.partial")

        async def attempt() -> None:
            async with self.open(call) as answer:
                with partial_target.open("wb") as file:
                    received_bytes = 0
                    async for chunk in answer.chunks():
                        await self.wire.work(partial(file.write, chunk))
                        received_bytes += len(chunk)
                        on_progress(received_bytes)

        try:
            await self._repeat(call, attempt)
            partial_target.replace(target)
        finally:
            partial_target.unlink(missing_ok=True)

    async def fetch(self, call: Call) -> bytes:
        """Returns the answer's body, wherever the store keeps it.

        Raises:
            ApiError: the service refused it.
            ServerUnreachableError: no service answered.
        """

        async def attempt() -> bytes:
            async with self.open(call) as answer:
                return b"".join([chunk async for chunk in answer.chunks()])

        return await self._repeat(call, attempt)

    @asynccontextmanager
    async def open(
        self, call: Call, *, quiet_seconds: float | None = None
    ) -> AsyncIterator[OpenAnswer]:
        """Yields an answer that does not refuse while its body streams, after a single try.

        Raises:
            ApiError: the service refused it.
            httpx2.TransportError: no service answered, or the connection broke.
        """
        async with self.wire.open(call, quiet_seconds=quiet_seconds) as answer:
            if not answer.head.is_wanted:
                content = b"".join([chunk async for chunk in answer.chunks()])
                raise refusal_of(Answer(answer.head.status, answer.head.headers, content))
            yield answer

    async def _exchange(self, call: Call, body: AsyncIterator[bytes] | None = None) -> Answer:
        answer = await self.wire.exchange(call, body)
        if not answer.is_wanted:
            raise refusal_of(answer)
        return answer

    async def _chunks(self, source: IO[bytes], on_progress: Progress) -> AsyncIterator[bytes]:
        source.seek(0)
        sent_bytes = 0
        while chunk := await self.wire.work(partial(source.read, CHUNK_BYTES)):
            yield chunk
            sent_bytes += len(chunk)
            on_progress(sent_bytes)

    async def _repeat(self, call: Call, attempt: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Tries until an answer comes that will not pass by itself."""

        async def once() -> AnswerT:
            return await attempt()

        again = retrying(
            is_repeatable=call.is_repeatable, max_tries=self._max_tries, sleep=self.wire.sleep
        )
        try:
            answer: AnswerT = await again(once)
        except httpx2.TransportError as error:
            said = str(error) or type(error).__name__
            raise ServerUnreachableError(
                f"No Winnow service answers at {self.server}: {said}"
            ) from error
        return answer
