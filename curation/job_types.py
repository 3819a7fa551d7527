"""The values that pass between a job's row and those who change or run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from curation.identifiers import DatasetId, JobId, SelectorId, WorkspaceId
from curation.models import Job


class FailureReason(StrEnum):
    """Why a job failed; stable words for programs."""

    WORKER_LOST = "WORKER_LOST"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    INVALID_DATA = "INVALID_DATA"
    NON_FINITE = "NON_FINITE"
    MAX_RUNTIME_EXCEEDED = "MAX_RUNTIME_EXCEEDED"
    DATASET_MISSING = "DATASET_MISSING"
    STORAGE_FULL = "STORAGE_FULL"
    STALLED = "STALLED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class EventKind(StrEnum):
    """What can happen to a job."""

    CREATED = "created"
    CLAIMED = "claimed"
    PHASE = "phase"
    CHECKPOINT = "checkpoint"
    REQUEUED = "requeued"
    RELEASED = "released"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that asked for a run, to which its log lines and spans are tied.

    Attributes:
        request_id: The request's id in the API's log, or None.
        trace_parent: Its span as a W3C traceparent, or None where nothing is traced.
    """

    request_id: str | None = None
    trace_parent: str | None = None


@dataclass(frozen=True, slots=True)
class CreatedJob:
    """The answer to a creation request.

    Attributes:
        job: The job.
        is_new: False where an earlier request with the same key made it.
    """

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A runner's right to write for a job; the token tells it from every other claim.

    Attributes:
        job_id: The job.
        workspace_id: Whose job it is.
        attempt: How many claims count, this one included.
        fencing_token: Grows with each claim; every write of the runner quotes it.
        synthetic_id: The pool to curate.
        reference_id: The trusted real samples, or None where a selector scores.
        test_id: Samples to judge by, or None.
        selector_id: The selector that scores without any training, or None.
        method: How the samples are weighed.
        config: The resolved settings.
        seed: Seed of every random choice.
        max_runtime_seconds: Longest run.
        origin: The request that asked for the run.
    """

    job_id: JobId
    workspace_id: WorkspaceId
    attempt: int
    fencing_token: int
    synthetic_id: DatasetId
    reference_id: DatasetId | None
    test_id: DatasetId | None
    selector_id: SelectorId | None = None
    method: str
    config: dict[str, Any]  # JSON values of a validated config.
    seed: int
    max_runtime_seconds: int
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The answer to a heartbeat.

    Attributes:
        is_cancel_requested: Whether the user wants the job to stop.
    """

    is_cancel_requested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come.

    Attributes:
        phase: The pipeline's phase.
        fraction: Share of the whole run that is done, in [0, 1].
        step: Steps done in this phase, or None.
        total_steps: Steps of this phase, or None.
        eta_seconds: Estimated time to the end, or None.
        device: What the run computes on, or None.
        seconds_by_phase: What this attempt has spent in each phase so far, or None.
    """

    phase: str
    fraction: float
    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None
    device: str | None = None
    seconds_by_phase: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended.

    Attributes:
        reason: Stable code.
        detail: A sentence that is safe to show.
        log_tail: The last lines of the run's log, or None.
    """

    reason: FailureReason
    detail: str
    log_tail: str | None = None
