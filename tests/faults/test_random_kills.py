"""Workers die at random while fifty jobs wait: each ends once, and nothing is left lying about."""

import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from embedding_jobs import JobPlace, add_dataset, make_samples, queue_job
from job_watch import JobWatch
from sqlalchemy import func, select
from training_bench import TrainingBench
from worker_processes import WorkerProcesses, wait_until

from curation import partitions
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId
from curation.jobs import job_events
from curation.models import FINAL_STATES, Checkpoint, Job, JobState, ObjectRow, Role, Selector
from curation.objects import LocalObjectStore
from curation.results import score_columns
from curation.settings import CurationSettings
from curation.sweep import sweep
from worker.child_link import Finished
from worker.process_tree import job_mark, marked_processes

JOB_COUNT = 50
WORKER_COUNT = 2
# Longer where somebody has the time.
KILLING_SECONDS = float(os.environ.get("WINNOW_TEST_KILLING_SECONDS", "120"))
# A job that is struck often must not use up its attempts.
MANY_ATTEMPTS = 1000
CONFIG = {"steps": 4, "gsnr_every": 0}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(KILLING_SECONDS + 1200)]


@pytest.fixture
def settings(settings: CurationSettings) -> CurationSettings:
    return settings.model_copy(update={"max_attempts": MANY_ATTEMPTS})


class Killer:
    """Strikes one of the workers, or what it trains, in a random way at random times."""

    def __init__(self, workers: WorkerProcesses, jobs: "Jobs", seed: int) -> None:
        self._workers = workers
        self._jobs = jobs
        self._random = random.Random(seed)  # noqa: S311 - Repeatable, not secret.
        self._alive = [workers.start("train") for _ in range(WORKER_COUNT)]
        self.blows: Counter[str] = Counter()

    def go_on_until(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            time.sleep(self._random.uniform(0.5, 4.0))
            blow = self._random.choice([self.kill_worker, self.kill_training, self.send_away])
            blow()
            self.blows[blow.__name__] += 1
            self._jobs.keep_waiting()

    def kill_worker(self) -> None:
        self._replace(signal.SIGKILL)

    def send_away(self) -> None:
        self._replace(signal.SIGTERM)

    def kill_training(self) -> None:
        for job_id in self._jobs.running():
            for process in marked_processes(job_mark(job_id))[:1]:
                process.kill()

    def _replace(self, blow: signal.Signals) -> None:
        index = self._random.randrange(WORKER_COUNT)
        worker = self._alive[index]
        worker.send_signal(blow)
        worker.wait(30)
        self._alive[index] = self._workers.start("train")

    def let_all_leave(self) -> None:
        for worker in self._alive:
            worker.terminate()
        assert [worker.wait(30) for worker in self._alive] == [0] * WORKER_COUNT


class Jobs:
    """Equal jobs, so that all of them have to end with the same scores."""

    def __init__(self, place: JobPlace) -> None:
        self._place = place
        self._sets: tuple[DatasetId, DatasetId] = (
            add_dataset(place, Role.SYNTHETIC, make_samples(64, seed=1, bad_fraction=0.3)),
            add_dataset(place, Role.REFERENCE, make_samples(16, seed=2)),
        )
        self.ids = [self.add() for _ in range(JOB_COUNT)]

    def add(self) -> JobId:
        return queue_job(self._place, *self._sets, **CONFIG)

    def keep_waiting(self) -> None:
        """Queue another job where fewer than ten wait, so that there is work to the end."""
        if self._count(JobState.QUEUED) < 10:
            self.ids.append(self.add())

    def running(self) -> list[JobId]:
        with unit_of_work(self._place.engine) as session:
            running = select(Job.id).where(Job.state == JobState.RUNNING)
            return [JobId(job_id) for job_id in session.scalars(running)]

    def are_over(self) -> bool:
        return self._count(*FINAL_STATES) == len(self.ids)

    def _count(self, *states: JobState) -> int:
        with unit_of_work(self._place.engine) as session:
            count = select(func.count()).select_from(Job).where(Job.state.in_(states))
            return session.scalars(count).one()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of all workers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_every_job_ends_once_and_nothing_is_left_when_workers_die_at_random(
    job_place: JobPlace,
    workers: WorkerProcesses,
    training: TrainingBench,
    tmp_path: Path,
    temporary: Path,
) -> None:
    jobs = Jobs(job_place)
    seed = int(os.environ.get("WINNOW_TEST_KILLING_SEED", time.time_ns() % 2**32))
    killer = Killer(workers, jobs, seed)
    killer.go_on_until(time.monotonic() + KILLING_SECONDS)
    wait_until(jobs.are_over, seconds=900)
    killer.let_all_leave()
    unbroken = jobs.add()
    assert training.run(training.claim(unbroken)) == Finished()
    jobs.ids.append(unbroken)

    assert sum(killer.blows.values()) > 5, f"seed {seed}"
    assert_each_ended_once(job_place, jobs)
    assert_nothing_is_left(job_place, jobs, tmp_path)
    assert list(temporary.rglob("*")) == []


def assert_each_ended_once(place: JobPlace, jobs: Jobs) -> None:
    with unit_of_work(place.engine) as session:
        expected = score_columns(session, jobs.ids[-1]).scores
        for job_id in jobs.ids:
            kinds = Counter(event.kind for event in job_events(session, {job_id: 0})[job_id])
            assert JobWatch(place, job_id).is_in(JobState.SUCCEEDED)
            assert kinds["succeeded"] == 1
            assert kinds["failed"] == kinds["cancelled"] == 0
            np.testing.assert_array_equal(score_columns(session, job_id).scores, expected)


def assert_nothing_is_left(place: JobPlace, jobs: Jobs, folder: Path) -> None:
    assert [process for job_id in jobs.ids for process in marked_processes(job_mark(job_id))] == []
    assert list((folder / "scratch").glob("winnow-attempt-*")) == []
    assert isinstance(place.store, LocalObjectStore)
    # As the sweeps of the next days would do it. While a worker sweeps, nobody else does.
    for _ in range(2):
        later = utc_now() + timedelta(days=2)
        wait_until(lambda later=later: sweep(place.engine, place.store, place.settings, later).ran)
    with unit_of_work(place.engine) as session:
        tables = partitions.result_tables(session)
        recorded = set(session.scalars(select(ObjectRow.digest)))
        assert session.scalars(select(func.count()).select_from(Checkpoint)).one() == 0
        assert session.scalars(select(func.count()).select_from(Selector)).one() == len(jobs.ids)
    assert sorted(table.job_id for table in tables) == sorted(jobs.ids)
    assert all(table.is_attached for table in tables)
    assert set(place.store.list_digests()) == recorded
    assert list(place.store.unfinished_folder.iterdir()) == []
