"""What a row says about its sample beside the payload: class, name and source."""

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.census import shown
from curation.errors import InvalidInputError

SOURCE_COLUMN = "source"
_DEFAULT_LABEL_COLUMN = "label"
_DEFAULT_ID_COLUMN = "id"
_MAX_LABEL_LENGTH = 200
_MAX_ID_LENGTH = 1024
# C0 and C1 controls, separators of lines, and what overrides, embeds or isolates a direction.
_DECEIVING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class RowError(Exception):
    """A row that is left out.

    Attributes:
        reason: Stable code.
        detail: A sentence for people.
        field: The column at fault, or None.
    """

    def __init__(self, reason: str, detail: str, field: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.field = field


@dataclass(frozen=True, slots=True)
class RowFields:
    """A row's class, name and source.

    Attributes:
        label: The name of the class.
        sample_id: The name of the sample, or None where the table has no ids.
        is_real: Whether the sample is real.
    """

    label: str
    sample_id: str | None
    is_real: bool


@dataclass(frozen=True, slots=True)
class FieldColumns:
    """The columns that hold class and name; a name of None means there is none.

    The source has one name for all, and may be missing in any row.
    """

    label: str
    sample_id: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are no feature and no column of the user's own."""
        return tuple(name for name in (self.label, self.sample_id, SOURCE_COLUMN) if name)


def find_columns(
    names: Sequence[str], *, label_column: str | None, id_column: str | None
) -> FieldColumns:
    """Return which of a table's columns hold class and name.

    Args:
        names: The table's columns.
        label_column: What the user says, or None for `label`.
        id_column: What the user says, or None for `id` where there is one.

    Raises:
        InvalidInputError: A column that the user named, or the label column, is not there.
    """
    label = label_column or _DEFAULT_LABEL_COLUMN
    if label not in names:
        raise _missing("LABEL_COLUMN_MISSING", label, names, "label_column")
    if id_column is not None and id_column not in names:
        raise _missing("ID_COLUMN_MISSING", id_column, names, "id_column")
    sample_id = id_column or (_DEFAULT_ID_COLUMN if _DEFAULT_ID_COLUMN in names else None)
    return FieldColumns(label, sample_id)


def read_fields(row: Mapping[str, Any], columns: FieldColumns) -> RowFields:
    """Return a row's class, name and source.

    Args:
        row: JSON values by column.
        columns: Where to look.

    Raises:
        RowError: One of them is missing or cannot be used.
    """
    label = class_name(row.get(columns.label), columns.label)
    sample_id = None
    if columns.sample_id is not None:
        sample_id = sample_name(row.get(columns.sample_id), columns.sample_id)
    return RowFields(label, sample_id, is_real_source(row.get(SOURCE_COLUMN)))


def class_name(value: Any, column: str) -> str:  # Any cell.
    """Return the class that a cell names, its letters composed.

    Raises:
        RowError: The cell is empty, too long, or neither a text nor a whole number.
    """
    name = _plain_text(value)
    if name is None or not is_plain_name(name):
        raise RowError("LABEL_INVALID", f"{shown(value)} is no name of a class.", column)
    if not name.strip():
        raise RowError("LABEL_MISSING", "The row has no label.", column)
    if len(name) > _MAX_LABEL_LENGTH:
        raise RowError("LABEL_INVALID", f"The label {shown(name)} is too long.", column)
    # One spelling for letters that can be written composed and decomposed: some systems decompose
    # the names of folders, and classes are matched by name.
    return unicodedata.normalize("NFC", name)


def sample_name(value: Any, column: str) -> str:  # Any cell.
    """Return the name that a cell gives to its sample.

    Raises:
        RowError: The cell is empty, too long, or neither a text nor a whole number.
    """
    name = _plain_text(value)
    if name is None or not is_plain_name(name):
        raise RowError("ID_INVALID", f"{shown(value)} is no id.", column)
    if not name:
        raise RowError("ID_MISSING", "The row has no id.", column)
    if len(name) > _MAX_ID_LENGTH:
        raise RowError("ID_INVALID", f"The id {shown(name)} is too long.", column)
    return name


def is_real_source(value: Any) -> bool:  # Any cell.
    """Return whether a cell marks its sample as real; an empty one means synthetic.

    Raises:
        RowError: The cell says neither synthetic nor real.
    """
    match value:
        case None | "" | "synthetic":
            return False
        case "real":
            return True
        case _:
            raise RowError(
                "UNKNOWN_SOURCE", f"{shown(value)} is neither synthetic nor real.", SOURCE_COLUMN
            )


def _plain_text(value: Any) -> str | None:  # Any cell.
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _text_of_float(value)
        case str():
            return str(value) if is_storable(value) else None
        case _:
            return None


def _text_of_float(value: float) -> str | None:
    # A column of whole numbers with a gap arrives as floats, the gap as NaN.
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else None


def is_plain_name(text: str) -> bool:
    """Return whether a name shows as what it is.

    Control characters forge lines of logs and command terminals, and characters that turn the
    direction of writing make a name look like another.
    """
    return is_storable(text) and not _DECEIVING.search(text)


def is_storable(text: str) -> bool:
    """Return whether a text can be stored: PostgreSQL takes no NUL, and UTF-8 no half character."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _missing(reason: str, name: str, names: Collection[str], field: str) -> InvalidInputError:
    listed = ", ".join(shown(column) for column in list(names)[:20])
    return InvalidInputError(
        reason,
        f"There is no column {shown(name)}.",
        field=field,
        cure=f"Name one of the columns: {listed}.",
    )
