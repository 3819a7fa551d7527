"""What Prometheus reads: request latencies of this process, and jobs counted in the database."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select

from curation.database import unit_of_work
from curation.models import Job, JobState

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST

# An upload may take minutes and a long poll half of one.
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Methods come from the client: an unknown one must not make a time series of its own.
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Counts and times the requests of one application.

    It has a registry of its own, so that two applications in one process stay apart.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "winnow_http_request_duration_seconds",
            "Time from a request's arrival to the end of its answer.",
            labelnames=("method", "route", "status"),
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that took `seconds`."""
        known_method = method if method in _KNOWN_METHODS else "OTHER"
        self._seconds.labels(known_method, route, str(status)).observe(seconds)


class JobCollector(Collector):
    """Reads the state of the queue from the database whenever it is asked."""

    def __init__(self, engine: Engine) -> None:
        """Read through `engine`."""
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield the number of jobs in each state and the age of the oldest queued one."""
        with unit_of_work(self._engine) as session:
            counts = session.execute(select(Job.state, func.count()).group_by(Job.state))
            count_by_state = {row[0]: row[1] for row in counts}
            oldest_age = session.scalar(
                select(func.extract("epoch", func.now() - func.min(Job.created_at))).where(
                    Job.state == JobState.QUEUED
                )
            )
        jobs = GaugeMetricFamily("winnow_jobs", "Jobs by state.", labels=["state"])
        for state in JobState:
            jobs.add_metric([state.value], count_by_state.get(state, 0))
        yield jobs
        yield GaugeMetricFamily(
            "winnow_oldest_queued_job_age_seconds",
            "Age of the oldest job that waits; 0 where none does.",
            value=float(oldest_age or 0),
        )


def render_metrics(metrics: RequestMetrics, engine: Engine) -> bytes:
    """Return everything that this process knows, in Prometheus' text format."""
    jobs = CollectorRegistry()
    jobs.register(JobCollector(engine))
    return generate_latest(metrics.registry) + generate_latest(jobs)
