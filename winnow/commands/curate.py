"""``winnow curate``: the whole job in one line."""

from pathlib import Path
from typing import Annotated

import typer

from winnow.commands.options import (
    ApiKeyOption,
    ConfigOption,
    DataOption,
    LongOutputOption,
    MethodOption,
    OutputFormat,
    QuietOption,
    SeedOption,
    ServerOption,
    parse_settings,
    target_of,
)
from winnow.commands.printing import output_console, print_json
from winnow.connection import connect
from winnow.curate import CurateRequest, curate
from winnow.display import choose_display
from winnow.errors import InputError
from winnow.operations.output_folder import Outcome, how_to_open, make_output_folder
from winnow.report_table import advice, console_table, measured_on, table_rows
from winnow.resources import DatasetRequest, Role

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
    seed: SeedOption = 0,
    method: MethodOption = "winnow",
    config: ConfigOption = None,
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
    output: LongOutputOption = OutputFormat.TABLE,
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
    _print_outcome(outcome, opening, output)


def _print_outcome(outcome: Outcome, opening: str, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
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
    for line in advice(outcome.report):
        print(line)
    print("Written:")
    for path in outcome.files:
        print(f"  {path}")
    print(opening)
