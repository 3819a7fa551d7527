"""The route that shows what a workspace holds and what it may hold."""

from fastapi import APIRouter
from pydantic import Field

from api.dependencies import Reader, SharedResources
from api.problem_responses import authorised_problems
from api.schemas.fields import ResponseModel
from curation.database import unit_of_work
from curation.quotas import quotas_of, usage_of

router = APIRouter(prefix="/v1", tags=["usage"])


class Measure(ResponseModel):
    """How much of something there is, and how much there may be."""

    used: int
    limit: int


class UsageView(ResponseModel):
    """What the workspace holds, beside its quotas."""

    stored_bytes: Measure = Field(
        description="Bytes of stored files, each counted once; rows of results do not count."
    )
    datasets: Measure = Field(description="Datasets in every state.")
    running_jobs: Measure = Field(description="Jobs at work; those beyond the limit wait.")
    queued_jobs: Measure = Field(description="Jobs that wait.")


@router.get(
    "/usage",
    operation_id="get_usage",
    summary="Show what the workspace holds, and its quotas",
    responses=authorised_problems(),
)
def show_usage(*, caller: Reader, resources: SharedResources) -> UsageView:
    """Show what counts against each quota at this moment."""
    with unit_of_work(resources.engine) as session:
        quotas = quotas_of(session, caller.workspace_id, resources.settings)
        usage = usage_of(session, caller.workspace_id)
    return UsageView(
        stored_bytes=Measure(used=usage.stored_bytes, limit=quotas.max_bytes),
        datasets=Measure(used=usage.datasets, limit=quotas.max_datasets),
        running_jobs=Measure(used=usage.running_jobs, limit=quotas.max_running_jobs),
        queued_jobs=Measure(used=usage.queued_jobs, limit=quotas.max_queued_jobs),
    )
