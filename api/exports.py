"""The route that gives all weights of a job as one file."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Reader, SharedResources
from api.file_responses import OpenFiles, file_responses, stored_file_response
from api.finished_jobs import find_finished_job
from api.problem_responses import authorised_problems
from api.schemas.fields import Identifier
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.manifest_formats import TABLE_MEDIA_TYPES, TableFormat
from curation.weight_files import weights_object

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])


@router.get(
    "/weights.{file_format}",
    operation_id="download_weights",
    summary="Download score, weight and rank of every sample",
    response_class=Response,
    responses={
        **file_responses(TABLE_MEDIA_TYPES.values()),
        **authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
def download_weights(  # noqa: PLR0913 - each parameter is a part of the request.
    *,
    job_id: Identifier,
    file_format: TableFormat,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    files: OpenFiles,
) -> Response:
    """Give one row a sample, in the order of positions.

    The Parquet file is there when the job ends; the first who asks for another format waits for it.
    """
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
    stored = weights_object(
        resources.engine,
        resources.store,
        workspace_id=caller.workspace_id,
        job_id=job.job_id,
        class_names=job.class_names,
        file_format=file_format,
    )
    return stored_file_response(
        request,
        resources,
        files,
        stored,
        media_type=TABLE_MEDIA_TYPES[file_format],
        file_name=f"weights.{file_format}",
    )
