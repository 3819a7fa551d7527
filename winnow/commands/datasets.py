"""``winnow datasets``: lists, shows, uploads, imports and deletes datasets."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from winnow.client import Client
from winnow.commands.asking import ask, print_deleted
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
from winnow.display import choose_display
from winnow.errors import describe_refusal
from winnow.inputs import open_input
from winnow.resources import Dataset, DatasetId, DatasetRequest, DatasetState, Rejection, Role

app = typer.Typer(no_args_is_help=True, help="List, show, upload, import and delete datasets.")

DatasetArgument = Annotated[UUID, typer.Argument(help="The dataset's id.")]
RoleOption = Annotated[Role, typer.Option(help="What the dataset is for.")]
ModalityOption = Annotated[
    str | None, typer.Option(help="image, text, tabular or embedding. (default: read off)")
]
LabelColumnOption = Annotated[str | None, typer.Option(help="Column that holds the class.")]
IdColumnOption = Annotated[str | None, typer.Option(help="Column that holds the id.")]
ImageSizeOption = Annotated[int | None, typer.Option(help="Side in pixels to resize to.")]


@app.command("list")
def list_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    data: DataOption,
    role: Annotated[Role | None, typer.Option(help="Only datasets of this role.")] = None,
    state: Annotated[DatasetState | None, typer.Option(help="Only datasets in this state.")] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the datasets, newest first."""
    datasets = ask(
        target_of(server, api_key, data),
        lambda client: list(client.list_datasets(role=role, state=state)),
    )
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
    dataset_id = DatasetId(dataset)

    def look(client: Client) -> tuple[Dataset, list[Rejection]]:
        rejected = islice(client.list_rejections(dataset_id), rejections)
        return client.get_dataset(dataset_id), list(rejected)

    found, rejected = ask(target_of(server, api_key, data), look)
    if output is OutputFormat.JSON:
        print_json({"dataset": asdict(found), "rejections": [asdict(r) for r in rejected]})
        return
    _print_dataset(found, rejected)


@app.command("upload")
def upload_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    path: Annotated[Path, typer.Argument(help="A folder, an archive, a table or an .npz.")],
    role: RoleOption,
    data: DataOption,
    name: Annotated[str, typer.Option(help="Shown in lists. (default: the path's name)")] = "",
    modality: ModalityOption = None,
    label_column: LabelColumnOption = None,
    id_column: IdColumnOption = None,
    image_size: ImageSizeOption = None,
    resume: Annotated[
        UUID | None, typer.Option(help="A dataset whose large file was not sent to its end.")
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Upload a dataset and wait for its validation.

    A large file goes in parts: if the service goes away meanwhile, --resume sends the rest.
    """
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
        client = connection.client
        resumed = None if resume is None else client.get_dataset(DatasetId(resume))
        uploaded = upload(client, source, request, display, resumed=resumed, is_resumable=True)
        ready = await_validation(connection, uploaded, display)
    if output is OutputFormat.JSON:
        print_json(ready)
        return
    _print_dataset(ready, [])


@app.command("import")
def import_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    url: Annotated[str, typer.Argument(help="s3://bucket/key of an archive, a table or an .npz.")],
    role: RoleOption,
    data: DataOption,
    name: Annotated[str, typer.Option(help="Shown in lists. (default: the file's name)")] = "",
    modality: ModalityOption = None,
    label_column: LabelColumnOption = None,
    id_column: IdColumnOption = None,
    image_size: ImageSizeOption = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Make a dataset of a file in a bucket, which the service fetches, and wait for its validation.

    The service's operator says which buckets may be read.
    """
    display = choose_display(is_quiet=quiet)
    request = DatasetRequest(
        name=name or url.rpartition("/")[2],
        role=role,
        modality=modality,
        label_column=label_column,
        id_column=id_column,
        image_size=image_size,
    )
    with connect(target_of(server, api_key, data), display, has_workers=True) as connection:
        imported = connection.client.import_dataset(url, request)
        ready = await_validation(connection, imported, display)
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
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a dataset; refused while a job needs it."""
    ask(target_of(server, api_key, data), lambda client: client.delete_dataset(DatasetId(dataset)))
    print_deleted("dataset", dataset, output)


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
            "warning": "\n".join(f"{w.detail} {w.cure}" for w in dataset.warnings) or None,
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
