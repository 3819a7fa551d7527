"""The route of an upload: one file, streamed from the socket into the object store."""

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
from curation.database import unit_of_work
from curation.errors import ConflictError
from curation.identifiers import DatasetId
from curation.keys import Principal
from curation.models import DatasetState
from curation.objects import StoredObject

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

# The socket gives pieces of at most 64 KiB; a step into the writing thread is worth more than one.
_WRITE_BYTES = 1 << 20
_ANY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: zip, tar, tar.gz, parquet, jsonl, csv or npz.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put(
    "/{dataset_id}/content",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="upload_content",
    summary="Upload the content of a dataset",
    openapi_extra=_ANY_BODY,
    responses=authorised_problems(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
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
    await run_in_threadpool(_refuse_early, caller, resources, known_id)
    stored = await _receive(request, resources)
    view = await run_in_threadpool(
        _attach, caller, resources, known_id, stored=stored, file_name=file_name
    )
    resources.doorbell.ring_validation(known_id)
    return view


def _refuse_early(caller: Principal, resources: Resources, dataset_id: DatasetId) -> None:
    """Refuse what would be refused after the upload anyway, before its bytes are sent.

    Raises:
        NotFoundError: There is no such dataset in the workspace.
        ConflictError: The dataset has its content already.
    """
    with unit_of_work(resources.engine) as session:
        dataset = datasets.get_dataset(session, caller.workspace_id, dataset_id)
    if dataset.state in {DatasetState.VALIDATING, DatasetState.READY}:
        raise ConflictError(
            "DATASET_HAS_CONTENT",
            f"The dataset is {dataset.state}; its content does not change any more.",
            cure="Create another dataset.",
        )


async def _receive(request: Request, resources: Resources) -> StoredObject:
    """Return the body of `request` as an object; a body that breaks off leaves no object."""
    raise_body_limit(request.scope, max_bytes=resources.settings.max_upload_bytes)
    with resources.store.open_writer() as writer:
        async for piece in _pieces(request):
            await run_in_threadpool(writer.write, piece)
        return await run_in_threadpool(writer.finish)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body of `request` in pieces of about `_WRITE_BYTES`."""
    pending = bytearray()
    async for chunk in request.stream():
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending)


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
        return DatasetView.from_row(row)
