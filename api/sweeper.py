"""The thread that sweeps at intervals, so that a service without workers still keeps order."""

import threading
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import Engine

from api.doorbell import Doorbell
from api.settings import ApiSettings
from curation.clock import Clock
from curation.objects import ObjectStore
from curation.sweep import sweep

_CLOSE_TIMEOUT_SECONDS = 5.0

_log = structlog.get_logger()


class Sweeper:
    """Runs the domain's sweep every `sweep_seconds`; use it as a context manager.

    The sweep itself takes an advisory lock, so any number of processes may do this.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        store: ObjectStore,
        settings: ApiSettings,
        doorbell: Doorbell,
        clock: Clock,
    ) -> None:
        """Prepare to sweep; the first sweep comes at once."""
        self._engine = engine
        self._store = store
        self._settings = settings
        self._doorbell = doorbell
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="winnow-sweeper", daemon=True)

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
        """Stop after the sweep that is under way, within a few seconds."""
        self._stop.set()
        self._thread.join(_CLOSE_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._sweep_once()
            except Exception:  # noqa: BLE001 - Whatever is away now may be back in the next round.
                _log.exception("sweep_failed")
            self._stop.wait(self._settings.sweep_seconds)

    def _sweep_once(self) -> None:
        report = sweep(self._engine, self._store, self._settings, self._clock())
        for job_id in report.ring:
            self._doorbell.ring_job(job_id)
        for dataset_id in report.validate:
            self._doorbell.ring_validation(dataset_id)
        if report.has_due_webhooks:
            self._doorbell.ring_webhooks()
