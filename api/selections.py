"""Routes of selections: named, immutable cuts of a finished job's samples."""

from http import HTTPStatus

from fastapi import APIRouter

from api.cursors import decode_time_cursor, next_time_cursor
from api.dependencies import AskedPage, Reader, SetLocation, SharedResources, Writer
from api.problem_responses import authorised_problems
from api.schemas.fields import Identifier
from api.schemas.selections import SelectionCreate, SelectionPage, SelectionView
from curation import selections
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import JobId, SelectionId

router = APIRouter(prefix="/v1", tags=["selections"])


@router.post(
    "/jobs/{job_id}/selections",
    status_code=HTTPStatus.CREATED,
    operation_id="create_selection",
    summary="Make a named cut of a finished job",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
)
def create_selection(
    *,
    job_id: Identifier,
    body: SelectionCreate,
    caller: Writer,
    resources: SharedResources,
    set_location: SetLocation,
) -> SelectionView:
    """Work out which samples the rule keeps, and keep that under a name for good."""
    with unit_of_work(resources.engine) as session:
        row = selections.create_selection(
            session,
            workspace_id=caller.workspace_id,
            job_id=JobId(job_id),
            name=body.name,
            rule=selections.rule_from_json(body.rule.model_dump()),
            now=resources.clock(),
        )
        record_action(session, caller, "create_selection", row.id, resources.clock())
        view = SelectionView.from_row(row)
    set_location(f"/v1/selections/{view.id}")
    return view


@router.get(
    "/jobs/{job_id}/selections",
    operation_id="list_selections",
    summary="List the selections of a job, newest first",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def list_selections(
    *, job_id: Identifier, caller: Reader, resources: SharedResources, page: AskedPage
) -> SelectionPage:
    """List selections, a page at a time."""
    after = decode_time_cursor(page.cursor)
    with unit_of_work(resources.engine) as session:
        rows = selections.list_selections(
            session, caller.workspace_id, JobId(job_id), after=after, limit=page.limit
        )
    return SelectionPage(
        items=[SelectionView.from_row(row) for row in rows],
        next_cursor=next_time_cursor(rows, page.limit),
    )


@router.get(
    "/selections/{selection_id}",
    operation_id="get_selection",
    summary="Show a selection",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def show_selection(
    selection_id: Identifier, caller: Reader, resources: SharedResources
) -> SelectionView:
    """Show the rule and how many samples it keeps."""
    with unit_of_work(resources.engine) as session:
        row = selections.get_selection(session, caller.workspace_id, SelectionId(selection_id))
    return SelectionView.from_row(row)
