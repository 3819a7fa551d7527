"""Runs that would go on for ever, or take all memory, are ended with a word that helps."""

import os
import time

import pytest
from embedding_jobs import JobPlace, queue_tiny_job
from job_watch import CATCHABLE, ENDLESS, JobWatch, assert_same_result, run_unbroken
from memory_group import memory_group
from sqlalchemy import text
from training_bench import TrainingBench
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.jobs import retry_job
from curation.models import JobState
from worker.process_tree import job_mark, marked_processes

MEBIBYTE = 1 << 20
# Longer than a machine as busy as this one takes to load the libraries of a training process.
PATIENCE_SECONDS = round(8 + 3 * os.getloadavg()[0])

pytestmark = pytest.mark.slow


def test_run_that_stalls_is_ended_and_goes_on_in_another_attempt(
    job_place: JobPlace, workers: WorkerProcesses, training: TrainingBench
) -> None:
    unbroken = run_unbroken(training, queue_tiny_job(job_place, **CATCHABLE))
    job = JobWatch(job_place, queue_tiny_job(job_place, **CATCHABLE))
    workers.start("train", stall_seconds=PATIENCE_SECONDS)
    job.ring()
    child = workers.training_process(job.job_id)
    wait_until(lambda: job.trained_step > 0)

    child.suspend()
    wait_until(lambda: job.is_in(JobState.SUCCEEDED), seconds=90 + 2 * PATIENCE_SECONDS)

    assert_same_result(job, unbroken)
    assert job.row.attempt == 2
    assert not child.is_running()
    (requeued,) = [event for event in job.events if event.kind == "requeued"]
    assert requeued.data["reason"] == "STALLED"
    assert f"{PATIENCE_SECONDS} seconds" in requeued.data["detail"]


def test_run_over_its_longest_time_fails_and_a_retry_goes_on_from_there(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job = JobWatch(job_place, queue_tiny_job(job_place, **ENDLESS))
    set_max_runtime(job, seconds=PATIENCE_SECONDS)
    workers.start("train", grace_seconds=20)
    job.ring()
    wait_until(lambda: job.is_in(JobState.FAILED), seconds=60 + 2 * PATIENCE_SECONDS)

    assert (job.row.failure_reason, job.row.attempt) == ("MAX_RUNTIME_EXCEEDED", 1)
    assert f"{PATIENCE_SECONDS} seconds" in str(job.row.failure_detail)
    wait_until(lambda: marked_processes(job_mark(job.job_id)) == [], seconds=5)
    saved = job.trained_step
    assert saved > 0

    # A busy machine may need all of the first limit for the start alone.
    set_max_runtime(job, seconds=3600)
    with unit_of_work(job_place.engine) as session:
        retry_job(session, job_place.workspace, job.job_id, utc_now())
    job.ring()
    steps = [saved]

    def has_gone_on() -> bool:
        steps.append(job.trained_step)
        return steps[-1] > saved

    wait_until(has_gone_on, seconds=60 + 2 * PATIENCE_SECONDS)
    assert min(steps) == saved


def set_max_runtime(job: JobWatch, *, seconds: int) -> None:
    with job.place.engine.begin() as connection:
        statement = text("UPDATE jobs SET max_runtime_seconds = :value WHERE id = :id")
        connection.execute(statement, {"value": seconds, "id": job.job_id})


def test_run_that_the_kernel_kills_for_memory_says_what_to_turn_and_is_not_repeated(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job = JobWatch(job_place, queue_tiny_job(job_place))
    # The worker alone fits into this, and the libraries of a training process do not.
    with memory_group(256 * MEBIBYTE) as group:
        worker = workers.start("train")
        group.add(worker.pid)
        job.ring()
        wait_until(lambda: job.is_in(JobState.FAILED))
        # As long as several rings and sweeps take.
        time.sleep(4)

        row = job.row
        assert (row.state, row.attempt) == (JobState.FAILED, 1)
        assert row.failure_reason == "OUT_OF_MEMORY"
        assert "micro_batch_size" in str(row.failure_detail)
        assert job.count("claimed") == 1
        assert worker.poll() is None
        assert marked_processes(job_mark(job.job_id)) == []
