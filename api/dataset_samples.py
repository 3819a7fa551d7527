"""Routes that show single samples of a dataset: texts, table rows and small pictures."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.conditional import NOT_MODIFIED, is_known
from api.dependencies import Reader, SharedResources
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import MAX_POSTGRESQL_INTEGER, Identifier
from api.schemas.samples import PreviewList, PreviewView
from curation import datasets
from curation.database import unit_of_work
from curation.errors import ConflictError
from curation.identifiers import DatasetId
from curation.image_files import IMAGE_KINDS, image_kind
from curation.keys import Principal
from curation.models import Dataset
from curation.sample_previews import MAX_PREVIEWS, read_previews, read_thumbnail

router = APIRouter(prefix="/v1/datasets/{dataset_id}/samples", tags=["datasets"])

_PROBLEMS = authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
# A sample never changes; only this browser may keep its picture.
_CACHE_CONTROL = "private, max-age=86400, immutable"

Position = Annotated[int, Path(ge=0, le=MAX_POSTGRESQL_INTEGER)]


@router.get(
    "",
    operation_id="list_samples",
    summary="Show samples by their positions",
    responses=_PROBLEMS,
)
def list_samples(
    dataset_id: Identifier,
    caller: Reader,
    resources: SharedResources,
    positions: Annotated[
        list[int],
        Query(
            alias="position",
            min_length=1,
            max_length=MAX_PREVIEWS,
            description="Repeat it for each sample.",
        ),
    ],
) -> PreviewList:
    """Show text or columns of each sample; positions that do not exist are left out."""
    dataset, digest = _ready(resources, caller, dataset_id)
    names = dataset.class_names or []
    return PreviewList(
        items=[
            PreviewView(
                position=sample.position,
                sample_id=sample.sample_id,
                label=sample.label,
                class_name=names[sample.label],
                is_real=sample.is_real,
                text=sample.text,
                fields=dict(sample.fields),
                has_image=sample.has_image,
            )
            for sample in read_previews(resources.store, digest, positions)
        ]
    )


@router.get(
    "/{position}/thumbnail",
    operation_id="get_thumbnail",
    summary="Show a small picture of an image",
    response_class=Response,
    responses={
        200: {
            "description": "The picture.",
            "content": {
                f"image/{kind}": {"schema": {"type": "string", "format": "binary"}}
                for kind in IMAGE_KINDS
            },
        },
        **NOT_MODIFIED,
        **_PROBLEMS,
    },
)
def show_thumbnail(
    dataset_id: Identifier,
    position: Position,
    request: Request,
    caller: Reader,
    resources: SharedResources,
) -> Response:
    """Show the picture, at most 96 pixels wide and high."""
    _, digest = _ready(resources, caller, dataset_id)
    headers = {"ETag": f'"{digest[:32]}-{position}"', "Cache-Control": _CACHE_CONTROL}
    if is_known(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = read_thumbnail(resources.store, digest, position)
    return Response(content, media_type=f"image/{image_kind(content)}", headers=headers)


def _ready(resources: Resources, caller: Principal, dataset_id: Identifier) -> tuple[Dataset, str]:
    """Return the dataset and its normalised file.

    Raises:
        NotFoundError: There is no such dataset in the workspace.
        ConflictError: It is not validated.
    """
    with unit_of_work(resources.engine) as session:
        dataset = datasets.get_dataset(session, caller.workspace_id, DatasetId(dataset_id))
    if dataset.samples_digest is None:
        raise ConflictError(
            "SAMPLES_NOT_READY",
            f"The dataset is {dataset.state}; its samples are shown once it is ready.",
        )
    return dataset, dataset.samples_digest
