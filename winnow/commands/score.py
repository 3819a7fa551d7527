"""``winnow score``: scores a new dataset by what an earlier job learned."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

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
from winnow.display import choose_display
from winnow.errors import InputError
from winnow.operations.output_folder import Outcome, how_to_open, make_output_folder
from winnow.resources import DatasetId, DatasetRequest, Role, SelectorId
from winnow.score import ScoreRequest, score


def score_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    selector: Annotated[UUID, typer.Argument(help="The selector's id; see winnow selectors list.")],
    dataset: Annotated[
        str,
        typer.Argument(
            help="An image folder, a zip or tar of one, a Parquet, JSONL or CSV table, an .npz, "
            "or the id of a dataset that is uploaded already."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    data: DataOption,
    label_column: Annotated[
        str | None, typer.Option(help="Column of a table that holds the class. (default: label)")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column that holds the sample's id. (default: id, if there)")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side in pixels to resize images to, where sizes differ.")
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: LongOutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Score a synthetic dataset by a selector, without training, and write it to a folder.

    The folder holds the files that curate writes. The dataset has to hold samples like those of
    the selector's job: of the same modality and shape, and of classes that it knows.
    """
    request = ScoreRequest(
        selector_id=SelectorId(selector),
        dataset=parse_dataset(dataset),
        shape=DatasetRequest(
            name="",
            role=Role.SYNTHETIC,
            label_column=label_column,
            id_column=id_column,
            image_size=image_size,
        ),
    )
    make_output_folder(out)
    display = choose_display(is_quiet=quiet)
    target = target_of(server, api_key, data)
    with connect(target, display, has_workers=True) as connection:
        outcome = score(connection, request, out, display)
        address = connection.client.server
    opening = how_to_open(data if connection.stack is not None else None, address)
    _print_outcome(outcome, opening, output)


def parse_dataset(text: str) -> Path | DatasetId:
    """Returns the path that a text names, or else the id that it is.

    Raises:
        InputError: there is no such path, and it is no id.
    """
    path = Path(text)
    if path.exists():
        return path
    try:
        return DatasetId(UUID(text))
    except ValueError as error:
        raise InputError(f"{text} does not exist, and is no dataset's id.") from error


def _print_outcome(outcome: Outcome, opening: str, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(
            {
                "job_id": str(outcome.job.id),
                "selector_id": str(outcome.job.selector_id),
                "out": str(outcome.folder),
                "files": [str(path) for path in outcome.files],
            }
        )
        return
    print(f"Scored: {outcome.job.sample_count} samples")
    print("Written:")
    for path in outcome.files:
        print(f"  {path}")
    print(opening)
