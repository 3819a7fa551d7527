"""Workers are killed, halted and sent away at the worst moments, and another one takes over."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from embedding_jobs import JobPlace, queue_tiny_job
from job_watch import CATCHABLE, JobWatch, assert_same_result, run_unbroken
from kombu import Connection as BrokerConnection
from sqlalchemy import text
from training_bench import TrainingBench
from validation_watch import upload_sound_dataset
from worker_processes import WorkerProcesses, wait_until

from curation.job_queue import TRAIN_QUEUE
from curation.models import DatasetState, JobState
from worker.process_tree import attempt_mark, job_mark, marked_processes

pytestmark = pytest.mark.slow

# Samples that take long enough to validate to be caught at it.
MANY = 200_000
DECODERS_FILES = 64


@pytest.fixture
def job(job_place: JobPlace) -> JobWatch:
    """A job that is long enough to be caught at work."""
    return JobWatch(job_place, queue_tiny_job(job_place, **CATCHABLE))


@pytest.fixture
def unbroken(job_place: JobPlace, training: TrainingBench) -> JobWatch:
    """An equal job that ran without a fault."""
    return run_unbroken(training, queue_tiny_job(job_place, **CATCHABLE))


def is_broker_empty(url: str) -> bool:
    with BrokerConnection(url) as connection:
        client = connection.default_channel.client
        return not client.llen(TRAIN_QUEUE) and not client.hlen("unacked")


def start_and_train(workers: WorkerProcesses, job: JobWatch) -> tuple[int, psutil.Process]:
    """Start a worker, wait until it trains the job and has saved a step, and return both."""
    worker = workers.start("train", grace_seconds=20)
    job.ring()
    child = workers.training_process(job.job_id)
    wait_until(lambda: job.trained_step > 0)
    return worker.pid, child


def test_job_of_a_killed_worker_is_finished_by_another(
    workers: WorkerProcesses, unbroken: JobWatch, job: JobWatch
) -> None:
    worker_pid, child = start_and_train(workers, job)
    saved = job.trained_step

    os.kill(worker_pid, signal.SIGKILL)
    workers.start("train")
    wait_until(lambda: job.is_in(JobState.SUCCEEDED))

    assert_same_result(job, unbroken)
    assert (job.row.attempt, job.count("claimed")) == (2, 2)
    assert min(job.steps_saved_by_attempt()[1]["train"]) >= saved
    assert not child.is_running()


def test_worker_killed_between_its_acknowledgement_and_its_claim_loses_no_job(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job = JobWatch(job_place, queue_tiny_job(job_place))
    worker = workers.start_scripted("fail=must not run")
    job.ring()
    with job_place.engine.begin() as holder:
        # Nobody can claim anything before this transaction ends.
        holder.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        wait_until(lambda: is_broker_empty(job_place.settings.broker_url))
        worker.kill()
        worker.wait()
    assert (job.row.state, job.row.attempt) == (JobState.QUEUED, 0)

    workers.start_scripted("fail=was run")
    wait_until(lambda: job.is_in(JobState.FAILED), seconds=30)

    assert (job.row.failure_detail, job.row.attempt) == ("was run", 1)


def test_worker_that_slept_through_its_lease_is_replaced_and_writes_nothing(
    job_place: JobPlace, workers: WorkerProcesses, unbroken: JobWatch, job: JobWatch
) -> None:
    sleeper_pid, child = start_and_train(workers, job)
    os.kill(sleeper_pid, signal.SIGSTOP)
    # The child sleeps as well, as on a machine that is suspended, so that it cannot finish first.
    child.suspend()
    time.sleep(job_place.settings.lease_seconds)
    child.resume()
    psutil.wait_procs([child], timeout=5)
    assert marked_processes(attempt_mark(job.job_id, 1)) == []

    substitute = workers.start("train")
    wait_until(lambda: job.row.attempt == 2 and job.row.fraction > 0)
    os.kill(sleeper_pid, signal.SIGCONT)
    wait_until(lambda: job.is_in(JobState.SUCCEEDED))

    assert_same_result(job, unbroken)
    assert (job.row.attempt, job.count("claimed")) == (2, 2)
    after_takeover = [event.data for event in job.events if event.data.get("attempt") == 2]
    assert after_takeover[0]["runner"].endswith(f":{substitute.pid}")
    assert [table.fencing_token for table in job.result_tables] == [2]
    # The sleeper is awake again, and as good as before.
    substitute.terminate()
    assert substitute.wait(30) == 0
    next_job = JobWatch(job_place, queue_tiny_job(job_place))
    next_job.ring()
    wait_until(lambda: next_job.is_in(JobState.SUCCEEDED))
    assert next_job.events[1].data["runner"].endswith(f":{sleeper_pid}")


def test_job_of_a_worker_that_was_told_to_leave_is_finished_by_another(
    workers: WorkerProcesses, unbroken: JobWatch, job: JobWatch
) -> None:
    worker_pid, _ = start_and_train(workers, job)
    os.kill(worker_pid, signal.SIGTERM)
    wait_until(lambda: job.is_in(JobState.QUEUED))
    assert job.row.attempt == 0
    saved = job.trained_step

    workers.start("train")
    wait_until(lambda: job.is_in(JobState.SUCCEEDED))

    assert_same_result(job, unbroken)
    # The attempt that the worker gave back does not count.
    assert (job.row.attempt, job.count("claimed"), job.count("released")) == (1, 2, 1)
    assert min(job.steps_saved_by_attempt()[1]["train"]) >= saved
    wait_until(lambda: marked_processes(job_mark(job.job_id)) == [], seconds=5)


def test_validation_of_a_killed_worker_is_done_by_another(
    job_place: JobPlace,
    workers: WorkerProcesses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    dataset = upload_sound_dataset(job_place, count=MANY)
    worker = psutil.Process(workers.start("short").pid)
    dataset.ring()
    decoder = wait_for_decoder(worker)
    # It sleeps, so that nothing but the kernel's signal ends it.
    decoder.suspend()
    family = worker.children(recursive=True)
    assert decoder in family

    worker.kill()
    worker.wait(10)
    # Neither the decoder nor the process that waits for it outlives the worker.
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert list(temporary.glob("winnow-validation-*")) != []

    workers.start("short")
    workers.start_scripted("fail=there is no job")  # It sweeps.
    wait_until(lambda: dataset.is_in(DatasetState.READY))

    assert dataset.row.validation_attempts == 2
    assert list(temporary.glob("winnow-validation-*")) == []


def wait_for_decoder(worker: psutil.Process) -> psutil.Process:
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [
            process
            for process in worker.children(recursive=True)
            # It has few files to open once it has limited itself, and begins to decode.
            if process.rlimit(psutil.RLIMIT_NOFILE)[0] == DECODERS_FILES
        ]
        return bool(found)

    wait_until(look)
    return found[0]
