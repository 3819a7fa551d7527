"""Finds the finished job behind a request for results, with the names of its classes."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from curation import datasets, jobs, results
from curation.identifiers import DatasetId, JobId
from curation.keys import Principal


@dataclass(frozen=True)
class FinishedJob:
    """A job that has results.

    Attributes:
        job_id: The job.
        class_names: Names of the classes of its pool; a label is an index into them.
    """

    job_id: JobId
    class_names: tuple[str, ...]

    def class_name(self, label: int) -> str:
        """Return the name of the class with this label."""
        return self.class_names[label]


def find_finished_job(session: Session, caller: Principal, job_id: JobId) -> FinishedJob:
    """Return the job.

    Raises:
        NotFoundError: There is no such job in the caller's workspace.
        ConflictError: It has no results, or not yet.
    """
    job = jobs.get_job(session, caller.workspace_id, job_id)
    results.require_results(job)
    pool = datasets.get_dataset(session, caller.workspace_id, DatasetId(job.synthetic_id))
    return FinishedJob(job_id=job_id, class_names=tuple(pool.class_names or ()))
