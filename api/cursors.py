"""Opaque page cursors: where a list goes on, sealed so that no client builds one by hand."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from api.schemas.fields import MAX_POSTGRESQL_INTEGER
from curation.errors import InvalidInputError
from curation.pages import Place

# A cursor holds a few numbers; anything longer was not made here.
MAX_CURSOR_LENGTH = 512


def encode_cursor(parts: list[str | int | float]) -> str:
    """Return `parts` as one URL-safe word."""
    sealed = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decode_cursor(cursor: str, *, types: tuple[type, ...]) -> list[str | int | float]:
    """Return the parts that `encode_cursor` sealed.

    Raises:
        InvalidInputError: `cursor` was not made by this service for a list of this kind.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (binascii.Error, UnicodeError, ValueError, RecursionError) as error:
        raise _foreign_cursor() from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise _foreign_cursor()
    return parts


class _Dated(Protocol):
    @property
    def id(self) -> UUID: ...

    @property
    def created_at(self) -> datetime: ...


def next_time_cursor(rows: Sequence[_Dated], limit: int) -> str | None:
    """Return the cursor after the last row of a page, or None where the page is not full.

    Args:
        rows: The page, newest first.
        limit: Most rows of a page.
    """
    return encode_time_cursor(rows[-1].created_at, rows[-1].id) if len(rows) == limit else None


def encode_time_cursor(created_at: datetime, row_id: UUID) -> str:
    """Return the cursor after the row made at `created_at` with the id `row_id`."""
    return encode_cursor([created_at.isoformat(), str(row_id)])


def decode_time_cursor(cursor: str | None) -> Place | None:
    """Return the time and id of the last row of the page before, or None for the first page.

    Raises:
        InvalidInputError: `cursor` was not made by this service.
    """
    if cursor is None:
        return None
    created_at, row_id = decode_cursor(cursor, types=(str, str))
    try:
        moment = datetime.fromisoformat(str(created_at))
        if moment.tzinfo is None:
            raise _foreign_cursor()
        return moment, UUID(str(row_id))
    except ValueError as error:
        raise _foreign_cursor() from error


def encode_position_cursor(order: str, position: int) -> str:
    """Return the cursor after the row at `position` of a list in the order named `order`."""
    return encode_cursor([order, position])


def decode_position_cursor(order: str, cursor: str | None) -> int | None:
    """Return the position of the last row of the page before, or None for the first page.

    Raises:
        InvalidInputError: `cursor` was not made by this service for this order.
    """
    if cursor is None:
        return None
    sealed_order, position = decode_cursor(cursor, types=(str, int))
    if sealed_order != order or not isinstance(position, int):
        raise _foreign_cursor()
    if not 0 <= position <= MAX_POSTGRESQL_INTEGER:
        raise _foreign_cursor()
    return position


def _foreign_cursor() -> InvalidInputError:
    return InvalidInputError(
        "INVALID_CURSOR",
        "The cursor was not given out for this list.",
        field="cursor",
        cure="Start without a cursor, and follow next_cursor as it is.",
    )
