"""Single samples of a dataset as people see them: picture, text or table row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import NotFoundError
from curation.objects import ObjectStore
from curation.sample_files import (
    FEATURE_PREFIX,
    IMAGE_COLUMN,
    TEXT_COLUMN,
    THUMBNAIL_COLUMN,
    USER_PREFIX,
)

MAX_PREVIEWS = 200
_MAX_TEXT = 2_000
_MAX_FIELDS = 60


@dataclass(frozen=True, slots=True)
class SamplePreview:
    """One sample as a person sees it.

    Attributes:
        position: Its place in the dataset, from 0.
        sample_id: Its name.
        label: Index of its class.
        is_real: Whether it is marked as real.
        text: The beginning of its text, or None where it is none.
        fields: Its columns by name: what is learned from first, then the user's own others.
        has_image: Whether there is a picture of it.
    """

    position: int
    sample_id: str
    label: int
    is_real: bool
    text: str | None
    fields: Mapping[str, str | int | float | bool | None]
    has_image: bool


def read_previews(
    store: ObjectStore, samples_digest: str, positions: Sequence[int]
) -> list[SamplePreview]:
    """Return previews of the samples at `positions`, in this order; unknown ones are left out.

    Cost: one row group of the file is decoded for each run of positions in it.

    Args:
        store: Holds the normalised file.
        samples_digest: The file.
        positions: At most `MAX_PREVIEWS`.
    """
    with store.local_path(samples_digest) as path, pq.ParquetFile(path) as file:
        columns = _previewed_columns(file.schema_arrow)
        has_image = IMAGE_COLUMN in file.schema_arrow.names
        rows = _rows_at(file, positions, columns)
    return [_preview(rows[place], has_image) for place in positions if place in rows]


def read_thumbnail(store: ObjectStore, samples_digest: str, position: int) -> bytes:
    """Return the small picture of a sample; the picture itself, where that is small.

    Args:
        store: Holds the normalised file.
        samples_digest: The file.
        position: The sample, from 0.

    Raises:
        NotFoundError: There is no such sample, or it is no picture.
    """
    with store.local_path(samples_digest) as path, pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if IMAGE_COLUMN not in names:
            raise NotFoundError("NO_THUMBNAIL", "The samples of this dataset are no images.")
        for column in (THUMBNAIL_COLUMN, IMAGE_COLUMN):
            if column not in names:
                continue
            rows = _rows_at(file, [position], [column])
            if position not in rows:
                raise NotFoundError(
                    "SAMPLE_NOT_FOUND", f"There is no sample at position {position}."
                )
            content = rows[position][column]
            if content is not None:
                return bytes(content)
    raise NotFoundError("NO_THUMBNAIL", "The sample has no picture.")


def _previewed_columns(schema: pa.Schema) -> list[str]:
    features = [name for name in schema.names if name.startswith(FEATURE_PREFIX)]
    others = [name for name in schema.names if name.startswith(USER_PREFIX)]
    known = [name for name in ("position", "sample_id", "label", "is_real") if name in schema.names]
    texts = [TEXT_COLUMN] if TEXT_COLUMN in schema.names else []
    return known + texts + (features + others)[:_MAX_FIELDS]


def _rows_at(
    file: pq.ParquetFile, positions: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Any]]:  # Arrow values.
    metadata = file.metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    ends = np.cumsum(sizes)
    wanted: dict[int, list[int]] = {}
    for position in sorted(set(positions)):
        if 0 <= position < metadata.num_rows:
            wanted.setdefault(int(np.searchsorted(ends, position, side="right")), []).append(
                position
            )
    rows: dict[int, dict[str, Any]] = {}
    for group, places in wanted.items():
        first = int(ends[group]) - sizes[group]
        table = file.read_row_group(group, columns=list(columns))
        taken = table.take([place - first for place in places]).to_pylist()
        rows.update(zip(places, taken, strict=True))
    return rows


def _preview(row: Mapping[str, Any], has_image: bool) -> SamplePreview:  # noqa: FBT001
    words = row.get(TEXT_COLUMN)
    return SamplePreview(
        position=row["position"],
        sample_id=row["sample_id"],
        label=row["label"],
        is_real=row["is_real"],
        text=None if words is None else words[:_MAX_TEXT],
        fields={
            name.partition(":")[2]: _plain(value)
            for name, value in row.items()
            if name.startswith((FEATURE_PREFIX, USER_PREFIX))
        },
        has_image=has_image,
    )


def _plain(value: Any) -> str | int | float | bool | None:  # Arrow value to JSON value.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_MAX_TEXT]
