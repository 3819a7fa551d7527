"""Turns the columns of tables into numbers, with one code a category in all sets of a job."""

from collections.abc import Mapping, Sequence
from typing import Final, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.feature_columns import ColumnKind, FeatureColumn
from curation.sample_files import FEATURE_PREFIX
from mts_core.table_columns import UNKNOWN_CATEGORY, TableColumn
from mts_core.table_columns import ColumnKind as LearnedKind

_LEARNED_KINDS: Final = {
    ColumnKind.NUMBER: LearnedKind.NUMBER,
    ColumnKind.BOOLEAN: LearnedKind.BOOLEAN,
    ColumnKind.CATEGORY: LearnedKind.CATEGORY,
}
_STORED_KINDS: Final = {learned: stored for stored, learned in _LEARNED_KINDS.items()}


@final
class TableReader:
    """Reads rows of several tables that agree in their columns.

    Categories are numbered as they are met, so that a word has the same code in every table.
    Columns without a value in any table are left out.
    """

    def __init__(self, columns: Sequence[FeatureColumn]) -> None:
        """Begin without any category.

        Args:
            columns: Columns of the tables, with the kind that they have together.
        """
        self._columns = [column for column in columns if column.kind is not ColumnKind.EMPTY]
        self._codes: list[dict[str, int]] = [{} for _ in self._columns]
        self._numbers_new_words = True

    @classmethod
    def like(cls, columns: Sequence[TableColumn]) -> Self:
        """Return a reader of more tables like those that were read before.

        Categories keep their codes, and words without one are all read as `UNKNOWN_CATEGORY`.

        Args:
            columns: Columns of the arrays that were read, with their codes.
        """
        reader = cls([FeatureColumn(column.name, _STORED_KINDS[column.kind]) for column in columns])
        reader._codes = [dict(column.codes) for column in columns]
        reader._numbers_new_words = False
        return reader

    @property
    def columns(self) -> Sequence[FeatureColumn]:
        """Columns that are read, with the kind that they have in all tables together."""
        return self._columns

    @property
    def is_closed(self) -> bool:
        """Whether words without a code are read as unknown, instead of being numbered."""
        return not self._numbers_new_words

    def take_codes(self, codes: Sequence[Mapping[str, int]]) -> None:
        """Know the categories that another reader of the same columns has met.

        Args:
            codes: The code of each word, column by column.

        Raises:
            ValueError: They are those of other columns.
        """
        if len(codes) != len(self._columns):
            raise ValueError("there are codes for another number of columns")
        self._codes = [dict(each) for each in codes]

    @property
    def stored_names(self) -> list[str]:
        """Names of the columns in the normalised files."""
        return [f"{FEATURE_PREFIX}{column.name}" for column in self._columns]

    @property
    def table_columns(self) -> tuple[TableColumn, ...]:
        """Columns of the arrays that `read` returned, with the categories met so far."""
        return tuple(
            TableColumn(column.name, _LEARNED_KINDS[column.kind], dict(codes))
            for column, codes in zip(self._columns, self._codes, strict=True)
        )

    def read(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Return rows as numbers, [row, column]; missing values are NaN.

        Args:
            batch: Rows of a normalised file, with the columns of `stored_names`.
        """
        # Floats of 64 bits hold dates in milliseconds and codes of any number of categories.
        rows = np.empty((batch.num_rows, len(self._columns)), dtype=np.float64)
        for index, (name, column) in enumerate(zip(self.stored_names, self._columns, strict=True)):
            values = batch.column(name)
            if column.kind is ColumnKind.CATEGORY:
                if self._numbers_new_words:
                    _number_words(values, self._codes[index])
                rows[:, index] = _category_codes(values, self._codes[index])
            else:
                rows[:, index] = _numbers(values)
        return rows


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    # A column that is empty in one table is stored as texts, all of them missing.
    if pa.types.is_string(values.type):
        return np.full(len(values), np.nan)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    # Whole numbers beyond 2^53 are rounded, which no learner could tell apart.
    numbers: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return numbers


def _number_words(values: pa.Array, codes: dict[str, int]) -> None:
    for word in pc.unique(values.drop_null()).to_pylist():
        codes.setdefault(word, len(codes))


def _category_codes(values: pa.Array, codes: Mapping[str, int]) -> NDArray[np.float64]:
    encoded = pc.dictionary_encode(values)
    known = np.array(
        [codes.get(word, UNKNOWN_CATEGORY) for word in encoded.dictionary.to_pylist()],
        dtype=np.float64,
    )
    found = np.full(len(values), np.nan)
    is_present = np.asarray(values.is_valid())
    found[is_present] = known[encoded.indices.drop_null().to_numpy()]
    return found
