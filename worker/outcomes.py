"""Decides what the end of a training process means for its job."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from curation.jobs import FailureReason
from curation.objects import is_full_disk
from worker.child_link import Failed, Finished, Interrupted, Stopped, Superseded, Verdict
from worker.death_signal import EXIT_ORPHANED


class StopReason(StrEnum):
    """Why a supervisor asked its child to leave."""

    CANCEL = "cancel"
    SHUTDOWN = "shutdown"
    MAX_RUNTIME = "max_runtime"
    STALL = "stall"


@dataclass(frozen=True)
class Done:
    """The job row needs no more change: it is finished, or somebody else's already."""


@dataclass(frozen=True)
class Cancelled:
    """The user asked for the end, and nothing of the attempt runs any more."""


@dataclass(frozen=True)
class Released:
    """The worker leaves: the job goes back to the queue and the attempt does not count."""


@dataclass(frozen=True)
class Lost:
    """Infrastructure gave way: the job is tried again while attempts are left.

    Attributes:
        detail: What happened.
        reason: Why the job failed, if that was its last attempt.
    """

    detail: str
    reason: FailureReason = FailureReason.WORKER_LOST


@dataclass(frozen=True)
class Broken:
    """The job failed for good."""

    reason: FailureReason
    detail: str


Outcome: TypeAlias = Done | Cancelled | Released | Lost | Broken

FULL_DISK_DETAIL: Final = (
    "The worker's disk or the object store is full. Once there is room, a retry goes on from the "
    "last checkpoint."
)

# Signals that come from outside; all others are raised by a fault in the process itself.
_OUTSIDE_SIGNALS: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})


@dataclass(frozen=True)
class ChildEnd:
    """All that is known of how a child ended.

    Attributes:
        verdict: Its own last word, if it had one.
        return_code: Exit code, or minus the number of a signal.
        stop_reason: Why it was asked to leave, if it was.
        has_memory_evidence: Whether the kernel killed for memory during its life.
        config: The job's settings, for advice.
        max_runtime_seconds: Longest run that the job allows.
        stall_seconds: Longest time without progress that the installation allows.
    """

    verdict: Verdict | None
    return_code: int
    stop_reason: StopReason | None
    has_memory_evidence: bool
    config: Mapping[str, Any]  # Any: resolved settings, a JSON object.
    max_runtime_seconds: int
    stall_seconds: float


def judge(end: ChildEnd) -> Outcome:
    """Return what the end of a child means for its job."""
    match end.verdict:
        case Finished():
            return Done()
        case Superseded():
            # Either the token is stale, and this changes nothing, or a user's wish to stop came
            # between the last heartbeat and the child's write.
            return Cancelled()
        case Failed(reason=reason, detail=detail):
            return Broken(reason, detail)
        case _:
            return _judge_stop(end) or _judge_exit(end)


def _judge_stop(end: ChildEnd) -> Outcome | None:
    match end.stop_reason:
        case StopReason.CANCEL:
            return Cancelled()
        case StopReason.SHUTDOWN:
            return Released()
        case StopReason.MAX_RUNTIME:
            return Broken(
                FailureReason.MAX_RUNTIME_EXCEEDED,
                f"The job ran longer than its {end.max_runtime_seconds} seconds; raise "
                "max_runtime_seconds or lower steps. A retry goes on from the last checkpoint.",
            )
        case StopReason.STALL:
            return Lost(
                f"The training process made no progress for {end.stall_seconds:g} seconds.",
                FailureReason.STALLED,
            )
        case None:
            return None


def _judge_exit(end: ChildEnd) -> Outcome:
    if isinstance(end.verdict, Interrupted):
        return Lost(end.verdict.detail)
    if isinstance(end.verdict, Stopped):
        return Lost("The training process was told to stop by somebody else than its supervisor.")
    if end.return_code == -signal.SIGKILL and end.has_memory_evidence:
        return Broken(FailureReason.OUT_OF_MEMORY, out_of_memory_detail(end.config))
    if end.return_code == EXIT_ORPHANED or -end.return_code in _OUTSIDE_SIGNALS:
        return Lost("The training process was ended from outside.")
    return Broken(
        FailureReason.INTERNAL_ERROR,
        f"The training process ended unexpectedly ({_ending(end.return_code)}); "
        "the log's end tells more.",
    )


def judge_worker_error(error: OSError) -> Broken | Lost:
    """Return what it means for a job that its worker could not start or watch a child."""
    if is_full_disk(error):
        return Broken(FailureReason.STORAGE_FULL, FULL_DISK_DETAIL)
    return Lost("The worker could not start the training process.")


def _ending(return_code: int) -> str:
    if return_code < 0:
        return f"signal {signal.Signals(-return_code).name}"
    return f"exit code {return_code}"


def out_of_memory_detail(config: Mapping[str, Any]) -> str:  # Any: a JSON object.
    """Return the sentence that says which setting to turn when memory ran out."""
    if "micro_batch_size" not in config:
        # A selector scores in small parts already.
        return "Memory ran out. Give the worker more memory."
    micro_batch = config["micro_batch_size"]
    if micro_batch is not None:
        return (
            f"Memory ran out. Set micro_batch_size below {micro_batch} (results stay the same), "
            "or give the worker more memory."
        )
    return (
        "Memory ran out. Set micro_batch_size, for instance to 64 (results stay the same), "
        "or give the worker more memory."
    )
