"""A worker is killed while it fetches an import from a slow bucket, and another one takes over."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from embedding_jobs import CLASS_NAMES, JobPlace
from s3_server import s3_server
from sqlalchemy import select
from stalling_proxy import StallingProxy
from validation_watch import ValidationWatch
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.datasets import DatasetRequest, create_import
from curation.identifiers import DatasetId
from curation.import_sources import find_import_target, parse_import_sources
from curation.models import DatasetState, ObjectRow, Role
from curation.objects import LocalObjectStore
from curation.sweep import sweep

pytestmark = pytest.mark.slow

# A fetch asks for sixteen mebibytes at a time: the first come whole, the silence is in the second.
RANGE_BYTES = 16 << 20
STALL_AFTER = 17 << 20
ROWS = 5000


@dataclass(frozen=True)
class SlowSource:
    """A bucket behind a proxy that stalls, and the one file in it."""

    proxy: StallingProxy
    sources: str
    url: str
    content: bytes


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowSource]:
    with s3_server() as server:
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        bucket = server.new_bucket().removeprefix("s3://").partition("/")[0]
        content = large_upload()
        server.client.put_object(Bucket=bucket, Key="pool.npz", Body=content)
        proxy = StallingProxy(server.endpoint, stall_after=STALL_AFTER)
        sources = f"s3://{bucket}?endpoint={quote(proxy.endpoint)}&region=here"
        yield SlowSource(proxy, sources, f"s3://{bucket}/pool.npz", content)
        proxy.stop()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of all workers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def large_upload() -> bytes:
    """Return a sound upload that takes two requests to fetch."""
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(ROWS, 1024)).astype(np.float32)
    content = io.BytesIO()
    np.savez(content, x=embeddings, y=np.array(CLASS_NAMES)[np.arange(ROWS) % 2])
    assert len(content.getvalue()) > STALL_AFTER
    return content.getvalue()


def begin_import(place: JobPlace, source: SlowSource) -> ValidationWatch:
    target = find_import_target(source.url, parse_import_sources(source.sources))
    with unit_of_work(place.engine) as session:
        request = DatasetRequest(name="import", role=Role.SYNTHETIC)
        row = create_import(session, place.workspace, request, target, utc_now())
        return ValidationWatch(place, DatasetId(row.id))


def test_import_of_a_worker_killed_in_the_middle_of_its_fetch_is_done_by_another(
    job_place: JobPlace,
    workers: WorkerProcesses,
    object_store: LocalObjectStore,
    source: SlowSource,
    temporary: Path,
) -> None:
    dataset = begin_import(job_place, source)
    worker = psutil.Process(workers.start("short", import_sources=source.sources).pid)
    dataset.ring()
    assert source.proxy.is_stalled.wait(90)
    # The first range has arrived and the second hangs: the fetch is in its middle.
    wait_until(lambda: unfinished_bytes(object_store) >= RANGE_BYTES)
    assert unfinished_bytes(object_store) < len(source.content)
    family = worker.children(recursive=True)

    worker.kill()
    worker.wait(10)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert dataset.is_in(DatasetState.VALIDATING)
    assert dataset.row.content_digest is None

    source.proxy.go_on()
    workers.start("short", import_sources=source.sources)
    workers.start_scripted("fail=there is no job")  # It sweeps.
    wait_until(lambda: dataset.is_in(DatasetState.READY))

    row = dataset.row
    assert (row.validation_attempts, row.sample_count) == (2, ROWS)
    assert row.content_digest == hashlib.sha256(source.content).hexdigest()
    assert row.validation_lease_expires_at is None
    assert list(temporary.glob("winnow-*")) == []
    assert_nothing_is_left(job_place, object_store, {row.content_digest, row.samples_digest})


def unfinished_bytes(store: LocalObjectStore) -> int:
    return sum(path.stat().st_size for path in store.unfinished_folder.iterdir())


def assert_nothing_is_left(
    place: JobPlace, store: LocalObjectStore, wanted: set[str | None]
) -> None:
    # Half a file is known for one when nobody has written to it for a day. While a worker
    # sweeps, nobody else does.
    later = utc_now() + timedelta(days=2)
    wait_until(lambda: sweep(place.engine, store, place.settings, later).ran)
    assert list(store.unfinished_folder.iterdir()) == []
    assert set(store.list_digests()) == wanted
    with unit_of_work(place.engine) as session:
        assert set(session.scalars(select(ObjectRow.digest))) == wanted
