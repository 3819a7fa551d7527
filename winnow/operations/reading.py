"""Ways of reading that several operations share: lists by pages, and waiting for news."""

import time
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from winnow.calls import Call, parse_answer
from winnow.errors import WaitTimeoutError
from winnow.resources import Page
from winnow.transport import Transport

_PAGE_SIZE = 1000
_WAIT_SECONDS = 10.0
# A service that answers a waiting request at once, changed or not, must not be asked in a rush.
_MIN_ROUND_SECONDS = 0.2

AnswerT = TypeVar("AnswerT")


class Deadline:
    """The moment until which a caller is willing to wait."""

    def __init__(self, timeout_seconds: float | None) -> None:
        """Starts the clock; None waits for ever."""
        self._timeout_seconds = timeout_seconds
        self._started_at = time.monotonic()

    @property
    def remaining_seconds(self) -> float:
        """How long is left, at least 0."""
        if self._timeout_seconds is None:
            return float("inf")
        return max(0.0, self._timeout_seconds - (time.monotonic() - self._started_at))

    def check(self, awaited: str) -> None:
        """Ends the waiting where the time is up.

        Raises:
            WaitTimeoutError: it is; the text says what was awaited.
        """
        if self.remaining_seconds == 0.0:
            raise WaitTimeoutError(f"{awaited} did not end within {self._timeout_seconds:g} s.")


async def pages(
    transport: Transport,
    kind: type[AnswerT],
    path: str,
    params: Mapping[str, Any] | None = None,  # Whatever has a text form.
) -> AsyncIterator[AnswerT]:
    """Yields every item of a list, page by page."""
    page_kind: type[Page[AnswerT]] = Page[kind]  # type: ignore[valid-type] # Known at run time.
    cursor: str | None = None
    while True:
        asked = {**(params or {}), "limit": _PAGE_SIZE, "cursor": cursor}
        page = await transport.ask(page_kind, Call(method="GET", path=path, params=asked))
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return


async def poll(
    transport: Transport, kind: type[AnswerT], path: str, deadline: Deadline
) -> AsyncIterator[AnswerT]:
    """Yields the resource at once, then after each long poll, changed or not, for ever."""
    tag: str | None = None
    newest: AnswerT | None = None
    while True:
        started_at = time.monotonic()
        wait_seconds = min(_WAIT_SECONDS, deadline.remaining_seconds)
        answer = await transport.send(
            Call(
                method="GET",
                path=path,
                params={"wait": None if tag is None else wait_seconds},
                headers=None if tag is None else {"If-None-Match": tag},
                wait_seconds=_WAIT_SECONDS,
            )
        )
        if newest is None or answer.status != HTTPStatus.NOT_MODIFIED:
            tag = answer.headers.get("etag")
            newest = parse_answer(kind, transport.json_of(answer))
        yield newest
        rest_seconds = _MIN_ROUND_SECONDS - (time.monotonic() - started_at)
        if rest_seconds > 0:
            await transport.wire.sleep(rest_seconds)
