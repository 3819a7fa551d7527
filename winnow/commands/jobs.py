"""``winnow jobs``: lists, shows, watches, cancels, retries and deletes jobs."""

from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from winnow.client import Client
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    QuietOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json, print_table
from winnow.connection import Target, connect
from winnow.curate import follow_job
from winnow.display import SilentDisplay, choose_display
from winnow.resources import DatasetId, Job, JobId, JobState

app = typer.Typer(no_args_is_help=True, help="List, show, watch, cancel and retry jobs.")

AnswerT = TypeVar("AnswerT")

JobArgument = Annotated[UUID, typer.Argument(help="The job's id.")]


@app.command("list")
def list_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    data: DataOption,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    dataset: Annotated[UUID | None, typer.Option(help="Only jobs with this dataset.")] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the jobs, newest first."""
    target = target_of(server, api_key, data)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        dataset_id = None if dataset is None else DatasetId(dataset)
        jobs = list(connection.client.list_jobs(state=state, dataset_id=dataset_id))
    if output is OutputFormat.JSON:
        print_json(jobs)
        return
    rows = [
        (j.id, j.state, f"{j.fraction:.0%}", j.method, j.seed, j.sample_count, j.created_at)
        for j in jobs
    ]
    print_table(("id", "state", "done", "method", "seed", "samples", "created"), rows)


@app.command("show")
def show_command(
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a job: its state, its progress, and the reason where it failed."""
    target = target_of(server, api_key, data)
    found = _ask(target, lambda client: client.get_job(JobId(job)))
    _print_job(found, output)
    if found.failure is not None and found.failure.log_tail and output is OutputFormat.TABLE:
        print("log")
        print(found.failure.log_tail)


@app.command("watch")
def watch_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Show a job's progress until its end; a failed job's reason is the last line."""
    display = choose_display(is_quiet=quiet)
    target = target_of(server, api_key, data)
    with connect(target, display, has_workers=True) as connection:
        found = connection.client.get_job(JobId(job))
        _print_job(follow_job(connection, found, display), output)


@app.command("cancel")
def cancel_command(
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Ask a job to stop."""
    target = target_of(server, api_key, data)
    _print_job(_ask(target, lambda client: client.cancel_job(JobId(job))), output)


@app.command("retry")
def retry_command(
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Queue a failed or cancelled job again; it goes on from its newest checkpoint."""
    target = target_of(server, api_key, data)
    _print_job(_ask(target, lambda client: client.retry_job(JobId(job))), output)


@app.command("delete")
def delete_command(
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Delete a finished job with its results."""
    target = target_of(server, api_key, data)
    _ask(target, lambda client: client.delete_job(JobId(job)))
    print(f"Deleted job {job}")


def _ask(target: Target, question: Callable[[Client], AnswerT]) -> AnswerT:
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        return question(connection.client)


def _print_job(job: Job, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(job)
        return
    failure = job.failure
    print_fields(
        {
            "id": job.id,
            "state": job.state,
            "queue position": job.queue_position,
            "done": f"{job.fraction:.0%}",
            "phase": job.phase,
            "device": job.device,
            "attempt": job.attempt,
            "method": job.method,
            "seed": job.seed,
            "samples": job.sample_count,
            "created": job.created_at,
            "started": job.started_at,
            "finished": job.finished_at,
            "failure": failure and f"{failure.reason}: {failure.detail}",
        }
    )
