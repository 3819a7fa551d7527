"""Tables and arrays: every way to write them is read, and bad rows go with their reason."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_world import embeddings, npz_bytes
from uploads import jsonl, parquet, zipped

from curation.models import Modality, Role
from curation.validation import Refusal, Validation

Validate = Callable[..., Validation | Refusal]
CSV = b'id,text,label,stars\n007,fine,good,5\n008,awful,bad,1\n009,"so, so",bad,2.5\n'


def accepted(outcome: Validation | Refusal) -> Validation:
    assert isinstance(outcome, Validation), outcome
    return outcome


def refusal_of(outcome: Validation | Refusal) -> tuple[str, str | None, int | None]:
    assert isinstance(outcome, Refusal), outcome
    assert outcome.error.cure
    return outcome.error.reason, outcome.error.field, outcome.error.row


def samples(tmp_path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(tmp_path / "samples.parquet").to_pydict()
    return columns


def vector_rows(vectors: list[Any]) -> list[dict[str, Any]]:
    return [{"embedding": vector, "label": index % 2} for index, vector in enumerate(vectors)]


def test_text_table_keeps_ids_and_the_users_columns(validate: Validate, tmp_path: Path) -> None:
    found = accepted(validate(CSV, "a.csv"))
    assert (found.modality, found.input_shape) == (Modality.TEXT, None)
    assert found.class_counts == {"bad": 2, "good": 1}
    columns = samples(tmp_path)
    assert columns["sample_id"] == ["007", "008", "009"]
    assert columns["text"] == ["fine", "awful", "so, so"]
    assert columns["user:stars"] == [5.0, 1.0, 2.5]
    assert columns["file_name"] == [None, None, None]


def test_rows_without_ids_are_named_by_their_number(validate: Validate, tmp_path: Path) -> None:
    accepted(validate(b"text,label\na,0\nb,1\n", "a.csv"))
    assert samples(tmp_path)["sample_id"] == ["row-1", "row-2"]


def test_tabular_features_may_be_numbers_words_or_missing(
    validate: Validate, tmp_path: Path
) -> None:
    content = b"age,city,code,label\n31,Rome,007,a\n,Oslo,1,b\n4.5,,12,a\n"
    found = accepted(validate(content, "a.csv"))
    assert (found.modality, found.input_shape) == (Modality.TABULAR, [3])
    columns = samples(tmp_path)
    assert columns["feature:age"] == [31.0, None, 4.5]
    assert columns["feature:city"] == ["Rome", "Oslo", None]
    assert columns["feature:code"] == ["007", "1", "12"]


@pytest.mark.parametrize("label", ["label", "kind"])
def test_label_column_may_have_any_name(validate: Validate, label: str) -> None:
    content = CSV.replace(b"label", label.encode())
    wanted = None if label == "label" else label
    assert accepted(validate(content, "a.csv", label_column=wanted)).sample_count == 3


@pytest.mark.parametrize("file_name", ["a.csv", "a.jsonl", "a.parquet"])
def test_label_column_that_does_not_exist_is_refused(validate: Validate, file_name: str) -> None:
    content = {
        "a.csv": CSV,
        "a.jsonl": jsonl([{"text": "a", "label": 1}]),
        "a.parquet": parquet({"text": ["a", "b"], "label": [0, 1]}),
    }[file_name]
    outcome = validate(content, file_name, label_column="target")
    assert refusal_of(outcome) == ("LABEL_COLUMN_MISSING", "label_column", None)
    assert isinstance(outcome, Refusal)
    assert "'target'" in outcome.error.detail
    assert "'text'" in str(outcome.error.cure)


def test_id_column_that_does_not_exist_is_refused(validate: Validate) -> None:
    outcome = validate(CSV, "a.csv", id_column="key")
    assert refusal_of(outcome) == ("ID_COLUMN_MISSING", "id_column", None)


def test_duplicate_id_is_refused_with_both_rows(validate: Validate) -> None:
    outcome = validate(CSV.replace(b"009", b"007"), "a.csv")
    assert refusal_of(outcome) == ("DUPLICATE_ID", "id", 3)
    assert isinstance(outcome, Refusal)
    assert outcome.error.detail == "Rows 1 and 3 have the same id '007'."


@pytest.mark.parametrize("file_name", ["a.jsonl", "a.parquet"])
def test_embeddings_are_read_from_lists(validate: Validate, tmp_path: Path, file_name: str) -> None:
    vectors = [[1.0, 2.0], [3.0, 4.5], [5.0, -6.0]]
    rows = vector_rows(vectors)
    content = (
        jsonl(rows)
        if file_name == "a.jsonl"
        else parquet({"embedding": vectors, "label": [row["label"] for row in rows]})
    )
    found = accepted(validate(content, file_name))
    assert (found.modality, found.input_shape) == (Modality.EMBEDDING, [2])
    table = pq.read_table(tmp_path / "samples.parquet")
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 2)
    assert table.column("embedding").to_pylist() == vectors


@pytest.mark.parametrize("value_type", [pa.float16(), pa.float64(), pa.int32()])
@pytest.mark.parametrize("is_fixed", [True, False])
def test_parquet_embeddings_may_be_of_any_number_type(
    validate: Validate, *, value_type: pa.DataType, is_fixed: bool
) -> None:
    values = [[1, 2, 3], None, [4, 5, 6], [7, 8, 9]]
    kind = pa.list_(value_type, 3) if is_fixed else pa.list_(value_type)
    column = pa.array(values, pa.list_(pa.int64())).cast(pa.list_(value_type)).cast(kind)
    found = accepted(validate(parquet({"embedding": column, "label": [0, 0, 1, 1]}), "a.parquet"))
    assert (found.sample_count, found.input_shape) == (3, [3])
    assert [(r.row, r.reason) for r in found.rejections] == [(2, "EMBEDDING_MISSING")]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("file_name", ["a.jsonl", "a.parquet", "a.npz"])
def test_row_that_is_not_finite_is_rejected(validate: Validate, file_name: str, bad: float) -> None:
    vectors = [[1.0, 2.0], [3.0, bad], [5.0, 6.0], [7.0, 8.0]]
    content = {
        "a.jsonl": jsonl(vector_rows(vectors)),
        "a.parquet": parquet({"embedding": vectors, "label": [0, 1, 0, 1]}),
        "a.npz": npz_bytes(x=np.array(vectors), y=[0, 1, 0, 1]),
    }[file_name]
    found = accepted(validate(content, file_name))
    assert found.sample_count == 3
    assert [(r.row, r.reason) for r in found.rejections] == [(2, "NOT_FINITE")]
    assert found.rejections[0].field in {"embedding", "x"}


def test_embeddings_that_are_all_broken_are_refused_with_the_first(validate: Validate) -> None:
    arrays = embeddings(6)
    outcome = validate(npz_bytes(x=np.full_like(arrays["x"], np.nan), y=arrays["y"]), "a.npz")
    assert refusal_of(outcome) == ("TOO_MANY_REJECTED", "x", 1)
    assert isinstance(outcome, Refusal)
    assert "NaN or infinity" in outcome.error.detail


@pytest.mark.parametrize("file_name", ["a.jsonl", "a.parquet"])
def test_embedding_of_another_length_is_refused(validate: Validate, file_name: str) -> None:
    vectors = [[1.0, 2.0], [3.0, 4.0], [5.0]]
    content = (
        jsonl(vector_rows(vectors))
        if file_name == "a.jsonl"
        else parquet({"embedding": vectors, "label": [0, 1, 0]})
    )
    assert refusal_of(validate(content, file_name)) == ("WRONG_DIMENSION", "embedding", 3)


def test_rows_that_cannot_be_read_are_rejected_one_by_one(validate: Validate) -> None:
    lines = jsonl(vector_rows([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])).splitlines()
    lines += [b"{not json", b"[1, 2]", b'{"embedding": "x", "label": 1}']
    lines += [b'{"embedding": [1.0]}', b'{"embedding": [1.0], "label": 1.5}', b"", b'{"label": 1}']
    found = accepted(validate(b"\n".join(lines), "a.jsonl"))
    assert [(r.row, r.reason) for r in found.rejections] == [
        (7, "UNREADABLE_ROW"),
        (8, "UNREADABLE_ROW"),
        (9, "EMBEDDING_UNREADABLE"),
        (10, "LABEL_MISSING"),
        (11, "LABEL_INVALID"),
        (13, "EMBEDDING_MISSING"),
    ]


def test_csv_rows_of_another_length_are_rejected(validate: Validate) -> None:
    found = accepted(validate(CSV + b"010,short\n011,ok,good,1\n", "a.csv"))
    assert [(r.row, r.reason) for r in found.rejections] == [(4, "UNREADABLE_ROW")]
    assert found.sample_count == 4


@pytest.mark.parametrize(
    ("cell", "reason"), [("perhaps", "UNKNOWN_SOURCE"), ("real", None), ("", None)]
)
def test_source_marks_real_samples(
    validate: Validate, tmp_path: Path, cell: str, reason: str | None
) -> None:
    content = f"text,label,source\na,0,synthetic\nb,1,\nc,1,{cell}\n".encode()
    found = accepted(validate(content, "a.csv"))
    assert [r.reason for r in found.rejections] == ([] if reason is None else [reason])
    if reason is None:
        assert samples(tmp_path)["is_real"] == [False, False, cell == "real"]


@pytest.mark.parametrize(
    ("content", "file_name"),
    [
        (b"", "a.csv"),
        (b"text,label\n", "a.csv"),
        (b"\n\n", "a.jsonl"),
        (
            parquet({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}),
            "a.parquet",
        ),
        (npz_bytes(x=np.zeros((0, 3)), y=[]), "a.npz"),
    ],
)
def test_empty_file_is_refused(validate: Validate, content: bytes, file_name: str) -> None:
    assert refusal_of(validate(content, file_name)) == ("EMPTY_DATASET", "content", None)


def test_one_class_is_refused(validate: Validate) -> None:
    outcome = validate(npz_bytes(x=np.ones((4, 2)), y=[3, 3, 3, 3]), "a.npz")
    assert refusal_of(outcome) == ("ONE_CLASS", "label", None)


def test_one_class_that_is_left_is_refused(validate: Validate) -> None:
    rows = vector_rows([[1.0], [math.nan], [2.0]])
    assert refusal_of(validate(jsonl(rows), "a.jsonl"))[0] == "ONE_CLASS"


def test_reference_smaller_than_two_a_class_is_refused(validate: Validate) -> None:
    arrays = {"x": np.ones((3, 2)), "y": [0, 0, 1]}
    outcome = validate(npz_bytes(**arrays), "a.npz", role=Role.REFERENCE)
    assert refusal_of(outcome) == ("REFERENCE_TOO_SMALL", "label", None)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"y": [0, 1]}, ("ARRAY_MISSING", "x", None)),
        ({"x": np.ones((2, 2))}, ("LABEL_COLUMN_MISSING", "y", None)),
        ({"x": np.ones((2, 2)), "y": [0, 1, 0]}, ("LENGTHS_DIFFER", "y", None)),
        ({"x": np.ones((2, 2)), "y": [0, 1], "id": [1]}, ("LENGTHS_DIFFER", "id", None)),
        ({"x": np.ones((2, 2, 2)), "y": [0, 1]}, ("WRONG_DIMENSION", "x", None)),
        ({"x": np.ones(2), "y": [0, 1]}, ("WRONG_DIMENSION", "x", None)),
        ({"x": np.ones((2, 0)), "y": [0, 1]}, ("WRONG_DIMENSION", "embedding", 1)),
        ({"x": np.ones((2, 2)), "y": [[0], [1]]}, ("WRONG_DIMENSION", "y", None)),
        ({"x": np.array([["a", "b"]]), "y": [0]}, ("WRONG_TYPE", "x", None)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    validate: Validate, arrays: dict[str, Any], expected: tuple[str, str, int | None]
) -> None:
    assert refusal_of(validate(npz_bytes(**arrays), "a.npz")) == expected


def test_pickled_arrays_are_never_opened(validate: Validate) -> None:
    labels = np.array(["a", None, "b"], dtype=object)
    content = npz_bytes(x=np.ones((3, 2)), y=labels)
    assert refusal_of(validate(content, "a.npz")) == ("PICKLED_ARRAY", "y", None)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_npz_is_read_row_by_row(
    validate: Validate, tmp_path: Path, *, order: Any, is_packed: bool
) -> None:
    vectors = np.arange(12_000, dtype=np.float64).reshape(3_000, 4)
    buffer = io.BytesIO()
    save = np.savez_compressed if is_packed else np.savez
    names = np.array([f"n{index}" for index in range(3_000)])
    save(buffer, x=np.asarray(vectors, order=order), y=np.arange(3_000) % 3, id=names)
    found = accepted(validate(buffer.getvalue(), "a.npz"))
    assert found.class_names == ["0", "1", "2"]
    file = pq.ParquetFile(tmp_path / "samples.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(3)] == [1024, 1024, 952]
    table = file.read()
    assert table.column("sample_id").to_pylist() == names.tolist()
    assert np.array_equal(
        np.array(table.column("embedding").to_pylist()), vectors.astype(np.float32)
    )


@pytest.mark.parametrize(
    ("file_name", "reason"),
    [
        ("a.npz", "NOT_WHAT_NAME_SAYS"),
        ("a.parquet", "NOT_WHAT_NAME_SAYS"),
        ("a.csv", "NOT_WHAT_NAME_SAYS"),
        ("a.jsonl", "NOT_WHAT_NAME_SAYS"),
        ("a.rar", "UNSUPPORTED_FORMAT"),
        ("noending", "UNSUPPORTED_FORMAT"),
    ],
)
def test_file_that_is_not_what_its_name_says_is_refused(
    validate: Validate, file_name: str, reason: str
) -> None:
    noise = b"\x89\xff\x00\x80" * 500
    assert refusal_of(validate(noise, file_name))[0] == reason


@pytest.mark.parametrize(
    ("content", "file_name", "reason"),
    [
        (npz_bytes(**embeddings(50)), "a.npz", "TRUNCATED_ARCHIVE"),
        (parquet({"text": ["a", "b"] * 500, "label": [0, 1] * 500}), "a.parquet", "DAMAGED_FILE"),
    ],
)
def test_truncated_file_is_refused(
    validate: Validate, content: bytes, file_name: str, reason: str
) -> None:
    assert refusal_of(validate(content[: len(content) // 2], file_name))[0] == reason


def test_damaged_array_is_refused(validate: Validate) -> None:
    content = bytearray(npz_bytes(**embeddings(50)))
    content[400] ^= 0xFF
    assert refusal_of(validate(bytes(content), "a.npz"))[0] == "DAMAGED_FILE"


def test_bomb_of_arrays_is_refused(validate: Validate) -> None:
    packed = zipped({"x.npy": bytes(100 << 20), "y.npy": b""})
    assert refusal_of(validate(packed, "a.npz"))[0] == "ARCHIVE_TOO_LARGE"


@pytest.mark.parametrize(
    ("content", "file_name", "modality", "reason"),
    [
        (CSV, "a.csv", Modality.IMAGE, "UNSUPPORTED_FORMAT"),
        (b"file_name,label\na.png,1\n", "a.csv", None, "UNSUPPORTED_FORMAT"),
        (CSV, "a.csv", Modality.EMBEDDING, "MODALITY_DIFFERS"),
        (b"a,label\n1,2\n", "a.csv", Modality.TEXT, "MODALITY_DIFFERS"),
        (npz_bytes(**embeddings(4)), "a.npz", Modality.TABULAR, "MODALITY_DIFFERS"),
        (b"label\n0\n1\n", "a.csv", None, "NO_FEATURES"),
        (b"a,a,label\n1,2,3\n", "a.csv", None, "BAD_HEADER"),
        (b"a,,label\n1,2,3\n", "a.csv", None, "BAD_HEADER"),
    ],
)
def test_table_of_the_wrong_kind_is_refused(
    validate: Validate, content: bytes, file_name: str, modality: Modality | None, reason: str
) -> None:
    assert refusal_of(validate(content, file_name, modality=modality))[0] == reason


def test_wanted_modality_outranks_the_columns(validate: Validate) -> None:
    found = accepted(validate(CSV, "a.csv", modality=Modality.TABULAR))
    assert (found.modality, found.input_shape) == (Modality.TABULAR, [2])


def test_parquet_columns_keep_their_meaning(validate: Validate, tmp_path: Path) -> None:
    columns = {
        "text": ["a", "b"],
        "label": [False, True],
        "id": [10, 20],
        "count": pa.array([1, None], pa.int16()),
        "tags": [["x"], ["y", "z"]],
        "blob": [b"\x00", b"\x01"],
        "when": pa.array([0, 1], pa.timestamp("s", "UTC")),
        "ratio": [math.nan, 0.5],
    }
    found = accepted(validate(parquet(columns), "a.parquet"))
    assert found.class_names == ["false", "true"]
    written = samples(tmp_path)
    assert written["sample_id"] == ["10", "20"]
    assert written["user:count"] == [1, None]
    assert written["user:tags"] == [json.dumps(["x"]), json.dumps(["y", "z"])]
    assert written["user:when"][0].startswith("1970-01-01")
    assert written["user:ratio"] == [None, 0.5]
    assert not any("blob" in name for name in written)


def test_columns_that_come_late_are_kept(validate: Validate, tmp_path: Path) -> None:
    rows = [{"text": str(index), "label": index % 2} for index in range(1_500)]
    rows[1_400]["note"] = "late"
    accepted(validate(jsonl(rows), "a.jsonl"))
    notes = samples(tmp_path)["user:note"]
    assert (notes[1_400], notes.count(None)) == ("late", 1_499)


def test_half_characters_do_not_break_the_file(validate: Validate, tmp_path: Path) -> None:
    content = b'{"text": "a", "label": 0, "note": "\\ud800"}\n{"text": "b", "label": 1}\n'
    content += b'{"text": "\\ud800", "label": 1}\n'
    found = accepted(validate(content, "a.jsonl"))
    assert samples(tmp_path)["user:note"] == ["?", None]
    assert [r.reason for r in found.rejections] == ["TEXT_INVALID"]


def test_too_many_columns_are_refused(validate: Validate) -> None:
    row = {f"c{index}": 1 for index in range(2_100)}
    rows = [{**row, "label": 0}, {**row, "label": 1}]
    assert refusal_of(validate(jsonl(rows), "a.jsonl"))[0] == "TOO_MANY_COLUMNS"


def test_column_of_ids_as_labels_is_refused(validate: Validate) -> None:
    rows = [{"text": "t", "label": f"{index:06}"} for index in range(10_001)]
    assert refusal_of(validate(jsonl(rows), "a.jsonl"))[0] == "TOO_MANY_CLASSES"


def test_blank_texts_are_rejected(validate: Validate) -> None:
    content = b'text,label\nfine,good\n"  ",good\n,bad\n"\t\n",bad\nawful,bad\nso so,bad\n'
    found = accepted(validate(content, "a.csv"))
    assert found.sample_count == 3
    assert [(r.row, r.reason, r.field) for r in found.rejections] == [
        (2, "TEXT_MISSING", "text"),
        (3, "TEXT_MISSING", "text"),
        (4, "TEXT_MISSING", "text"),
    ]
