"""Routes of datasets: create, list, show, delete, and the rows that validation rejected."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.conditional import NOT_MODIFIED
from api.cursors import (
    decode_position_cursor,
    decode_time_cursor,
    encode_position_cursor,
    next_time_cursor,
)
from api.dependencies import AskedPage, Reader, SetLocation, SharedResources, WaitSeconds, Writer
from api.long_poll import Awaited, answer_when_due
from api.problem_responses import authorised_problems
from api.schemas.datasets import (
    DatasetCreate,
    DatasetImport,
    DatasetPage,
    DatasetView,
    RejectionPage,
    RejectionView,
)
from api.schemas.fields import Identifier
from curation import datasets
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import DatasetId
from curation.import_sources import find_import_target, parse_import_sources
from curation.models import DatasetState, Role
from curation.object_rows import remove_files
from curation.quotas import check_bytes, check_datasets

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

# Validation of a small upload takes about a second; asking more often tells nothing new.
_RETRY_AFTER_SECONDS = "1"
_REJECTIONS = "rejections"


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    operation_id="create_dataset",
    summary="Create a dataset, without content yet",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ),
)
def create_dataset(
    *, body: DatasetCreate, caller: Writer, resources: SharedResources, set_location: SetLocation
) -> DatasetView:
    """Create a dataset; `PUT /v1/datasets/{id}/content` then gives it its samples."""
    asked = datasets.DatasetRequest(**body.model_dump())
    with unit_of_work(resources.engine) as session:
        check_datasets(session, caller.workspace_id, resources.settings)
        row = datasets.create_dataset(session, caller.workspace_id, asked, resources.clock())
        record_action(session, caller, "create_dataset", row.id, resources.clock())
        view = DatasetView.from_row(row)
    set_location(f"/v1/datasets/{view.id}")
    return view


@router.post(
    ":import",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="import_dataset",
    summary="Create a dataset of a file in a bucket",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ),
)
def import_dataset(
    *, body: DatasetImport, caller: Writer, resources: SharedResources, set_location: SetLocation
) -> DatasetView:
    """Create a dataset whose content a worker fetches, and then validates as an upload.

    The buckets are those that the operator allows (`WINNOW_IMPORT_SOURCES`), read with the
    operator's credentials. What hinders the fetch is told as the dataset's `failure`.
    """
    sources = parse_import_sources(resources.settings.import_sources)
    target = find_import_target(body.url, sources)
    asked = datasets.DatasetRequest(**body.model_dump(exclude={"url"}))
    with unit_of_work(resources.engine) as session:
        check_datasets(session, caller.workspace_id, resources.settings)
        check_bytes(session, caller.workspace_id, resources.settings)
        now = resources.clock()
        row = datasets.create_import(session, caller.workspace_id, asked, target, now)
        record_action(session, caller, "import_dataset", row.id, now)
        view = DatasetView.from_row(row)
    resources.doorbell.ring_validation(DatasetId(view.id))
    set_location(f"/v1/datasets/{view.id}")
    return view


@router.get(
    "",
    operation_id="list_datasets",
    summary="List the datasets of the workspace, newest first",
    responses=authorised_problems(),
)
def list_datasets(
    *,
    caller: Reader,
    resources: SharedResources,
    page: AskedPage,
    role: Annotated[Role | None, Query(description="Only datasets of this role.")] = None,
    state: Annotated[DatasetState | None, Query(description="Only datasets in this state.")] = None,
) -> DatasetPage:
    """List datasets, a page at a time."""
    with unit_of_work(resources.engine) as session:
        rows = datasets.list_datasets(
            session,
            caller.workspace_id,
            after=decode_time_cursor(page.cursor),
            limit=page.limit,
            role=role,
            state=state,
        )
    items = [DatasetView.from_row(row) for row in rows]
    cursor = next_time_cursor(rows, page.limit)
    return DatasetPage(items=items, next_cursor=cursor)


@router.get(
    "/{dataset_id}",
    operation_id="get_dataset",
    summary="Show a dataset, or wait for its validation",
    response_model=DatasetView,
    responses={**NOT_MODIFIED, **authorised_problems(HTTPStatus.NOT_FOUND)},
)
async def get_dataset(
    *,
    dataset_id: Identifier,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    wait_seconds: WaitSeconds = None,
) -> Response:
    """Show state, counts by class, and the reason where the dataset is invalid."""

    def load() -> DatasetView:
        with unit_of_work(resources.engine) as session:
            row = datasets.get_dataset(session, caller.workspace_id, DatasetId(dataset_id))
            return DatasetView.from_row(row)

    return await answer_when_due(
        request,
        Awaited(
            load=partial(run_in_threadpool, load), is_final=_is_settled, headers=_retry_headers
        ),
        wait_seconds=wait_seconds or 0,
        poll_seconds=resources.settings.poll_seconds,
    )


@router.get(
    "/{dataset_id}/rejections",
    operation_id="list_rejections",
    summary="List the rows that validation rejected, with the reason of each",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def list_rejections(
    *, dataset_id: Identifier, caller: Reader, resources: SharedResources, page: AskedPage
) -> RejectionPage:
    """List rejected rows in the order in which they were met, a page at a time."""
    after = decode_position_cursor(_REJECTIONS, page.cursor)
    with unit_of_work(resources.engine) as session:
        rows = datasets.list_rejections(
            session,
            caller.workspace_id,
            DatasetId(dataset_id),
            after=after,
            limit=page.limit,
        )
    cursor = (
        encode_position_cursor(_REJECTIONS, rows[-1].ordinal) if len(rows) == page.limit else None
    )
    return RejectionPage(items=[RejectionView.from_row(row) for row in rows], next_cursor=cursor)


@router.delete(
    "/{dataset_id}",
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="delete_dataset",
    summary="Delete a dataset with its files",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def delete_dataset(dataset_id: Identifier, caller: Writer, resources: SharedResources) -> None:
    """Delete rows and files; refused while a job rests on the dataset."""
    with unit_of_work(resources.engine) as session:
        orphans = datasets.delete_dataset(session, caller.workspace_id, DatasetId(dataset_id))
        record_action(session, caller, "delete_dataset", dataset_id, resources.clock())
    # After the commit: a deletion that was rolled back must find its files in place.
    remove_files(resources.store, orphans)


def _is_settled(view: DatasetView) -> bool:
    return view.state is not DatasetState.VALIDATING


def _retry_headers(view: DatasetView) -> dict[str, str]:
    return {} if _is_settled(view) else {"Retry-After": _RETRY_AFTER_SECONDS}
