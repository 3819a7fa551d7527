"""The thread that tells workers of new work, so that no request waits for the broker."""

import contextvars
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from curation.identifiers import DatasetId, JobId
from curation.job_queue import make_celery, ring_job, ring_validation, ring_webhooks

# More rings than this wait only while the broker is away, and then the sweep repeats them anyway.
_MAX_WAITING = 1000
_CLOSE_TIMEOUT_SECONDS = 5.0

_log = structlog.get_logger()


class Doorbell:
    """Rings for jobs and datasets in the background; use it as a context manager.

    A ring that is lost does no harm: the row is the truth, and the sweep rings again.
    """

    def __init__(self, broker_url: str) -> None:
        """Prepare to ring at `broker_url`; nothing connects before the first ring."""
        self._celery = make_celery(broker_url)
        self._rings: queue.Queue[Callable[[], bool] | None] = queue.Queue(maxsize=_MAX_WAITING)
        # A daemon, so that a broker that never answers cannot hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="winnow-doorbell", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the rings that wait go out, within a few seconds, and stop."""
        try:
            self._rings.put(None, timeout=_CLOSE_TIMEOUT_SECONDS)
        except queue.Full:
            return
        self._thread.join(_CLOSE_TIMEOUT_SECONDS)

    def ring_job(self, job_id: JobId) -> None:
        """Tell the training workers of a job; call it after the commit that made the job."""
        self._enqueue(lambda: ring_job(self._celery, job_id))

    def ring_validation(self, dataset_id: DatasetId) -> None:
        """Tell the short workers of an upload; call it after the commit that recorded it."""
        self._enqueue(lambda: ring_validation(self._celery, dataset_id))

    def ring_webhooks(self) -> None:
        """Tell the short workers of a message; call it after the commit that wrote it."""
        self._enqueue(lambda: ring_webhooks(self._celery))

    def check_broker(self) -> None:
        """Return if the broker answers over a connection of its own.

        Raises:
            Exception: Whatever kombu meets on the way there.
        """
        with self._celery.connection_for_write() as connection:
            connection.connect()

    def _enqueue(self, ring: Callable[[], bool]) -> None:
        # The context of the request goes with its ring, so that the message can name it.
        context = contextvars.copy_context()
        try:
            self._rings.put_nowait(lambda: context.run(ring))
        except queue.Full:
            _log.warning("ring_dropped", waiting=_MAX_WAITING)

    def _run(self) -> None:
        while (ring := self._rings.get()) is not None:
            ring()
