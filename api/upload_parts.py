"""Routes of an upload by parts: send each with its hash, see which have arrived, complete it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from api.body_limit import raise_body_limit
from api.cursors import decode_position_cursor, encode_position_cursor
from api.dependencies import AskedPage, Reader, SharedResources, Writer
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.datasets import DatasetView
from api.schemas.fields import Identifier
from api.schemas.upload_parts import Sha256, UploadComplete, UploadPartPage, UploadPartView
from api.uploads import ANY_BODY, announced_bytes, refuse_early, write_body
from curation import upload_parts
from curation.audit import record_action
from curation.database import unit_of_work
from curation.datasets import check_file_name
from curation.errors import InvalidInputError
from curation.identifiers import DatasetId
from curation.keys import Principal
from curation.object_rows import remove_files
from curation.objects import StoredObject
from curation.quotas import check_bytes
from curation.upload_parts import MAX_PARTS, WholeFile

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

_PARTS = "parts"


@router.put(
    "/{dataset_id}/parts/{number}",
    operation_id="upload_part",
    summary="Upload a part of the content of a dataset",
    openapi_extra=ANY_BODY,
    responses=authorised_problems(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
async def upload_part(  # noqa: PLR0913 - each parameter is a part of the request.
    *,
    dataset_id: Identifier,
    number: Annotated[int, Path(ge=1, le=MAX_PARTS, description="Its place in the file, from 1.")],
    request: Request,
    caller: Writer,
    resources: SharedResources,
    sha256: Annotated[
        Sha256, Query(description="Lower-case hexadecimal SHA-256 of the part, which is checked.")
    ],
) -> UploadPartView:
    """Stream one part into the store; parts may come in any order, and again.

    A connection that breaks leaves nothing of the part behind. Parts that have arrived stay, also
    when the service is restarted, until the upload is completed, given up or too old.
    """
    known_id = DatasetId(dataset_id)
    coming_bytes = announced_bytes(request)
    await run_in_threadpool(refuse_early, caller, resources, known_id, coming_bytes=coming_bytes)
    stored = await _receive(request, resources, sha256)
    return await run_in_threadpool(
        _record, caller, resources, known_id, number=number, stored=stored
    )


@router.get(
    "/{dataset_id}/parts",
    operation_id="list_parts",
    summary="List the parts that have arrived",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def list_parts(
    *, dataset_id: Identifier, caller: Reader, resources: SharedResources, page: AskedPage
) -> UploadPartPage:
    """List parts by number, a page at a time; after a break, send those that are not here."""
    with unit_of_work(resources.engine) as session:
        rows = upload_parts.list_parts(
            session,
            caller.workspace_id,
            DatasetId(dataset_id),
            after=decode_position_cursor(_PARTS, page.cursor),
            limit=page.limit,
        )
    cursor = encode_position_cursor(_PARTS, rows[-1].number) if len(rows) == page.limit else None
    return UploadPartPage(items=[UploadPartView.from_row(row) for row in rows], next_cursor=cursor)


@router.post(
    "/{dataset_id}/complete",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="complete_upload",
    summary="Put the parts of an upload together",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
def complete_upload(
    *, dataset_id: Identifier, body: UploadComplete, caller: Writer, resources: SharedResources
) -> DatasetView:
    """Check the hash of the whole and make it the dataset's content; validation follows.

    The answer comes once all parts are copied, which takes as long as writing the file. After a
    refusal the parts are still there.
    """
    known_id = DatasetId(dataset_id)
    whole = WholeFile(body.file_name, body.sha256, body.part_count)
    refuse_early(caller, resources, known_id)
    check_file_name(whole.file_name)
    with unit_of_work(resources.engine) as session:
        parts = upload_parts.list_parts(session, caller.workspace_id, known_id)
    upload_parts.check_complete(parts, whole)
    stored = upload_parts.assemble(resources.store, [part.digest for part in parts], whole)
    with unit_of_work(resources.engine) as session:
        row, orphans = upload_parts.attach_whole(
            session, caller.workspace_id, known_id, stored, whole.file_name
        )
        check_bytes(session, caller.workspace_id, resources.settings)
        record_action(session, caller, "complete_upload", row.id, resources.clock())
        view = DatasetView.from_row(row)
    remove_files(resources.store, orphans)
    resources.doorbell.ring_validation(known_id)
    return view


async def _receive(request: Request, resources: Resources, sha256: str) -> StoredObject:
    """Return the body of `request` as an object, if it is what the client says.

    Raises:
        InvalidInputError: Its hash is another; nothing was stored.
    """
    raise_body_limit(request.scope, max_bytes=resources.settings.max_part_bytes)
    with resources.store.open_writer() as writer:
        await write_body(request, writer)
        if writer.digest != sha256:
            raise InvalidInputError(
                "HASH_MISMATCH",
                f"The part that arrived has another SHA-256: {writer.digest}.",
                field="sha256",
                cure="Send the part again.",
            )
        return await run_in_threadpool(writer.finish)


def _record(
    caller: Principal,
    resources: Resources,
    dataset_id: DatasetId,
    *,
    number: int,
    stored: StoredObject,
) -> UploadPartView:
    with unit_of_work(resources.engine) as session:
        part, replaced = upload_parts.record_part(
            session,
            caller.workspace_id,
            dataset_id,
            number=number,
            stored=stored,
            max_upload_bytes=resources.settings.max_upload_bytes,
            now=resources.clock(),
        )
        check_bytes(session, caller.workspace_id, resources.settings)
        record_action(session, caller, "upload_part", dataset_id, resources.clock())
        view = UploadPartView.from_row(part)
    remove_files(resources.store, replaced)
    return view
