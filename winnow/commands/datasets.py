"""``winnow datasets``: lists, shows, uploads and deletes datasets."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

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
from winnow.connection import connect
from winnow.curate import await_validation, upload
from winnow.display import SilentDisplay, choose_display
from winnow.errors import describe_refusal
from winnow.inputs import open_input
from winnow.resources import Dataset, DatasetId, DatasetRequest, Rejection, Role

app = typer.Typer(no_args_is_help=True, help="List, show, upload and delete datasets.")

DatasetArgument = Annotated[UUID, typer.Argument(help="The dataset's id.")]


@app.command("list")
def list_command(
    *,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the datasets, newest first."""
    target = target_of(server, api_key, data)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        datasets = list(connection.client.list_datasets())
    if output is OutputFormat.JSON:
        print_json(datasets)
        return
    headings = ("id", "name", "role", "state", "modality", "samples", "rejected", "created")
    print_table(
        headings,
        [
            (d.id, d.name, d.role, d.state, d.modality, d.sample_count, d.rejected_count,
             d.created_at)
            for d in datasets
        ],
    )  # fmt: skip


@app.command("show")
def show_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    dataset: DatasetArgument,
    data: DataOption,
    rejections: Annotated[
        int, typer.Option(min=0, help="How many of the rows left out to show.")
    ] = 20,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a dataset: its counts by class, and which rows were left out and why."""
    target = target_of(server, api_key, data)
    dataset_id = DatasetId(dataset)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        found = connection.client.get_dataset(dataset_id)
        rejected = list(islice(connection.client.list_rejections(dataset_id), rejections))
    if output is OutputFormat.JSON:
        print_json({"dataset": asdict(found), "rejections": [asdict(r) for r in rejected]})
        return
    _print_dataset(found, rejected)


@app.command("upload")
def upload_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    path: Annotated[Path, typer.Argument(help="A folder, an archive, a table or an .npz.")],
    role: Annotated[Role, typer.Option(help="What the dataset is for.")],
    data: DataOption,
    name: Annotated[str, typer.Option(help="Shown in lists. (default: the path's name)")] = "",
    modality: Annotated[
        str | None, typer.Option(help="image, text, tabular or embedding. (default: read off)")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the class.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that holds the id.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels to resize to.")] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Upload a dataset and wait for its validation."""
    display = choose_display(is_quiet=quiet)
    request = DatasetRequest(
        name=name,
        role=role,
        modality=modality,
        label_column=label_column,
        id_column=id_column,
        image_size=image_size,
    )
    target = target_of(server, api_key, data)
    with open_input(path) as source, connect(target, display, has_workers=True) as connection:
        uploaded = upload(connection.client, source, request, display)
        ready = await_validation(connection, uploaded, display)
    if output is OutputFormat.JSON:
        print_json(ready)
        return
    _print_dataset(ready, [])


@app.command("delete")
def delete_command(
    *,
    dataset: DatasetArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Delete a dataset; refused while a job needs it."""
    target = target_of(server, api_key, data)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        connection.client.delete_dataset(DatasetId(dataset))
    print(f"Deleted dataset {dataset}")


def _print_dataset(dataset: Dataset, rejections: list[Rejection]) -> None:
    failure = dataset.failure
    print_fields(
        {
            "id": dataset.id,
            "name": dataset.name,
            "role": dataset.role,
            "state": dataset.state,
            "modality": dataset.modality,
            "samples": dataset.sample_count,
            "rejected": dataset.rejected_count,
            "classes": ", ".join(f"{c.name} {c.count}" for c in dataset.classes) or None,
            "columns": ", ".join(f"{c.name} {c.kind}" for c in dataset.feature_columns) or None,
            "created": dataset.created_at,
            "failure": failure
            and describe_refusal(
                failure.reason,
                failure.detail,
                field=failure.field,
                row=failure.row,
                cure=failure.cure,
            ),
        }
    )
    if rejections:
        rows = [(r.row, r.name, r.field, r.reason, r.detail) for r in rejections]
        print_table(("row", "name", "field", "reason", "detail"), rows)
