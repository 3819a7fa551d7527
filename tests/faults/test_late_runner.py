"""A runner whose claim was taken over can write nothing, wherever it stands."""

import numpy as np
from embedding_jobs import queue_tiny_job, read_job
from sqlalchemy import text
from training_bench import TrainingBench

from curation import partitions
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.jobs import newest_checkpoint
from curation.models import JobState
from curation.results import score_columns
from worker.child_link import Finished, Superseded


def expire_lease(training: TrainingBench, job_id: JobId) -> None:
    with training.place.engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id"),
            {"id": job_id},
        )


def test_late_runner_writes_neither_results_nor_checkpoints(training: TrainingBench) -> None:
    job_id = queue_tiny_job(training.place)
    late = training.claim(job_id)
    expire_lease(training, job_id)
    training.claim(job_id)

    assert training.run(late) == Superseded()

    job = read_job(training.place, job_id)
    assert (job.state, job.attempt) == (JobState.RUNNING, 2)
    with unit_of_work(training.place.engine) as session:
        assert newest_checkpoint(session, job_id) is None
        assert partitions.result_tables(session, job_id) == []


def test_runner_that_is_overtaken_while_it_trains_writes_no_results(
    training: TrainingBench,
) -> None:
    job_id = queue_tiny_job(training.place)
    late = training.claim(job_id)
    claims = iter([late])

    def overtake_once() -> bool:
        if next(claims, None) is not None:
            expire_lease(training, job_id)
            training.claim(job_id)
        return False

    assert training.run(late, should_stop=overtake_once, checkpoint_seconds=3600) == Superseded()
    with unit_of_work(training.place.engine) as session:
        assert score_columns(session, job_id).scores.size == 0


def test_late_runner_leaves_the_results_of_the_new_owner_as_they_are(
    training: TrainingBench,
) -> None:
    job_id = queue_tiny_job(training.place)
    late = training.claim(job_id)
    expire_lease(training, job_id)
    owner = training.claim(job_id)
    assert training.run(owner) == Finished()
    with unit_of_work(training.place.engine) as session:
        before = score_columns(session, job_id)

    assert training.run(late) == Superseded()

    with unit_of_work(training.place.engine) as session:
        after = score_columns(session, job_id)
    np.testing.assert_array_equal(after.scores, before.scores)
    assert read_job(training.place, job_id).state is JobState.SUCCEEDED
