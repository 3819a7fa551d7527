"""Looks at what happens to a job, for the tests that break something meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from embedding_jobs import JobPlace, read_job
from training_bench import TrainingBench

from curation import partitions
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.job_queue import make_celery, ring_job
from curation.jobs import job_events, newest_checkpoint
from curation.models import Job, JobEvent, JobState
from curation.results import score_columns, traces
from worker.child_link import Finished

# Long enough to be caught at work, short enough for the suite once it goes on undisturbed.
CATCHABLE = {"steps": 800, "gsnr_every": 0}
ENDLESS = {"steps": 1_000_000, "gsnr_every": 0}


@dataclass(frozen=True)
class JobWatch:
    """One job, from outside."""

    place: JobPlace
    job_id: JobId

    def ring(self) -> None:
        assert ring_job(make_celery(self.place.settings.broker_url), self.job_id)

    @property
    def row(self) -> Job:
        return read_job(self.place, self.job_id)

    def is_in(self, state: JobState) -> bool:
        return self.row.state is state

    @property
    def trained_step(self) -> int:
        """The step of the training at the newest checkpoint; 0 before there is one."""
        with unit_of_work(self.place.engine) as session:
            checkpoint = newest_checkpoint(session, self.job_id)
        return checkpoint.step if checkpoint is not None and checkpoint.phase == "train" else 0

    @property
    def events(self) -> list[JobEvent]:
        with unit_of_work(self.place.engine) as session:
            return job_events(session, {self.job_id: 0})[self.job_id]

    def count(self, kind: str) -> int:
        return [event.kind for event in self.events].count(kind)

    def steps_saved_by_attempt(self) -> list[dict[str, list[int]]]:
        """For each attempt, the steps of the checkpoints that it took, by phase."""
        saved: list[dict[str, list[int]]] = []
        for event in self.events:
            if event.kind == "claimed":
                saved.append({})
            elif event.kind == "checkpoint":
                saved[-1].setdefault(event.data["phase"], []).append(event.data["step"])
        return saved

    @property
    def result_tables(self) -> Sequence[partitions.ResultTable]:
        with unit_of_work(self.place.engine) as session:
            return partitions.result_tables(session, self.job_id)


def run_unbroken(training: TrainingBench, job_id: JobId) -> JobWatch:
    """Run a job in the test's own process, with nothing in its way."""
    assert training.run(training.claim(job_id)) == Finished()
    return JobWatch(training.place, job_id)


def assert_same_result(broken: JobWatch, unbroken: JobWatch) -> None:
    """Assert that two jobs have the same scores, cuts and traces, bit by bit."""
    assert broken.is_in(JobState.SUCCEEDED), (broken.row.failure_detail, broken.row.log_tail)
    with unit_of_work(broken.place.engine) as session:
        expected = score_columns(session, unbroken.job_id)
        actual = score_columns(session, broken.job_id)
        assert traces(session, broken.job_id) == traces(session, unbroken.job_id)
    assert expected.scores.size > 0
    np.testing.assert_array_equal(actual.scores, expected.scores)
    np.testing.assert_array_equal(actual.keep, expected.keep)
