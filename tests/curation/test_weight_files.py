"""The file of all weights holds what the database holds, whoever made it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sample_world import World, result_rows

from curation.database import unit_of_work
from curation.manifest_formats import TableFormat
from curation.models import JobObject
from curation.object_rows import record_object
from curation.rendered_files import rendered_object
from curation.results import ResultRows, iterate_weights
from curation.weight_files import store_weights, weight_batches, weights_kind, weights_object

COUNT = 500


def made_rows() -> ResultRows:
    generator = np.random.default_rng(0)
    scores = generator.permutation(np.linspace(0.1, 1.0, COUNT)).astype(np.float32)
    return result_rows(
        COUNT,
        sample_ids=[f"folder/{position}" for position in range(COUNT)],
        scores=scores,
        weights=scores / scores.mean(),
        ranks=np.argsort(np.argsort(-scores)),
        keep=scores > np.float32(0.5),
    )


def test_workers_file_is_what_the_database_gives(world: World, tmp_path: Path) -> None:
    rows = made_rows()
    job_id = world.finished_job(rows)
    stored = store_weights(world.store, [rows], tmp_path)
    assert not (tmp_path / "weights.parquet").exists()
    with world.store.local_path(stored.digest) as path:
        from_worker = pq.read_table(path)
    assert from_worker.equals(pa.Table.from_batches(iterate_weights(world.engine, job_id)))


def test_kept_file_is_read_instead_of_the_database(world: World, tmp_path: Path) -> None:
    rows = made_rows()
    job_id = world.finished_job(rows)
    other = result_rows(COUNT, sample_ids=[f"from the file {n}" for n in range(COUNT)])
    stored = store_weights(world.store, [other], tmp_path)
    with unit_of_work(world.engine) as session:
        record_object(session, stored)
        kind = weights_kind(TableFormat.PARQUET)
        session.add(JobObject(job_id=job_id, kind=kind, digest=stored.digest))
    batches = list(weight_batches(world.engine, world.store, job_id))
    assert batches[0].column("sample_id")[0].as_py() == "from the file 0"
    # A file that is lost is no loss: the rows are in the database.
    world.store.delete(stored.digest)
    batches = list(weight_batches(world.engine, world.store, job_id))
    assert batches[0].column("sample_id")[0].as_py() == "folder/0"


def test_file_is_rendered_once(world: World) -> None:
    job_id = world.finished_job(made_rows())

    def ask(file_format: TableFormat) -> str:
        return weights_object(
            world.engine,
            world.store,
            workspace_id=world.workspace,
            job_id=job_id,
            class_names=["a", "b"],
            file_format=file_format,
        ).digest

    first = ask(TableFormat.PARQUET)
    with world.store.local_path(first) as path:
        # Putting a content again renews the file's time of writing.
        written_at = path.stat().st_mtime_ns
        assert ask(TableFormat.PARQUET) == first
        assert path.stat().st_mtime_ns == written_at
    assert ask(TableFormat.JSONL) != first


def test_file_that_two_ask_for_at_once_is_rendered_once(world: World) -> None:
    job_id = world.finished_job(made_rows())
    both_ask = threading.Barrier(2)
    is_second_at_work = threading.Event()
    rendered: list[Path] = []

    def render(path: Path) -> None:
        rendered.append(path)
        if len(rendered) == 2:
            is_second_at_work.set()
        # Long enough for the other to begin as well, if nothing kept it.
        is_second_at_work.wait(0.5)
        path.write_bytes(b"the file")

    def ask(_: int) -> str:
        both_ask.wait()
        return rendered_object(
            world.engine,
            world.store,
            workspace_id=world.workspace,
            job_id=job_id,
            kind="a kind",
            render=render,
        ).digest

    with ThreadPoolExecutor() as threads:
        first, second = threads.map(ask, range(2))
    assert first == second
    assert len(rendered) == 1
