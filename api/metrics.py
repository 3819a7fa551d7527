"""What Prometheus reads of the requests: how many there were, and how long they took."""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST

# The client library reads it too: processes that share this folder share their numbers.
_SHARED_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# An upload may take minutes and a long poll half of one.
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Methods come from the client: an unknown one must not make a time series of its own.
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Counts and times the requests of one application.

    It has a registry of its own, so that two applications in one process stay apart.
    """

    def __init__(self) -> None:
        """Start at zero, or where other processes are that share a folder with this one."""
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "winnow_http_request_duration_seconds",
            "Time from a request's arrival to the end of its answer.",
            labelnames=("method", "route", "status"),
            buckets=_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "winnow_http_requests",
            "Requests that were answered, by their exact status.",
            labelnames=("method", "route", "status"),
            registry=self._registry,
        )

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that took `seconds`."""
        known_method = method if method in _KNOWN_METHODS else "OTHER"
        # Buckets are many, so the histogram knows the class of a status alone.
        self._seconds.labels(known_method, route, f"{status // 100}xx").observe(seconds)
        self._requests.labels(known_method, route, str(status)).inc()

    def render(self) -> bytes:
        """Return the numbers of all processes that share a folder, or else of this one."""
        if _SHARED_FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # The library types half of it.
        return generate_latest(shared)
