"""Jobs: estimated, made, listed, cancelled, retried and deleted."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

from winnow.calls import Call
from winnow.operations.reading import pages
from winnow.resources import (
    DatasetId,
    Job,
    JobEstimate,
    JobId,
    JobRequest,
    JobState,
    JsonObject,
    Selector,
    SelectorId,
)
from winnow.transport import Transport


async def create_job(
    transport: Transport, request: JobRequest, *, idempotency_key: str | None = None
) -> Job:
    """Creates a job; the same idempotency key never creates a second one.

    Without a key a fresh one is used, so that a repeated request still creates one job.
    """
    headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
    call = Call(method="POST", path="/v1/jobs", body=_body_of(request), headers=headers)
    return await transport.ask(Job, call)


async def estimate_job(transport: Transport, request: JobRequest) -> JobEstimate:
    """Returns what the job would take, and what may spoil it; it is not created.

    What ``create_job`` would refuse is refused, but for quotas.
    """
    call = Call(method="POST", path="/v1/jobs:estimate", body=_body_of(request))
    return await transport.ask(JobEstimate, call)


def _body_of(request: JobRequest) -> JsonObject:
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in asdict(request).items()
    }


async def get_job(transport: Transport, job_id: JobId) -> Job:
    """Returns the job as it stands."""
    return await transport.ask(Job, Call(method="GET", path=f"/v1/jobs/{job_id}"))


def list_jobs(
    transport: Transport, *, state: JobState | None = None, dataset_id: DatasetId | None = None
) -> AsyncIterator[Job]:
    """Yields the jobs in the state and with the dataset, where given, newest first."""
    params = {"state": state, "dataset_id": None if dataset_id is None else str(dataset_id)}
    return pages(transport, Job, "/v1/jobs", params)


async def cancel_job(transport: Transport, job_id: JobId) -> Job:
    """Asks the job to stop."""
    return await transport.ask(Job, Call(method="POST", path=f"/v1/jobs/{job_id}:cancel"))


async def retry_job(transport: Transport, job_id: JobId) -> Job:
    """Queues a failed or cancelled job again."""
    path = f"/v1/jobs/{job_id}:retry"
    return await transport.ask(Job, Call(method="POST", path=path, is_repeatable=False))


async def delete_job(transport: Transport, job_id: JobId) -> None:
    """Deletes a finished job and its results."""
    await transport.send(Call(method="DELETE", path=f"/v1/jobs/{job_id}"))


async def get_job_config_schema(transport: Transport) -> JsonObject:
    """Returns the JSON Schema of every method's settings."""
    return await transport.ask(dict[str, Any], Call(method="GET", path="/v1/job-config-schema"))


def list_selectors(transport: Transport) -> AsyncIterator[Selector]:
    """Yields every selector, newest first."""
    return pages(transport, Selector, "/v1/selectors")


async def get_selector(transport: Transport, selector_id: SelectorId) -> Selector:
    """Returns the selector."""
    return await transport.ask(Selector, Call(method="GET", path=f"/v1/selectors/{selector_id}"))


async def delete_selector(transport: Transport, selector_id: SelectorId) -> None:
    """Deletes the selector; refused while a job scores by it."""
    await transport.send(Call(method="DELETE", path=f"/v1/selectors/{selector_id}"))


async def score_dataset(
    transport: Transport,
    selector_id: SelectorId,
    dataset_id: DatasetId,
    *,
    idempotency_key: str | None = None,
) -> Job:
    """Creates a job that scores a dataset without training; read its results as any job's.

    Args:
        transport: The way to the service.
        selector_id: What scores.
        dataset_id: A ready dataset of role synthetic.
        idempotency_key: The same key never creates a second job; without one a fresh one is used.
    """
    call = Call(
        method="POST",
        path=f"/v1/selectors/{selector_id}/scores",
        body={"dataset_id": str(dataset_id)},
        headers={"Idempotency-Key": idempotency_key or uuid4().hex},
    )
    return await transport.ask(Job, call)
