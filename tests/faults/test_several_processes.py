"""Several processes share a training: same scores, and none outlives its attempt."""

import signal
import time

import numpy as np
import psutil
import pytest
from embedding_jobs import JobPlace, queue_tiny_job, read_job
from training_bench import TrainingBench
from worker_processes import WorkerProcesses, wait_until

from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.job_queue import make_celery, ring_job
from curation.jobs import newest_checkpoint
from curation.models import JobState
from curation.results import report, score_columns
from worker.child_link import Finished
from worker.process_tree import attempt_mark, job_mark, marked_processes

COUNT = 2
ENDLESS = {"steps": 1_000_000, "gsnr_every": 0}
# Long enough to be caught at work.
CATCHABLE = {"steps": 400, "gsnr_every": 0}

pytestmark = pytest.mark.slow


def ring(place: JobPlace, job_id: JobId) -> None:
    assert ring_job(make_celery(place.settings.broker_url), job_id)


def is_in(place: JobPlace, job_id: JobId, state: JobState) -> bool:
    return read_job(place, job_id).state is state


def rank_processes(job_id: JobId) -> list[psutil.Process]:
    return [
        process
        for process in marked_processes(job_mark(job_id))
        if "worker.rank_process" in process.cmdline()
    ]


def ranks_at_work(place: JobPlace, job_id: JobId) -> list[psutil.Process]:
    """Wait until the training is under way, and return its processes by their numbers."""

    def has_begun() -> bool:
        with unit_of_work(place.engine) as session:
            checkpoint = newest_checkpoint(session, job_id)
        return checkpoint is not None and (checkpoint.phase, checkpoint.step > 0) == ("train", True)

    wait_until(has_begun)
    found = rank_processes(job_id)
    assert len(found) == COUNT
    return sorted(found, key=lambda process: int(process.environ()["RANK"]))


def test_two_processes_give_the_scores_of_one(
    job_place: JobPlace, workers: WorkerProcesses, training: TrainingBench
) -> None:
    config = {"steps": 30, "baselines": ["meta_weight_net"], "evaluate": True}
    alone = queue_tiny_job(job_place, **config)
    assert training.run(training.claim(alone)) == Finished()
    shared = queue_tiny_job(job_place, **config)
    workers.start("train", train_processes=COUNT)
    ring(job_place, shared)
    wait_until(lambda: len(rank_processes(shared)) == COUNT)
    wait_until(lambda: not is_in(job_place, shared, JobState.RUNNING))

    job = read_job(job_place, shared)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1), job.log_tail
    with unit_of_work(job_place.engine) as session:
        expected, found = score_columns(session, alone), score_columns(session, shared)
        assert len(report(session, shared)["rows"]) == len(report(session, alone)["rows"])
    # Gradients are summed in another order in float32, and grow over the steps.
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)
    # The results are visible a moment before the last process is gone.
    wait_until(lambda: marked_processes(job_mark(shared)) == [], seconds=5)


def test_killed_rank_is_a_loss_of_infrastructure_and_the_next_attempt_goes_on(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place, **CATCHABLE)
    workers.start("train", train_processes=COUNT)
    ring(job_place, job_id)
    _, follower = ranks_at_work(job_place, job_id)

    follower.kill()
    wait_until(lambda: is_in(job_place, job_id, JobState.SUCCEEDED))

    assert read_job(job_place, job_id).attempt == 2
    assert marked_processes(attempt_mark(job_id, 1)) == []


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_no_rank_outlives_a_worker_that_is_killed_or_hangs(
    job_place: JobPlace, workers: WorkerProcesses, blow: signal.Signals
) -> None:
    job_id = queue_tiny_job(job_place, **ENDLESS)
    worker = workers.start("train", train_processes=COUNT)
    ring(job_place, job_id)
    ranks_at_work(job_place, job_id)
    struck_at = time.monotonic()

    worker.send_signal(blow)
    wait_until(lambda: marked_processes(job_mark(job_id)) == [])

    # The kernel's signal comes at once; who hears nothing leaves after one lease.
    patience = job_place.settings.lease_seconds * (0.5 if blow is signal.SIGKILL else 1.0) + 3
    assert time.monotonic() - struck_at < patience


def test_worker_told_to_leave_ends_all_ranks_and_keeps_a_checkpoint(
    job_place: JobPlace, workers: WorkerProcesses
) -> None:
    job_id = queue_tiny_job(job_place, **ENDLESS)
    worker = workers.start("train", train_processes=COUNT, grace_seconds=20)
    ring(job_place, job_id)
    ranks_at_work(job_place, job_id)

    worker.terminate()
    assert worker.wait(20) == 0

    job = read_job(job_place, job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert marked_processes(job_mark(job_id)) == []
    with unit_of_work(job_place.engine) as session:
        checkpoint = newest_checkpoint(session, job_id)
    assert checkpoint is not None
    assert checkpoint.phase == "train"
    # The job's row hears of progress only now and then, so it may still tell of another phase.
    assert job.phase != "train" or checkpoint.step >= job.step
