"""``winnow selectors``: lists, shows and deletes selectors."""

from typing import Annotated
from uuid import UUID

import typer

from winnow.commands.asking import ask, print_deleted
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json, print_table
from winnow.resources import SelectorId

app = typer.Typer(no_args_is_help=True, help="List, show and delete what jobs learned.")

SelectorArgument = Annotated[UUID, typer.Argument(help="The selector's id.")]


@app.command("list")
def list_command(
    *,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the selectors, newest first."""
    selectors = ask(target_of(server, api_key, data), lambda client: list(client.list_selectors()))
    if output is OutputFormat.JSON:
        print_json(selectors)
        return
    print_table(
        ("id", "job", "method", "modality", "classes", "created"),
        [
            (s.id, s.job_id, s.method, s.modality, len(s.class_names), s.created_at)
            for s in selectors
        ],
    )


@app.command("show")
def show_command(
    *,
    selector: SelectorArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a selector: what it can score, and which job it comes from."""
    found = ask(
        target_of(server, api_key, data), lambda client: client.get_selector(SelectorId(selector))
    )
    if output is OutputFormat.JSON:
        print_json(found)
        return
    print_fields(
        {
            "id": found.id,
            "job": found.job_id,
            "method": found.method,
            "modality": found.modality,
            "sample shape": " x ".join(map(str, found.input_shape or ())) or None,
            "encoder": found.encoder,
            "classes": ", ".join(found.class_names),
            "learned from": f"{found.sample_count} samples",
            "created": found.created_at,
        }
    )


@app.command("delete")
def delete_command(
    *,
    selector: SelectorArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a selector; refused while a job scores by it."""
    ask(
        target_of(server, api_key, data),
        lambda client: client.delete_selector(SelectorId(selector)),
    )
    print_deleted("selector", selector, output)
