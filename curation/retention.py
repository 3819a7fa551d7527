"""What grows old: finished jobs, datasets that nobody uses, and uploads that were given up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine, Select, exists, func, or_, select
from sqlalchemy.orm import Session

from curation.database import unit_of_work
from curation.datasets import delete_dataset
from curation.errors import ConflictError, NotFoundError
from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.jobs import delete_job
from curation.models import FINAL_STATES, Dataset, DatasetState, Job, UploadPart
from curation.object_rows import OrphanedObject, remove_files
from curation.objects import ObjectStore
from curation.settings import CurationSettings
from curation.upload_parts import forget_parts

# So many at once that a sweep stays short; the next takes more.
_AT_ONCE = 100

_log = structlog.get_logger(__name__)


def remove_expired(
    engine: Engine, store: ObjectStore, settings: CurationSettings, now: datetime
) -> int:
    """Delete what is older than the installation keeps, and return the number of deletions.

    Each deletion is the user's own, in a transaction of its own: a job with its results, a
    dataset with its files. What is in use at the moment is left to the next time.

    Args:
        engine: The database.
        store: Where files lie.
        settings: How long things are kept.
        now: The time.
    """
    removed = _forget_old_parts(engine, store, now - timedelta(days=settings.part_retention_days))
    if settings.job_retention_days is not None:
        removed += _delete_jobs(engine, store, now - timedelta(days=settings.job_retention_days))
    if settings.dataset_retention_days is not None:
        age = timedelta(days=settings.dataset_retention_days)
        removed += _delete_datasets(engine, store, now - age)
    return removed


def _delete_jobs(engine: Engine, store: ObjectStore, before: datetime) -> int:
    expired = (
        select(Job.workspace_id, Job.id)
        .where(Job.state.in_(FINAL_STATES), Job.finished_at < before)
        .order_by(Job.finished_at)
    )

    def delete(session: Session, workspace_id: WorkspaceId, row_id: UUID) -> list[OrphanedObject]:
        return delete_job(session, workspace_id, JobId(row_id))

    return _delete_each(engine, store, expired, delete)


def _delete_datasets(engine: Engine, store: ObjectStore, before: datetime) -> int:
    is_used = exists().where(
        or_(
            Job.synthetic_id == Dataset.id,
            Job.reference_id == Dataset.id,
            Job.test_id == Dataset.id,
        )
    )
    newest_part = (
        select(func.max(UploadPart.created_at))
        .where(UploadPart.dataset_id == Dataset.id)
        .scalar_subquery()
    )
    # In PostgreSQL the greatest of several values passes over those that are null.
    last_touched = func.greatest(
        Dataset.created_at, Dataset.validated_at, Dataset.last_used_at, newest_part
    )
    expired = select(Dataset.workspace_id, Dataset.id).where(
        Dataset.state != DatasetState.VALIDATING, ~is_used, last_touched < before
    )

    def delete(session: Session, workspace_id: WorkspaceId, row_id: UUID) -> list[OrphanedObject]:
        return delete_dataset(session, workspace_id, DatasetId(row_id))

    return _delete_each(engine, store, expired, delete)


def _delete_each(
    engine: Engine,
    store: ObjectStore,
    expired: Select[UUID, UUID],
    delete: Callable[[Session, WorkspaceId, UUID], list[OrphanedObject]],
) -> int:
    """Delete each row of a query for workspaces and ids, in a transaction of its own."""
    with unit_of_work(engine) as session:
        rows = session.execute(expired.limit(_AT_ONCE)).all()
    removed = 0
    for workspace_id, row_id in rows:
        try:
            with unit_of_work(engine) as session:
                orphans = delete(session, WorkspaceId(workspace_id), row_id)
        except (ConflictError, NotFoundError) as error:
            _log.info("expired_row_left", row_id=str(row_id), reason=error.reason)
            continue
        remove_files(store, orphans)
        removed += 1
        _log.info("expired_row_deleted", row_id=str(row_id))
    return removed


def _forget_old_parts(engine: Engine, store: ObjectStore, before: datetime) -> int:
    with unit_of_work(engine) as session:
        orphans = _abandoned_parts(session, before)
    remove_files(store, orphans)
    return len(orphans)


def _abandoned_parts(session: Session, before: datetime) -> list[OrphanedObject]:
    """Forget the parts of uploads whose newest part is old, and return their files."""
    abandoned = (
        select(UploadPart.dataset_id)
        .group_by(UploadPart.dataset_id)
        .having(func.max(UploadPart.created_at) < before)
        .limit(_AT_ONCE)
    )
    return [
        orphan
        for dataset_id in session.scalars(abandoned).all()
        for orphan in forget_parts(session, DatasetId(dataset_id))
    ]
