"""What all tables have in common: their root, their names' convention, columns of a few words."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, DateTime, Double, Enum, MetaData, Text
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The root of all tables; constraint names follow one convention, so migrations find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[Mapping[Any, Any]] = {  # SQLAlchemy's own signature.
        datetime: DateTime(timezone=True),
        str: Text(),
        float: Double(),
    }


def closed_set(values: type[StrEnum]) -> Enum:
    """Return the type of a column that holds one of a few words."""
    # Text with a CHECK constraint: unlike a PostgreSQL enum, a value can be added in a
    # transaction and taken away again.
    return Enum(
        values,
        native_enum=False,
        create_constraint=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the constraint that holds such a column to its words."""
    listed = ", ".join(f"'{member.value}'" for member in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")
