"""``winnow download``: brings a job's results, or one manifest, to this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from winnow.client import Client
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    LongOutputOption,
    OutputFormat,
    QuietOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_json
from winnow.connection import connect
from winnow.display import Update, choose_display
from winnow.errors import InputError
from winnow.manifest_endings import ENDINGS_IN_WORDS, manifest_format
from winnow.resources import JobId, SelectionId


def download(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=f"A folder for all results, or a file that ends in {ENDINGS_IN_WORDS}.",
        ),
    ],
    data: DataOption,
    job: Annotated[UUID | None, typer.Argument(help="A job that succeeded.")] = None,
    selection: Annotated[
        UUID | None, typer.Option(help="A named cut instead of a whole job.")
    ] = None,
    kept_only: Annotated[
        bool | None,
        typer.Option(
            "--kept-only/--all",
            help="Leave dropped samples out. (default: only where images or ids alone are written)",
            show_default=False,
        ),
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: LongOutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Download a job's results into a folder, or one manifest into a file."""
    if (job is None) == (selection is None):
        raise InputError("Name either a job or, by --selection, a cut.")
    display = choose_display(is_quiet=quiet)
    target = target_of(server, api_key, data)
    with (
        connect(target, display, has_workers=False) as connection,
        display.task("Downloading") as update,
    ):
        wanted = _Wanted(connection.client, out, kept_only, update)
        if job is not None:
            files = wanted.job(JobId(job))
        if selection is not None:
            files = wanted.selection(SelectionId(selection))
    if output is OutputFormat.JSON:
        print_json([str(path) for path in files])
        return
    print("Written:")
    for path in files:
        print(f"  {path}")


@dataclass(frozen=True)
class _Wanted:
    """Where a download goes, and whom its progress is shown."""

    client: Client
    out: Path
    is_kept_only: bool | None
    update: Update

    def job(self, job_id: JobId) -> list[Path]:
        """Writes a manifest or, into a folder, all results."""
        if manifest_format(self.out) is not None:
            self.client.download_manifest(
                job_id, self.out, is_kept_only=self.is_kept_only, on_progress=self._show_bytes
            )
            return [self.out]
        if self.is_kept_only is not None:
            raise InputError(
                f"--kept-only and --all go with a file that ends in {ENDINGS_IN_WORDS}."
            )
        job = self.client.get_job(job_id)
        return self.client.write_results(
            job, self.out, on_progress=lambda done: self.update(done, "", "")
        ).files

    def selection(self, selection_id: SelectionId) -> list[Path]:
        """Writes the cut's manifest."""
        self.client.download_selection_manifest(
            selection_id, self.out, is_kept_only=self.is_kept_only, on_progress=self._show_bytes
        )
        return [self.out]

    def _show_bytes(self, received_bytes: int) -> None:
        # How many there will be is not known where the file is made while it is sent.
        self.update(0.0, "received", f"{received_bytes / 1e6:.1f} MB")
