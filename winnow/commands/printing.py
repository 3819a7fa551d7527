"""Prints results on standard output, for people or for programs."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from rich import box
from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 200


def print_json(value: Any) -> None:  # Anything that pydantic can write.
    """Prints a value, or a list of them, as indented JSON."""
    print(TypeAdapter(type(value)).dump_json(value, indent=2).decode())


def output_console() -> Console:
    """Returns the console for results; wide where nobody's window limits it."""
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False, soft_wrap=False)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows in columns; an empty list prints its headings alone."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    output_console().print(table)


def print_fields(fields: dict[str, object]) -> None:
    """Prints one thing, a line for each of its fields; those without a value are left out."""
    shown = {name: value for name, value in fields.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)
