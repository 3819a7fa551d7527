"""Rows for stored objects: what a row names stays, what none names goes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from curation.models import Checkpoint, Dataset, JobObject, ObjectRow, Selector
from curation.objects import ObjectStore, StoredObject

_log = structlog.get_logger(__name__)

_REFERENCES: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]] = (
    Dataset.content_digest,
    Dataset.samples_digest,
    Checkpoint.digest,
    JobObject.digest,
    Selector.digest,
)


@dataclass(frozen=True, slots=True)
class OrphanedObject:
    """A stored file whose row is gone.

    Attributes:
        digest: The file.
        recorded_at: When its row was last recorded, by the database's clock; a file that was
            put again after that belongs to somebody who is about to record it.
    """

    digest: str
    recorded_at: datetime


def record_object(session: Session, stored: StoredObject) -> None:
    """Record a stored file, or renew its row, before another row names it.

    Args:
        session: The transaction that also names the object.
        stored: The file, complete in the store.
    """
    statement = insert(ObjectRow).values(
        digest=stored.digest, size_bytes=stored.size_bytes, created_at=func.clock_timestamp()
    )
    session.execute(
        # The update locks the row: a concurrent removal waits, and then sees it renewed.
        statement.on_conflict_do_update(
            index_elements=[ObjectRow.digest], set_={"created_at": func.clock_timestamp()}
        )
    )


def forget_unnamed(
    session: Session,
    digests: Iterable[str] | None = None,
    *,
    recorded_before: datetime | None = None,
) -> list[OrphanedObject]:
    """Delete the rows of objects that no other row names, and return them.

    The files are removed by `remove_files` after the commit, never before: a rolled-back
    transaction must find its files in place.

    Args:
        session: The transaction.
        digests: Look at these objects only; None means all.
        recorded_before: Spare rows that were recorded at this time or later.
    """
    wanted: list[ColumnElement[bool]] = [~_is_named()]
    if digests is not None:
        wanted.append(ObjectRow.digest.in_(list(digests)))
    if recorded_before is not None:
        wanted.append(ObjectRow.created_at < recorded_before)
    rows = session.execute(
        delete(ObjectRow).where(*wanted).returning(ObjectRow.digest, ObjectRow.created_at)
    )
    return [OrphanedObject(digest, recorded_at) for digest, recorded_at in rows]


def remove_files(store: ObjectStore, orphans: Iterable[OrphanedObject]) -> int:
    """Remove the files of forgotten objects and return their number.

    A file that cannot be removed now is left to the sweep, which finds it without a row.
    """
    removed = 0
    for orphan in orphans:
        try:
            removed += store.delete(orphan.digest, written_before=orphan.recorded_at)
        except OSError as error:
            _log.warning("object_removal_failed", digest=orphan.digest, error=str(error))
    return removed


def known_digests(session: Session, digests: Sequence[str]) -> set[str]:
    """Return those of the digests that have a row."""
    return set(session.scalars(select(ObjectRow.digest).where(ObjectRow.digest.in_(digests))))


def _is_named() -> ColumnElement[bool]:
    return or_(
        *(
            exists().where(reference == ObjectRow.digest).correlate(ObjectRow)
            for reference in _REFERENCES
        )
    )
