"""Builds what the tasks of a worker process work with."""

from dataclasses import dataclass

import structlog
from celery import Celery
from sqlalchemy import Engine

from curation.clock import Clock, utc_now
from curation.database import create_database_engine
from curation.job_queue import make_celery, ring_job, ring_validation, ring_webhooks
from curation.object_stores import open_object_store
from curation.objects import ObjectStore
from curation.sweep import sweep
from worker.scratch import remove_abandoned_scratch
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """What the tasks of a worker process work with.

    Attributes:
        settings: Settings of the process.
        engine: The database; connects when first used.
        store: The object store.
        app: Celery, to ring by.
        clock: The time.
    """

    settings: WorkerSettings
    engine: Engine
    store: ObjectStore
    app: Celery
    clock: Clock

    def sweep_and_ring(self) -> None:
        """Repair what was lost, ring for all that waits, and remove what killed workers left."""
        removed = remove_abandoned_scratch(self.settings.scratch_dir)
        if removed:
            log.info("abandoned_folders_removed", count=removed)
        report = sweep(self.engine, self.store, self.settings, self.clock())
        for job_id in report.ring:
            ring_job(self.app, job_id)
        for dataset_id in report.validate:
            ring_validation(self.app, dataset_id)
        if report.has_due_webhooks:
            ring_webhooks(self.app)


def build_services(settings: WorkerSettings) -> Services:
    """Return the services that the settings describe; nothing is connected yet."""
    return Services(
        settings=settings,
        engine=create_database_engine(
            settings.database_url, idle_transaction_seconds=settings.lease_seconds
        ),
        store=open_object_store(settings.object_store),
        app=make_celery(settings.broker_url),
        clock=utc_now,
    )
