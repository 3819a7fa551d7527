"""The rows of manifests: what is known of each sample, joined with what the user sent of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Engine

from curation.errors import InvalidInputError
from curation.identifiers import JobId
from curation.manifest_files import MANIFEST_FIELDS, free_name, manifest_schema
from curation.objects import ObjectStore
from curation.results import WEIGHTS_SCHEMA
from curation.sample_files import FEATURE_PREFIX, IMAGE_COLUMN, TEXT_COLUMN, USER_PREFIX
from curation.weight_files import weight_batches

_FILE_NAME = "file_name"


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """What a manifest is made from.

    Attributes:
        job_id: Whose weights.
        samples_digest: The normalised samples of the pool.
        class_names: Names of the classes, by label.
        keep: [sample], bool, the selection's cut; None takes the suggested one.
    """

    job_id: JobId
    samples_digest: str
    class_names: list[str]
    keep: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class ImageRows:
    """Samples with their images.

    Attributes:
        positions: [row], int64, places in the pool, from 0.
        rows: The manifest's columns.
        images: [row], the files as they were uploaded: PNG, JPEG or WebP.
    """

    positions: NDArray[np.int64]
    rows: pa.RecordBatch
    images: pa.Array


@final
class ManifestRows:
    """Reads the rows of one manifest once, in the order of positions.

    Attributes:
        schema: The columns of a manifest; the user's own come last.
        class_names: Names of the classes, by label.
    """

    def __init__(
        self, source: ManifestSource, samples: pq.ParquetFile, weights: Iterator[pa.RecordBatch]
    ) -> None:
        self._source = source
        self._weights = weights
        self._samples = samples
        stored = samples.schema_arrow
        names = _user_columns(stored)
        self._columns = [_FILE_NAME, *names]
        fields = [pa.field(name, stored.field(column).type) for column, name in names.items()]
        self.class_names = source.class_names
        self.schema: pa.Schema = manifest_schema(fields, source.class_names)

    @classmethod
    @contextmanager
    def opened(cls, engine: Engine, store: ObjectStore, source: ManifestSource) -> Iterator[Self]:
        """Yield the rows of a manifest while its samples are open."""
        # Buffering ahead would hold whole columns in memory before the first batch.
        with (
            store.local_path(source.samples_digest) as path,
            pq.ParquetFile(path, pre_buffer=False) as samples,
        ):
            yield cls(source, samples, weight_batches(engine, store, source.job_id))

    def batches(self, *, kept_only: bool) -> Iterator[pa.RecordBatch]:
        """Yield the rows as batches of `schema`."""
        stored = self._samples.schema_arrow.empty_table().select(self._columns).schema
        samples = _Rolling(
            self._samples.iter_batches(columns=self._columns, use_threads=False), stored
        )
        for weights in self._weights:
            rows = self._joined(weights, samples.take(weights.num_rows))
            yield rows.filter(rows.column("keep")) if kept_only else rows

    def image_batches(self, *, kept_only: bool) -> Iterator[ImageRows]:
        """Yield the rows with their images, a row group at a time, since images are large.

        Raises:
            InvalidInputError: The samples are no images.
        """
        if IMAGE_COLUMN not in self._samples.schema_arrow.names:
            raise InvalidInputError(
                "IMAGES_NEEDED",
                "This format holds images, and the samples of the job are none.",
                field="format",
                cure="Take parquet, jsonl, csv, npy or croissant.",
            )
        weights = _Rolling(self._weights, WEIGHTS_SCHEMA)
        for group in range(self._samples.num_row_groups):
            samples = self._samples.read_row_group(group, columns=[*self._columns, IMAGE_COLUMN])
            taken = weights.take(samples.num_rows).combine_chunks().to_batches()[0]
            rows = self._joined(taken, samples)
            found = ImageRows(
                taken.column("position").to_numpy().astype(np.int64),
                rows,
                samples.column(IMAGE_COLUMN).combine_chunks(),
            )
            yield _kept(found) if kept_only else found

    def _joined(self, weights: pa.RecordBatch, samples: pa.Table) -> pa.RecordBatch:
        keep = weights.column("keep")
        if self._source.keep is not None:
            first = weights.column("position")[0].as_py()
            keep = pa.array(self._source.keep[first : first + weights.num_rows])
        known = {name: weights.column(name) for name in WEIGHTS_SCHEMA.names} | {
            "keep": keep,
            _FILE_NAME: samples.column(_FILE_NAME).combine_chunks(),
        }
        users_own = [samples.column(name).combine_chunks() for name in self._columns[1:]]
        columns = [*(known[field.name] for field in MANIFEST_FIELDS), *users_own]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


@final
class _Rolling:
    """Hands out rows by number, whatever the lengths of the batches that they come in."""

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches = batches
        self._rest = schema.empty_table()

    def take(self, count: int) -> pa.Table:
        parts = [self._rest]
        found = self._rest.num_rows
        while found < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError("the pool and its weights differ in length")
            parts.append(pa.Table.from_batches([batch]).cast(self._rest.schema))
            found += batch.num_rows
        rows = pa.concat_tables(parts)
        self._rest = rows.slice(count)
        return rows.slice(0, count)


def _kept(found: ImageRows) -> ImageRows:
    keep = found.rows.column("keep")
    return ImageRows(
        found.positions[keep.to_numpy(zero_copy_only=False)],
        found.rows.filter(keep),
        found.images.filter(keep),
    )


def _user_columns(schema: pa.Schema) -> dict[str, str]:
    """Return the columns of the samples that ride along, and their names in the manifest."""
    taken = {field.name for field in MANIFEST_FIELDS}
    columns = {}
    for column in schema.names:
        if column == TEXT_COLUMN or column.startswith((USER_PREFIX, FEATURE_PREFIX)):
            name = column.removeprefix(USER_PREFIX).removeprefix(FEATURE_PREFIX)
            columns[column] = free_name(name, taken)
            taken.add(columns[column])
    return columns
