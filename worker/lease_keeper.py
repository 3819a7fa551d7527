"""Renews an attempt's lease and writes its progress, on a thread that may block on the database."""

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, final

import structlog
from opentelemetry.instrumentation.utils import suppress_instrumentation
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from curation.database import unit_of_work
from curation.jobs import Claim, Progress, heartbeat, record_progress

PROGRESS_SECONDS: Final = 1.0
_RETRY_SHARE: Final = 0.2
_JOIN_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LeaseRenewed:
    """The database holds a new lease.

    Attributes:
        asked_at: Monotonic seconds before the request; the lease is at least one from then.
        is_cancel_requested: Whether a user asked for the job's end.
    """

    asked_at: float
    is_cancel_requested: bool


@dataclass(frozen=True)
class LeaseLost:
    """The token is no longer the job's: somebody else owns it, or nobody does."""


LeaseEvent: TypeAlias = LeaseRenewed | LeaseLost


@final
class LeaseKeeper:
    """A thread that quotes the token at each heartbeat until it is closed.

    The thread that watches the child must be able to act when the lease runs out, even while a
    query hangs: so all queries of a running attempt are made here.
    """

    def __init__(
        self,
        engine: Engine,
        claim: Claim,
        *,
        lease_seconds: float,
        heartbeat_seconds: float,
        on_event: Callable[[LeaseEvent], None],
    ) -> None:
        """Prepare the thread; `with` starts and closes it.

        Args:
            engine: The database.
            claim: The attempt.
            lease_seconds: Length of each lease.
            heartbeat_seconds: Time between two renewals.
            on_event: Called from the thread with each renewal, and with the loss.
        """
        self._engine = engine
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._on_event = on_event
        self._wakeup = threading.Condition()
        self._pending: Progress | None = None
        self._is_closed = False
        # The context carries the job's id into the thread's log lines.
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._run_untraced,),
            name="lease-keeper",
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._wakeup:
            self._is_closed = True
            self._wakeup.notify()
        # A hanging query must not hold the supervisor up; the thread is a daemon.
        self._thread.join(_JOIN_SECONDS)

    def offer(self, progress: Progress) -> None:
        """Leave the newest progress to be written, at most once a second."""
        with self._wakeup:
            self._pending = progress
            self._wakeup.notify()

    def _run_untraced(self) -> None:
        # A query a second would make a long attempt's trace unreadable.
        with suppress_instrumentation():
            self._run()

    def _run(self) -> None:
        now = time.monotonic()
        heartbeat_at = now + self._heartbeat_seconds
        progress_at = now
        while self._wait_until(heartbeat_at, progress_at):
            now = time.monotonic()
            if now >= heartbeat_at:
                is_renewed = self._renew(now)
                pause = self._heartbeat_seconds * (1.0 if is_renewed else _RETRY_SHARE)
                heartbeat_at = now + pause
            if now >= progress_at and self._write_progress():
                progress_at = now + PROGRESS_SECONDS

    def _wait_until(self, heartbeat_at: float, progress_at: float) -> bool:
        with self._wakeup:
            while not self._is_closed:
                due = heartbeat_at if self._pending is None else min(heartbeat_at, progress_at)
                remaining = due - time.monotonic()
                if remaining <= 0:
                    break
                self._wakeup.wait(remaining)
            return not self._is_closed

    def _renew(self, asked_at: float) -> bool:
        try:
            with unit_of_work(self._engine) as session:
                answer = heartbeat(session, self._claim, lease_seconds=self._lease_seconds)
        except SQLAlchemyError as error:
            log.warning("heartbeat_failed", error=type(error).__name__)
            return False
        if answer is None:
            self._on_event(LeaseLost())
        else:
            self._on_event(LeaseRenewed(asked_at, answer.is_cancel_requested))
        return True

    def _write_progress(self) -> bool:
        with self._wakeup:
            progress, self._pending = self._pending, None
        if progress is None:
            return False
        try:
            with unit_of_work(self._engine) as session:
                record_progress(session, self._claim, progress)
        except SQLAlchemyError as error:
            # Progress is a courtesy; the next one replaces it.
            log.warning("progress_not_recorded", error=type(error).__name__)
        return True
