"""The route of an upload: one file, streamed from the socket into the object store."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from api.body_limit import raise_body_limit
from api.dependencies import SharedResources, Writer
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.datasets import DatasetView
from api.schemas.fields import FileName, Identifier
from curation import datasets
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import DatasetId
from curation.keys import Principal
from curation.object_rows import remove_files
from curation.objects import ObjectWriter, StoredObject
from curation.quotas import check_bytes
from curation.upload_parts import forget_parts

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

# The socket gives pieces of at most 64 KiB; a step into the writing thread is worth more than one.
_WRITE_BYTES = 1 << 20
ANY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: zip, tar, tar.gz, parquet, jsonl, csv or npz.",
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "minLength": 1}
            }
        },
    }
}


@router.put(
    "/{dataset_id}/content",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="upload_content",
    summary="Upload the content of a dataset",
    openapi_extra=ANY_BODY,
    responses=authorised_problems(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
async def upload_content(
    *,
    dataset_id: Identifier,
    request: Request,
    caller: Writer,
    resources: SharedResources,
    file_name: Annotated[
        FileName,
        Query(description="Name of the file; its ending says how to read it."),
    ],
) -> DatasetView:
    """Stream one file into the store; validation then runs in a worker.

    A connection that breaks leaves nothing behind, and the upload may be sent again.
    """
    known_id = DatasetId(dataset_id)
    await run_in_threadpool(
        refuse_early, caller, resources, known_id, coming_bytes=announced_bytes(request)
    )
    stored = await _receive(request, resources)
    view = await run_in_threadpool(
        _attach, caller, resources, known_id, stored=stored, file_name=file_name
    )
    resources.doorbell.ring_validation(known_id)
    return view


def refuse_early(
    caller: Principal, resources: Resources, dataset_id: DatasetId, *, coming_bytes: int = 0
) -> None:
    """Refuse what would be refused after the upload anyway, before its bytes are sent.

    Raises:
        NotFoundError: There is no such dataset in the workspace.
        ConflictError: The dataset has its content already.
        TooLargeError: The workspace would hold more than it may.
    """
    with unit_of_work(resources.engine) as session:
        dataset = datasets.get_dataset(session, caller.workspace_id, dataset_id)
        datasets.refuse_if_content(dataset)
        check_bytes(session, caller.workspace_id, resources.settings, coming_bytes=coming_bytes)


async def _receive(request: Request, resources: Resources) -> StoredObject:
    """Return the body of `request` as an object; a body that breaks off leaves no object."""
    raise_body_limit(request.scope, max_bytes=resources.settings.max_upload_bytes)
    with resources.store.open_writer() as writer:
        await write_body(request, writer)
        return await run_in_threadpool(writer.finish)


def announced_bytes(request: Request) -> int:
    """Return the length that `request` announces of its body, or 0 where it announces none."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else 0


async def write_body(request: Request, writer: ObjectWriter) -> None:
    """Write the body of `request`; while a piece is hashed and written, the next one is received.

    Raises:
        StorageFullError: The store has no room for it.
    """
    writing: asyncio.Future[int] | None = None
    try:
        async for piece in _pieces(request):
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(run_in_threadpool(writer.write, piece))
    finally:
        # Whatever ends the body, the file must not be closed under the thread that writes it.
        if writing is not None:
            await writing


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body of `request` in pieces of about `_WRITE_BYTES`."""
    pending: list[bytes] = []
    pending_bytes = 0
    async for chunk in request.stream():
        pending.append(chunk)
        pending_bytes += len(chunk)
        if pending_bytes >= _WRITE_BYTES:
            yield b"".join(pending)
            pending, pending_bytes = [], 0
    yield b"".join(pending)


def _attach(
    caller: Principal,
    resources: Resources,
    dataset_id: DatasetId,
    *,
    stored: StoredObject,
    file_name: str,
) -> DatasetView:
    with unit_of_work(resources.engine) as session:
        row = datasets.attach_content(session, caller.workspace_id, dataset_id, stored, file_name)
        record_action(session, caller, "upload_content", row.id, resources.clock())
        # One who sends the file whole has given up its parts.
        orphans = forget_parts(session, dataset_id)
        check_bytes(session, caller.workspace_id, resources.settings)
        view = DatasetView.from_row(row)
    remove_files(resources.store, orphans)
    return view
