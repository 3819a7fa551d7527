"""Reads server-sent events out of lines of text."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that the service says on its own accord.

    Attributes:
        name: The event's kind; empty for a sign of life that says nothing.
        data: What it says, as JSON.
        id: By which the stream can be resumed after it; None where it cannot.
    """

    name: str
    data: Any = None  # Whatever JSON holds.
    id: str | None = None


SIGN_OF_LIFE = Event("")
"""A comment, which the service sends where it has nothing to say."""


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Yields the events of a stream, signs of life among them; one that broke off is left out.

    httpx reads such streams too, but drops the comments, by which alone a quiet stream is told
    from a dead one.

    Raises:
        ValueError: an event's data is no JSON.
    """
    fields: dict[str, list[str]] = {}
    async for line in lines:
        if not line:
            if "data" in fields:
                yield _event_of(fields)
            fields = {}
        elif line.startswith(":"):
            yield SIGN_OF_LIFE
        else:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))


def _event_of(fields: dict[str, list[str]]) -> Event:
    name = fields.get("event", ["message"])[-1]
    identifiers = fields.get("id")
    data = json.loads("\n".join(fields["data"]))
    return Event(name, data, identifiers[-1] if identifiers else None)
