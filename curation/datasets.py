"""The rows of datasets: create, attach content, list, delete."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import DatasetId, WorkspaceId, new_id
from curation.models import (
    FINAL_STATES,
    Dataset,
    DatasetRejection,
    DatasetState,
    Job,
    Modality,
    Role,
)
from curation.object_rows import OrphanedObject, forget_unnamed, record_object
from curation.objects import StoredObject
from curation.upload_kinds import UploadKind

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """What a user says about a dataset before its content.

    Attributes:
        name: For people; need not be unique.
        role: What the dataset is for.
        modality: What its samples are, or None to see it in the content.
        label_column: The column that holds the class; None means `label`.
        id_column: The column that names samples; None means `id` where there is one.
        image_size: Side in pixels to which images are resized, or None where all have one size.
    """

    name: str
    role: Role
    modality: Modality | None = None
    label_column: str | None = None
    id_column: str | None = None
    image_size: int | None = None


def create_dataset(
    session: Session, workspace_id: WorkspaceId, request: DatasetRequest, now: datetime
) -> Dataset:
    """Return a new dataset without content."""
    dataset = Dataset(
        id=new_id(),
        workspace_id=workspace_id,
        name=request.name,
        role=request.role,
        modality=request.modality,
        state=DatasetState.CREATED,
        label_column=request.label_column,
        id_column=request.id_column,
        image_size=request.image_size,
        rejected_count=0,
        created_at=now,
    )
    session.add(dataset)
    session.flush()
    return dataset


def get_dataset(
    session: Session, workspace_id: WorkspaceId, dataset_id: DatasetId, *, is_locked: bool = False
) -> Dataset:
    """Return one dataset.

    Args:
        session: The transaction.
        workspace_id: Whose dataset.
        dataset_id: Which.
        is_locked: Whether to hold the row until the transaction ends.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    query = select(Dataset).where(Dataset.workspace_id == workspace_id, Dataset.id == dataset_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    dataset = session.scalars(query).one_or_none()
    if dataset is None:
        raise NotFoundError("DATASET_NOT_FOUND", f"There is no dataset {dataset_id}.")
    return dataset


def list_datasets(  # noqa: PLR0913 - one keyword for each filter.
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
    role: Role | None = None,
    state: DatasetState | None = None,
) -> list[Dataset]:
    """Return datasets of a workspace, newest first.

    Args:
        session: The transaction.
        workspace_id: Whose datasets.
        after: `(created_at, id)` of the last row of the page before.
        limit: Most rows to return.
        role: Only datasets of this role.
        state: Only datasets in this state.
    """
    query = select(Dataset).where(Dataset.workspace_id == workspace_id)
    if role is not None:
        query = query.where(Dataset.role == role)
    if state is not None:
        query = query.where(Dataset.state == state)
    if after is not None:
        query = query.where(tuple_(Dataset.created_at, Dataset.id) < tuple_(*after))
    query = query.order_by(Dataset.created_at.desc(), Dataset.id.desc()).limit(min(limit, MAX_PAGE))
    return list(session.scalars(query))


def attach_content(
    session: Session,
    workspace_id: WorkspaceId,
    dataset_id: DatasetId,
    stored: StoredObject,
    file_name: str,
) -> Dataset:
    """Give a dataset its content and let validation begin.

    A dataset that was found invalid may be given another content.

    Args:
        session: The transaction.
        workspace_id: Whose dataset.
        dataset_id: Which.
        stored: The content, complete in the object store.
        file_name: The user's name of the file; its ending says how it is read.

    Raises:
        NotFoundError: There is no such dataset.
        ConflictError: It has its content already.
        InvalidInputError: The ending names no format that can be read, or the file is empty.
    """
    if UploadKind.of(file_name) is None:
        raise InvalidInputError(
            "UNSUPPORTED_FORMAT",
            f"The ending of {_shorten(file_name)} names no format that can be read.",
            field="file_name",
            cure=f"Upload one of: {', '.join(UploadKind.endings())}.",
        )
    if stored.size_bytes == 0:
        raise InvalidInputError(
            "EMPTY_DATASET", "The file is empty.", field="content", cure="Upload it again."
        )
    dataset = get_dataset(session, workspace_id, dataset_id, is_locked=True)
    if dataset.state not in {DatasetState.CREATED, DatasetState.INVALID}:
        raise ConflictError(
            "DATASET_HAS_CONTENT",
            f"The dataset is {dataset.state}; its content does not change any more.",
            cure="Create another dataset.",
        )
    record_object(session, stored)
    _forget_validation(session, dataset)
    dataset.state = DatasetState.VALIDATING
    dataset.content_digest = stored.digest
    dataset.content_bytes = stored.size_bytes
    dataset.content_name = file_name
    # The caller rings after the commit; the sweep counts from here, by the database's clock.
    dataset.last_rung_at = session.scalars(select(func.now())).one()
    session.flush()
    return dataset


def delete_dataset(
    session: Session, workspace_id: WorkspaceId, dataset_id: DatasetId
) -> list[OrphanedObject]:
    """Delete a dataset and return the files that nothing names any more.

    The caller removes the files by `object_rows.remove_files` after the commit.

    Raises:
        NotFoundError: There is no such dataset.
        ConflictError: A job uses it.
    """
    dataset = get_dataset(session, workspace_id, dataset_id, is_locked=True)
    _refuse_if_used(session, dataset)
    digests = [
        digest for digest in (dataset.content_digest, dataset.samples_digest) if digest is not None
    ]
    session.delete(dataset)
    session.flush()
    return forget_unnamed(session, digests)


def list_rejections(
    session: Session,
    workspace_id: WorkspaceId,
    dataset_id: DatasetId,
    *,
    after: int | None = None,
    limit: int = 100,
) -> list[DatasetRejection]:
    """Return rejected rows of a dataset in the order in which they were met.

    Args:
        session: The transaction.
        workspace_id: Whose dataset.
        dataset_id: Which.
        after: Ordinal of the last row of the page before.
        limit: Most rows to return.

    Raises:
        NotFoundError: There is no such dataset.
    """
    dataset = get_dataset(session, workspace_id, dataset_id)
    query = select(DatasetRejection).where(DatasetRejection.dataset_id == dataset.id)
    if after is not None:
        query = query.where(DatasetRejection.ordinal > after)
    query = query.order_by(DatasetRejection.ordinal).limit(min(limit, MAX_PAGE))
    return list(session.scalars(query))


def _refuse_if_used(session: Session, dataset: Dataset) -> None:
    uses = or_(
        Job.synthetic_id == dataset.id, Job.reference_id == dataset.id, Job.test_id == dataset.id
    )
    total, unfinished = session.execute(
        select(
            func.count(),
            func.count().filter(Job.state.not_in(FINAL_STATES)),
        ).where(uses)
    ).one()
    if unfinished:
        raise ConflictError(
            "DATASET_IN_USE",
            f"{unfinished} unfinished job(s) need this dataset.",
            cure="Cancel and delete those jobs first.",
        )
    if total:
        raise ConflictError(
            "DATASET_IN_USE",
            f"The results of {total} job(s) rest on this dataset.",
            cure="Delete those jobs first.",
        )


def _forget_validation(session: Session, dataset: Dataset) -> None:
    session.execute(delete(DatasetRejection).where(DatasetRejection.dataset_id == dataset.id))
    dataset.failure_reason = None
    dataset.failure_detail = None
    dataset.failure_field = None
    dataset.failure_row = None
    dataset.failure_cure = None
    dataset.rejected_count = 0
    dataset.validated_at = None
    dataset.validation_attempts = 0
    dataset.validation_lease_expires_at = None
    dataset.ring_count = 0


def _shorten(name: str) -> str:
    longest = 80
    return repr(name if len(name) <= longest else f"...{name[-longest:]}")
