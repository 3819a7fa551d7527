"""The route that gives all weights of a job as one file."""

import tempfile
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Reader, SharedResources
from api.file_responses import FILE_RESPONSES, OpenFiles, file_response, not_modified
from api.finished_jobs import FinishedJob, find_finished_job
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from curation import results
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.manifest_files import ManifestFormat, open_manifest

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])


@router.get(
    "/weights.{file_format}",
    operation_id="download_weights",
    summary="Download score, weight and rank of every sample",
    response_class=Response,
    responses={
        **FILE_RESPONSES,
        **authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
def download_weights(  # noqa: PLR0913 - each parameter is a part of the request.
    *,
    job_id: Identifier,
    file_format: ManifestFormat,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    files: OpenFiles,
) -> Response:
    """Give one row a sample, in the order of positions."""
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
    # Weak: results never change, but another version of a library may pack them otherwise.
    tag = f'W/"{job_id}-weights-{file_format}"'
    if (known := not_modified(request, tag)) is not None:
        return known
    folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="winnow-weights-")))
    path = folder / f"weights.{file_format}"
    _write_weights(resources, job, path, file_format)
    return file_response(path, file_format, file_name=path.name, tag=tag)


def _write_weights(
    resources: Resources, job: FinishedJob, path: Path, file_format: ManifestFormat
) -> None:
    """Write the weights batch by batch; each batch has a short session of its own."""
    batches = results.iterate_weights(resources.engine, job.job_id)
    with open_manifest(path, file_format, results.WEIGHTS_SCHEMA, job.class_names) as file:
        for batch in batches:
            file.write(batch)
