"""Routes of selectors: what finished jobs learned, and the scoring of new datasets by it."""

from http import HTTPStatus

from fastapi import APIRouter

from api.cursors import decode_time_cursor, next_time_cursor
from api.dependencies import (
    AskedPage,
    IdempotencyKey,
    Reader,
    RequestOrigin,
    SetLocation,
    SharedResources,
    Writer,
)
from api.job_views import view_of
from api.jobs import ring_new
from api.problem_responses import authorised_problems
from api.schemas.fields import Identifier
from api.schemas.jobs import JobView
from api.schemas.selectors import ScoreCreate, SelectorPage, SelectorView
from curation import jobs, selectors
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import DatasetId, SelectorId
from curation.object_rows import remove_files

router = APIRouter(prefix="/v1", tags=["selectors"])


@router.get(
    "/selectors",
    operation_id="list_selectors",
    summary="List the selectors of the workspace, newest first",
    responses=authorised_problems(),
)
def list_selectors(*, caller: Reader, resources: SharedResources, page: AskedPage) -> SelectorPage:
    """List selectors, a page at a time.

    A job leaves one when it succeeds, unless its encoder was made by its own samples: `tfidf_svd`
    of texts, and those of tables.
    """
    after = decode_time_cursor(page.cursor)
    with unit_of_work(resources.engine) as session:
        rows = selectors.list_selectors(session, caller.workspace_id, after=after, limit=page.limit)
    return SelectorPage(
        items=[SelectorView.from_row(row) for row in rows],
        next_cursor=next_time_cursor(rows, page.limit),
    )


@router.get(
    "/selectors/{selector_id}",
    operation_id="get_selector",
    summary="Show a selector",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def show_selector(
    selector_id: Identifier, caller: Reader, resources: SharedResources
) -> SelectorView:
    """Show what the selector can score and which job it comes from."""
    with unit_of_work(resources.engine) as session:
        row = selectors.get_selector(session, caller.workspace_id, SelectorId(selector_id))
    return SelectorView.from_row(row)


@router.delete(
    "/selectors/{selector_id}",
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="delete_selector",
    summary="Delete a selector",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def delete_selector(selector_id: Identifier, caller: Writer, resources: SharedResources) -> None:
    """Delete a selector that no job scores by; the job that it comes from keeps its results."""
    with unit_of_work(resources.engine) as session:
        orphans = selectors.delete_selector(session, caller.workspace_id, SelectorId(selector_id))
        record_action(session, caller, "delete_selector", selector_id, resources.clock())
    # After the commit: a deletion that was rolled back must find its files in place.
    remove_files(resources.store, orphans)


@router.post(
    "/selectors/{selector_id}/scores",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="score_dataset",
    summary="Score a new dataset without training",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
)
def score_dataset(  # noqa: PLR0913 - what a route is given.
    *,
    selector_id: Identifier,
    body: ScoreCreate,
    caller: Writer,
    resources: SharedResources,
    set_location: SetLocation,
    origin: RequestOrigin,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a job that scores the dataset; its results are read as those of any job."""
    with unit_of_work(resources.engine) as session:
        created = jobs.create_score_job(
            session,
            workspace_id=caller.workspace_id,
            request=jobs.ScoreRequest(
                selector_id=SelectorId(selector_id),
                synthetic_id=DatasetId(body.dataset_id),
                max_runtime_seconds=body.max_runtime_seconds,
            ),
            idempotency_key=idempotency_key,
            settings=resources.settings,
            now=resources.clock(),
            origin=origin,
        )
        if created.is_new:
            record_action(session, caller, "score_dataset", created.job.id, resources.clock())
        view = view_of(session, created.job)
    # After the commit, or a worker might look for a row that is not there yet.
    if created.is_new:
        ring_new(resources, view)
    set_location(f"/v1/jobs/{view.id}")
    return view
