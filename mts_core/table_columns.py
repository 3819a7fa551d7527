"""What the columns of a table are, as far as encoding it needs to know."""

from dataclasses import dataclass
from enum import StrEnum


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
    """

    name: str
    kind: ColumnKind
