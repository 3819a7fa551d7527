"""Answers that a client may wait for: the same resource, held until it has news."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from api.conditional import entity_tag, is_known, tagged_response

ViewT = TypeVar("ViewT", bound=BaseModel)


@dataclass(frozen=True)
class Awaited(Generic[ViewT]):
    """A resource that changes until it reaches a final state.

    Attributes:
        load: Reads it now.
        is_final: Whether it will not change any more.
        headers: Further headers of an answer that shows it.
    """

    load: Callable[[], Awaitable[ViewT]]
    is_final: Callable[[ViewT], bool]
    headers: Callable[[ViewT], Mapping[str, str]]


async def answer_when_due(
    request: Request,
    awaited: Awaited[ViewT],
    *,
    wait_seconds: float,
    poll_seconds: float,
) -> Response:
    """Return the resource, at once or as soon as there is news of it.

    News is a difference from the version in If-None-Match; a client that names none waits for
    the final state. No database session is held in between.

    Args:
        request: The request, for its headers and to notice that its client has left.
        awaited: The resource.
        wait_seconds: How long to hold the answer at most.
        poll_seconds: How often to look.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        view = await awaited.load()
        remaining = deadline - time.monotonic()
        if remaining <= 0 or _is_news(request, view, awaited) or await request.is_disconnected():
            return tagged_response(request, view, headers=awaited.headers(view))
        await anyio.sleep(min(poll_seconds, remaining))


def _is_news(request: Request, view: ViewT, awaited: Awaited[ViewT]) -> bool:
    if "if-none-match" in request.headers:
        return not is_known(request, entity_tag(view.model_dump_json().encode()))
    return awaited.is_final(view)
