"""Reads the rows of a query a page at a time, newest first."""

from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

MAX_PAGE: Final = 1000

Place = tuple[datetime, UUID]
"""`(created_at, id)` of the last row of a page; the next page begins after it."""


Row = TypeVar("Row")


def newest_first(  # noqa: PLR0913 - a query, its order, and a page of it.
    session: Session,
    query: Select[Row],
    created_at: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[UUID],
    *,
    after: Place | None,
    limit: int,
) -> list[Row]:
    """Return the newest rows of a query, or those that follow a place.

    Args:
        session: The transaction.
        query: All rows, in no order.
        created_at: By which they are ordered.
        row_id: By which those of the same time are.
        after: The last row of the page before.
        limit: Most rows to return; never more than `MAX_PAGE`.
    """
    if after is not None:
        query = query.where(tuple_(created_at, row_id) < tuple_(*after))
    query = query.order_by(created_at.desc(), row_id.desc())
    return list(session.scalars(query.limit(min(limit, MAX_PAGE))))
