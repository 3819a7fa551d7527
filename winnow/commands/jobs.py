"""``winnow jobs``: creates, estimates, lists, shows, watches, cancels, retries and deletes jobs."""

from typing import Annotated
from uuid import UUID

import typer

from winnow.commands.asking import ask, print_deleted
from winnow.commands.options import (
    ApiKeyOption,
    ConfigOption,
    DataOption,
    MethodOption,
    OutputFormat,
    OutputOption,
    QuietOption,
    SeedOption,
    ServerOption,
    parse_settings,
    target_of,
)
from winnow.commands.printing import print_fields, print_json, print_table
from winnow.connection import connect
from winnow.curate import follow_job
from winnow.display import choose_display
from winnow.resources import DatasetId, Job, JobEstimate, JobId, JobRequest, JobState

app = typer.Typer(
    no_args_is_help=True, help="Create, estimate, list, show, watch, cancel and retry jobs."
)

JobArgument = Annotated[UUID, typer.Argument(help="The job's id.")]


@app.command("create")
def create_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    synthetic: Annotated[UUID, typer.Option(help="Dataset to weigh.")],
    reference: Annotated[UUID, typer.Option(help="Dataset of real samples.")],
    data: DataOption,
    test: Annotated[
        UUID | None, typer.Option(help="Dataset for the report; else it is cross-validated.")
    ] = None,
    method: MethodOption = "winnow",
    config: ConfigOption = None,
    seed: SeedOption = 0,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what the job would take; create none.")
    ] = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a job on datasets that are there already, or estimate it."""
    target = target_of(server, api_key, data)
    request = JobRequest(
        synthetic_id=DatasetId(synthetic),
        reference_id=DatasetId(reference),
        test_id=None if test is None else DatasetId(test),
        method=method,
        config=parse_settings(config or []),
        seed=seed,
    )
    if estimate:
        _print_estimate(ask(target, lambda client: client.estimate_job(request)), output)
    else:
        _print_job(ask(target, lambda client: client.create_job(request)), output)


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
    dataset_id = None if dataset is None else DatasetId(dataset)
    jobs = ask(target, lambda client: list(client.list_jobs(state=state, dataset_id=dataset_id)))
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
    found = ask(target, lambda client: client.get_job(JobId(job)))
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
    _print_job(ask(target, lambda client: client.cancel_job(JobId(job))), output)


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
    _print_job(ask(target, lambda client: client.retry_job(JobId(job))), output)


@app.command("delete")
def delete_command(
    *,
    job: JobArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a finished job with its results."""
    ask(target_of(server, api_key, data), lambda client: client.delete_job(JobId(job)))
    print_deleted("job", job, output)


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


def _print_estimate(found: JobEstimate, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(found)
        return
    is_by_jobs = found.basis == "past_jobs"
    print_fields(
        {
            "time": f"{found.seconds:.0f} s ({found.seconds_low:.0f} to {found.seconds_high:.0f})",
            "memory": f"{found.peak_memory_bytes / 1e9:.1f} GB",
            "device": found.device,
            "rests on": f"{found.past_job_count} past jobs" if is_by_jobs else "a rough rule",
        }
    )
    for warning in found.warnings:
        print(f"warning: {warning.detail}")
