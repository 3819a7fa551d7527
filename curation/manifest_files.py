"""Manifests as tables and as arrays of ids, each written batch by batch."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.csv_lines import csv_lines
from curation.errors import InvalidInputError
from curation.json_lines import json_lines
from curation.manifest_formats import TableFormat

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
# What an array of ids may take, where one long id widens every cell.
MAX_ID_ARRAY_BYTES = 4 << 30


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


def open_table(
    path: Path, file_format: TableFormat, schema: pa.Schema, class_names: Sequence[str]
) -> ManifestFile:
    """Return a new table, to be used as a context.

    JSONL and CSV have no place for class names in a schema, so their rows carry `label_name`.

    Args:
        path: Where to write it.
        file_format: The file's format.
        schema: What `manifest_schema` returned.
        class_names: Names of the classes, by label.
    """
    match file_format:
        case TableFormat.PARQUET:
            return _ParquetManifest(path, schema)
        case TableFormat.JSONL:
            return _JsonlManifest(path, class_names)
        case TableFormat.CSV:
            return _CsvManifest(path, schema, class_names)


def open_id_array(path: Path) -> ManifestFile:
    """Return a new file of ids that `numpy.load` reads without pickle, to be used as a context."""
    return _IdArray(path)


def plain_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:  # JSON values.
    """Yield a batch's rows as JSON objects; numbers that are not finite are None."""
    columns = [_plain_values(column) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, values, strict=True))


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
        self._file = path.open("wb")
        self._class_names = class_names

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(json_lines(_with_label_names(batch, self._class_names)))

    def close(self) -> None:
        self._file.close()


@final
class _CsvManifest(ManifestFile):
    def __init__(self, path: Path, schema: pa.Schema, class_names: Sequence[str]) -> None:
        self._file = path.open("wb")
        self._class_names = class_names
        named = _with_label_names(pa.RecordBatch.from_pylist([], schema=schema), class_names)
        names = named.schema.names
        header = pa.RecordBatch.from_arrays([pa.array([name]) for name in names], names=names)
        self._file.write(csv_lines(header, id_name=None))

    def write(self, batch: pa.RecordBatch) -> None:
        named = _with_label_names(batch, self._class_names)
        self._file.write(csv_lines(named, id_name="sample_id"))

    def close(self) -> None:
        self._file.close()


@final
class _IdArray(ManifestFile):
    """Every cell of the array is as wide as the longest id, so ids wait in a file until the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f"{path.name}.draft")
        self._schema = pa.schema([pa.field("sample_id", pa.string())])
        self._writer = pa.ipc.new_stream(self._draft, self._schema)
        self._count = 0
        self._width = 1

    def write(self, batch: pa.RecordBatch) -> None:
        ids = batch.column("sample_id")
        if not len(ids):
            return
        self._writer.write_batch(pa.RecordBatch.from_arrays([ids], schema=self._schema))
        self._count += len(ids)
        self._width = max(self._width, pc.max(pc.utf8_length(ids)).as_py())

    def close(self) -> None:
        self._writer.close()
        cell = np.dtype(f"<U{self._width}")
        if self._count * cell.itemsize > MAX_ID_ARRAY_BYTES:
            raise InvalidInputError(
                "IDS_TOO_LONG",
                "As an array of equal cells the ids would take more than"
                f" {MAX_ID_ARRAY_BYTES >> 30} GiB.",
                field="format",
                cure="Take parquet, which stores each id at its own length.",
            )
        with self._path.open("wb") as file, pa.ipc.open_stream(self._draft) as ids:
            header = {"descr": cell.str, "fortran_order": False, "shape": (self._count,)}
            np.lib.format.write_array_header_1_0(file, header)
            for batch in ids:
                file.write(np.array(batch.column(0).to_pylist(), dtype=cell).tobytes())
        self._draft.unlink()


def _feature(field: pa.Field, class_names: Sequence[str]) -> dict[str, Any]:  # JSON values.
    if field.name == "label":
        return {"names": list(class_names), "_type": "ClassLabel"}
    return {"dtype": _VALUE_NAMES[field.type], "_type": "Value"}


def _with_label_names(batch: pa.RecordBatch, class_names: Sequence[str]) -> pa.RecordBatch:
    """Return rows that also tell each label's name, beside the label."""
    place = batch.schema.get_field_index("label") + 1
    name = free_name(LABEL_NAME, batch.schema.names)
    names = pa.array(class_names, pa.string()).take(batch.column("label"))
    return batch.add_column(place, name, names)


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
