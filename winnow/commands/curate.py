"""``winnow curate``: the whole job in one line."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    JsonOption,
    QuietOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import output_console, print_json
from winnow.connection import connect
from winnow.curate import CurateRequest, curate
from winnow.display import choose_display
from winnow.errors import InputError
from winnow.output_folder import Outcome, how_to_open, make_output_folder
from winnow.report_table import console_table, measured_on, table_rows
from winnow.resources import DatasetRequest, JsonObject, Role

_INPUT_HELP = "An image folder, a zip or tar of one, a Parquet, JSONL or CSV table, or an .npz."


def curate_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    synthetic: Annotated[Path, typer.Argument(help=f"The pool to curate. {_INPUT_HELP}")],
    reference: Annotated[Path, typer.Argument(help="A few real samples of each class.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    data: DataOption,
    test: Annotated[
        Path | None,
        typer.Option(help="Real samples for the report; else it is cross-validated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same data: same result.")] = 0,
    method: Annotated[str, typer.Option(help="How samples are weighed.")] = "winnow",
    config: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the method; may be given again."),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of a table that holds the class. (default: label)")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column that holds the sample's id. (default: id, if there)")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side in pixels to resize images to, where sizes differ.")
    ] = None,
    keep: Annotated[
        float | None, typer.Option(help="Fraction of the pool to keep. (default: suggested)")
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Keep the same fraction of every class.")
    ] = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Weigh a synthetic dataset against real samples and write the curated one to a folder.

    Uploads the datasets, runs the job, and leaves manifest.parquet, kept.parquet,
    weights.parquet, traces.json, report.json and README.md in the folder. Without a server it
    starts the one-machine stack and stops it afterwards.
    """
    inputs = {Role.SYNTHETIC: synthetic, Role.REFERENCE: reference}
    if test is not None:
        inputs[Role.TEST] = test
    settings = parse_settings(config or [])
    if keep is not None:
        settings["keep"] = keep
    if balance:
        settings["balance"] = True
    request = CurateRequest(
        inputs=inputs,
        shape=DatasetRequest(
            name="",
            role=Role.SYNTHETIC,
            label_column=label_column,
            id_column=id_column,
            image_size=image_size,
        ),
        method=method,
        config=settings,
        seed=seed,
    )
    for path in inputs.values():
        if not path.exists():
            raise InputError(f"{path} does not exist.")
    make_output_folder(out)
    display = choose_display(is_quiet=quiet)
    target = target_of(server, api_key, data)
    with connect(target, display, has_workers=True) as connection:
        outcome = curate(connection, request, out, display)
        address = connection.client.server
    opening = how_to_open(data if connection.stack is not None else None, address)
    _print_outcome(outcome, opening, as_json=as_json)


def parse_settings(pairs: list[str]) -> JsonObject:
    """Returns the settings of ``key=value`` pairs; a value is JSON, or else a word.

    Raises:
        InputError: a pair has no ``=``.
    """
    settings: JsonObject = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--config takes KEY=VALUE, as in steps=400, and not {pair!r}.")
        settings[key.strip()] = _value(text.strip())
    return settings


def _value(text: str) -> Any:  # Whatever JSON holds.
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print_outcome(outcome: Outcome, opening: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "job_id": str(outcome.job.id),
                "out": str(outcome.folder),
                "files": [str(path) for path in outcome.files],
                "report": outcome.report,
            }
        )
        return
    recommended = outcome.report.get("recommendation")
    rows = table_rows(outcome.report)
    if rows:
        output_console().print(console_table(rows, recommended=recommended))
        print(measured_on(outcome.report))
    if recommended:
        print(f"Recommended: {recommended}")
    print("Written:")
    for path in outcome.files:
        print(f"  {path}")
    print(opening)
