"""Uploads by parts: each arrives with its hash, and the whole is put together from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from curation.datasets import attach_content, get_dataset, refuse_if_content
from curation.errors import ConflictError, InvalidInputError, TooLargeError
from curation.identifiers import DatasetId, WorkspaceId
from curation.models import Dataset, UploadPart
from curation.object_rows import OrphanedObject, forget_unnamed, record_object
from curation.objects import ObjectMissingError, ObjectStore, StoredObject

MAX_PARTS = 10_000
_COPY_BYTES = 1 << 20
_MISSING_NAMED = 5


@dataclass(frozen=True, slots=True)
class WholeFile:
    """What a client says of the file whose parts it has sent.

    Attributes:
        file_name: The user's name of it; its ending says how it is read.
        sha256: SHA-256 of the whole, 64 lower-case hexadecimal digits.
        part_count: How many parts make it up, numbered from 1.
    """

    file_name: str
    sha256: str
    part_count: int


def record_part(  # noqa: PLR0913 - a part's columns, and the bound on all of them.
    session: Session,
    workspace_id: WorkspaceId,
    dataset_id: DatasetId,
    *,
    number: int,
    stored: StoredObject,
    max_upload_bytes: int,
    now: datetime,
) -> tuple[UploadPart, list[OrphanedObject]]:
    """Record a part that has arrived; one of the same number is replaced.

    Args:
        session: The transaction.
        workspace_id: Whose dataset.
        dataset_id: Which.
        number: The part's place in the file, from 1.
        stored: The part, complete in the object store.
        max_upload_bytes: Most bytes of all parts together.
        now: The time.

    Returns:
        The part, and the file of the part that it replaced, which the caller removes by
        `object_rows.remove_files` after the commit.

    Raises:
        NotFoundError: There is no such dataset.
        ConflictError: It has its content already.
        InvalidInputError: The part is empty.
        TooLargeError: All parts together are larger than an upload may be.
    """
    if stored.size_bytes == 0:
        raise InvalidInputError(
            "EMPTY_PART", "The part is empty.", field="body", cure="Leave it out."
        )
    dataset = get_dataset(session, workspace_id, dataset_id, is_locked=True)
    refuse_if_content(dataset)
    before = session.get(UploadPart, (dataset_id, number))
    replaced = [before.digest] if before is not None and before.digest != stored.digest else []
    record_object(session, stored)
    values = {"digest": stored.digest, "size_bytes": stored.size_bytes, "created_at": now}
    session.execute(
        insert(UploadPart)
        .values(dataset_id=dataset_id, number=number, **values)
        .on_conflict_do_update(
            index_elements=[UploadPart.dataset_id, UploadPart.number], set_=values
        )
    )
    total_bytes = session.scalars(
        select(func.sum(UploadPart.size_bytes)).where(UploadPart.dataset_id == dataset_id)
    ).one()
    if total_bytes > max_upload_bytes:
        raise TooLargeError(
            "UPLOAD_TOO_LARGE",
            f"The parts make more than the {max_upload_bytes} bytes that an upload may have.",
            field="body",
            cure="Split the dataset.",
        )
    part = session.get_one(UploadPart, (dataset_id, number), populate_existing=True)
    return part, forget_unnamed(session, replaced)


def list_parts(
    session: Session,
    workspace_id: WorkspaceId,
    dataset_id: DatasetId,
    *,
    after: int | None = None,
    limit: int = MAX_PARTS,
) -> list[UploadPart]:
    """Return the parts that have arrived, by number.

    Args:
        session: The transaction.
        workspace_id: Whose dataset.
        dataset_id: Which.
        after: Number of the last part of the page before.
        limit: Most parts to return.

    Raises:
        NotFoundError: There is no such dataset.
    """
    dataset = get_dataset(session, workspace_id, dataset_id)
    query = select(UploadPart).where(UploadPart.dataset_id == dataset.id)
    if after is not None:
        query = query.where(UploadPart.number > after)
    return list(session.scalars(query.order_by(UploadPart.number).limit(limit)))


def check_complete(parts: Sequence[UploadPart], whole: WholeFile) -> None:
    """Check that the parts are those of the file and no others.

    Raises:
        ConflictError: Some are missing, or there are more.
    """
    arrived = {part.number for part in parts}
    wanted = set(range(1, whole.part_count + 1))
    missing = sorted(wanted - arrived)
    if missing:
        named = ", ".join(map(str, missing[:_MISSING_NAMED]))
        raise ConflictError(
            "PARTS_MISSING",
            f"{len(missing)} of {whole.part_count} parts have not arrived: {named}"
            f"{' ...' if len(missing) > _MISSING_NAMED else '.'}",
            field="part_count",
            cure="Send them, then complete the upload again.",
        )
    if arrived != wanted:
        raise ConflictError(
            "PARTS_TOO_MANY",
            f"Part {max(arrived)} has arrived, beyond the {whole.part_count} of the file.",
            field="part_count",
            cure="Create another dataset for another file.",
        )


def assemble(store: ObjectStore, digests: Sequence[str], whole: WholeFile) -> StoredObject:
    """Store the file that the parts make, and return its reference.

    Args:
        store: Where the parts lie and the whole goes; it holds both for a moment.
        digests: The parts, in their order.
        whole: What the client says the file is.

    Raises:
        InvalidInputError: The hash is another; nothing was stored.
        ConflictError: A part was replaced or removed meanwhile.
    """
    try:
        with store.open_writer() as writer:
            for digest in digests:
                with store.open(digest) as part:
                    while piece := part.read(_COPY_BYTES):
                        writer.write(piece)
            # Before it becomes visible: a file that nobody meant must not lie about.
            if writer.digest != whole.sha256:
                raise InvalidInputError(
                    "HASH_MISMATCH",
                    f"The parts make a file of another SHA-256: {writer.digest}.",
                    field="sha256",
                    cure="Compare the parts with the file, and send those that differ again.",
                )
            return writer.finish()
    except ObjectMissingError as error:
        raise ConflictError(
            "PARTS_CHANGED", "A part was replaced or removed meanwhile.", cure="Look, then retry."
        ) from error


def attach_whole(
    session: Session,
    workspace_id: WorkspaceId,
    dataset_id: DatasetId,
    stored: StoredObject,
    file_name: str,
) -> tuple[Dataset, list[OrphanedObject]]:
    """Give a dataset the file that its parts made, forget the parts, and return their files.

    Raises:
        NotFoundError: There is no such dataset.
        ConflictError: It has its content already.
        InvalidInputError: The ending names no format that can be read.
    """
    dataset = attach_content(session, workspace_id, dataset_id, stored, file_name)
    return dataset, forget_parts(session, dataset_id)


def forget_parts(session: Session, dataset_id: DatasetId) -> list[OrphanedObject]:
    """Forget the parts of a dataset's upload, and return their files that nothing names now."""
    digests = session.scalars(
        delete(UploadPart).where(UploadPart.dataset_id == dataset_id).returning(UploadPart.digest)
    ).all()
    return forget_unnamed(session, digests)
