"""Rows as CSV, column by column in compiled code: a million rows take seconds.

Spreadsheets run what looks like a formula, and readers of tables take ids for numbers or for
missing values; texts that would be so taken are written so that they are not.
"""

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from curation.json_lines import joined_text, number_texts

# What spreadsheets and readers of tables take for a number or for a missing value.
_NUMBER = re.compile(r"\s*[+-]?(\d[\d_,]*\.?\d*|\.\d+)([eE][+-]?\d+)?%?\s*")
_MISSING = frozenset(
    {"", "na", "n/a", "nan", "-nan", "null", "none", "inf", "-inf", "infinity", "true", "false"}
)
# Full-width forms are taken for the plain ones by spreadsheets of East Asian locales.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_FORMULA_START = r"^[=+\-@\t\r\n＝＋－＠]"
# A text with one of these letters is neither a number nor a word of `_MISSING`.
_TELLING_LETTER = "[bcdghjkmpqvwxzBCDGHJKMPQVWXZ]"
_NEEDS_QUOTES = r'[",\r\n]'


def csv_id(value: str) -> str:
    """Return an id that no reader of tables takes for a number or a missing value."""
    if _NUMBER.fullmatch(value) or value.strip().lower() in _MISSING:
        return f"id:{value}"
    return csv_text(value)


def csv_text(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if value.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_lines(batch: pa.RecordBatch, *, id_name: str | None) -> memoryview:
    """Return rows as UTF-8 text, one a line; missing and not finite values are empty.

    Args:
        batch: Columns of strings, integers, booleans, float32 or float64.
        id_name: The column of ids, where there is one.
    """
    pieces: list[pa.Array | str] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces += [_cells(column, is_id=name == id_name), ","]
    return joined_text([*pieces[:-1], "\n"])


def _cells(column: pa.Array, *, is_id: bool) -> pa.Array:
    if pa.types.is_string(column.type):
        texts = _quoted(_guarded_ids(column) if is_id else _guarded_texts(column))
    elif pa.types.is_boolean(column.type):
        texts = pc.if_else(column, "True", "False")
    else:
        texts = number_texts(column)
    return pc.fill_null(texts, "")


def _guarded_texts(column: pa.Array) -> pa.Array:
    return _replaced(column, pc.match_substring_regex(column, _FORMULA_START), csv_text)


def _guarded_ids(column: pa.Array) -> pa.Array:
    is_plain = pc.and_not(
        pc.match_substring_regex(column, _TELLING_LETTER),
        pc.match_substring_regex(column, _FORMULA_START),
    )
    return _replaced(column, pc.invert(is_plain), csv_id)


def _replaced(column: pa.Array, mask: pa.Array, guard: Callable[[str], str]) -> pa.Array:
    """Return the column with `guard` applied where `mask` is true; elsewhere it changes nothing."""
    mask = pc.fill_null(mask, fill_value=False)
    if not pc.any(mask).as_py():
        return column
    guarded = [guard(text) for text in column.filter(mask).to_pylist()]
    return pc.replace_with_mask(column, mask, pa.array(guarded, pa.string()))


def _quoted(column: pa.Array) -> pa.Array:
    needs_quotes = pc.match_substring_regex(column, _NEEDS_QUOTES)
    if not pc.any(needs_quotes).as_py():
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(needs_quotes, quoted, column)
