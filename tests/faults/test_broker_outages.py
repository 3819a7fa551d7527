"""The broker dies, hangs or forgets everything: work goes on, and new work is found."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from embedding_jobs import TINY_CONFIG, JobPlace, add_dataset, make_samples, queue_tiny_job
from job_watch import JobWatch
from mortal_servers import MortalServer
from service import Service
from validation_watch import upload_sound_dataset
from worker_processes import WorkerProcesses, wait_until

from curation.identifiers import JobId
from curation.job_queue import make_celery
from curation.models import DatasetState, JobState, Role
from winnow.embedded_valkey import EmbeddedValkey

# A worker that lost its broker has to consume again in this time.
RECOVERY_SECONDS = 60.0

pytestmark = pytest.mark.slow


@pytest.fixture
def broker() -> Iterator[MortalServer]:
    with tempfile.TemporaryDirectory(prefix="winnow-test-broker-") as folder:
        server = MortalServer(EmbeddedValkey(Path(folder) / "valkey"))
        yield server
        server.stop()


@pytest.fixture
def place(job_place: JobPlace, broker: MortalServer) -> JobPlace:
    """Where jobs are put whose broker may die."""
    settings = job_place.settings.model_copy(update={"broker_url": broker.url})
    return JobPlace(job_place.engine, job_place.store, job_place.workspace, settings)


@pytest.fixture
def workers(place: JobPlace, tmp_path: Path) -> Iterator[WorkerProcesses]:
    with WorkerProcesses(place.settings, tmp_path) as processes:
        yield processes


def new_job(place: JobPlace) -> JobWatch:
    return JobWatch(place, queue_tiny_job(place))


def wait_until_run(job: JobWatch, *, seconds: float = 90.0) -> None:
    wait_until(lambda: job.is_in(JobState.FAILED), seconds)
    assert (job.row.failure_detail, job.row.attempt) == ("was run", 1)


def test_idle_workers_consume_again_after_the_broker_was_killed(
    place: JobPlace, broker: MortalServer, workers: WorkerProcesses
) -> None:
    training_worker, short_worker = workers.start_scripted("fail=was run"), workers.start("short")
    before = new_job(place)
    before.ring()
    wait_until_run(before)

    broker.kill_for(seconds=3)
    back_at = time.monotonic()
    after, dataset = new_job(place), upload_sound_dataset(place)
    after.ring()
    dataset.ring()

    wait_until_run(after, seconds=RECOVERY_SECONDS)
    wait_until(
        lambda: dataset.is_in(DatasetState.READY), back_at + RECOVERY_SECONDS - time.monotonic()
    )
    assert training_worker.poll() is None
    assert short_worker.poll() is None


def test_broker_killed_in_the_middle_of_a_job_leaves_it_alone(
    place: JobPlace, broker: MortalServer, workers: WorkerProcesses
) -> None:
    workers.start_scripted("progress=0.5", "sleep=6", "fail=was run")
    running, waiting = new_job(place), new_job(place)
    running.ring()
    wait_until(lambda: running.row.fraction == 0.5)

    broker.kill_for(seconds=2)
    assert running.is_in(JobState.RUNNING)

    wait_until_run(running, seconds=30)
    wait_until_run(waiting, seconds=RECOVERY_SECONDS)


def test_broker_emptied_beside_a_worker_at_work_loses_none_of_the_jobs(
    place: JobPlace, workers: WorkerProcesses
) -> None:
    workers.start_scripted("progress=0.5", "sleep=1", "fail=was run")
    jobs = [new_job(place) for _ in range(4)]
    for job in jobs:
        job.ring()
    wait_until(lambda: jobs[0].row.fraction == 0.5)

    with make_celery(place.settings.broker_url).connection_for_write() as connection:
        assert connection.default_channel.client.flushall()

    for job in jobs:
        wait_until_run(job)


@pytest.mark.parametrize("blow", ["kill", "halt"])
def test_job_is_taken_at_once_while_the_broker_is_away_and_runs_after_its_return(
    place: JobPlace, broker: MortalServer, workers: WorkerProcesses, api: Service, blow: str
) -> None:
    body = {
        "synthetic_id": str(add_dataset(place, Role.SYNTHETIC, make_samples(64, seed=1))),
        "reference_id": str(add_dataset(place, Role.REFERENCE, make_samples(16, seed=2))),
        "config": TINY_CONFIG,
    }
    getattr(broker, blow)()

    seconds, job_ids = [], []
    for _ in range(3):
        started_at = time.monotonic()
        job_ids.append(api.request("POST", "/v1/jobs", 202, json=body)["id"])
        seconds.append(time.monotonic() - started_at)
    assert max(seconds) < 2, seconds
    assert api.request("GET", f"/v1/jobs/{job_ids[0]}")["state"] == "queued"

    if blow == "kill":
        broker.revive()
    else:
        broker.go_on()
    workers.start_scripted("fail=was run")
    for job_id in job_ids:
        wait_until_run(JobWatch(place, JobId(UUID(job_id))))
