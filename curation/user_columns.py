"""The types of the user's other columns, decided by all their values together."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Flag, auto
from typing import Any, final

import pyarrow as pa

from curation.errors import InvalidInputError
from curation.feature_columns import ColumnKind, FeatureColumn

MAX_COLUMNS = 2_000
_INT64 = 2**63
# Only numbers that read back as they were written: a column of 007 stays text.
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,18})")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@final
class NumberText(str):
    """A cell of a text format, which may stand for a number if its whole column does."""

    __slots__ = ()


class _Kind(Flag):
    NOTHING = 0
    BOOLEAN = auto()
    WHOLE = auto()
    DECIMAL = auto()
    TEXT = auto()


@final
class ColumnKinds:
    """What kinds of values each column has had so far."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    @property
    def columns(self) -> Sequence[FeatureColumn]:
        """The columns seen so far, in the order in which they were met."""
        return tuple(FeatureColumn(name, _feature_kind(kind)) for name, kind in self._kinds.items())

    def observe(self, row: Mapping[str, Any]) -> None:
        """Take note of a row's values.

        Raises:
            InvalidInputError: There are too many columns.
        """
        for name, value in row.items():
            self._kinds[name] = self._kinds.get(name, _Kind.NOTHING) | _kind_of(value)
        if len(self._kinds) > MAX_COLUMNS:
            raise InvalidInputError(
                "TOO_MANY_COLUMNS",
                f"The table has more than {MAX_COLUMNS} columns.",
                cure="Leave out columns, or put numbers into one list column `embedding`.",
            )

    def types(self) -> dict[str, pa.DataType]:
        """Return the type of each column: the narrowest that holds all its values."""
        return {name: _type_of(kind) for name, kind in self._kinds.items()}


def typed_columns(rows: Iterable[str | None], types: Mapping[str, pa.DataType]) -> list[pa.Array]:
    """Return the columns of rows that were packed as JSON objects.

    Args:
        rows: One JSON object a row, or None for a row without other columns.
        types: The type of each column.
    """
    objects = [{} if row is None else json.loads(row) for row in rows]
    return [
        pa.array([_converted(row.get(name), kind) for row in objects], kind)
        for name, kind in types.items()
    ]


def _kind_of(value: Any) -> _Kind:  # Any JSON value.
    match value:
        case None:
            return _Kind.NOTHING
        case bool():
            return _Kind.BOOLEAN
        case int():
            return _Kind.WHOLE if -_INT64 <= value < _INT64 else _Kind.TEXT
        case float():
            return _Kind.DECIMAL
        case NumberText():
            return _kind_of_text(value)
        case _:
            return _Kind.TEXT


def _kind_of_text(text: str) -> _Kind:
    if _WHOLE.fullmatch(text) and -_INT64 <= int(text) < _INT64:
        return _Kind.WHOLE
    if _DECIMAL.fullmatch(text) and not text.lstrip("+-").startswith("00"):
        return _Kind.DECIMAL
    return _Kind.TEXT


def _type_of(kind: _Kind) -> pa.DataType:
    match kind:
        case _Kind.BOOLEAN:
            return pa.bool_()
        case _Kind.WHOLE:
            return pa.int64()
        case _ if kind in _Kind.WHOLE | _Kind.DECIMAL and kind is not _Kind.NOTHING:
            return pa.float64()
        case _:
            return pa.string()


def _feature_kind(kind: _Kind) -> ColumnKind:
    if kind is _Kind.NOTHING:
        return ColumnKind.EMPTY
    stored = _type_of(kind)
    if stored == pa.string():
        return ColumnKind.CATEGORY
    return ColumnKind.BOOLEAN if stored == pa.bool_() else ColumnKind.NUMBER


def _converted(value: Any, kind: pa.DataType) -> Any:  # JSON value to Arrow value.
    if value is None:
        return None
    if kind == pa.string():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        # JSON can spell half a character, which UTF-8 cannot.
        return text.encode("utf-8", "replace").decode("utf-8")
    if kind == pa.int64():
        return int(value)
    if kind == pa.float64():
        number = float(value)
        return None if math.isnan(number) else number
    return value
