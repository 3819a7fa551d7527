"""Rows of CSV and JSONL files, as mappings from column to value."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any

from curation.census import shown
from curation.errors import InvalidInputError
from curation.row_fields import RowError, is_storable
from curation.user_columns import NumberText

# One row of more than this is no row.
MAX_ROW_BYTES = 16 << 20

# A JSONL file has no header, so its columns are those of its first rows.
_ROWS_LOOKED_AT = 100

Row = Mapping[str, Any]  # JSON values by column.
NumberedRow = tuple[int, Row | RowError]


def iterate_csv(file: IO[bytes]) -> Iterator[NumberedRow]:
    """Yield each row of a CSV file with its number, counted from 1 after the header.

    Cells are texts, empty ones None. A row that cannot be used is yielded as what is wrong with
    it.

    Raises:
        InvalidInputError: The file is no UTF-8 text, or its header cannot be used.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.reader(text, strict=True)
    try:
        with _text_errors():
            header = next(rows, None)
    except csv.Error as error:
        raise _bad_header(f"The first line is not CSV ({error}).") from error
    if header is None:
        return
    _check_header(header)
    number = 0
    while True:
        number += 1
        try:
            with _text_errors():
                cells = next(rows, None)
        except csv.Error as error:
            yield number, RowError("UNREADABLE_ROW", f"The row is not CSV ({error}).")
            continue
        if cells is None:
            return
        if not cells:
            continue  # A blank line is no row.
        if len(cells) != len(header):
            detail = f"The row has {len(cells)} cells, the header {len(header)}."
            yield number, RowError("UNREADABLE_ROW", detail)
            continue
        yield (
            number,
            {
                name: NumberText(cell) if cell else None
                for name, cell in zip(header, cells, strict=True)
            },
        )


def iterate_jsonl(file: IO[bytes]) -> Iterator[NumberedRow]:
    """Yield each line of a JSONL file with its number, counted from 1.

    A line that is no JSON object is yielded as what is wrong with it; blank lines are passed
    over.

    Raises:
        InvalidInputError: The file is no UTF-8 text.
    """
    number = 0
    while line := file.readline(MAX_ROW_BYTES):
        number += 1
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            yield number, RowError("UNREADABLE_ROW", "The line is too long.")
            _skip_line(file)
            continue
        if line.strip():
            yield number, _parse_line(line)


def peek_columns(rows: Iterator[NumberedRow]) -> tuple[list[str], Iterator[NumberedRow]]:
    """Return the columns of a table's first rows, and all its rows with those in front.

    There are no columns only where no row of the table can be used.
    """
    first: list[NumberedRow] = []
    names: dict[str, None] = {}
    for numbered in rows:
        first.append(numbered)
        if not isinstance(numbered[1], RowError):
            names.update(dict.fromkeys(numbered[1]))
        if names and len(first) >= _ROWS_LOOKED_AT:
            break
    return list(names), chain(first, rows)


def _parse_line(line: bytes) -> Row | RowError:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise not_text() from error
    except (ValueError, RecursionError):
        return RowError("UNREADABLE_ROW", "The line is not JSON.")
    if not isinstance(row, dict):
        return RowError("UNREADABLE_ROW", "The line is no JSON object.")
    if not all(name.strip() and is_storable(name) for name in row):
        return RowError("UNREADABLE_ROW", "A field of the line has no name that can be kept.")
    return row


def _skip_line(file: IO[bytes]) -> None:
    while (piece := file.readline(MAX_ROW_BYTES)) and not piece.endswith(b"\n"):
        pass


def _check_header(header: list[str]) -> None:
    for index, name in enumerate(header):
        if not is_storable(name):
            raise not_text()
        if not name.strip():
            raise _bad_header(f"Column {index + 1} has no name.")
        if header.index(name) != index:
            raise _bad_header(f"Two columns are named {shown(name)}.")


def _bad_header(detail: str) -> InvalidInputError:
    return InvalidInputError(
        "BAD_HEADER",
        detail,
        field="content",
        cure="Give every column a name of its own in the first line.",
    )


def not_text() -> InvalidInputError:
    """Return the refusal of a file that should be text and is not."""
    return InvalidInputError(
        "NOT_WHAT_NAME_SAYS",
        "The file is no UTF-8 text, though its name says so.",
        field="content",
        cure="Save it as UTF-8, or give the file its right ending.",
    )


@contextmanager
def _text_errors() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise not_text() from error
