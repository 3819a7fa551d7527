"""The options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from winnow.connection import Target
from winnow.data_folder import default_data_folder


class OutputFormat(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="WINNOW_SERVER",
        help="Address of a running service. Without it the one-machine stack is used.",
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="WINNOW_API_KEY",
        help="Key for that service; better given by the variable, which other users cannot see.",
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="WINNOW_DATA",
        default_factory=default_data_folder,
        show_default="/var/lib/winnow for root, else the user's data folder",
        help="Data folder of the one-machine stack.",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show results and errors, no progress.")
]
OutputOption = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="How to print the result.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def target_of(server: str | None, api_key: str | None, data: Path) -> Target:
    """Returns the service that the options name."""
    return Target(server=server, api_key=api_key, data=data)
