"""What a client sends and receives about jobs."""

from pydantic import Field, JsonValue

from api.schemas.fields import (
    MAX_POSTGRESQL_INTEGER,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    Seed,
    UtcTime,
)
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
    method: str = Field(default="winnow", max_length=50, examples=["winnow"])
    config: dict[str, JsonValue] = Field(
        default={},
        description="Settings that differ from the defaults; see `/v1/job-config-schema`.",
        examples=[{"steps": 400}],
    )
    seed: Seed = Field(default=0, description="The same seed and data give the same result.")
    max_runtime_seconds: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=MAX_POSTGRESQL_INTEGER,
        description="Null takes the service's own limit.",
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
