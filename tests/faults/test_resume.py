"""A run that was stopped anywhere goes on from its checkpoint and ends with the same weights."""

from dataclasses import dataclass

import numpy as np
import pytest
from embedding_jobs import queue_tiny_job
from training_bench import TrainingBench

from curation.database import unit_of_work
from curation.jobs import newest_checkpoint
from curation.results import report, score_columns, traces
from worker.child_link import CheckpointSaved, Finished, Stopped


@dataclass
class StopAfter:
    """Asks a run to stop at its n-th report; it is asked once a report."""

    limit: float
    asked: int = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked >= self.limit


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_resumed_run_gives_bit_equal_weights(training: TrainingBench, share: float) -> None:
    unbroken, broken = queue_tiny_job(training.place), queue_tiny_job(training.place)
    counter = StopAfter(float("inf"))
    assert training.run(training.claim(unbroken), should_stop=counter) == Finished()

    stop = StopAfter(max(1.0, share * counter.asked))
    assert training.run(training.claim(broken), should_stop=stop) == Stopped()
    training.release(broken)
    with unit_of_work(training.place.engine) as session:
        assert newest_checkpoint(session, broken) is not None
    assert training.run(training.claim(broken)) == Finished()

    with unit_of_work(training.place.engine) as session:
        expected, actual = score_columns(session, unbroken), score_columns(session, broken)
        assert traces(session, broken) == traces(session, unbroken)
    np.testing.assert_array_equal(actual.scores, expected.scores)
    np.testing.assert_array_equal(actual.keep, expected.keep)


def test_second_attempt_skips_what_is_saved_and_reports_the_seconds_of_both(
    training: TrainingBench,
) -> None:
    job_id = queue_tiny_job(training.place)
    counter = StopAfter(float("inf"))
    training.run(training.claim(queue_tiny_job(training.place)), should_stop=counter)
    training.run(training.claim(job_id), should_stop=StopAfter(counter.asked))
    training.release(job_id)
    training.told.clear()

    training.run(training.claim(job_id))

    saved = {message.phase for message in training.told if isinstance(message, CheckpointSaved)}
    assert saved <= {"train"}
    with unit_of_work(training.place.engine) as session:
        seconds = report(session, job_id)["seconds_by_phase"]
    assert {"load", "encode", "features", "train", "write"} <= set(seconds)
