"""Datasets: made, listed, waited for and deleted."""

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict

from winnow.calls import Call
from winnow.errors import DatasetInvalidError, describe_refusal
from winnow.operations.reading import Deadline, pages, poll
from winnow.resources import (
    Dataset,
    DatasetId,
    DatasetRequest,
    DatasetState,
    Rejection,
    Role,
    Usage,
)
from winnow.transport import Transport


async def create_dataset(transport: Transport, request: DatasetRequest) -> Dataset:
    """Creates a dataset that has no content yet."""
    body = asdict(request)
    call = Call(method="POST", path="/v1/datasets", body=body, is_repeatable=False)
    return await transport.ask(Dataset, call)


async def import_dataset(transport: Transport, url: str, request: DatasetRequest) -> Dataset:
    """Makes a dataset of a file in a bucket, which the service fetches and then validates.

    Args:
        transport: The way to the service.
        url: ``s3://bucket/key``, under what the service's operator allows.
        request: The dataset to be made.
    """
    body = {**asdict(request), "url": url}
    call = Call(method="POST", path="/v1/datasets:import", body=body, is_repeatable=False)
    return await transport.ask(Dataset, call)


async def get_dataset(transport: Transport, dataset_id: DatasetId) -> Dataset:
    """Returns the dataset as it stands."""
    return await transport.ask(Dataset, Call(method="GET", path=f"/v1/datasets/{dataset_id}"))


def list_datasets(
    transport: Transport, *, role: Role | None = None, state: DatasetState | None = None
) -> AsyncIterator[Dataset]:
    """Yields the datasets of the role and in the state, where given, newest first."""
    return pages(transport, Dataset, "/v1/datasets", {"role": role, "state": state})


def list_rejections(transport: Transport, dataset_id: DatasetId) -> AsyncIterator[Rejection]:
    """Yields every row that validation left out, in the order of the file."""
    return pages(transport, Rejection, f"/v1/datasets/{dataset_id}/rejections")


async def delete_dataset(transport: Transport, dataset_id: DatasetId) -> None:
    """Deletes the dataset; refused while a job needs it."""
    await transport.send(Call(method="DELETE", path=f"/v1/datasets/{dataset_id}"))


async def wait_for_dataset(
    transport: Transport,
    dataset_id: DatasetId,
    *,
    on_news: Callable[[Dataset], None] = lambda _: None,
    timeout_seconds: float | None = None,
) -> Dataset:
    """Waits for the end of validation and returns the dataset.

    Args:
        transport: The way to the service.
        dataset_id: A dataset with content.
        on_news: Called with the dataset at every change, and at least every ten seconds.
        timeout_seconds: How long to wait; None waits as long as it takes.

    Raises:
        DatasetInvalidError: validation refused it.
        WaitTimeoutError: validation goes on beyond the time.
    """
    deadline = Deadline(timeout_seconds)
    async for dataset in poll(transport, Dataset, f"/v1/datasets/{dataset_id}", deadline):
        on_news(dataset)
        if dataset.state is DatasetState.READY:
            return dataset
        if dataset.failure is not None:
            raise _invalid(dataset)
        deadline.check(f"The validation of the dataset {dataset_id}")
    raise AssertionError("polling never ends by itself")


async def get_usage(transport: Transport) -> Usage:
    """Returns what the workspace holds, and its quotas."""
    return await transport.ask(Usage, Call(method="GET", path="/v1/usage"))


def _invalid(dataset: Dataset) -> DatasetInvalidError:
    failure = dataset.failure
    assert failure is not None  # noqa: S101 - The caller has looked.
    said = describe_refusal(
        failure.reason, failure.detail, field=failure.field, row=failure.row, cure=failure.cure
    )
    return DatasetInvalidError(
        f"The {dataset.role} dataset {dataset.name!r} is invalid: {said}",
        dataset_id=dataset.id,
        reason=failure.reason,
        field=failure.field,
        row=failure.row,
    )
