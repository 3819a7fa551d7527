"""Sweeps at fixed intervals from a thread of the training worker."""

import threading
from collections.abc import Callable
from typing import final

import structlog

log = structlog.get_logger(__name__)


@final
class SweepTimer:
    """A thread that calls the sweep until it is stopped."""

    def __init__(self, sweep: Callable[[], None], *, interval_seconds: float) -> None:
        """Prepare the thread.

        Args:
            sweep: One sweep; it may raise, and is called again all the same.
            interval_seconds: Time between the end of one sweep and the next.
        """
        self._sweep = sweep
        self._interval_seconds = interval_seconds
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Start sweeping; the first sweep comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the sweep at work."""
        self._is_stopped.set()

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self._sweep()
            except Exception:
                # An outage must not end the sweeping that repairs its effects.
                log.exception("sweep_failed")
            self._is_stopped.wait(self._interval_seconds)
