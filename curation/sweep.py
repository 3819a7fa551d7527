"""Housekeeping that makes every loss good: leases, messages, unfinished work and orphans."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session

from curation import partitions
from curation.attempt_ends import lose_job
from curation.database import unit_of_work
from curation.datasets import count_validation
from curation.identifiers import DatasetId, JobId
from curation.job_claims import expired_claims
from curation.job_types import Failure, FailureReason
from curation.models import (
    CLAIMED_STATES,
    Checkpoint,
    Dataset,
    DatasetState,
    Job,
    JobState,
    MaintenanceMark,
)
from curation.object_rows import (
    forget_unnamed,
    is_outdated_checkpoint,
    remove_files,
    unknown_digests,
)
from curation.objects import ObjectStore
from curation.partitions import ResultTable
from curation.retention import remove_expired
from curation.settings import CurationSettings
from curation.webhook_deliveries import has_due_message

# Any number that nothing else in the database uses.
_SWEEP_LOCK = 7_241_550_083
_MAX_RINGS = 100
# The wait between two rings of one job doubles this often at most.
_MAX_DOUBLINGS = 3
_DROP_WAIT_SECONDS = 1.0
_MAX_LOST = 100
_ORPHANS = "orphan_objects"
_UNFINISHED_AGE = timedelta(days=1)
_SILENCE = Failure(FailureReason.WORKER_LOST, "The worker stopped reporting.")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did, and what its caller has to ring after it.

    Attributes:
        ran: False where another process swept at the same time.
        ring: Queued jobs whose message may be lost, oldest first.
        validate: Datasets whose validation may be lost.
        has_due_webhooks: Whether messages to webhook endpoints wait to be sent.
        lost: Jobs whose runner's lease had expired.
        dropped_tables: Result tables that no claim will finish.
        removed_objects: Files that no row named any more, superseded checkpoints among them.
        expired: Jobs, datasets and parts of uploads that were kept for long enough.
    """

    ran: bool = True
    ring: Sequence[JobId] = field(default_factory=list)
    validate: Sequence[DatasetId] = field(default_factory=list)
    has_due_webhooks: bool = False
    lost: Sequence[JobId] = field(default_factory=list)
    dropped_tables: Sequence[str] = field(default_factory=list)
    removed_objects: int = 0
    expired: int = 0


def sweep(
    engine: Engine, store: ObjectStore, settings: CurationSettings, now: datetime
) -> SweepReport:
    """Make good what was lost, and return what has to be rung.

    At most one process sweeps at a time; the others return at once. One that hangs for a lease
    keeps the others no longer from it: two sweeps at once do no harm, only work that is done
    already. Leases and rings are judged by the database's clock.

    Args:
        engine: The database.
        store: Where objects lie.
        settings: Leases, backoff and attempts.
        now: The time for everything else.
    """
    with _sweep_lock(engine, settings.lease_seconds) as got_it:
        return _sweep(engine, store, settings, now) if got_it else SweepReport(ran=False)


@contextmanager
def _sweep_lock(engine: Engine, seconds: float) -> Iterator[bool]:
    with engine.connect() as holder:
        # The lock belongs to this connection, so it is free again even if the process is killed.
        got_it = holder.scalar(select(func.pg_try_advisory_lock(_SWEEP_LOCK)))
        if got_it:
            # A process that hangs is not killed, and would hold the lock for ever.
            _set_idle_timeout(holder, f"{round(1000 * seconds)}ms")
        holder.commit()
        try:
            yield bool(got_it)
        finally:
            if got_it:
                _unlock(holder)


def _unlock(holder: Connection) -> None:
    try:
        holder.execute(select(func.pg_advisory_unlock(_SWEEP_LOCK)))
        # The connection goes back into the pool.
        _set_idle_timeout(holder, "0")
        holder.commit()
    except DBAPIError as error:
        _log.info("sweep_lock_lost", error=type(error).__name__)


def _set_idle_timeout(connection: Connection, timeout: str) -> None:
    connection.execute(select(func.set_config("idle_session_timeout", timeout, False)))


def _sweep(
    engine: Engine, store: ObjectStore, settings: CurationSettings, now: datetime
) -> SweepReport:
    lost = _end_lost_attempts(engine, now)
    with unit_of_work(engine) as session:
        ring = _due_jobs(session, settings.ring_backoff_seconds)
        validate = _due_validations(session, settings)
        has_due_webhooks = has_due_message(session, now)
    # Before the orphans, so that what it leaves behind is found at once.
    expired = remove_expired(engine, store, settings, now)
    report = SweepReport(
        ring=ring,
        validate=validate,
        has_due_webhooks=has_due_webhooks,
        lost=lost,
        dropped_tables=_drop_dead_tables(engine),
        removed_objects=(
            _remove_old_checkpoints(engine, store) + _remove_orphans(engine, store, settings, now)
        ),
        expired=expired,
    )
    if report != SweepReport():
        _log.info(
            "swept",
            rung=len(report.ring),
            validations=len(report.validate),
            lost=len(report.lost),
            dropped_tables=len(report.dropped_tables),
            removed_objects=report.removed_objects,
            expired=report.expired,
        )
    return report


def _end_lost_attempts(engine: Engine, now: datetime) -> list[JobId]:
    with unit_of_work(engine) as session:
        # The rows stay locked: a heartbeat that comes now finds its claim gone.
        claims = expired_claims(session, limit=_MAX_LOST)
        for claim in claims:
            lose_job(session, claim, _SILENCE, now)
    return [claim.job_id for claim in claims]


