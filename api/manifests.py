"""Routes of manifests: a job's or a selection's samples with their weights, as one file."""

from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.dependencies import Reader, SharedResources
from api.file_responses import OpenFiles, file_responses, stored_file_response
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from curation import selections
from curation.database import unit_of_work
from curation.identifiers import JobId, SelectionId
from curation.manifest_formats import MANIFEST_FORMATS, ManifestFormat
from curation.manifests import ManifestRequest, manifest_object

router = APIRouter(prefix="/v1", tags=["selections"])

_RESPONSES = {
    **file_responses(dict.fromkeys(facts.media_type for facts in MANIFEST_FORMATS.values())),
    **authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
}

AskedFormat = Annotated[
    ManifestFormat,
    Query(
        alias="format",
        description=(
            "The format of the file. `imagefolder`, `webdataset` and `fiftyone` carry the images,"
            " so they need a pool of images; `npy` holds ids alone; `croissant` describes the"
            " Parquet files."
        ),
    ),
]
KeptOnly = Annotated[
    bool | None,
    Query(
        description=(
            "Leave dropped samples out. Where it is not given, formats that hold images or ids"
            " alone leave them out, and the others do not."
        )
    ),
]


@router.get(
    "/jobs/{job_id}/manifest",
    operation_id="download_job_manifest",
    summary="Download the manifest of a job",
    response_class=Response,
    responses=_RESPONSES,
)
def download_job_manifest(  # noqa: PLR0913 - each parameter is a part of the request.
    *,
    job_id: Identifier,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    files: OpenFiles,
    file_format: AskedFormat = ManifestFormat.PARQUET,
    kept_only: KeptOnly = None,
) -> Response:
    """Give one row a sample; `keep` is the cut that the job suggests."""
    asked = ManifestRequest(
        workspace_id=caller.workspace_id,
        job_id=JobId(job_id),
        format=file_format,
        kept_only=kept_only,
    )
    return _answer(request, resources, files, asked)


@router.get(
    "/selections/{selection_id}/manifest",
    operation_id="download_selection_manifest",
    summary="Download the manifest of a selection",
    response_class=Response,
    responses=_RESPONSES,
)
def download_selection_manifest(  # noqa: PLR0913 - each parameter is a part of the request.
    *,
    selection_id: Identifier,
    request: Request,
    caller: Reader,
    resources: SharedResources,
    files: OpenFiles,
    file_format: AskedFormat = ManifestFormat.PARQUET,
    kept_only: KeptOnly = None,
) -> Response:
    """Give one row a sample; `keep` is the selection's cut."""
    with unit_of_work(resources.engine) as session:
        selection = selections.get_selection(
            session, caller.workspace_id, SelectionId(selection_id)
        )
    asked = ManifestRequest(
        workspace_id=caller.workspace_id,
        job_id=JobId(selection.job_id),
        format=file_format,
        selection_id=SelectionId(selection_id),
        kept_only=kept_only,
    )
    return _answer(request, resources, files, asked)


def _answer(
    request: Request, resources: Resources, files: ExitStack, asked: ManifestRequest
) -> Response:
    """Return the manifest's stored file; the first who asks waits for it to be rendered."""
    stored = manifest_object(resources.engine, resources.store, asked)
    return stored_file_response(
        request,
        resources,
        files,
        stored,
        media_type=MANIFEST_FORMATS[asked.format].media_type,
        file_name=asked.file_name,
    )
