"""Runs one job: claims it, has a child train it, and records how that ended."""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, final

import stamina
import structlog
from opentelemetry import trace
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from curation.clock import Clock
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.jobs import (
    Claim,
    Failure,
    claim_next_job,
    fail_job,
    held_back_job,
    lose_job,
    mark_cancelled,
    release_job,
)
from worker.attempt import Attempt, Inbox, ShutdownRequested
from worker.attempt_log import log_fields
from worker.attempt_spans import attempt_span
from worker.child_process import ChildProcess
from worker.lease_keeper import LeaseKeeper
from worker.memory_evidence import MemoryEvidence
from worker.outcomes import (
    Broken,
    Cancelled,
    Done,
    Lost,
    Outcome,
    Released,
    judge_worker_error,
)
from worker.process_tree import attempt_mark, job_mark, kill_marked
from worker.scratch import attempt_scratch
from worker.settings import WorkerSettings

# How long a database outage may hold up the record of an attempt's end; then a sweep finds it.
_RECORD_SECONDS: Final = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Ending:
    """How an attempt ended, and the end of its log."""

    outcome: Outcome
    log_tail: str


def runner_name() -> str:
    """Return a name by which operators find this process: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


@final
class Supervisor:
    """Runs jobs in child processes until it is told to shut down.

    This process never imports torch: a job that exhausts memory or crashes in native code takes
    its child with it, and the supervisor lives to record it.
    """

    def __init__(  # noqa: PLR0913 - each is a part of its own.
        self,
        engine: Engine,
        settings: WorkerSettings,
        *,
        ring: Callable[[JobId], object],
        clock: Clock,
        child_command: Sequence[str],
        watch_memory: Callable[[], MemoryEvidence] = MemoryEvidence,
    ) -> None:
        """Prepare for jobs.

        Args:
            engine: The database.
            settings: Leases, grace and scratch folder.
            ring: Tells the queue that a job waits again; must not raise.
            clock: Time of events; leases go by the database's own.
            child_command: Program that trains; it speaks `worker.child_link`.
            watch_memory: Reads the kernel's counters of kills before a child is spawned.
        """
        self._engine = engine
        self._settings = settings
        self._ring = ring
        self._clock = clock
        self._child_command = tuple(child_command)
        self._watch_memory = watch_memory
        self._is_shutting_down = threading.Event()
        self._inboxes: dict[JobId, Inbox] = {}

    def shut_down(self) -> None:
        """Let running children save a checkpoint and leave, and refuse further jobs.

        It may be called from a signal handler.
        """
        self._is_shutting_down.set()
        for inbox in list(self._inboxes.values()):
            inbox.put(ShutdownRequested())

    def run(self, rung_job_id: JobId) -> None:
        """Run the job whose turn it is to its end, or drop the message where none waits.

        Args:
            rung_job_id: The job of the message, which need not be the one that is run.
        """
        if self._is_shutting_down.is_set():
            # The message is acknowledged already, so it must be sent again.
            self._ring(rung_job_id)
            return
        claimed_at = time.monotonic()
        with unit_of_work(self._engine) as session:
            claim = claim_next_job(
                session,
                rung_job_id,
                runner=runner_name(),
                lease_seconds=self._settings.lease_seconds,
                max_running_jobs=self._settings.quota_running_jobs,
            )
        if claim is None:
            log.info("nothing_to_claim", rung_job_id=str(rung_job_id))
            return
        with (
            structlog.contextvars.bound_contextvars(
                **log_fields(claim), fencing_token=claim.fencing_token
            ),
            attempt_span(claim) as span,
        ):
            outcome = self._run_claimed(claim, claimed_at)
            span.set_attribute("winnow.outcome", type(outcome).__name__)
            if isinstance(outcome, Lost | Broken):
                span.set_status(trace.StatusCode.ERROR, outcome.reason)

    def _run_claimed(self, claim: Claim, claimed_at: float) -> Outcome:
        log.info("job_claimed", method=claim.method)
        try:
            ending = self._supervise(claim, claimed_at)
        except OSError as error:
            # The machine has no room, no process or no descriptor left.
            log.exception("attempt_not_supervised")
            ending = _Ending(judge_worker_error(error), "")
        log.info("attempt_ended", outcome=type(ending.outcome).__name__)
        try:
            self._record(claim, ending)
        except DBAPIError as error:
            # The lease runs out, and a sweep finds the job.
            log.warning("outcome_not_recorded", error=type(error).__name__)
        return ending.outcome

    def _supervise(self, claim: Claim, claimed_at: float) -> _Ending:
        # What an earlier attempt left on this machine would compete for memory and disk.
        kill_marked(job_mark(claim.job_id))
        with self._open_inbox(claim.job_id) as inbox:
            keeper = LeaseKeeper(
                self._engine,
                claim,
                lease_seconds=self._settings.lease_seconds,
                heartbeat_seconds=self._settings.heartbeat_seconds,
                on_event=inbox.put,
            )
            attempt = Attempt(
                claim,
                claimed_at=claimed_at,
                settings=self._settings,
                inbox=inbox,
                keeper=keeper,
                evidence=self._watch_memory(),
            )
            with attempt_scratch(self._settings.scratch_dir) as scratch, keeper:
                child = ChildProcess(
                    self._child_command,
                    mark=attempt_mark(claim.job_id, claim.fencing_token),
                    on_event=inbox.put,
                )
                outcome = attempt.run(child, scratch=scratch)
            return _Ending(outcome, child.log_tail.text())

    @contextmanager
    def _open_inbox(self, job_id: JobId) -> Iterator[Inbox]:
        inbox: Inbox = queue.SimpleQueue()
        self._inboxes[job_id] = inbox
        if self._is_shutting_down.is_set():
            # The shutdown came after the claim and before it could find the inbox.
            inbox.put(ShutdownRequested())
        try:
            yield inbox
        finally:
            del self._inboxes[job_id]

    @stamina.retry(on=DBAPIError, timeout=_RECORD_SECONDS, attempts=None)
    def _record(self, claim: Claim, ending: _Ending) -> None:
        with unit_of_work(self._engine) as session:
            must_ring = self._write_outcome(session, claim, ending)
            held_back = held_back_job(
                session,
                claim.workspace_id,
                max_running_jobs=self._settings.quota_running_jobs,
            )
        if must_ring:
            self._ring(claim.job_id)
        elif held_back is not None:
            self._ring(held_back)

    def _write_outcome(self, session: Session, claim: Claim, ending: _Ending) -> bool:
        """Write how an attempt ended, and return whether the job may wait for a runner again."""
        now = self._clock()
        match ending.outcome:
            case Done():
                return False
            case Cancelled():
                mark_cancelled(session, claim, now)
                return False
            case Broken(reason=reason, detail=detail):
                fail_job(session, claim, Failure(reason, detail, ending.log_tail), now)
                return False
            case Released():
                return release_job(session, claim, now)
            case Lost(detail=detail, reason=reason):
                failure = Failure(reason, detail, ending.log_tail)
                return lose_job(session, claim, failure, now)
