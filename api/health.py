"""Routes for whoever runs the service: is it alive, is it ready, and how does it do."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Literal

import anyio
import structlog
from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import Response

from api.dependencies import SharedResources
from api.errors import problem_response
from api.metrics import METRICS_MEDIA_TYPE, render_metrics
from api.problem_responses import problems
from api.resources import Resources
from api.schemas.fields import ResponseModel
from api.schemas.problem import ProblemCause
from curation.database import unit_of_work

router = APIRouter(tags=["operations"])

# Shorter than the usual timeout of those who ask, so that they learn which part is at fault.
_CHECK_TIMEOUT_SECONDS = 3.0

_log = structlog.get_logger()


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
    failed = await _failed_parts(_checks(resources))
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
    """Show request latencies of this process, and the jobs by state from the database."""
    content = render_metrics(request.app.state.metrics, resources.engine)
    return Response(content, media_type=METRICS_MEDIA_TYPE)


def _checks(resources: Resources) -> Mapping[str, Callable[[], None]]:
    return {
        "database": partial(_check_database, resources),
        "broker": resources.doorbell.check_broker,
        "store": partial(_check_store, resources),
    }


def _check_database(resources: Resources) -> None:
    with unit_of_work(resources.engine) as session:
        session.execute(text("SELECT 1"))


def _check_store(resources: Resources) -> None:
    # What is not finished is removed again, so this proves that the store can be written.
    with resources.store.open_writer() as writer:
        writer.write(b"ready?")


async def _failed_parts(checks: Mapping[str, Callable[[], None]]) -> set[str]:
    """Return the names of the checks that failed or did not end in time."""
    failed = set(checks)

    async def run(part: str, check: Callable[[], None]) -> None:
        try:
            await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
        except Exception:  # noqa: BLE001 - Each part has errors of its own; all mean the same here.
            _log.warning("readiness_check_failed", part=part, exc_info=True)
        else:
            failed.discard(part)

    with anyio.move_on_after(_CHECK_TIMEOUT_SECONDS):
        async with anyio.create_task_group() as tasks:
            for part, check in checks.items():
                tasks.start_soon(run, part, check)
    return failed
