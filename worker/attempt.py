"""Watches one attempt from the spawning of its child to the child's last descendant's end."""

import math
import queue
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, final

import structlog

from curation.jobs import Claim, Progress
from worker.attempt_spans import PhaseSpans
from worker.child_link import (
    CheckpointSaved,
    Failed,
    Finished,
    Interrupted,
    ProgressMade,
    Start,
    Stopped,
    Superseded,
    Verdict,
)
from worker.child_process import ChildEvent, ChildGone, ChildProcess
from worker.lease_keeper import LeaseEvent, LeaseKeeper, LeaseLost, LeaseRenewed
from worker.memory_evidence import MemoryEvidence
from worker.outcomes import ChildEnd, Done, Outcome, StopReason, judge
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ShutdownRequested:
    """This worker is leaving."""


AttemptEvent: TypeAlias = ChildEvent | LeaseEvent | ShutdownRequested
# SimpleQueue may be filled from a signal handler, which Queue may not.
Inbox: TypeAlias = "queue.SimpleQueue[AttemptEvent]"


@dataclass
class _Watch:
    """What the watching thread knows; no other thread touches it."""

    lease_ends_at: float = math.inf
    runtime_ends_at: float = math.inf
    stalls_at: float = math.inf
    kill_at: float | None = None
    stop_reason: StopReason | None = None
    verdict: Verdict | None = None
    return_code: int | None = None
    is_lease_lost: bool = False


@final
@dataclass(frozen=True)
class Attempt:
    """One attempt at a job: its child, its lease and its deadlines.

    Attributes:
        claim: What was claimed.
        claimed_at: Monotonic seconds before the claim, from which the first lease counts.
        settings: Lease and grace.
        inbox: Where the child, the lease keeper and the worker's shutdown report.
        keeper: Renews the lease; takes progress.
        evidence: Reading of the kernel's counters before the child was spawned.
    """

    claim: Claim
    claimed_at: float
    settings: WorkerSettings
    inbox: Inbox
    keeper: LeaseKeeper
    evidence: MemoryEvidence
    _watch: _Watch = field(init=False, default_factory=_Watch)
    _phases: PhaseSpans = field(init=False, default_factory=PhaseSpans)

    def run(self, child: ChildProcess, *, scratch: Path) -> Outcome:
        """Start the child's work, wait for its end and return what it means.

        Nothing that the attempt started is alive when this returns or raises.
        """
        self._watch.lease_ends_at = self.claimed_at + self.settings.lease_seconds
        self._watch.runtime_ends_at = self.claimed_at + self.claim.max_runtime_seconds
        self._note_progress()
        try:
            child.start(
                Start(
                    claim=self.claim,
                    lease_seconds=self.settings.lease_seconds,
                    scratch=str(scratch),
                )
            )
            while self._watch.return_code is None and not self._watch.is_lease_lost:
                self._take_next_event(child)
                self._act_on_deadlines(child)
        finally:
            child.kill_everything()
            self._phases.close()
        return self._outcome(child)

    def _take_next_event(self, child: ChildProcess) -> None:
        watch = self._watch
        stop_at = watch.kill_at or min(watch.runtime_ends_at, watch.stalls_at)
        remaining = max(0.0, min(watch.lease_ends_at, stop_at) - time.monotonic())
        try:
            event = self.inbox.get(timeout=remaining)
        except queue.Empty:
            return
        self._handle(event, child)

    def _handle(self, event: AttemptEvent, child: ChildProcess) -> None:
        watch = self._watch
        match event:
            case ProgressMade(phase=phase, seconds_by_phase=seconds_by_phase):
                self._note_progress()
                self._phases.enter(phase, seconds_by_phase)
                self.evidence.observe(child.pid)
                self.keeper.offer(_as_progress(event))
            case CheckpointSaved(phase=phase, step=step):
                self._note_progress()
                log.info("checkpoint_saved", phase=phase, step=step)
            case Finished() | Stopped() | Superseded() | Failed() | Interrupted():
                watch.verdict = event
            case ChildGone(return_code=return_code):
                watch.return_code = return_code
            case LeaseRenewed(asked_at=asked_at, is_cancel_requested=is_cancel_requested):
                watch.lease_ends_at = asked_at + self.settings.lease_seconds
                self.evidence.observe_family(child.pid)
                child.renew()
                if is_cancel_requested:
                    self._begin_stop(StopReason.CANCEL, child)
            case LeaseLost():
                # Also seen after a success, while the child is still on its way out.
                log.info("claim_no_longer_held")
                watch.is_lease_lost = True
            case ShutdownRequested():
                self._begin_stop(StopReason.SHUTDOWN, child)

    def _act_on_deadlines(self, child: ChildProcess) -> None:
        watch = self._watch
        now = time.monotonic()
        if now >= watch.lease_ends_at:
            # The database was not reached for a whole lease: somebody else may own the job.
            log.warning("lease_ran_out")
            watch.is_lease_lost = True
        elif watch.kill_at is not None and now >= watch.kill_at:
            log.warning("grace_ran_out", stop_reason=watch.stop_reason)
            watch.kill_at = math.inf
            child.kill_everything()
        elif watch.kill_at is None and now >= watch.runtime_ends_at:
            self._begin_stop(StopReason.MAX_RUNTIME, child)
        elif watch.kill_at is None and now >= watch.stalls_at:
            self._begin_stop(StopReason.STALL, child)

    def _note_progress(self) -> None:
        self._watch.stalls_at = time.monotonic() + self.settings.stall_seconds

    def _begin_stop(self, reason: StopReason, child: ChildProcess) -> None:
        watch = self._watch
        if watch.stop_reason is not None:
            # A user's wish outlives the reason for which the child leaves already.
            watch.stop_reason = reason if reason is StopReason.CANCEL else watch.stop_reason
            return
        log.info("child_asked_to_stop", stop_reason=reason)
        watch.stop_reason = reason
        watch.kill_at = time.monotonic() + self.settings.grace_seconds
        child.ask_to_stop()

    def _outcome(self, child: ChildProcess) -> Outcome:
        watch = self._watch
        if watch.is_lease_lost:
            return Done()
        while True:
            # The child's last word may have been read after its end was noticed.
            try:
                self._handle(self.inbox.get_nowait(), child)
            except queue.Empty:
                break
        if watch.return_code is None:
            raise RuntimeError("The child was killed, yet its end was not reported.")
        return judge(
            ChildEnd(
                verdict=watch.verdict,
                return_code=watch.return_code,
                stop_reason=watch.stop_reason,
                has_memory_evidence=self.evidence.shows_kill(),
                config=self.claim.config,
                max_runtime_seconds=self.claim.max_runtime_seconds,
                stall_seconds=self.settings.stall_seconds,
            )
        )


def _as_progress(message: ProgressMade) -> Progress:
    return Progress(
        phase=message.phase,
        fraction=message.fraction,
        step=message.step,
        total_steps=message.total_steps,
        eta_seconds=message.eta_seconds,
        device=message.device,
        seconds_by_phase=message.seconds_by_phase,
    )
