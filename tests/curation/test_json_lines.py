"""JSON Lines made by columns are read back as the rows that went in."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.json_lines import json_lines


def read_back(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    # Of bytes, since texts know more ends of lines than JSON Lines does.
    return [json.loads(line) for line in bytes(json_lines(batch)).splitlines()]


@pytest.mark.parametrize(
    "texts",
    [
        ["plain", "é 漢 \u2028", '"quoted"', "back\\slash", '\\"', "", None],
        ["tab\tline\nbell\x07zero\x00", "\x1f", '"', None],
    ],
)
def test_texts_of_all_kinds_come_back(texts: list[str | None]) -> None:
    rows = read_back(pa.RecordBatch.from_pydict({'na"me': pa.array(texts, pa.string())}))
    assert [row['na"me'] for row in rows] == texts


def test_float32_comes_back_as_the_same_one_and_as_a_number_with_a_point() -> None:
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, 20_000, dtype=np.uint32)
    values = np.append(bits.view(np.float32), np.float32([0.0, -0.0, 1.0, 16_777_216.0, 1e-45]))
    rows = read_back(pa.RecordBatch.from_pydict({"x": pa.array(values)}))
    back = [row["x"] for row in rows]
    finite = np.isfinite(values)
    assert [value is None for value in back] == (~finite).tolist()
    numbers = [value for value in back if value is not None]
    assert all(type(number) is float for number in numbers)
    assert np.array_equal(np.float32(numbers).view(np.uint32), values[finite].view(np.uint32))


def test_other_types_and_missing_values() -> None:
    columns = {
        "n": pa.array([-(2**63), None, 3], pa.int64()),
        "b": pa.array([True, False, None]),
        "d": pa.array([0.1, float("inf"), None]),
    }
    assert read_back(pa.RecordBatch.from_pydict(columns)) == [
        {"n": -(2**63), "b": True, "d": 0.1},
        {"n": None, "b": False, "d": None},
        {"n": 3, "b": None, "d": None},
    ]


def test_part_of_a_batch_and_nothing_at_all() -> None:
    batch = pa.RecordBatch.from_pydict({"n": [1, 2, 3], "t": ["a", "b", "c"]})
    assert read_back(batch.slice(1, 1)) == [{"n": 2, "t": "b"}]
    assert bytes(json_lines(batch.slice(3))) == b""
