"""Turns the columns of tables into numbers, with one code a category in all sets of a job."""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.feature_columns import ColumnKind, FeatureColumn
from curation.sample_files import FEATURE_PREFIX
from mts_core.table_columns import ColumnKind as LearnedKind
from mts_core.table_columns import TableColumn

_LEARNED_KINDS: Final = {
    ColumnKind.NUMBER: LearnedKind.NUMBER,
    ColumnKind.BOOLEAN: LearnedKind.BOOLEAN,
    ColumnKind.CATEGORY: LearnedKind.CATEGORY,
}


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

    @property
    def stored_names(self) -> list[str]:
        """Names of the columns in the normalised files."""
        return [f"{FEATURE_PREFIX}{column.name}" for column in self._columns]

    @property
    def table_columns(self) -> tuple[TableColumn, ...]:
        """Columns of the arrays that `read` returns."""
        return tuple(
            TableColumn(column.name, _LEARNED_KINDS[column.kind]) for column in self._columns
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


def _category_codes(values: pa.Array, codes: dict[str, int]) -> NDArray[np.float64]:
    encoded = pc.dictionary_encode(values)
    known = np.array(
        [codes.setdefault(word, len(codes)) for word in encoded.dictionary.to_pylist()],
        dtype=np.float64,
    )
    found = np.full(len(values), np.nan)
    is_present = np.asarray(values.is_valid())
    found[is_present] = known[encoded.indices.drop_null().to_numpy()]
    return found
