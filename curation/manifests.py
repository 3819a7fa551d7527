"""Manifests: a job's samples with their weights, as files that other tools read."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from curation.database import unit_of_work
from curation.errors import NotFoundError
from curation.identifiers import JobId, SelectionId, WorkspaceId
from curation.job_queries import get_job
from curation.manifest_files import (
    MANIFEST_FIELDS,
    ManifestFormat,
    free_name,
    manifest_schema,
    open_manifest,
)
from curation.models import Dataset, JobObject
from curation.object_rows import record_object
from curation.objects import ObjectStore, StoredObject
from curation.results import iterate_weights, job_object, require_results
from curation.sample_files import (
    FEATURE_PREFIX,
    TEXT_COLUMN,
    USER_PREFIX,
)
from curation.selections import get_selection, unpack_bitmap

MEDIA_TYPES: Mapping[ManifestFormat, str] = MappingProxyType(
    {
        ManifestFormat.PARQUET: "application/vnd.apache.parquet",
        ManifestFormat.JSONL: "application/x-ndjson",
        ManifestFormat.CSV: "text/csv; charset=utf-8",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRequest:
    """Which manifest.

    Attributes:
        workspace_id: Whose job.
        job_id: Which job.
        format: The file's format.
        selection_id: The cut that `keep` tells, or None for the suggested one.
        kept_only: Whether dropped samples are left out.
    """

    workspace_id: WorkspaceId
    job_id: JobId
    format: ManifestFormat
    selection_id: SelectionId | None = None
    kept_only: bool = False

    @property
    def kind(self) -> str:
        """The name under which the rendered file is kept with the job."""
        cut = "suggested" if self.selection_id is None else str(self.selection_id)
        return f"manifest:{self.format}:{cut}:{'kept' if self.kept_only else 'all'}"


@dataclass(frozen=True, slots=True)
class _Source:
    """What a manifest is made from.

    Attributes:
        samples_digest: The normalised samples of the pool.
        class_names: Names of the classes, by label.
        keep: [sample], bool, the selection's cut; None takes the suggested one.
    """

    samples_digest: str
    class_names: list[str]
    keep: NDArray[np.bool_] | None


def manifest_object(engine: Engine, store: ObjectStore, request: ManifestRequest) -> StoredObject:
    """Return the stored file of a manifest; it is rendered by the first who asks.

    Results and selections never change, so neither does the file: its digest serves as ETag.

    Raises:
        NotFoundError: There is no such job or selection.
        ConflictError: The job has no results yet.
    """
    source = _find_source(engine, request)
    with unit_of_work(engine) as session:
        digest = job_object(session, request.job_id, request.kind)
    if digest is not None and store.exists(digest):
        with store.open(digest) as file:
            return StoredObject(digest, file.seek(0, 2))
    with tempfile.TemporaryDirectory(prefix="winnow-manifest-") as folder:
        path = Path(folder) / "manifest"
        _render(engine, store, request, source, path)
        stored = store.put_file(path)
    with unit_of_work(engine) as session:
        get_job(session, request.workspace_id, request.job_id, is_locked=True)
        record_object(session, stored)
        row = insert(JobObject).values(
            job_id=request.job_id, kind=request.kind, digest=stored.digest
        )
        session.execute(
            row.on_conflict_do_update(
                index_elements=[JobObject.job_id, JobObject.kind],
                set_={"digest": stored.digest},
            )
        )
    return stored


def write_manifest(
    engine: Engine, store: ObjectStore, request: ManifestRequest, destination: Path
) -> int:
    """Write a manifest to a file, in batches, and return the number of its rows.

    Raises:
        NotFoundError: There is no such job or selection.
        ConflictError: The job has no results yet.
    """
    return _render(engine, store, request, _find_source(engine, request), destination)


def _find_source(engine: Engine, request: ManifestRequest) -> _Source:
    with unit_of_work(engine) as session:
        job = get_job(session, request.workspace_id, request.job_id)
        require_results(job)
        dataset = session.scalars(select(Dataset).where(Dataset.id == job.synthetic_id)).one()
        if dataset.samples_digest is None or dataset.class_names is None:
            raise NotFoundError("DATASET_NOT_FOUND", "The job's pool has no samples any more.")
        keep = None
        if request.selection_id is not None:
            selection = get_selection(session, request.workspace_id, request.selection_id)
            if selection.job_id != job.id:
                raise NotFoundError(
                    "SELECTION_NOT_FOUND", f"The job has no selection {selection.id}."
                )
            keep = unpack_bitmap(selection.bitmap, job.sample_count or 0)
        return _Source(dataset.samples_digest, dataset.class_names, keep)


def _render(
    engine: Engine, store: ObjectStore, request: ManifestRequest, source: _Source, path: Path
) -> int:
    row_count = 0
    with store.local_path(source.samples_digest) as samples_path:
        # Buffering ahead would hold whole columns in memory before the first batch.
        samples = pq.ParquetFile(samples_path, pre_buffer=False)
        columns = _user_columns(samples.schema_arrow)
        user_fields = [
            pa.field(name, samples.schema_arrow.field(column).type)
            for column, name in columns.items()
        ]
        schema = manifest_schema(user_fields, source.class_names)
        with open_manifest(path, request.format, schema, source.class_names) as manifest:
            for batch in _batches(engine, request.job_id, samples, list(columns)):
                part = _manifest_batch(batch, source, schema)
                if request.kept_only:
                    part = part.filter(part.column("keep"))
                manifest.write(part)
                row_count += part.num_rows
    return row_count


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


@dataclass(frozen=True, slots=True)
class _Batch:
    """The same samples from both sides."""

    weights: pa.RecordBatch
    file_names: pa.ChunkedArray
    user_columns: list[pa.ChunkedArray]


def _batches(
    engine: Engine, job_id: JobId, samples: pq.ParquetFile, user_columns: list[str]
) -> Iterator[_Batch]:
    rows = _SampleRows(samples, ["file_name", *user_columns])
    for weights in iterate_weights(engine, job_id):
        table = rows.take(weights.num_rows)
        yield _Batch(
            weights, table.column("file_name"), [table.column(name) for name in user_columns]
        )


@final
class _SampleRows:
    """Reads the samples in step with the weights; their row groups differ in length."""

    def __init__(self, samples: pq.ParquetFile, columns: list[str]) -> None:
        self._batches = samples.iter_batches(columns=columns)
        self._rest = samples.schema_arrow.empty_table().select(columns)

    def take(self, count: int) -> pa.Table:
        parts = [self._rest]
        found = self._rest.num_rows
        while found < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError("the pool has fewer samples than weights")
            parts.append(pa.Table.from_batches([batch]).cast(self._rest.schema))
            found += batch.num_rows
        rows = pa.concat_tables(parts)
        self._rest = rows.slice(count)
        return rows.slice(0, count)


def _manifest_batch(batch: _Batch, source: _Source, schema: pa.Schema) -> pa.RecordBatch:
    weights = batch.weights
    keep = weights.column("keep")
    if source.keep is not None:
        first = weights.column("position")[0].as_py()
        keep = pa.array(source.keep[first : first + weights.num_rows])
    columns = [
        weights.column("sample_id"),
        batch.file_names.combine_chunks(),
        weights.column("label"),
        weights.column("score"),
        weights.column("weight"),
        keep,
        weights.column("rank"),
        *(column.combine_chunks() for column in batch.user_columns),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
