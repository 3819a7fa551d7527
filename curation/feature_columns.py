"""The columns of tabular datasets: what kind of values each has, and whether two tables agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from curation.census import shown
from curation.errors import InvalidInputError

_COLUMNS_SHOWN = 5


class ColumnKind(StrEnum):
    """What the values of a column are; missing ones aside."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One column that is learned from.

    Attributes:
        name: Its name in the user's table.
        kind: What its values are.
    """

    name: str
    kind: ColumnKind


def columns_from_json(values: Sequence[Mapping[str, str]]) -> tuple[FeatureColumn, ...]:
    """Return columns that were written as JSON objects of `name` and `kind`."""
    return tuple(FeatureColumn(value["name"], ColumnKind(value["kind"])) for value in values)


def columns_to_json(columns: Sequence[FeatureColumn] | None) -> list[dict[str, str]] | None:
    """Return columns as JSON objects of `name` and `kind`; none where samples are no rows."""
    if columns is None:
        return None
    return [{"name": column.name, "kind": str(column.kind)} for column in columns]


def check_columns_agree(
    ours: Sequence[FeatureColumn], theirs: Sequence[FeatureColumn], *, role: str, field: str
) -> None:
    """Refuse two tables whose rows do not say the same about their samples.

    The order of columns does not matter, and a column without any value fits every kind.

    Args:
        ours: Columns of the synthetic set.
        theirs: Columns of the other set.
        role: What the other set is, for the message.
        field: The request field that named the other set.

    Raises:
        InvalidInputError: A column is in one table alone (`COLUMNS_DIFFER`), or its values are of
            another kind (`COLUMN_KINDS_DIFFER`).
    """
    our_names = {column.name for column in ours}
    their_kinds = {column.name: column.kind for column in theirs}
    parts = [
        f"only in the {owner} set: {_listed(names)}"
        for owner, names in (
            ("synthetic", [name for name in our_names if name not in their_kinds]),
            (role, [name for name in their_kinds if name not in our_names]),
        )
        if names
    ]
    if parts:
        raise InvalidInputError(
            "COLUMNS_DIFFER",
            f"The tables have different columns ({'; '.join(parts)}).",
            field=field,
            cure="Columns are matched by name: rename them, or remove those of one table alone.",
        )
    for column in ours:
        _check_kind(column, their_kinds[column.name], role=role, field=field)


def merged_columns(tables: Sequence[Sequence[FeatureColumn]]) -> tuple[FeatureColumn, ...]:
    """Return the columns of tables that agree, in the first one's order.

    A column that is empty in one table has the kind that another one gives it.

    Args:
        tables: Columns of each table; all have the same names.
    """
    kinds = {
        column.name: column.kind
        for table in tables
        for column in table
        if column.kind is not ColumnKind.EMPTY
    }
    return tuple(
        FeatureColumn(column.name, kinds.get(column.name, ColumnKind.EMPTY)) for column in tables[0]
    )


def _check_kind(column: FeatureColumn, theirs: ColumnKind, *, role: str, field: str) -> None:
    if column.kind is theirs or ColumnKind.EMPTY in {column.kind, theirs}:
        return
    raise InvalidInputError(
        "COLUMN_KINDS_DIFFER",
        f"The column {shown(column.name)} is of the kind {column.kind} in the synthetic set and"
        f" {theirs} in the {role} set.",
        field=field,
        cure="Write the column alike in all sets; leave missing cells empty, since one word among"
        " numbers makes them all words.",
    )


def _listed(names: Sequence[str]) -> str:
    ordered = sorted(names)
    listed = ", ".join(shown(name) for name in ordered[:_COLUMNS_SHOWN])
    hidden = len(ordered) - _COLUMNS_SHOWN
    return f"{listed} and {hidden} more" if hidden > 0 else listed
