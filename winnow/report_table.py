"""Lays the before/after table out, for a terminal and for a README."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from winnow.resources import JsonObject

HEADINGS = ("method", "accuracy", "95 % interval", "kept")
REFERENCE_HEADING = "reference"
_NOT_COUNTED_MORE = "× 1"


@dataclass(frozen=True)
class TableRow:
    """One method's line, as text."""

    method: str
    accuracy: str
    interval: str
    kept: str
    reference: str = _NOT_COUNTED_MORE
    """How often a reference sample counts beside the mean sample of the pool."""

    def cells(self, *, has_reference: bool) -> tuple[str, ...]:
        """Returns the texts of the line, with the reference's own where the table shows it."""
        cells = (self.method, self.accuracy, self.interval, self.kept)
        return (*cells, self.reference) if has_reference else cells


def table_rows(report: JsonObject) -> list[TableRow]:
    """Returns a line for each method of the report, accuracies in percent; what is missing is -."""
    return [
        TableRow(
            method=str(row["method"]),
            accuracy=_percent(row.get("accuracy_mean")),
            interval=_interval(row.get("accuracy_ci95")),
            kept="-" if row.get("kept") is None else str(row["kept"]),
            reference=f"× {_times(row)}",
        )
        for row in report.get("rows", [])
    ]


def console_table(rows: Sequence[TableRow], *, recommended: str | None) -> Table:
    """Returns the table for a terminal, the recommended method in bold.

    With all its columns it fits into the 80 of a small terminal.
    """
    has_reference = _counts_reference_more(rows)
    table = Table(box=box.SIMPLE)
    for number, heading in enumerate(_headings(has_reference=has_reference)):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        style = "bold" if row.method == recommended else ""
        table.add_row(*row.cells(has_reference=has_reference), style=style)
    return table


def markdown_table(rows: Sequence[TableRow]) -> str:
    """Returns the table in Markdown."""
    has_reference = _counts_reference_more(rows)
    headings = _headings(has_reference=has_reference)
    lines = [_markdown_line(headings), "|---" + "|---:" * (len(headings) - 1) + "|"]
    lines += [_markdown_line(row.cells(has_reference=has_reference)) for row in rows]
    return "\n".join(lines)


def measured_on(report: JsonObject) -> str:
    """Returns the line that says by which samples the accuracies were measured."""
    return f"Measured by: {report.get('measured_on', '-')}"


def advice(report: JsonObject) -> list[str]:
    """Returns what else to know before training with the weights, a sentence or two each."""
    return [line for line in (_reference_line(report), _turned_labels_line(report)) if line]


def _reference_line(report: JsonObject) -> str | None:
    times = _times(report)
    if times == "1":
        return None
    return (
        f"Count each reference sample {times} times as much as the mean pool sample "
        "when you train with these weights."
    )


def _turned_labels_line(report: JsonObject) -> str | None:
    if not report.get("label_support", {}).get("labels_are_turned"):
        return None
    return (
        "Of the two classes, most labels of the pool seem to name the other one. The weights "
        "allow for that; look at where the labels come from."
    )


def _headings(*, has_reference: bool) -> tuple[str, ...]:
    return (*HEADINGS, REFERENCE_HEADING) if has_reference else HEADINGS


def _counts_reference_more(rows: Sequence[TableRow]) -> bool:
    return any(row.reference != _NOT_COUNTED_MORE for row in rows)


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _times(counted: JsonObject) -> str:
    """Returns the reference weight of a report or a row in three digits, 1 where it has none."""
    rounded = float(f"{counted.get('reference_weight', 1.0):.3g}")
    # Rounding alone would write 5000 as 5e+03.
    return f"{rounded:g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def _interval(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{_percent(bounds[0])} to {_percent(bounds[1])}"
