"""The broker's side of the queue: messages that say only that there is work."""

import contextvars
import threading

import structlog
from celery import Celery

from curation.identifiers import DatasetId, JobId
from curation.tracing import TRACE_PARENT, current_trace_parent

TRAIN_QUEUE = "train"
SHORT_QUEUE = "short"
RUN_JOB = "winnow.run_job"
VALIDATE_DATASET = "winnow.validate_dataset"
SWEEP = "winnow.sweep"
DELIVER_WEBHOOKS = "winnow.deliver_webhooks"
REQUEST_ID_HEADER = "winnow_request_id"
"""Header of a message that names the request whose work it rings for."""

# How long a caller waits for a publication before it goes on without it.
PUBLISH_TIMEOUT_SECONDS = 2.0
# A message that a dead `short` worker held is delivered again after this time.
VISIBILITY_TIMEOUT_SECONDS = 4 * 3_600
# The hard limit of one short task: far below the visibility timeout, or a task that still runs
# would be delivered a second time.
SHORT_TIME_LIMIT_SECONDS = 3_600

_MAX_PUBLISHING = 8
_places = threading.BoundedSemaphore(_MAX_PUBLISHING)

_log = structlog.get_logger(__name__)


def make_celery(broker_url: str) -> Celery:
    """Return the Celery application; it registers no task, since jobs are sent by name.

    Args:
        broker_url: `redis://...` or `redis+socket:///path`.
    """
    app = Celery("winnow", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        enable_utc=True,
        worker_hijack_root_logger=False,
        task_queues={TRAIN_QUEUE: {}, SHORT_QUEUE: {}},
        task_default_queue=SHORT_QUEUE,
        task_create_missing_queues=False,
        task_routes={
            RUN_JOB: {"queue": TRAIN_QUEUE},
            VALIDATE_DATASET: {"queue": SHORT_QUEUE},
            SWEEP: {"queue": SHORT_QUEUE},
            DELIVER_WEBHOOKS: {"queue": SHORT_QUEUE},
        },
        # A training worker takes one message only when it is free to begin with it.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # kombu's default waits for ever on a connection that died without a word.
            "socket_timeout": 30.0,
            "socket_connect_timeout": PUBLISH_TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 15,
            "retry_on_timeout": True,
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # A publication to a dead broker fails at once; the sweep is what tries again. Workers
            # wait for their broker by a setting of their own.
            "max_retries": 0,
        },
    )
    return app


def ring_job(app: Celery, job_id: JobId) -> bool:
    """Publish that a job waits, and return whether the broker took the message in time.

    Never raises: the job row is the truth, and the sweep rings again.
    """
    return _publish(app, RUN_JOB, TRAIN_QUEUE, [str(job_id)])


def ring_validation(app: Celery, dataset_id: DatasetId) -> bool:
    """Publish that a dataset waits for validation, with the promise of `ring_job`."""
    return _publish(app, VALIDATE_DATASET, SHORT_QUEUE, [str(dataset_id)])


def ring_webhooks(app: Celery) -> bool:
    """Publish that webhook messages may be due, with the promise of `ring_job`."""
    return _publish(app, DELIVER_WEBHOOKS, SHORT_QUEUE, [])


def _publish(app: Celery, task: str, queue: str, arguments: list[str]) -> bool:
    outcome: list[bool] = []
    # The worker's log lines and spans then name the request that caused its work.
    headers = {
        REQUEST_ID_HEADER: structlog.contextvars.get_contextvars().get("request_id"),
        TRACE_PARENT: current_trace_parent(),
    }

    def send() -> None:
        try:
            app.send_task(
                task,
                args=arguments,
                queue=queue,
                headers={name: value for name, value in headers.items() if value is not None},
                retry=False,
                ignore_result=True,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep rings again.
            # No more than the kind: its text and trace may hold the broker's password.
            kind = type(error).__name__
            _log.warning("publish_failed", task=task, arguments=arguments, error=kind)
        else:
            outcome.append(True)
        finally:
            _places.release()

    # A broker that is silent holds threads for a while; they must not pile up.
    if not _places.acquire(blocking=False):
        _log.warning("publish_skipped", task=task, arguments=arguments)
        return False
    # A thread, because the call may take longer than any caller can wait; a daemon, so that it
    # never holds up the end of the process. The context carries the request's id and span.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(send,), name="winnow-publish", daemon=True
    )
    thread.start()
    thread.join(PUBLISH_TIMEOUT_SECONDS)
    if thread.is_alive():
        _log.warning("publish_unconfirmed", task=task, arguments=arguments)
    return bool(outcome)
