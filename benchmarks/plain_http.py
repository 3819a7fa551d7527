"""As little HTTP as a load generator needs, so that it takes no time from the service it loads."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

_LONGEST_REST_SECONDS: Final = 2.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Connection:
    """A connection that stays open from request to request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    fields: str

    @classmethod
    async def open(cls, server: str, headers: Mapping[str, str]) -> Self:
        """Return a connection to `http://HOST:PORT` that sends these header fields each time."""
        address = urlsplit(server)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        fields = {"Host": address.netloc, **headers}
        return cls(reader, writer, "".join(f"{name}: {text}\r\n" for name, text in fields.items()))

    async def get(self, path: str) -> bool:
        """Return whether an answer of a known length came whole, with the status 200.

        Raises:
            EOFError: The service ended the connection.
        """
        self._ask(path)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, "an answer without its length"
        await self.reader.readexactly(int(length[1]))
        return head.startswith(b"HTTP/1.1 200 ")

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """Yield the lines of an answer, its head among them, until the service ends it."""
        self._ask(path)
        while line := await self.reader.readline():
            yield line

    def close(self) -> None:
        """Leave; what was asked for is not waited for."""
        self.writer.close()

    def _ask(self, path: str) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\n{self.fields}\r\n".encode())


class Connections:
    """Connections that rest between requests; where none rests, another one is opened."""

    def __init__(self, server: str, headers: Mapping[str, str]) -> None:
        """Begin without any.

        Args:
            server: `http://HOST:PORT`.
            headers: Sent with each request.
        """
        self._server = server
        self._headers = headers
        self._resting: list[tuple[float, Connection]] = []

    async def take(self) -> Connection:
        """Return a connection that nobody uses."""
        while self._resting:
            since, connection = self._resting.pop()
            # The service ends what has rested for long, perhaps just as the request is sent.
            if time.monotonic() - since < _LONGEST_REST_SECONDS:
                return connection
            connection.close()
        return await Connection.open(self._server, self._headers)

    def give_back(self, connection: Connection) -> None:
        """Let a connection rest."""
        self._resting.append((time.monotonic(), connection))

    def close(self) -> None:
        """Close all that rest."""
        for _, connection in self._resting:
            connection.close()
