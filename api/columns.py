"""The route that gives one column of a job's results as raw numbers."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.conditional import CACHE_CONTROL, NOT_MODIFIED, is_known
from api.dependencies import Reader, SharedResources
from api.finished_jobs import find_finished_job
from api.problem_responses import authorised_problems
from api.schemas.fields import Identifier
from curation import results
from curation.database import unit_of_work
from curation.errors import NotFoundError
from curation.identifiers import JobId
from curation.result_columns import MAP_KIND, ResultColumn, packed_column

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_MEDIA_TYPE = "application/octet-stream"


@router.get(
    "/columns/{column}",
    operation_id="get_column",
    summary="Download one column of the results as raw numbers",
    response_class=Response,
    responses={
        200: {
            "description": "The numbers, lowest byte first.",
            "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **NOT_MODIFIED,
        **authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
def show_column(
    job_id: Identifier,
    column: ResultColumn,
    request: Request,
    caller: Reader,
    resources: SharedResources,
) -> Response:
    """Give one number a sample in the order of positions.

    `score` is float32, `label` and `rank` are int32, `keep` is one byte of 0 or 1, and `map` holds
    two float32 a sample: the first two principal components of its encoding. A job by a selector
    has no map.
    """
    # Results never change, so their names are tag enough.
    headers = {"ETag": f'"{job_id}-{column}"', "Cache-Control": CACHE_CONTROL}
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        if is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if column is not ResultColumn.MAP:
            packed = packed_column(session, job.job_id, column)
            return Response(packed, media_type=_MEDIA_TYPE, headers=headers)
        digest = results.job_object(session, job.job_id, MAP_KIND)
    if digest is None:
        raise NotFoundError("MAP_NOT_FOUND", "The job has recorded no map.")
    with resources.store.open(digest) as file:
        return Response(file.read(), media_type=_MEDIA_TYPE, headers=headers)
