"""The options that several commands share."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from winnow.connection import Target
from winnow.data_folder import default_data_folder
from winnow.errors import InputError
from winnow.resources import JsonObject


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
MethodOption = Annotated[str, typer.Option(help="How samples are weighed.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Same seed, same data: same result.")]
ConfigOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A setting of the method; may be given again."),
]
# Where -o names the folder for the results.
LongOutputOption = Annotated[
    OutputFormat, typer.Option("--output", help="How to print the result.")
]


def target_of(server: str | None, api_key: str | None, data: Path) -> Target:
    """Returns the service that the options name."""
    return Target(server=server, api_key=api_key, data=data)


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