def _due_jobs(session: Session, backoff_seconds: float) -> list[JobId]:
    is_due = _is_due(Job.last_rung_at, Job.ring_count, backoff_seconds)
    due = (
        select(Job.id)
        .where(Job.state == JobState.QUEUED, is_due)
        .order_by(Job.created_at, Job.id)
        .limit(_MAX_RINGS)
        .with_for_update(skip_locked=True)
    )
    job_ids = list(session.scalars(due))
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids))
        .values(last_rung_at=func.now(), ring_count=Job.ring_count + 1),
        execution_options={"synchronize_session": False},
    )
    return [JobId(job_id) for job_id in job_ids]


def _due_validations(session: Session, settings: CurationSettings) -> list[DatasetId]:
    is_due = _is_due(Dataset.last_rung_at, Dataset.ring_count, settings.ring_backoff_seconds)
    is_abandoned = or_(
        Dataset.validation_lease_expires_at.is_(None),
        Dataset.validation_lease_expires_at < func.now(),
    )
    waiting = (
        select(Dataset)
        .where(Dataset.state == DatasetState.VALIDATING, is_abandoned)
        .where(or_(is_due, Dataset.validation_attempts >= settings.max_attempts))
        .order_by(Dataset.created_at, Dataset.id)
        .limit(_MAX_RINGS)
        .with_for_update(skip_locked=True)
    )
    rung = []
    for dataset in session.scalars(waiting):
        if dataset.validation_attempts >= settings.max_attempts:
            _give_up_validation(dataset)
            count_validation(session, dataset)
            continue
        dataset.last_rung_at = session.scalars(select(func.now())).one()
        dataset.ring_count += 1
        rung.append(DatasetId(dataset.id))
    return rung


def _give_up_validation(dataset: Dataset) -> None:
    dataset.state = DatasetState.INVALID
    dataset.validation_lease_expires_at = None
    dataset.failure_reason = "VALIDATION_LOST"
    dataset.failure_detail = (
        f"Validation was begun {dataset.validation_attempts} times and never came to its end."
    )
    dataset.failure_field = "content"
    dataset.failure_cure = "Upload it again; if that does not help, look into the worker's log."


def _is_due(
    last_rung_at: InstrumentedAttribute[datetime | None],
    ring_count: InstrumentedAttribute[int],
    backoff_seconds: float,
) -> ColumnElement[bool]:
    wait = backoff_seconds * func.power(2, func.least(ring_count, _MAX_DOUBLINGS))
    age = func.extract("epoch", func.now() - last_rung_at)
    return or_(last_rung_at.is_(None), age > wait)


def _drop_dead_tables(engine: Engine) -> list[str]:
    with unit_of_work(engine) as session:
        unattached = [table for table in partitions.result_tables(session) if not table.is_attached]
    return [table.name for table in unattached if _drop_if_dead(engine, table)]


def _drop_if_dead(engine: Engine, table: ResultTable) -> bool:
    try:
        with unit_of_work(engine) as session:
            partitions.limit_lock_wait(session, _DROP_WAIT_SECONDS)
            # With the job's row locked its claim cannot finish between the look and the drop.
            live_token = session.scalars(
                select(Job.fencing_token)
                .where(Job.id == table.job_id, Job.state.in_(CLAIMED_STATES))
                .with_for_update()
            ).one_or_none()
            if live_token == table.fencing_token:
                return False
            if table not in partitions.result_tables(session, table.job_id):
                return False  # It was attached, or dropped, since it was listed.
            partitions.drop(session, table.name)
    except OperationalError:
        # A late runner still writes to it; the next sweep finds it free.
        _log.info("result_table_busy", table=table.name)
        return False
    return True


def _remove_old_checkpoints(engine: Engine, store: ObjectStore) -> int:
    with unit_of_work(engine) as session:
        digests = session.scalars(
            delete(Checkpoint).where(is_outdated_checkpoint()).returning(Checkpoint.digest),
            execution_options={"synchronize_session": False},
        ).all()
        orphans = forget_unnamed(session, digests)
    return remove_files(store, orphans)


def _remove_orphans(
    engine: Engine, store: ObjectStore, settings: CurationSettings, now: datetime
) -> int:
    age = timedelta(seconds=settings.orphan_seconds)
    with unit_of_work(engine) as session:
        # Listing the whole store is dear, so it is done once in this time, by one process.
        if not _is_time_for(session, _ORPHANS, age, now):
            return 0
        forgotten = forget_unnamed(session, recorded_before=now - age)
    removed = remove_files(store, forgotten)
    for digest in unknown_digests(engine, store, written_before=now - age):
        removed += store.delete(digest, written_before=now - age)
    store.remove_unfinished(written_before=now - _UNFINISHED_AGE)
    return removed


def _is_time_for(session: Session, name: str, period: timedelta, now: datetime) -> bool:
    mark = insert(MaintenanceMark).values(name=name, last_run_at=now)
    won = session.scalars(
        mark.on_conflict_do_update(
            index_elements=[MaintenanceMark.name],
            set_={"last_run_at": now},
            where=MaintenanceMark.last_run_at <= now - period,
        ).returning(MaintenanceMark.name)
    ).one_or_none()
    return won is not None
