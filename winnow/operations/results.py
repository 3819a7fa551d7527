"""What a finished job found: weights, manifests, traces, report, and named cuts of them."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from winnow.calls import FILE_SECONDS, Call, Progress
from winnow.manifest_endings import manifest_params
from winnow.operations.reading import pages
from winnow.operations.uploads import ignore_progress
from winnow.resources import (
    JobId,
    JsonObject,
    SampleWeight,
    Selection,
    SelectionId,
    SelectionRule,
)
from winnow.tables import ResultTable
from winnow.transport import Transport


def list_weights(
    transport: Transport, job_id: JobId, *, sort: str | None = None, label: int | None = None
) -> AsyncIterator[SampleWeight]:
    """Yields the result of every sample, in the order of ``sort``.

    Args:
        transport: The way to the service.
        job_id: A job that succeeded.
        sort: ``position``, ``score`` or ``-score``.
        label: Only samples of this class.
    """
    path = f"/v1/jobs/{job_id}/weights"
    return pages(transport, SampleWeight, path, {"sort": sort, "label": label})


async def get_traces(transport: Transport, job_id: JobId) -> JsonObject:
    """Returns every series recorded in training, by name, with its steps and values."""
    path = f"/v1/jobs/{job_id}/traces"
    return await transport.ask(dict[str, Any], Call(method="GET", path=path))


async def get_report(transport: Transport, job_id: JobId) -> JsonObject:
    """Returns accuracy before and after curation, and the settings that gave it."""
    path = f"/v1/jobs/{job_id}/report"
    return await transport.ask(dict[str, Any], Call(method="GET", path=path))


async def get_weights_table(transport: Transport, job_id: JobId) -> ResultTable:
    """Returns all weights as a table for pandas, polars or Arrow."""
    return ResultTable(await transport.fetch(_weights_call(job_id, "parquet")))


async def get_manifest_table(
    transport: Transport, job_id: JobId, *, is_kept_only: bool = False
) -> ResultTable:
    """Returns the job's manifest as a table for pandas, polars or Arrow."""
    call = _manifest_call(f"/v1/jobs/{job_id}/manifest", _table_params(is_kept_only))
    return ResultTable(await transport.fetch(call))


async def download_weights(
    transport: Transport,
    job_id: JobId,
    target: str | Path,
    *,
    on_progress: Progress = ignore_progress,
) -> None:
    """Writes all weights; the target's ending (parquet, csv, jsonl) says the format."""
    path = Path(target)
    call = _weights_call(job_id, path.suffix.lstrip("."))
    await transport.download(call, path, on_progress=on_progress)


async def download_manifest(
    transport: Transport,
    job_id: JobId,
    target: str | Path,
    *,
    is_kept_only: bool | None = None,
    on_progress: Progress = ignore_progress,
) -> None:
    """Writes the job's manifest; the target's ending says the format.

    Args:
        transport: The way to the service.
        job_id: A job that succeeded.
        target: The file; ``MANIFEST_ENDINGS`` lists the endings.
        is_kept_only: Whether dropped samples are left out; None leaves that to the format.
        on_progress: Called with the bytes that have arrived.

    Raises:
        InputError: the ending is none of a manifest.
    """
    path = Path(target)
    params = manifest_params(path, is_kept_only=is_kept_only)
    call = _manifest_call(f"/v1/jobs/{job_id}/manifest", params)
    await transport.download(call, path, on_progress=on_progress)


async def create_selection(
    transport: Transport, job_id: JobId, *, name: str, rule: SelectionRule
) -> Selection:
    """Makes a named cut of a finished job."""
    path = f"/v1/jobs/{job_id}/selections"
    body = {"name": name, "rule": asdict(rule)}
    call = Call(method="POST", path=path, body=body, is_repeatable=False)
    return await transport.ask(Selection, call)


def list_selections(transport: Transport, job_id: JobId) -> AsyncIterator[Selection]:
    """Yields the job's cuts, newest first."""
    return pages(transport, Selection, f"/v1/jobs/{job_id}/selections")


async def get_selection(transport: Transport, selection_id: SelectionId) -> Selection:
    """Returns the cut."""
    path = f"/v1/selections/{selection_id}"
    return await transport.ask(Selection, Call(method="GET", path=path))


async def get_selection_table(
    transport: Transport, selection_id: SelectionId, *, is_kept_only: bool = False
) -> ResultTable:
    """Returns the cut's manifest as a table for pandas, polars or Arrow."""
    path = f"/v1/selections/{selection_id}/manifest"
    call = _manifest_call(path, _table_params(is_kept_only))
    return ResultTable(await transport.fetch(call))


async def download_selection_manifest(
    transport: Transport,
    selection_id: SelectionId,
    target: str | Path,
    *,
    is_kept_only: bool | None = None,
    on_progress: Progress = ignore_progress,
) -> None:
    """Writes the cut's manifest, as ``download_manifest`` does that of a whole job."""
    path = Path(target)
    params = manifest_params(path, is_kept_only=is_kept_only)
    call = _manifest_call(f"/v1/selections/{selection_id}/manifest", params)
    await transport.download(call, path, on_progress=on_progress)


def _weights_call(job_id: JobId, ending: str) -> Call:
    path = f"/v1/jobs/{job_id}/weights.{ending}"
    return Call(method="GET", path=path, wait_seconds=FILE_SECONDS)


def _table_params(is_kept_only: bool) -> dict[str, str]:  # noqa: FBT001 - Its only argument.
    return manifest_params(Path("manifest.parquet"), is_kept_only=is_kept_only)


def _manifest_call(path: str, params: dict[str, str]) -> Call:
    return Call(method="GET", path=path, params=params, wait_seconds=FILE_SECONDS)
