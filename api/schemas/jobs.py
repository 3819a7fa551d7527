"""What a client sends and receives about jobs."""

from pydantic import Field, JsonValue

from api.schemas.fields import (
    Count,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    Seed,
    UtcTime,
)
from curation.identifiers import DatasetId
from curation.job_estimates import EstimateBasis, JobEstimate
from curation.job_requests import JobRequest
from curation.method_settings import METHODS
from curation.models import Job, JobEvent, JobState

_EXAMPLE_ID = "0193a3c0-7c1e-7aa0-8d6e-0f5d1c2b3a49"


class JobCreate(RequestModel):
    """A curation job: which samples to weigh, against which reference, and how."""

    synthetic_id: Identifier = Field(description="A ready dataset of role synthetic.")
    reference_id: Identifier = Field(description="A ready dataset of role reference.")
    test_id: Identifier | None = Field(
        default=None,
        description="A ready dataset of role test; without it the report is cross-validated "
        "on the reference.",
    )
    method: str = Field(
        default="winnow",
        max_length=50,
        examples=["winnow"],
        json_schema_extra={"enum": list(METHODS)},
    )
    config: dict[str, JsonValue] = Field(
        default={},
        description="Settings that differ from the defaults; see `/v1/job-config-schema`.",
        examples=[{"steps": 400}],
    )
    seed: Seed = Field(default=0, description="The same seed and data give the same result.")
    max_runtime_seconds: Count | None = Field(
        default=None, description="Null takes the service's own limit."
    )

    def to_request(self) -> JobRequest:
        """Return what is asked for, in the words of the domain."""
        return JobRequest(
            synthetic_id=DatasetId(self.synthetic_id),
            reference_id=DatasetId(self.reference_id),
            test_id=None if self.test_id is None else DatasetId(self.test_id),
            method=self.method,
            config=self.config,
            seed=self.seed,
            max_runtime_seconds=self.max_runtime_seconds,
        )


class JobFailure(ResponseModel):
    """Why a job failed."""

    reason: str = Field(examples=["OUT_OF_MEMORY"])
    detail: str
    log_tail: str | None = Field(description="The last lines that the training process wrote.")


class JobView(ResponseModel):
    """A job: state, progress, and the reason where it failed."""

    id: Identifier = Field(examples=[_EXAMPLE_ID])
    state: JobState
    queue_position: int | None = Field(description="1 is next; null unless queued, and in lists.")
    synthetic_id: Identifier
    reference_id: Identifier | None = Field(description="Null where a selector scores.")
    test_id: Identifier | None
    selector_id: Identifier | None = Field(
        description="The selector that scores; such a job trains nothing and is of method selector."
    )
    method: str
    config: dict[str, JsonValue] = Field(description="The settings in full, defaults filled in.")
    seed: int
    attempt: int = Field(description="How often a worker has started the job.")
    max_attempts: int
    max_runtime_seconds: int
    phase: str | None = Field(examples=["train"])
    fraction: float = Field(description="Of the whole job, in [0, 1].", examples=[0.42])
    step: int | None
    total_steps: int | None
    eta_seconds: float | None
    device: str | None = Field(examples=["cpu"])
    sample_count: int | None = Field(description="Samples in the pool.")
    seconds_by_phase: dict[str, float] | None = Field(
        description="Seconds that the attempt at work, or the last one, has spent in each phase.",
        examples=[{"load": 0.4, "encode": 3.1, "train": 41.7}],
    )
    failure: JobFailure | None
    created_at: UtcTime
    started_at: UtcTime | None
    finished_at: UtcTime | None

    @classmethod
    def from_row(cls, row: Job, *, queue_position: int | None) -> "JobView":
        """Return the wire form of a job's row."""
        return cls(
            id=row.id,
            state=row.state,
            queue_position=queue_position,
            synthetic_id=row.synthetic_id,
            reference_id=row.reference_id,
            test_id=row.test_id,
            selector_id=row.selector_id,
            method=row.method,
            config=row.config,
            seed=row.seed,
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            max_runtime_seconds=row.max_runtime_seconds,
            phase=row.phase,
            fraction=row.fraction,
            step=row.step,
            total_steps=row.total_steps,
            eta_seconds=row.eta_seconds,
            device=row.device,
            sample_count=row.sample_count,
            seconds_by_phase=row.seconds_by_phase,
            failure=_failure_of(row),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


def _failure_of(row: Job) -> JobFailure | None:
    if row.failure_reason is None:
        return None
    return JobFailure(
        reason=row.failure_reason, detail=row.failure_detail or "", log_tail=row.log_tail
    )


class JobPage(Page):
    """One page of jobs, newest first."""

    items: list[JobView]


class JobEventView(ResponseModel):
    """Something that happened to a job."""

    id: int
    job_id: Identifier
    at: UtcTime
    kind: str = Field(examples=["claimed"])
    data: dict[str, JsonValue]

    @classmethod
    def from_row(cls, row: JobEvent) -> "JobEventView":
        """Return the wire form of an event's row."""
        return cls(id=row.id, job_id=row.job_id, at=row.at, kind=row.kind, data=row.data)


class JobConfigSchemas(ResponseModel):
    """The settings of every method, as JSON Schema."""

    methods: dict[str, dict[str, JsonValue]] = Field(
        description="By method: a JSON Schema with each setting's default, range and help."
    )


class JobWarning(ResponseModel):
    """Something that does not keep a job from running, but may spoil what comes of it."""

    reason: str = Field(examples=["FEW_REFERENCE_SAMPLES"])
    detail: str
    field: str | None = Field(description="The field of the request that it is about.")


class JobEstimateView(ResponseModel):
    """What a job would take; its time in the queue is not part of it."""

    seconds: float = Field(description="Time from its start to its end.", examples=[95.0])
    seconds_low: float = Field(description="It will hardly take less.", examples=[60.0])
    seconds_high: float = Field(description="It will hardly take more.", examples=[150.0])
    peak_memory_bytes: int = Field(
        description="Most memory of the training process, always by the rule of docs/estimates.md.",
        examples=[1_200_000_000],
    )
    device: str | None = Field(
        description="`cpu` or `cuda`, as the workspace's newest job said; null before the first.",
        examples=["cpu"],
    )
    basis: EstimateBasis = Field(
        description="`past_jobs` where the workspace has finished jobs like this one, else `rule`."
    )
    past_job_count: int = Field(description="Jobs that the times rest on.", examples=[3])
    warnings: list[JobWarning]

    @classmethod
    def from_estimate(cls, estimate: JobEstimate) -> "JobEstimateView":
        """Return the wire form of an estimate."""
        return cls(
            seconds=estimate.time.seconds,
            seconds_low=estimate.time.low,
            seconds_high=estimate.time.high,
            peak_memory_bytes=estimate.peak_memory_bytes,
            device=estimate.device,
            basis=estimate.time.basis,
            past_job_count=estimate.time.past_job_count,
            warnings=[
                JobWarning(reason=warning.reason, detail=warning.detail, field=warning.field)
                for warning in estimate.warnings
            ],
        )
