"""The table of a job's states, and the one statement that moves it from one to the next."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, insert, update
from sqlalchemy.orm import Session

from curation.clock import utc_now
from curation.identifiers import JobId
from curation.job_types import EventKind
from curation.models import FINAL_STATES, Job, JobEvent, JobState
from curation.running_totals import Total, add_to_total
from curation.webhook_outbox import announce_end

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
        JobState.RUNNING: frozenset(
            {
                JobState.RUNNING,  # A later claim takes over from an expired one.
                JobState.SUCCEEDED,
                JobState.FAILED,
                JobState.QUEUED,
                JobState.CANCELLING,
            }
        ),
        # What was asked to stop ends cancelled, however its runner came to its end.
        JobState.CANCELLING: frozenset({JobState.CANCELLED}),
        JobState.FAILED: frozenset({JobState.QUEUED}),
        JobState.CANCELLED: frozenset({JobState.QUEUED}),
        JobState.SUCCEEDED: frozenset(),
    }
)


def change_state(
    session: Session,
    target: JobState,
    event: EventKind,
    *conditions: ColumnElement[bool],
    data: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    **values: Any,  # Column values and SQL expressions for them.
) -> Job | None:
    """Change a job's state by one compare-and-set UPDATE, and return it, or None where none fits.

    No other code writes the column.

    Args:
        session: The transaction.
        target: The state to move to; the table says from where.
        event: What is recorded of it.
        *conditions: Which row, and what else must hold of it.
        data: What the event tells beside the attempt.
        at: The event's time; None means the database's.
        **values: Other columns that change with the state.
    """
    sources = [state for state, targets in TRANSITIONS.items() if target in targets]
    job = session.scalars(
        update(Job)
        .where(Job.state.in_(sources), *conditions)
        .values(state=target, **values)
        .returning(Job),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).one_or_none()
    if job is not None:
        record_event(session, JobId(job.id), event, {"attempt": job.attempt, **(data or {})}, at)
        if target in FINAL_STATES:
            add_to_total(session, Total.JOB_ENDS, target, job.failure_reason or "")
            announce_end(session, job, at or utc_now())
    return job


def record_event(
    session: Session,
    job_id: JobId,
    kind: EventKind,
    data: Mapping[str, Any],  # JSON values, by kind.
    at: datetime | None = None,
) -> None:
    """Record something that happened to a job whose row this transaction has changed or locked."""
    # The job's row is locked by now, so the ids of its events grow in the order of commits.
    moment = {} if at is None else {"at": at}
    session.execute(insert(JobEvent).values(job_id=job_id, kind=kind, data=dict(data), **moment))
