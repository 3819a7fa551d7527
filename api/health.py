"""Routes for whoever runs the service: is it alive, is it ready, and how does it do."""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import SharedResources
from api.errors import problem_response
from api.metrics import METRICS_MEDIA_TYPE
from api.problem_responses import problems
from api.schemas.fields import ResponseModel
from api.schemas.problem import ProblemCause

router = APIRouter(tags=["operations"])


class HealthView(ResponseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class ReadinessView(ResponseModel):
    """That everything answers on which the service rests: database, broker and store."""

    status: Literal["ready"] = "ready"


@router.get("/healthz", operation_id="get_health", summary="Say that the process is alive")
async def show_health() -> HealthView:
    """Answer without touching anything else, so that a restart is asked for only if it helps."""
    return HealthView()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Say whether database, broker and store answer",
    response_model=ReadinessView,
    responses=problems(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def show_readiness(request: Request, resources: SharedResources) -> ReadinessView | Response:
    """Ask database, broker and store at the same time, for a few seconds at most."""
    failed = await resources.readiness.failed_parts()
    if not failed:
        return ReadinessView()
    causes = [
        ProblemCause(field=part, detail=f"The {part} does not answer.") for part in sorted(failed)
    ]
    problem = {
        "reason": "NOT_READY",
        "detail": " ".join(cause.detail for cause in causes),
        "field": causes[0].field,
        "errors": causes,
    }
    return problem_response(request, status=HTTPStatus.SERVICE_UNAVAILABLE, problem=problem)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Show what Prometheus reads",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def show_metrics(request: Request, resources: SharedResources) -> Response:
    """Show the requests that this process has answered, and the state of the whole service."""
    content = request.app.state.metrics.render() + resources.service_metrics.render()
    return Response(content, media_type=METRICS_MEDIA_TYPE)
