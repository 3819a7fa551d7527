"""``winnow selections``: lists and shows the named cuts of a job."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from winnow.commands.asking import ask
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json, print_table
from winnow.resources import JobId, SelectionId, describe_rule

app = typer.Typer(
    no_args_is_help=True,
    help="List and show named cuts; winnow select makes them, winnow download writes them.",
)


@app.command("list")
def list_command(
    *,
    job: Annotated[UUID, typer.Argument(help="The job that was cut.")],
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the job's cuts, newest first."""
    cuts = ask(
        target_of(server, api_key, data), lambda client: list(client.list_selections(JobId(job)))
    )
    if output is OutputFormat.JSON:
        print_json(cuts)
        return
    print_table(
        ("id", "name", "rule", "kept", "created"),
        [(c.id, c.name, describe_rule(c.rule), c.kept_count, c.created_at) for c in cuts],
    )


@app.command("show")
def show_command(
    *,
    selection: Annotated[UUID, typer.Argument(help="The cut's id.")],
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a cut: its rule, and how many samples it keeps."""
    cut = ask(
        target_of(server, api_key, data),
        lambda client: client.get_selection(SelectionId(selection)),
    )
    if output is OutputFormat.JSON:
        print_json(asdict(cut))
        return
    print_fields(
        {
            "id": cut.id,
            "name": cut.name,
            "job": cut.job_id,
            "rule": describe_rule(cut.rule),
            "kept": cut.kept_count,
            "created": cut.created_at,
        }
    )
