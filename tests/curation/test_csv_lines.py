"""Columns become CSV at once, cell by cell the same as one after another would."""

import csv
import io

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from curation.csv_lines import csv_id, csv_lines, csv_text

# Letters that formulas, numbers, missing values and CSV itself are made of, and some others.
TELLING = "=+-@\t\r\n＝＋－＠0123456789.,_eE% \"'naNAultrueINFbcd/\x00\u3000é٣"
TEXTS = st.lists(st.text(TELLING) | st.text(st.characters(codec="utf-8")), min_size=1, max_size=20)


def cells(batch: pa.RecordBatch, id_name: str | None = "id") -> list[list[str]]:
    content = bytes(csv_lines(batch, id_name=id_name)).decode("utf-8")
    return list(csv.reader(io.StringIO(content, newline="")))


@given(TEXTS)
@example(["nan", " NA ", "", "n/a", "True", "007", "1e5", "-3.5", "٣", "b", "=b()", "a\nb", 'b"b'])
@example(["=1", "-1", "-1x", "＝1", "\r=b", "\u3000null\u3000"])
def test_texts_and_ids_are_guarded_like_single_ones(texts: list[str]) -> None:
    batch = pa.RecordBatch.from_pydict({"id": texts, "text": texts})
    assert cells(batch) == [[csv_id(text), csv_text(text)] for text in texts]


def test_missing_and_not_finite_values_are_empty() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "text": pa.array([None, "a"], pa.string()),
            "number": pa.array([1.5, None], pa.float64()),
            "score": pa.array([np.nan, np.inf], pa.float32()),
            "count": pa.array([7, None], pa.int64()),
            "keep": pa.array([True, None], pa.bool_()),
        }
    )
    assert cells(batch) == [["", "1.5", "", "7", "True"], ["a", "", "", "", ""]]


def test_floats_read_back_as_the_same() -> None:
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.random(500), generator.random(500) * 1e-6, [1.0, 1e20]])
    batch = pa.RecordBatch.from_pydict({"score": pa.array(scores.astype(np.float32))})
    found = [np.float32(row[0]) for row in cells(batch)]
    np.testing.assert_array_equal(found, scores.astype(np.float32))
    assert all("." in row[0] or "e" in row[0] for row in cells(batch))


def test_slice_is_written_and_nothing_before_it() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b", "=c"], "n": [1, 2, 3]})
    assert cells(batch.slice(1, 2)) == [["b", "2"], ["'=c", "3"]]
