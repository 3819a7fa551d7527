"""Registers the tasks: each opens nothing itself and calls one function."""

from uuid import UUID

from celery import Celery
from sqlalchemy.exc import OperationalError

from curation.identifiers import DatasetId, JobId
from curation.ingest import validate_and_record
from curation.job_queue import (
    DELIVER_WEBHOOKS,
    RUN_JOB,
    SHORT_TIME_LIMIT_SECONDS,
    SWEEP,
    VALIDATE_DATASET,
    ring_webhooks,
)
from worker.services import Services
from worker.supervisor import Supervisor
from worker.webhook_sender import deliver_due


def register_training(app: Celery, supervisor: Supervisor) -> None:
    """Register the task of the training queue.

    Its message is acknowledged before the work: the job row is the truth, and a message held for
    days would be delivered again and again.
    """

    @app.task(name=RUN_JOB, acks_late=False, max_retries=0, shared=False)  # type: ignore[untyped-decorator]  # Celery ships no types.
    def run_job(job_id: str) -> None:
        supervisor.run(JobId(UUID(job_id)))
        # The job's end may have written messages; where this is lost, the sweep rings.
        ring_webhooks(app)


def register_short_tasks(app: Celery, services: Services) -> None:
    """Register the tasks of the short queue.

    Their messages are acknowledged after the work, and every task may run twice.
    """

    @app.task(  # type: ignore[untyped-decorator]  # Celery ships no types.
        name=VALIDATE_DATASET,
        shared=False,
        acks_late=True,
        reject_on_worker_lost=True,
        time_limit=SHORT_TIME_LIMIT_SECONDS,
        autoretry_for=(OperationalError, OSError),
        retry_backoff=True,
        max_retries=3,
    )
    def validate_dataset(dataset_id: str) -> None:
        validate_and_record(
            services.engine,
            services.store,
            DatasetId(UUID(dataset_id)),
            services.settings,
            services.clock(),
        )

    @app.task(  # type: ignore[untyped-decorator]  # Celery ships no types.
        name=SWEEP, shared=False, acks_late=True, time_limit=SHORT_TIME_LIMIT_SECONDS, max_retries=0
    )
    def sweep() -> None:
        services.sweep_and_ring()

    @app.task(  # type: ignore[untyped-decorator]  # Celery ships no types.
        name=DELIVER_WEBHOOKS,
        shared=False,
        acks_late=True,
        time_limit=SHORT_TIME_LIMIT_SECONDS,
        max_retries=0,
    )
    def deliver_webhooks() -> None:
        deliver_due(services.engine, services.settings, services.clock)
