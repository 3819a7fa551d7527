"""The rows of datasets: create, attach content, list, delete."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import DatasetId, WorkspaceId, new_id
from curation.import_sources import ImportTarget
from curation.models import (
    FINAL_STATES,
    Dataset,
    DatasetRejection,
    DatasetState,
    Job,
    Modality,
    Role,
    UploadPart,
)
from curation.object_rows import OrphanedObject, forget_unnamed, record_object
from curation.objects import StoredObject
from curation.pages import MAX_PAGE, Place, newest_first
from curation.running_totals import Total, add_to_total
from curation.upload_kinds import UploadKind


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
    after: Place | None = None,
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
    return newest_first(session, query, Dataset.created_at, Dataset.id, after=after, limit=limit)


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
    check_file_name(file_name)
    if stored.size_bytes == 0:
        raise InvalidInputError(
            "EMPTY_DATASET", "The file is empty.", field="content", cure="Upload it again."
        )
    dataset = get_dataset(session, workspace_id, dataset_id, is_locked=True)
    refuse_if_content(dataset)
    # State, content and failure fit together in the end alone, not at each query on the way.
    with session.no_autoflush:
        _forget_validation(session, dataset)
        # What failed to be imported may be uploaded.
        dataset.import_url = None
        _await_validation(session, dataset, file_name)
        take_in(session, dataset, stored)
    return dataset


def create_import(
    session: Session,
    workspace_id: WorkspaceId,
    request: DatasetRequest,
    target: ImportTarget,
    now: datetime,
) -> Dataset:
    """Return a new dataset whose content a worker fetches and validates.

    Raises:
        InvalidInputError: The ending of the object's key names no format that can be read.
    """
    check_file_name(target.file_name, field="url")
    dataset = create_dataset(session, workspace_id, request, now)
    dataset.import_url = target.url
    _await_validation(session, dataset, target.file_name)
    session.flush()
    return dataset


def take_in(session: Session, dataset: Dataset, stored: StoredObject) -> None:
    """Record that a dataset's content lies complete in the object store."""
    record_object(session, stored)
    dataset.content_digest = stored.digest
    dataset.content_bytes = stored.size_bytes
    add_to_total(session, Total.UPLOAD_BYTES, amount=stored.size_bytes)
    session.flush()


def count_validation(session: Session, dataset: Dataset) -> None:
    """Add a validation that has come to its end to the totals, with the reason of a refusal."""
    add_to_total(session, Total.VALIDATIONS, dataset.state, dataset.failure_reason or "")


def check_file_name(file_name: str, *, field: str = "file_name") -> None:
    """Check that a file's ending names a format that can be read.

    Args:
        file_name: The file's name.
        field: The field of the request that holds it.

    Raises:
        InvalidInputError: It names none.
    """
    if UploadKind.of(file_name) is None:
        raise InvalidInputError(
            "UNSUPPORTED_FORMAT",
            f"The ending of {_shorten(file_name)} names no format that can be read.",
            field=field,
            cure=f"Choose one of: {', '.join(UploadKind.endings())}.",
        )


def refuse_if_content(dataset: Dataset) -> None:
    """Refuse another content for a dataset that has one, unless it was found invalid.

    Raises:
        ConflictError: The dataset has its content already.
    """
    if dataset.state not in {DatasetState.CREATED, DatasetState.INVALID}:
        raise ConflictError(
            "DATASET_HAS_CONTENT",
            f"The dataset is {dataset.state}; its content does not change any more.",
            cure="Create another dataset.",
        )


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
    digests += session.scalars(select(UploadPart.digest).where(UploadPart.dataset_id == dataset.id))
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


def _await_validation(session: Session, dataset: Dataset, file_name: str) -> None:
    dataset.state = DatasetState.VALIDATING
    dataset.content_name = file_name
    # The caller rings after the commit; the sweep counts from here, by the database's clock.
    dataset.last_rung_at = session.scalars(select(func.now())).one()


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
