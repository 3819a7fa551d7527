"""The training process is killed in each phase: the next attempt ends with the same weights."""

import json
from pathlib import Path

import pytest
from embedding_jobs import (
    JobPlace,
    add_dataset,
    make_samples,
    queue_score_job,
    queue_tiny_job,
)
from job_watch import JobWatch, assert_same_result, run_unbroken
from training_bench import TrainingBench
from worker_processes import WorkerProcesses, wait_until

from curation.database import unit_of_work
from curation.identifiers import SelectorId
from curation.models import JobState, Role
from curation.selectors import list_selectors
from worker.process_tree import job_mark, marked_processes

STRUCK_CHILD = Path(__file__).with_name("struck_child.py")
PHASES = ["load", "encode", "features", "train", "evaluate", "distil", "write"]
# Those whose beginning is told, but not saved.
UNSAVED = {"load", "distil", "score", "write"}
# A longer training saves a state between its first step and its last.
LONGER = {
    "train": {"steps": 300, "gsnr_every": 0},
    "evaluate": {"evaluate": True, "evaluation_seeds": 2},
}

pytestmark = pytest.mark.slow


def order(phase: str) -> str:
    """The message at which a phase is under way, and has saved its state where it does so."""
    kind = "progress" if phase in UNSAVED else "checkpoint"
    return json.dumps({"type": kind, "phase": phase, "step": 1 if phase == "train" else 0})


@pytest.mark.parametrize("phase", PHASES)
def test_run_killed_in_any_phase_goes_on_with_the_same_result(
    job_place: JobPlace, workers: WorkerProcesses, training: TrainingBench, phase: str
) -> None:
    config = LONGER.get(phase, {})
    unbroken = run_unbroken(training, queue_tiny_job(job_place, **config))
    job = JobWatch(job_place, queue_tiny_job(job_place, **config))
    run_struck_in(phase, job, workers)

    assert_same_result(job, unbroken)
    assert_nothing_was_done_twice(job)


def test_scoring_that_is_killed_goes_on_with_the_same_result(
    job_place: JobPlace, workers: WorkerProcesses, training: TrainingBench
) -> None:
    run_unbroken(training, queue_tiny_job(job_place))
    with unit_of_work(job_place.engine) as session:
        [selector] = list_selectors(session, job_place.workspace)
    fresh = add_dataset(job_place, Role.SYNTHETIC, make_samples(40, seed=5))
    unbroken_id, job_id = (
        queue_score_job(job_place, SelectorId(selector.id), fresh) for _ in range(2)
    )
    unbroken, job = run_unbroken(training, unbroken_id), JobWatch(job_place, job_id)
    run_struck_in("score", job, workers)

    assert_same_result(job, unbroken)
    assert_nothing_was_done_twice(job)


def run_struck_in(phase: str, job: JobWatch, workers: WorkerProcesses) -> None:
    """Run a job whose first attempt is killed in a phase, and wait for its end."""
    workers.start_with_child(STRUCK_CHILD, order(phase), checkpoint_seconds=0.01)
    job.ring()
    wait_until(lambda: job.row.state in {JobState.SUCCEEDED, JobState.FAILED})


def assert_nothing_was_done_twice(job: JobWatch) -> None:
    first, second = job.steps_saved_by_attempt()
    assert all(min(second[phase]) >= max(first[phase]) for phase in first.keys() & second.keys())
    assert [table.is_attached for table in job.result_tables] == [True]
    wait_until(lambda: marked_processes(job_mark(job.job_id)) == [], seconds=5)
