"""What Prometheus reads of the whole service: queue, attempts, datasets, webhooks and files."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from curation.clock import Clock
from curation.database import unit_of_work
from curation.dataset_failures import DatasetFailure
from curation.jobs import EventKind, FailureReason
from curation.models import DatasetState, DeliveryState, JobState, TryOutcome
from curation.running_totals import Total
from curation.service_state import ServiceState, read_service_state

# A second scrape within this time gets the answer of the first.
_FRESH_SECONDS = 5.0
# Where reading takes long, the database spends one part in twenty of its time on it at most.
_PAUSE_FACTOR = 19.0
_STATEMENT_TIMEOUT = "5s"

_RETRIED_REASONS = (FailureReason.WORKER_LOST, FailureReason.STALLED)


@dataclass(frozen=True, slots=True)
class _TotalMetric:
    """How a total is shown.

    Attributes:
        name: Of the metric, without its ending.
        documentation: What is counted.
        labels: Names of the total's labels.
        expected: What can happen. A series that appears with its first event hides that event
            from `increase()`, so these are shown as 0 from the beginning.
    """

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    expected: tuple[tuple[str, ...], ...] = ()


_TOTALS: Mapping[Total, _TotalMetric] = {
    Total.JOB_ENDS: _TotalMetric(
        "winnow_job_ends",
        "Jobs that came to an end.",
        ("state", "reason"),
        (
            (JobState.SUCCEEDED, ""),
            (JobState.CANCELLED, ""),
            *((JobState.FAILED, reason) for reason in FailureReason),
        ),
    ),
    Total.ATTEMPT_ENDS: _TotalMetric(
        "winnow_attempt_ends",
        "Attempts at jobs that came to an end, by what happened.",
        ("event", "reason"),
        (
            (EventKind.SUCCEEDED, ""),
            (EventKind.CANCELLED, ""),
            (EventKind.RELEASED, ""),
            *((EventKind.FAILED, reason) for reason in FailureReason),
            *((EventKind.REQUEUED, reason) for reason in _RETRIED_REASONS),
        ),
    ),
    Total.PHASE_SECONDS: _TotalMetric(
        "winnow_job_phase_seconds",
        "Seconds that attempts at jobs have spent, by phase; counted when an attempt ends.",
        ("phase",),
    ),
    Total.VALIDATIONS: _TotalMetric(
        "winnow_dataset_validations",
        "Validations of datasets that came to an end.",
        ("state", "reason"),
        (
            (DatasetState.READY, ""),
            *((DatasetState.INVALID, reason) for reason in DatasetFailure),
        ),
    ),
    Total.WEBHOOK_TRIES: _TotalMetric(
        "winnow_webhook_tries",
        "Tries to deliver a webhook message.",
        ("outcome",),
        tuple((outcome,) for outcome in TryOutcome),
    ),
    Total.WEBHOOK_ENDS: _TotalMetric(
        "winnow_webhook_deliveries",
        "Webhook messages that were delivered or given up.",
        ("state",),
        ((DeliveryState.DELIVERED,), (DeliveryState.FAILED,)),
    ),
    Total.UPLOAD_BYTES: _TotalMetric(
        "winnow_upload_bytes",
        "Bytes of uploads that became the content of a dataset.",
        expected=((),),
    ),
}

_log = structlog.get_logger()


@final
class ServiceMetrics:
    """Reads the state of the service from the database, and keeps it for a few seconds.

    All processes read the same rows, so they agree, whichever is asked.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Read through `engine`; `clock` tells which messages are due."""
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._content = b""
        self._fresh_until = 0.0

    def render(self) -> bytes:
        """Return the state in Prometheus' text format; without a database, that it is away."""
        # Several scrapers that come at once wait for one reading.
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._content = self._read()
            return self._content

    def _read(self) -> bytes:
        began = time.monotonic()
        try:
            state = _read_bounded(self._engine, self._clock())
        except SQLAlchemyError as error:
            # The requests' own numbers matter most while the database is away.
            _log.warning("metrics_without_database", error=type(error).__name__)
            state = None
        ended = time.monotonic()
        self._fresh_until = ended + max(_FRESH_SECONDS, _PAUSE_FACTOR * (ended - began))
        registry = CollectorRegistry()
        registry.register(_StateCollector(state))
        return generate_latest(registry)


def _read_bounded(engine: Engine, now: datetime) -> ServiceState:
    with unit_of_work(engine) as session:
        session.execute(text(f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'"))
        return read_service_state(session, now)


@final
class _StateCollector(Collector):
    """Turns a state into metrics."""

    def __init__(self, state: ServiceState | None) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; without a state, that the database is away."""
        yield GaugeMetricFamily(
            "winnow_database_up",
            "1 where the database has answered.",
            value=float(self._state is not None),
        )
        if self._state is not None:
            yield from _gauges(self._state)
            yield from _counters(self._state)


def _gauges(state: ServiceState) -> Iterator[Metric]:
    yield _by_state("winnow_jobs", "Jobs by state.", state.jobs)
    yield _by_state("winnow_datasets", "Datasets by state.", state.datasets)
    for name, documentation, value in (
        (
            "winnow_oldest_queued_job_age_seconds",
            "For how long the job that waits longest has waited; 0 where none does.",
            state.longest_wait_seconds,
        ),
        ("winnow_busy_workers", "Workers that run a job now.", state.busy_workers),
        (
            "winnow_expired_leases",
            "Jobs whose worker is silent; the next sweep gives them up.",
            state.expired_leases,
        ),
        ("winnow_stored_objects", "Files in the object store.", state.stored_objects),
        ("winnow_stored_bytes", "Size of the files in the object store.", state.stored_bytes),
        (
            "winnow_webhook_backlog",
            "Webhook messages whose time has come and that wait to be sent.",
            state.due_messages,
        ),
        (
            "winnow_webhook_backlog_age_seconds",
            "For how long the first of these messages has waited; 0 where none does.",
            state.oldest_due_seconds,
        ),
        (
            "winnow_webhook_endpoints_disabled",
            "Webhook endpoints that get no messages.",
            state.disabled_endpoints,
        ),
    ):
        yield GaugeMetricFamily(name, documentation, value=float(value))


def _by_state(
    name: str, documentation: str, counts: Mapping[JobState, int] | Mapping[DatasetState, int]
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["state"])
    for state, count in counts.items():
        family.add_metric([state.value], count)
    return family


def _counters(state: ServiceState) -> Iterator[Metric]:
    for total, shown in _TOTALS.items():
        family = CounterMetricFamily(shown.name, shown.documentation, labels=shown.labels)
        values = {**dict.fromkeys(shown.expected, 0.0), **state.totals[total]}
        for label_values, value in sorted(values.items()):
            family.add_metric(label_values, value)
        yield family
