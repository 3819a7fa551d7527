"""The file formats of manifests, each written batch by batch."""

import csv
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LABEL_NAME = "label_name"

# Every column is nullable: `datasets` loses the class names of a label that is not.
MANIFEST_FIELDS = (
    pa.field("sample_id", pa.string()),
    pa.field("file_name", pa.string()),
    pa.field("label", pa.int64()),
    pa.field("score", pa.float32()),
    pa.field("weight", pa.float32()),
    pa.field("keep", pa.bool_()),
    pa.field("rank", pa.int64()),
)

_VALUE_NAMES = {
    pa.string(): "string",
    pa.int64(): "int64",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.bool_(): "bool",
}
# What spreadsheets and readers of tables take for a number or for a missing value.
_NUMBER = re.compile(r"\s*[+-]?(\d[\d_,]*\.?\d*|\.\d+)([eE][+-]?\d+)?%?\s*")
_MISSING = frozenset(
    {"", "na", "n/a", "nan", "-nan", "null", "none", "inf", "-inf", "infinity", "true", "false"}
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class ManifestFormat(StrEnum):
    """The format of a manifest."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


class ManifestFile(ABC):
    """A manifest that is being written."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows in the manifest's schema."""

    @abstractmethod
    def close(self) -> None:
        """Complete the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def manifest_schema(user_fields: Iterable[pa.Field], class_names: Sequence[str]) -> pa.Schema:
    """Return a manifest's schema, with the class names where `datasets` looks for them.

    Args:
        user_fields: The user's own columns, with free names.
        class_names: Names of the classes, by label.
    """
    schema = pa.schema([*MANIFEST_FIELDS, *user_fields])
    features = {field.name: _feature(field, class_names) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a user's column name, with `original_` before it as often as it is taken."""
    while name in taken:
        name = f"original_{name}"
    return name


def open_manifest(
    path: Path, file_format: ManifestFormat, schema: pa.Schema, class_names: Sequence[str]
) -> ManifestFile:
    """Return a new manifest file, to be used as a context.

    JSONL and CSV have no place for class names in a schema, so their rows carry `label_name`.

    Args:
        path: Where to write it.
        file_format: The file's format.
        schema: What `manifest_schema` returned.
        class_names: Names of the classes, by label.
    """
    match file_format:
        case ManifestFormat.PARQUET:
            return _ParquetManifest(path, schema)
        case ManifestFormat.JSONL:
            return _JsonlManifest(path, class_names)
        case ManifestFormat.CSV:
            return _CsvManifest(path, schema, class_names)


def csv_id(value: str) -> str:
    """Return an id that no reader of tables takes for a number or a missing value."""
    if _NUMBER.fullmatch(value) or value.strip().lower() in _MISSING:
        return f"id:{value}"
    return csv_text(value)


def csv_text(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if value.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


@final
class _ParquetManifest(ManifestFile):
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


@final
class _JsonlManifest(ManifestFile):
    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._class_names = class_names

    def write(self, batch: pa.RecordBatch) -> None:
        columns = _text_columns(batch, self._class_names)
        names = tuple(columns)
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False))
            self._file.write("\n")

    def close(self) -> None:
        self._file.close()


@final
class _CsvManifest(ManifestFile):
    def __init__(self, path: Path, schema: pa.Schema, class_names: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._class_names = class_names
        empty = pa.RecordBatch.from_pylist([], schema=schema)
        self._writer.writerow([csv_text(name) for name in _text_columns(empty, class_names)])

    def write(self, batch: pa.RecordBatch) -> None:
        columns = _text_columns(batch, self._class_names)
        cells = [
            _cells(values, csv_id if name == "sample_id" else csv_text)
            for name, values in columns.items()
        ]
        self._writer.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        self._file.close()


def _feature(field: pa.Field, class_names: Sequence[str]) -> dict[str, Any]:  # JSON values.
    if field.name == "label":
        return {"names": list(class_names), "_type": "ClassLabel"}
    return {"dtype": _VALUE_NAMES[field.type], "_type": "Value"}


def _text_columns(
    batch: pa.RecordBatch, class_names: Sequence[str]
) -> dict[str, list[Any]]:  # Any: strings, numbers, booleans and None, by column.
    columns: dict[str, list[Any]] = {}  # The same.
    taken = set(batch.schema.names)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        columns[name] = _plain_values(column)
        if name == "label":
            labels = columns[name]
            columns[free_name(LABEL_NAME, taken)] = [class_names[label] for label in labels]
    return columns


def _plain_values(column: pa.Array) -> list[Any]:  # Any: what the column's type holds.
    if pa.types.is_float32(column.type):
        # The shortest digits that read back as the same float32, not those of its float64.
        return [float(digits) for digits in column.to_numpy().astype(np.str_)]
    if pa.types.is_floating(column.type):
        return [
            value if value is None or np.isfinite(value) else None for value in column.to_pylist()
        ]
    values: list[Any] = column.to_pylist()  # The same.
    return values


def _cells(values: Iterable[Any], text: Callable[[str], str]) -> list[Any]:  # Any: CSV cells.
    return [text(value) if isinstance(value, str) else value for value in values]
