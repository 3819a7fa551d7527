"""Ties a worker's log lines and spans to the task at work and the request that caused it."""

from typing import Any

from celery import Task, states
from opentelemetry import trace
from structlog.contextvars import bind_contextvars, clear_contextvars

from curation.job_queue import REQUEST_ID_HEADER
from curation.tracing import TRACE_PARENT, context_of

_tracer = trace.get_tracer("winnow.worker")


def begin_task(task_id: str, task: Task, **_: Any) -> None:  # Any: Celery's signal arguments.
    """Bind the ids of a task that begins to all log lines of its thread, and begin its span.

    OpenTelemetry's own package for Celery never ends the span of a task that is sent by name.
    """
    # A thread that runs one task after another must not carry over what the last one bound.
    clear_contextvars()
    bind_contextvars(task_id=task_id)
    headers = task.request.headers or {}
    request_id = headers.get(REQUEST_ID_HEADER)
    if request_id is not None:
        bind_contextvars(request_id=request_id)
    span = _tracer.start_as_current_span(
        f"task {task.name}",
        context=context_of(headers.get(TRACE_PARENT)),
        kind=trace.SpanKind.CONSUMER,
        attributes={"messaging.system": "redis", "messaging.message.id": task_id},
    )
    span.__enter__()
    task.request.winnow_span = span


def end_task(task: Task, state: str | None = None, **_: Any) -> None:  # Any: the same.
    """End the span of a task."""
    if state == states.FAILURE:
        trace.get_current_span().set_status(trace.StatusCode.ERROR)
    task.request.winnow_span.__exit__(None, None, None)
