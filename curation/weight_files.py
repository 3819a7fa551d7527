"""The weights of a job as one file: Parquet from the worker, other formats made from that."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine

from curation.database import unit_of_work
from curation.identifiers import JobId, WorkspaceId
from curation.manifest_files import open_table
from curation.manifest_formats import TableFormat
from curation.objects import ObjectStore, StoredObject
from curation.rendered_files import rendered_object
from curation.results import (
    WEIGHTS_SCHEMA,
    ResultRows,
    iterate_weights,
    job_object,
)

# Few enough that the texts made of them take little memory.
_BATCH_ROWS = 4096


def weights_kind(file_format: TableFormat) -> str:
    """Return the name under which a job keeps its weights in this format."""
    return f"weights:{file_format}"


def store_weights(store: ObjectStore, rows: Iterable[ResultRows], folder: Path) -> StoredObject:
    """Store the results of a run as Parquet, so that nobody waits for it later, and return it.

    Args:
        store: Where the file goes.
        rows: The results, in the order of positions.
        folder: Where it is written before.
    """
    path = folder / "weights.parquet"
    with open_table(path, TableFormat.PARQUET, WEIGHTS_SCHEMA, class_names=()) as file:
        for batch in rows:
            file.write(_record_batch(batch))
    stored = store.put_file(path)
    path.unlink()
    return stored


def weights_object(  # noqa: PLR0913 - the file's owner, its content and its format.
    engine: Engine,
    store: ObjectStore,
    *,
    workspace_id: WorkspaceId,
    job_id: JobId,
    class_names: Sequence[str],
    file_format: TableFormat,
) -> StoredObject:
    """Return the stored file of a finished job's weights.

    Args:
        engine: The database.
        store: Where the file lies.
        workspace_id: Whose job.
        job_id: Which job.
        class_names: Names of the classes, by label.
        file_format: The file's format.

    Raises:
        NotFoundError: The job was deleted while its file was made.
    """

    def render(path: Path) -> None:
        with open_table(path, file_format, WEIGHTS_SCHEMA, class_names) as file:
            for batch in weight_batches(engine, store, job_id):
                file.write(batch)

    return rendered_object(
        engine,
        store,
        workspace_id=workspace_id,
        job_id=job_id,
        kind=weights_kind(file_format),
        render=render,
    )


def weight_batches(engine: Engine, store: ObjectStore, job_id: JobId) -> Iterator[pa.RecordBatch]:
    """Yield all weights of a job in the order of positions, as batches of `WEIGHTS_SCHEMA`.

    They are read from the job's Parquet file, which is ten times faster than from the database; a
    job that has none, since it ended before workers made them, is read from the database.
    """
    with unit_of_work(engine) as session:
        digest = job_object(session, job_id, weights_kind(TableFormat.PARQUET))
    if digest is None or not store.exists(digest):
        yield from iterate_weights(engine, job_id)
        return
    with store.local_path(digest) as path:
        file = pq.ParquetFile(path, pre_buffer=False)
        # Each of Arrow's threads would keep memory of its own; a file is not read faster by them.
        yield from file.iter_batches(_BATCH_ROWS, use_threads=False)


def _record_batch(rows: ResultRows) -> pa.RecordBatch:
    count = len(rows.sample_ids)
    columns = [
        pa.array(range(rows.first_position, rows.first_position + count), pa.int32()),
        pa.array(rows.sample_ids, pa.string()),
        *map(pa.array, (rows.labels, rows.scores, rows.weights, rows.ranks, rows.keep)),
    ]
    fields = zip(columns, WEIGHTS_SCHEMA, strict=True)
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in fields], schema=WEIGHTS_SCHEMA
    )
