"""What the columns of a table are, as far as encoding it needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

UNKNOWN_CATEGORY: Final = -1
"""Code of a category that nothing is known of."""


class ColumnKind(StrEnum):
    """How the numbers of a column are meant."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"


@dataclass(frozen=True)
class TableColumn:
    """One column of a table.

    Attributes:
        name: Its name, for messages.
        kind: How its numbers are meant: as themselves, as 0 and 1, or as codes of categories.
        codes: The code of each category, by its word; empty unless the column is one of categories.
    """

    name: str
    kind: ColumnKind
    codes: Mapping[str, int] = field(default_factory=dict)
