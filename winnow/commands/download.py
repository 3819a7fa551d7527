"""``winnow download``: brings a job's results, or one manifest, to this machine."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from winnow.client import Client
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    JsonOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_json
from winnow.connection import connect
from winnow.display import SilentDisplay
from winnow.errors import InputError
from winnow.output_folder import write_results
from winnow.resources import JobId, SelectionId

_MANIFEST_ENDINGS = frozenset({".parquet", ".jsonl", ".csv"})


def download(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="A folder for all results, or a .parquet, .jsonl or .csv file."
        ),
    ],
    data: DataOption,
    job: Annotated[UUID | None, typer.Argument(help="A job that succeeded.")] = None,
    selection: Annotated[
        UUID | None, typer.Option(help="A named cut instead of a whole job.")
    ] = None,
    kept_only: Annotated[
        bool, typer.Option("--kept-only", help="Leave dropped samples out.")
    ] = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a job's results into a folder, or one manifest into a file."""
    if (job is None) == (selection is None):
        raise InputError("Name either a job or, by --selection, a cut.")
    target = target_of(server, api_key, data)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        client = connection.client
        if job is not None:
            files = _download_job(client, JobId(job), out, is_kept_only=kept_only)
        if selection is not None:
            files = [
                _download_selection(client, SelectionId(selection), out, is_kept_only=kept_only)
            ]
    if as_json:
        print_json([str(path) for path in files])
        return
    print("Written:")
    for path in files:
        print(f"  {path}")


def _download_job(client: Client, job_id: JobId, out: Path, *, is_kept_only: bool) -> list[Path]:
    if out.suffix in _MANIFEST_ENDINGS:
        client.download_manifest(job_id, out, is_kept_only=is_kept_only)
        return [out]
    if is_kept_only:
        raise InputError("--kept-only goes with a .parquet, .jsonl or .csv file.")
    job = client.get_job(job_id)
    return write_results(client, job, out, on_progress=lambda _: None).files


def _download_selection(
    client: Client, selection_id: SelectionId, out: Path, *, is_kept_only: bool
) -> Path:
    if out.suffix not in _MANIFEST_ENDINGS:
        raise InputError("A cut is written to a file that ends in .parquet, .jsonl or .csv.")
    client.download_selection_manifest(selection_id, out, is_kept_only=is_kept_only)
    return out
