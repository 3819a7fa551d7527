"""The normalised form of a dataset: one Parquet file, whatever the user uploaded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pyarrow as pa
import pyarrow.parquet as pq

from curation.census import Census
from curation.feature_columns import FeatureColumn
from curation.thumbnails import thumbnails
from curation.user_columns import ColumnKinds, typed_columns

# A row group is what a reader holds in memory at once.
ROW_GROUP_ROWS = 1024
ROW_GROUP_BYTES = 64 << 20
USER_PREFIX = "user:"
FEATURE_PREFIX = "feature:"
IMAGE_COLUMN = "image"
EMBEDDING_COLUMN = "embedding"
TEXT_COLUMN = "text"
THUMBNAIL_COLUMN = "thumbnail"
_EXTRAS_COLUMN = "extras"

_COMMON_FIELDS = (
    pa.field("position", pa.int32(), nullable=False),
    pa.field("sample_id", pa.string(), nullable=False),
    pa.field("file_name", pa.string()),
    pa.field("label", pa.int64(), nullable=False),
    pa.field("is_real", pa.bool_(), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBatch:
    """Samples that are sound by themselves, at most one row group of them.

    Attributes:
        rows: Their rows in the user's file, counted from 1.
        sample_ids: Their names.
        labels: The names of their classes.
        is_real: Which of them are real.
        file_names: Paths inside the archive, or None.
        payload: What is learned from, or None for tables, whose features are in `extras`.
        extras: The other columns of each sample, as JSON values.
    """

    rows: Sequence[int]
    sample_ids: Sequence[str]
    labels: Sequence[str]
    is_real: Sequence[bool]
    file_names: Sequence[str | None]
    payload: pa.Array | None
    extras: Sequence[Mapping[str, Any]] | None = field(default=None)


@final
class SampleFileWriter:
    """Writes samples as they come, and their final file once classes and columns are known.

    Labels are numbers in the order of the sorted class names, and columns have types, both of
    which only the last row decides. So a draft is written first, and rewritten at the end: the
    user's file is read and decoded once.
    """

    def __init__(self, draft: Path, *, payload_column: str | None, payload_type: Any) -> None:
        """Open the draft.

        Args:
            draft: Path of the draft.
            payload_column: The name of the column that is learned from, or None for tables.
            payload_type: Its Arrow type, or None.
        """
        self._draft = draft
        self._payload_column = payload_column
        fields = list(_COMMON_FIELDS)
        if payload_column is not None:
            fields.append(pa.field(payload_column, payload_type, nullable=False))
        fields.append(pa.field(_EXTRAS_COLUMN, pa.string()))
        self._schema = pa.schema(fields)
        # The draft is read once and thrown away.
        self._writer = pq.ParquetWriter(
            draft, self._schema, compression="none", use_dictionary=False, write_statistics=False
        )
        self._kinds = ColumnKinds()
        self._count = 0

    @property
    def columns(self) -> Sequence[FeatureColumn]:
        """The other columns seen so far."""
        return self._kinds.columns

    def append(self, batch: SampleBatch, census: Census) -> None:
        """Write a batch as one row group.

        Raises:
            InvalidInputError: A name is taken already, or there are too many classes or columns.
        """
        codes = census.accept(batch.rows, batch.sample_ids, batch.labels)
        count = len(codes)
        if not count:
            return
        columns = [
            pa.array(range(self._count, self._count + count), pa.int32()),
            pa.array(batch.sample_ids, pa.string()),
            pa.array(batch.file_names, pa.string()),
            pa.array(codes, pa.int64()),
            pa.array(batch.is_real, pa.bool_()),
        ]
        if batch.payload is not None:
            columns.append(batch.payload)
        columns.append(self._packed_extras(batch, count))
        rows = pa.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(rows, row_group_size=count)
        self._count += count

    def finish(self, destination: Path, census: Census, *, prefix: str) -> None:
        """Write the final file and remove the draft.

        Args:
            destination: Path of the final file.
            census: Which class each code of the draft stands for.
            prefix: What the names of the other columns begin with.
        """
        self._writer.close()
        labels = pa.array(census.label_of_code(), pa.int64())
        types = self._kinds.types()
        schema = self._final_schema(types, prefix, census.class_names())
        # Read and not mapped: the pages of a mapped file would add up to the whole of it.
        draft = pq.ParquetFile(self._draft)
        with _open_final(destination, schema) as writer:
            for group in range(draft.num_row_groups):
                rows = draft.read_row_group(group)
                index = rows.schema.get_field_index("label")
                rows = rows.set_column(
                    index, _COMMON_FIELDS[3], labels.take(rows.column("label").combine_chunks())
                )
                extras = rows.column(_EXTRAS_COLUMN).to_pylist()
                arrays = rows.drop_columns([_EXTRAS_COLUMN]).columns
                if IMAGE_COLUMN in self._schema.names:
                    arrays.append(thumbnails(rows.column(IMAGE_COLUMN).combine_chunks()))
                arrays += typed_columns(extras, types)
                final_rows = pa.Table.from_arrays(arrays, schema=schema)
                writer.write_table(final_rows, row_group_size=final_rows.num_rows)
        draft.close()
        self._draft.unlink()

    def close(self) -> None:
        """Leave the draft as it is; what was refused has no final file."""
        self._writer.close()

    def _packed_extras(self, batch: SampleBatch, count: int) -> pa.Array:
        if batch.extras is None:
            return pa.nulls(count, pa.string())
        for extras in batch.extras:
            self._kinds.observe(extras)
        return pa.array([json.dumps(extras, default=str) for extras in batch.extras], pa.string())

    def _final_schema(
        self, types: Mapping[str, pa.DataType], prefix: str, class_names: Sequence[str]
    ) -> pa.Schema:
        known = [field for field in self._schema if field.name != _EXTRAS_COLUMN]
        if IMAGE_COLUMN in self._schema.names:
            known.append(pa.field(THUMBNAIL_COLUMN, pa.binary()))
        others = [pa.field(f"{prefix}{name}", kind) for name, kind in types.items()]
        return pa.schema(
            [*known, *others], metadata={"winnow": json.dumps({"class_names": list(class_names)})}
        )


def _open_final(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Images are compressed already, and the digits of embeddings hardly repeat: to look for
    # repetition in them would be most of the work.
    payloads = {IMAGE_COLUMN, THUMBNAIL_COLUMN, EMBEDDING_COLUMN}
    leaves = {name: _leaf(schema.field(name)) for name in schema.names}
    others = [leaves[name] for name in schema.names if name not in payloads]
    return pq.ParquetWriter(
        path,
        schema,
        compression={leaf: "none" if name in payloads else "zstd" for name, leaf in leaves.items()},
        use_dictionary=others,
        write_statistics=others,
    )


def _leaf(column: pa.Field) -> str:
    """Return a column's path inside a Parquet file, where a list's items lie deeper."""
    if pa.types.is_fixed_size_list(column.type):
        return f"{column.name}.list.element"
    return str(column.name)
