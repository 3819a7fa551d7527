"""A disk is full: the failure says so, nothing is corrupt, and the space is given back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_jobs import JobPlace, queue_tiny_job
from job_watch import ENDLESS, JobWatch, assert_same_result, run_unbroken
from service import Service
from small_disks import filled, free_bytes, small_disk
from training_bench import TrainingBench
from validation_watch import npz_content, upload_sound_dataset
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.jobs import newest_checkpoint, retry_job
from curation.models import DatasetState, JobState
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from curation.sweep import sweep

MEBIBYTE = 1 << 20
PAGE_BYTES = 4096

pytestmark = pytest.mark.slow


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of four mebibytes, for objects alone."""
    with small_disk(4 * MEBIBYTE) as folder:
        yield folder


@pytest.fixture
def object_store(disk: Path) -> LocalObjectStore:
    return LocalObjectStore(disk / "objects")


@pytest.fixture
def settings(settings: CurationSettings, disk: Path) -> CurationSettings:
    return settings.model_copy(update={"object_store": (disk / "objects").as_uri()})


def stored_files(store: LocalObjectStore) -> list[str]:
    return sorted(store.list_digests())


def unfinished_files(disk: Path) -> list[Path]:
    return list((disk / "objects" / "unfinished").iterdir())


def test_upload_that_finds_no_room_is_refused_and_leaves_nothing(
    object_store: LocalObjectStore, disk: Path, api: Service
) -> None:
    created = api.request("POST", "/v1/datasets", 201, json={"name": "a", "role": "synthetic"})
    path = f"/v1/datasets/{created['id']}/content"
    room = free_bytes(disk)

    problem = api.request(
        "PUT", path, 507, params={"file_name": "a.npz"}, content=bytes(6 * MEBIBYTE)
    )

    assert problem["reason"] == "STORAGE_FULL"
    assert problem["cure"]
    assert api.request("GET", f"/v1/datasets/{created['id']}")["state"] == "created"
    assert free_bytes(disk) == room
    assert (stored_files(object_store), unfinished_files(disk)) == ([], [])
    # A content that fits is taken in afterwards, whole.
    content = npz_content(40)
    api.request("PUT", path, 202, params={"file_name": "a.npz"}, content=content)
    (digest,) = stored_files(object_store)
    with object_store.open(digest) as file:
        assert file.read() == content


def test_run_that_cannot_save_its_state_goes_on_without_and_takes_no_room(
    job_place: JobPlace, disk: Path, workers: WorkerProcesses, tmp_path: Path
) -> None:
    job = JobWatch(job_place, queue_tiny_job(job_place, **ENDLESS))
    # No sweep makes room meanwhile.
    workers.start("train", checkpoint_seconds=0.01, sweep_seconds=3600)
    job.ring()
    wait_until(lambda: job.trained_step > 0)
    with filled(disk):
        # One that was under way may still have found its room.
        time.sleep(0.5)
        saved = job.trained_step
        # Time enough for several more.
        time.sleep(2.5)
        assert job.trained_step == saved
        assert unfinished_files(disk) == []
        assert list((tmp_path / "scratch").rglob("checkpoint*")) == []
        assert free_bytes(disk) < PAGE_BYTES
    # The next one finds room again, in the same attempt.
    wait_until(lambda: job.trained_step > saved)
    assert (job.row.state, job.row.attempt) == (JobState.RUNNING, 1)


def test_job_whose_results_find_no_room_says_so_and_goes_on_when_there_is_some(
    job_place: JobPlace,
    disk: Path,
    object_store: LocalObjectStore,
    workers: WorkerProcesses,
    training: TrainingBench,
) -> None:
    unbroken = run_unbroken(training, queue_tiny_job(job_place))
    job = JobWatch(job_place, queue_tiny_job(job_place))
    sweep(job_place.engine, job_place.store, job_place.settings, utc_now())
    # No sweep makes room meanwhile.
    workers.start("train", sweep_seconds=3600)
    with filled(disk):
        files = stored_files(object_store)
        job.ring()
        wait_until(lambda: job.is_in(JobState.FAILED))

        row = job.row
        assert (row.failure_reason, row.attempt) == ("STORAGE_FULL", 1)
        assert "full" in str(row.failure_detail)
        assert set(stored_files(object_store)) <= set(files)
        assert unfinished_files(disk) == []

    with unit_of_work(job_place.engine) as session:
        assert newest_checkpoint(session, job.job_id) is None
        retry_job(session, job_place.workspace, job.job_id, utc_now())
    job.ring()
    wait_until(lambda: job.is_in(JobState.SUCCEEDED))
    assert_same_result(job, unbroken)


def test_inputs_that_find_no_room_to_be_mapped_end_the_job_with_a_word_and_not_by_a_signal(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job = JobWatch(job_place, queue_tiny_job(job_place))
    with small_disk(MEBIBYTE) as scratch, filled(scratch):
        workers.start("train", memory_map_bytes=0, scratch_dir=scratch)
        job.ring()
        wait_until(lambda: job.is_in(JobState.FAILED))
        assert (job.row.failure_reason, job.row.attempt) == ("STORAGE_FULL", 1)
        wait_until(lambda: [path.name for path in scratch.iterdir()] == ["filler"], seconds=10)


def test_validation_that_finds_no_room_blames_the_disk_and_not_the_file(
    job_place: JobPlace, workers: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = upload_sound_dataset(job_place)
    with small_disk(MEBIBYTE) as temporary, filled(temporary, leaving_bytes=4096):
        monkeypatch.setenv("TMPDIR", str(temporary))
        workers.start("short")
        dataset.ring()
        wait_until(lambda: dataset.is_in(DatasetState.INVALID))
        assert dataset.row.failure_reason == "STORAGE_FULL"
        assert [path.name for path in temporary.glob("winnow-validation-*")] == []
