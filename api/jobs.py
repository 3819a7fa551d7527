"""Routes of jobs: create, list, show, cancel, retry, delete, and the schema of their settings."""

from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.conditional import NOT_MODIFIED
from api.cursors import decode_time_cursor, next_time_cursor
from api.dependencies import (
    AskedPage,
    IdempotencyKey,
    Reader,
    RequestOrigin,
    SetLocation,
    SharedResources,
    WaitSeconds,
    Writer,
)
from api.job_views import view_of
from api.long_poll import Awaited, answer_when_due
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from api.schemas.jobs import JobConfigSchemas, JobCreate, JobEstimateView, JobPage, JobView
from curation import job_estimates, jobs
from curation.audit import record_action
from curation.database import reading, unit_of_work
from curation.identifiers import DatasetId, JobId
from curation.job_config import job_config_schemas
from curation.models import FINAL_STATES, JobState
from curation.object_rows import remove_files
from curation.quotas import check_queued_jobs

router = APIRouter(prefix="/v1", tags=["jobs"])

# A queued job moves when a worker is free, a running one with every heartbeat.
_RETRY_AFTER_SECONDS = "2"

_log = structlog.get_logger()


def ring_new(resources: Resources, view: JobView) -> None:
    """Tell the log and the workers of a job that was created just now."""
    _log.info("job_created", job_id=str(view.id), method=view.method)
    resources.doorbell.ring_job(JobId(view.id))


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="create_job",
    summary="Create a curation job",
    responses=authorised_problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
)
def create_job(  # noqa: PLR0913 - what a route is given.
    *,
    body: JobCreate,
    caller: Writer,
    resources: SharedResources,
    set_location: SetLocation,
    origin: RequestOrigin,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Create a job and queue it; the answer does not wait for a worker or the broker."""
    with unit_of_work(resources.engine) as session:
        created = jobs.create_job(
            session,
            workspace_id=caller.workspace_id,
            request=body.to_request(),
            idempotency_key=idempotency_key,
            settings=resources.settings,
            now=resources.clock(),
            origin=origin,
        )
        if created.is_new:
            record_action(session, caller, "create_job", created.job.id, resources.clock())
        view = view_of(session, created.job)
    # After the commit, or a worker might look for a row that is not there yet.
    if created.is_new:
        ring_new(resources, view)
    set_location(f"/v1/jobs/{view.id}")
    return view


@router.post(
    "/jobs:estimate",
    operation_id="estimate_job",
    summary="Estimate what a job would take, without creating it",
    responses=authorised_problems(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)
def estimate_job(body: JobCreate, caller: Reader, resources: SharedResources) -> JobEstimateView:
    """Refuse what creating the job would refuse; else say how long it would run, and where.

    Nothing is stored, and quotas are not looked at.
    """
    with reading(resources.engine) as session:
        estimate = job_estimates.estimate_job(
            session,
            workspace_id=caller.workspace_id,
            request=body.to_request(),
            settings=resources.settings,
        )
    return JobEstimateView.from_estimate(estimate)


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List the jobs of the workspace, newest first",
    responses=authorised_problems(),
)
def show_jobs(
    *,
    caller: Reader,
    resources: SharedResources,
    page: AskedPage,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    dataset_id: Annotated[
        Identifier | None, Query(description="Only jobs that use this dataset.")
    ] = None,
) -> JobPage:
    """List jobs, a page at a time."""
    with reading(resources.engine) as session:
        rows = jobs.list_jobs(
            session,
            caller.workspace_id,
            after=decode_time_cursor(page.cursor),
            limit=page.limit,
            state=state,
            dataset_id=None if dataset_id is None else DatasetId(dataset_id),
        )
    # Each place in the queue is a query over the whole queue, so a list leaves it out.
    items = [JobView.from_row(row, queue_position=None) for row in rows]
    cursor = next_time_cursor(rows, page.limit)
    return JobPage(items=items, next_cursor=cursor)


@router.get(
    "/job-config-schema",
    operation_id="get_job_config_schema",
    summary="Show the settings of every method, with defaults, ranges and help",
    responses=authorised_problems(),
)
def show_job_config_schema(caller: Reader) -> JobConfigSchemas:  # noqa: ARG001 - A key is needed.
    """Show a JSON Schema for each method; it can drive a form."""
    return JobConfigSchemas(methods=job_config_schemas())


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="Show a job, or wait for news of it",
    response_model=JobView,
    responses={**NOT_MODIFIED, **authorised_problems(HTTPStatus.NOT_FOUND)},
)
async def show_job(
    *,
    job_id: Identifier,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    wait_seconds: WaitSeconds = None,
) -> Response:
    """Show state, progress, place in the queue, and the reason where the job failed."""

    async def load() -> JobView:
        view = await resources.job_views.answer((caller.workspace_id, JobId(job_id)))
        if view is None:
            raise jobs.job_not_found(JobId(job_id))
        return view

    return await answer_when_due(
        request,
        Awaited(load=load, is_final=_is_final, headers=_retry_headers),
        wait_seconds=wait_seconds or 0,
        poll_seconds=resources.settings.poll_seconds,
    )


@router.post(
    "/jobs/{job_id}:cancel",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="cancel_job",
    summary="Cancel a job",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def cancel_job(job_id: Identifier, caller: Writer, resources: SharedResources) -> JobView:
    """Cancel a queued job at once; a running one stops within the service's grace time."""
    with unit_of_work(resources.engine) as session:
        job = jobs.cancel_job(session, caller.workspace_id, JobId(job_id), resources.clock())
        record_action(session, caller, "cancel_job", job_id, resources.clock())
        return view_of(session, job)


@router.post(
    "/jobs/{job_id}:retry",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="retry_job",
    summary="Queue a failed or cancelled job again",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def retry_job(
    job_id: Identifier, caller: Writer, resources: SharedResources, origin: RequestOrigin
) -> JobView:
    """Queue the job again; it goes on from its newest checkpoint."""
    with unit_of_work(resources.engine) as session:
        now = resources.clock()
        job = jobs.retry_job(session, caller.workspace_id, JobId(job_id), now, origin=origin)
        check_queued_jobs(session, caller.workspace_id, resources.settings)
        record_action(session, caller, "retry_job", job_id, resources.clock())
        view = view_of(session, job)
    resources.doorbell.ring_job(JobId(job_id))
    return view


@router.delete(
    "/jobs/{job_id}",
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="delete_job",
    summary="Delete a finished job with its results",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def delete_job(job_id: Identifier, caller: Writer, resources: SharedResources) -> None:
    """Delete rows and files of a job that has reached a final state."""
    with unit_of_work(resources.engine) as session:
        orphans = jobs.delete_job(session, caller.workspace_id, JobId(job_id))
        record_action(session, caller, "delete_job", job_id, resources.clock())
    # After the commit: a deletion that was rolled back must find its files in place.
    remove_files(resources.store, orphans)


def _is_final(view: JobView) -> bool:
    return view.state in FINAL_STATES


def _retry_headers(view: JobView) -> dict[str, str]:
    return {} if _is_final(view) else {"Retry-After": _RETRY_AFTER_SECONDS}
