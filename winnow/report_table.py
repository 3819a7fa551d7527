"""Lays the before/after table out, for a terminal and for a README."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from winnow.resources import JsonObject

HEADINGS = ("method", "accuracy", "95 % interval", "kept")


@dataclass(frozen=True)
class TableRow:
    """One method's line, as text."""

    method: str
    accuracy: str
    interval: str
    kept: str


def table_rows(report: JsonObject) -> list[TableRow]:
    """Returns a line for each method of the report, accuracies in percent; what is missing is -."""
    return [
        TableRow(
            method=str(row["method"]),
            accuracy=_percent(row.get("accuracy_mean")),
            interval=_interval(row.get("accuracy_ci95")),
            kept="-" if row.get("kept") is None else str(row["kept"]),
        )
        for row in report.get("rows", [])
    ]


def console_table(rows: Sequence[TableRow], *, recommended: str | None) -> Table:
    """Returns the table for a terminal, the recommended method in bold."""
    table = Table(box=box.SIMPLE)
    table.add_column(HEADINGS[0])
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        style = "bold" if row.method == recommended else ""
        table.add_row(row.method, row.accuracy, row.interval, row.kept, style=style)
    return table


def markdown_table(rows: Sequence[TableRow]) -> str:
    """Returns the table in Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---:|---:|---:|"]
    lines += [f"| {row.method} | {row.accuracy} | {row.interval} | {row.kept} |" for row in rows]
    return "\n".join(lines)


def measured_on(report: JsonObject) -> str:
    """Returns the line that says by which samples the accuracies were measured."""
    return f"Measured by: {report.get('measured_on', '-')}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def _interval(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{_percent(bounds[0])} to {_percent(bounds[1])}"
