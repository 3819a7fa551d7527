"""Reads how the whole service does: what waits, what runs, what is stored, and all totals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from curation.models import (
    CLAIMED_STATES,
    Dataset,
    DatasetState,
    DeliveryState,
    Job,
    JobEvent,
    JobState,
    ObjectRow,
    WebhookDelivery,
    WebhookEndpoint,
)
from curation.running_totals import Total, read_totals

# Bounds the work where very many wait; jobs are served in about this order.
_JOBS_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """The state of the service at one moment.

    Attributes:
        jobs: Number of jobs in each state.
        longest_wait_seconds: For how long the queued job that waits longest has waited, by the
            thousand that were made first; 0 where none waits.
        busy_workers: Runners whose lease holds.
        expired_leases: Claimed jobs whose runner is silent, which the next sweep gives up.
        datasets: Number of datasets in each state.
        stored_objects: Files in the object store that rows name.
        stored_bytes: Their size.
        due_messages: Webhook messages whose time has come.
        oldest_due_seconds: For how long the first of them has been due, 0 where none is.
        disabled_endpoints: Webhook endpoints that get no messages.
        totals: What was counted over the service's whole life.
    """

    jobs: Mapping[JobState, int]
    longest_wait_seconds: float
    busy_workers: int
    expired_leases: int
    datasets: Mapping[DatasetState, int]
    stored_objects: int
    stored_bytes: int
    due_messages: int
    oldest_due_seconds: float
    disabled_endpoints: int
    totals: Mapping[Total, Mapping[tuple[str, ...], float]]


def read_service_state(session: Session, now: datetime) -> ServiceState:
    """Return the state of the service.

    Jobs are counted by an index, datasets and objects by their rows: a second or two at a million
    jobs, a million objects and a hundred thousand datasets.

    Args:
        session: The transaction.
        now: The time by which messages are due; leases and ages go by the database's own.
    """
    busy_workers, expired_leases = session.execute(_claims()).one()
    stored_objects, stored_bytes = session.execute(
        select(func.count(), func.sum(ObjectRow.size_bytes)).select_from(ObjectRow)
    ).one()
    due_messages, oldest_due_seconds = session.execute(_due_messages(now)).one()
    jobs = _counts(session, Job.state)
    datasets = _counts(session, Dataset.state)
    disabled = select(func.count()).where(WebhookEndpoint.disabled_at.is_not(None))
    return ServiceState(
        jobs={state: jobs.get(state, 0) for state in JobState},
        longest_wait_seconds=float(session.scalar(_longest_wait()) or 0),
        busy_workers=busy_workers,
        expired_leases=expired_leases,
        datasets={state: datasets.get(state, 0) for state in DatasetState},
        stored_objects=stored_objects,
        stored_bytes=int(stored_bytes or 0),
        due_messages=due_messages,
        oldest_due_seconds=float(oldest_due_seconds or 0),
        disabled_endpoints=session.scalar(disabled) or 0,
        totals=read_totals(session),
    )


def _counts(
    session: Session,
    column: InstrumentedAttribute[Any],  # Any: the state of whichever table.
) -> dict[Any, int]:
    rows = session.execute(select(column, func.count()).group_by(column))
    return {row[0]: row[1] for row in rows}


def _claims() -> Select[int, int]:
    is_alive = Job.lease_expires_at > func.now()
    return select(
        func.count(Job.runner.distinct()).filter(is_alive), func.count().filter(~is_alive)
    ).where(Job.state.in_(CLAIMED_STATES))


def _longest_wait() -> Select[Any]:  # Any: PostgreSQL's numeric.
    """Return the query for the age of the last event of the job that waits longest.

    A job that was retried or lost its worker waits since then, not since it was made.
    """
    oldest = (
        select(Job.id)
        .where(Job.state == JobState.QUEUED)
        .order_by(Job.created_at, Job.id)
        .limit(_JOBS_LOOKED_AT)
        .subquery()
    )
    since = (
        select(JobEvent.at)
        .where(JobEvent.job_id == oldest.c.id)
        .order_by(JobEvent.id.desc())
        .limit(1)
        .lateral()
    )
    return select(func.max(func.extract("epoch", func.now() - since.c.at))).select_from(
        oldest.join(since, true())
    )


def _due_messages(now: datetime) -> Select[int, Any]:  # Any: PostgreSQL's numeric.
    first = func.min(WebhookDelivery.next_attempt_at)
    return (
        select(func.count(), func.extract("epoch", now - first))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(
            WebhookDelivery.state == DeliveryState.PENDING,
            WebhookDelivery.next_attempt_at <= now,
            WebhookEndpoint.disabled_at.is_(None),
        )
    )
