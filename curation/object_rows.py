"""Rows for stored objects: what a row names stays, what none names goes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Engine, delete, exists, false, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from curation.database import unit_of_work
from curation.models import (
    Checkpoint,
    Dataset,
    Job,
    JobObject,
    JobState,
    ObjectRow,
    Selector,
    UploadPart,
)
from curation.objects import ObjectStore, StoredObject

_log = structlog.get_logger(__name__)

_DIGESTS_AT_ONCE = 1000


def is_outdated_checkpoint() -> ColumnElement[bool]:
    """Return the condition that no attempt will ever go on from a checkpoint."""
    newer = aliased(Checkpoint)
    is_superseded = exists().where(
        newer.job_id == Checkpoint.job_id,
        tuple_(newer.fencing_token, newer.ordinal)
        > tuple_(Checkpoint.fencing_token, Checkpoint.ordinal),
    )
    is_of_success = exists().where(Job.id == Checkpoint.job_id, Job.state == JobState.SUCCEEDED)
    return or_(is_superseded, is_of_success)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A column that names objects, whose they are, and when the row is only waiting to go."""

    word: str
    owner: InstrumentedAttribute[UUID]
    digest: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
    is_outdated: Callable[[], ColumnElement[bool]] = false


_REFERENCES: Sequence[_Reference] = (
    _Reference("content of dataset", Dataset.id, Dataset.content_digest),
    _Reference("samples of dataset", Dataset.id, Dataset.samples_digest),
    _Reference("part of the upload of dataset", UploadPart.dataset_id, UploadPart.digest),
    _Reference("checkpoint of job", Checkpoint.job_id, Checkpoint.digest, is_outdated_checkpoint),
    _Reference("result of job", JobObject.job_id, JobObject.digest),
    _Reference("selector", Selector.id, Selector.digest),
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


def unknown_digests(
    engine: Engine, store: ObjectStore, *, written_before: datetime
) -> Iterator[str]:
    """Yield the digests of files that have no row.

    Args:
        engine: The database.
        store: Where files lie.
        written_before: Pass over files that were put at this time or later: a row may be on its
            way.
    """
    found = store.list_digests(written_before=written_before)
    while digests := list(islice(found, _DIGESTS_AT_ONCE)):
        with unit_of_work(engine) as session:
            known = known_digests(session, digests)
        yield from (digest for digest in digests if digest not in known)


def naming_columns() -> list[ColumnElement[str] | ColumnElement[str | None]]:
    """Return the columns that name objects; what none of them holds, the sweep removes."""
    return [reference.digest.expression for reference in _REFERENCES]


def names_of(session: Session, digest: str) -> list[str]:
    """Return in words what needs an object, such as `content of dataset` and its id."""
    return [
        f"{reference.word} {owner}"
        for reference in _REFERENCES
        for owner in session.scalars(
            select(reference.owner)
            .where(reference.digest == digest, ~reference.is_outdated())
            .order_by(reference.owner)
        )
    ]


def _is_named() -> ColumnElement[bool]:
    return or_(
        *(
            exists().where(reference.digest == ObjectRow.digest).correlate(ObjectRow)
            for reference in _REFERENCES
        )
    )
