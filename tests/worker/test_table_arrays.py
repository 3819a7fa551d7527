"""Columns of several tables become numbers that mean the same in each of them."""

from typing import Any

import numpy as np
import pyarrow as pa

from curation.feature_columns import ColumnKind, FeatureColumn
from mts_core.table_columns import UNKNOWN_CATEGORY, TableColumn
from mts_core.table_columns import ColumnKind as LearnedKind
from worker.table_arrays import TableReader

NAN = np.nan


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {f"feature:{name}": values for name, values in columns.items()}
    )


def reader(**kinds: str) -> TableReader:
    return TableReader([FeatureColumn(name, ColumnKind(kind)) for name, kind in kinds.items()])


def test_numbers_and_truths_become_floats() -> None:
    rows = reader(age="number", rich="boolean").read(
        batch(age=pa.array([3, None], pa.int64()), rich=[None, True])
    )
    np.testing.assert_array_equal(rows, [[3.0, NAN], [NAN, 1.0]])


def test_whole_numbers_beyond_single_precision_stay_apart() -> None:
    milliseconds = [1_764_000_000_000, 1_764_000_000_001]
    rows = reader(when="number").read(batch(when=pa.array(milliseconds, pa.int64())))
    assert rows[:, 0].tolist() == milliseconds


def test_numbers_too_large_for_floats_are_rounded_and_not_refused() -> None:
    rows = reader(key="number").read(batch(key=pa.array([2**62 + 1], pa.int64())))
    assert rows[0, 0] == 2.0**62


def test_a_category_has_one_code_in_every_table() -> None:
    table = reader(city="category")
    pool = table.read(batch(city=["Rome", None, "Oslo", "Rome"]))
    reference = table.read(batch(city=["Bern", "Oslo"]))
    np.testing.assert_array_equal(pool[:, 0], [0.0, NAN, 1.0, 0.0])
    np.testing.assert_array_equal(reference[:, 0], [2.0, 1.0])


def test_column_that_one_table_leaves_empty_is_missing_there() -> None:
    empty = pa.array([None, None], pa.string())
    rows = reader(age="number", rich="boolean", city="category").read(
        batch(age=empty, rich=empty, city=empty)
    )
    assert np.isnan(rows).all()


def test_column_that_is_empty_everywhere_is_left_out() -> None:
    table = reader(age="number", note="empty")
    assert table.stored_names == ["feature:age"]
    assert table.table_columns == (TableColumn("age", LearnedKind.NUMBER),)


def test_reader_like_another_keeps_its_codes_and_numbers_no_new_word() -> None:
    first = reader(age="number", city="category", rich="boolean")
    first.read(batch(age=[1.0, 2.0], city=["Rome", "Oslo"], rich=[True, None]))
    again = TableReader.like(first.table_columns)
    assert again.stored_names == first.stored_names
    rows = again.read(batch(age=[3.0] * 4, city=["Oslo", "Bern", None, "Kyiv"], rich=[None] * 4))
    np.testing.assert_array_equal(rows[:, 1], [1.0, UNKNOWN_CATEGORY, NAN, UNKNOWN_CATEGORY])
    assert again.table_columns == first.table_columns
