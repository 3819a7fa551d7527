"""Real workers are killed and cut off, and every job still comes to its right end."""

import os
import signal

import psutil
import pytest
from embedding_jobs import JobPlace, queue_tiny_job, read_job
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.job_queue import make_celery, ring_job
from curation.jobs import job_events, newest_checkpoint
from curation.models import JobState
from curation.sweep import sweep
from worker.process_tree import attempt_mark, marked_processes

# Long enough to be caught at work, short enough for the suite once it goes on undisturbed.
CATCHABLE = {"steps": 60, "gsnr_every": 0}
ENDLESS = {"steps": 1_000_000, "gsnr_every": 0}


def has_checkpoint(place: JobPlace, job_id: JobId) -> bool:
    with unit_of_work(place.engine) as session:
        return newest_checkpoint(session, job_id) is not None


def is_in(place: JobPlace, job_id: JobId, state: JobState) -> bool:
    return read_job(place, job_id).state is state


def ring(place: JobPlace, job_id: JobId) -> None:
    assert ring_job(make_celery(place.settings.broker_url), job_id)


def events(place: JobPlace, job_id: JobId) -> list[str]:
    with unit_of_work(place.engine) as session:
        return [event.kind for event in job_events(session, {job_id: 0})[job_id]]


def is_gone(process: psutil.Process, *, within_seconds: float) -> bool:
    psutil.wait_procs([process], timeout=within_seconds)
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_killed_training_process_is_retried_and_its_orphans_are_gone(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place, **CATCHABLE)
    workers.start("train")
    ring(job_place, job_id)
    child = workers.training_process(job_id)
    wait_until(lambda: has_checkpoint(job_place, job_id))

    child.kill()
    wait_until(lambda: is_in(job_place, job_id, JobState.SUCCEEDED))

    assert is_gone(child, within_seconds=0)
    assert marked_processes(attempt_mark(job_id, 1)) == []
    assert read_job(job_place, job_id).attempt == 2
    assert "requeued" in events(job_place, job_id)


def test_training_process_dies_with_its_killed_worker_and_the_job_is_queued_again(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place, **ENDLESS)
    worker = workers.start("train")
    ring(job_place, job_id)
    child = workers.training_process(job_id)

    worker.kill()

    # The kernel's signal comes at once, long before the lease runs out.
    assert is_gone(child, within_seconds=job_place.settings.lease_seconds / 2)

    def sweep_until_queued() -> bool:
        report = sweep(job_place.engine, job_place.store, job_place.settings, utc_now())
        return job_id in report.ring

    wait_until(sweep_until_queued)
    assert is_in(job_place, job_id, JobState.QUEUED)


@pytest.mark.slow
def test_training_process_leaves_when_its_worker_hangs_for_a_lease(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place, **ENDLESS)
    worker = workers.start("train")
    ring(job_place, job_id)
    child = workers.training_process(job_id)
    wait_until(lambda: has_checkpoint(job_place, job_id))

    os.kill(worker.pid, signal.SIGSTOP)

    # One lease, and some time for a busy machine to notice.
    assert is_gone(child, within_seconds=job_place.settings.lease_seconds + 3)


def test_broker_that_lost_everything_loses_no_job(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place)
    ring(job_place, job_id)
    with make_celery(job_place.settings.broker_url).connection_for_write() as connection:
        assert connection.default_channel.client.flushdb()

    workers.start_scripted("fail=was run")
    wait_until(lambda: is_in(job_place, job_id, JobState.FAILED))

    job = read_job(job_place, job_id)
    assert (job.failure_detail, job.attempt) == ("was run", 1)


def test_doubled_messages_run_a_job_once(job_place: JobPlace, workers: WorkerProcesses) -> None:
    first, second = queue_tiny_job(job_place), queue_tiny_job(job_place)
    for job_id in (*[first] * 5, second):
        ring(job_place, job_id)

    workers.start_scripted("fail=was run")
    wait_until(lambda: is_in(job_place, second, JobState.FAILED))

    assert read_job(job_place, first).attempt == 1
    assert events(job_place, first).count("claimed") == 1


def test_worker_told_to_leave_lets_its_child_save_and_releases_the_job(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place)
    worker = workers.start_scripted("progress=0.5", "wait_for_stop", grace_seconds=10)
    ring(job_place, job_id)
    wait_until(lambda: read_job(job_place, job_id).fraction == 0.5)

    worker.terminate()
    assert worker.wait(20) == 0

    job = read_job(job_place, job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert "released" in events(job_place, job_id)
