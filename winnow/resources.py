"""What the service answers, as frozen values; fields that a newer service adds are ignored."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

DatasetId = NewType("DatasetId", UUID)
JobId = NewType("JobId", UUID)
SelectionId = NewType("SelectionId", UUID)
SelectorId = NewType("SelectorId", UUID)

JsonObject = dict[str, Any]
"""A parsed JSON object, whose values may be anything that JSON holds."""

ItemT = TypeVar("ItemT")


class Role(StrEnum):
    """What a dataset is for."""

    SYNTHETIC = "synthetic"
    REFERENCE = "reference"
    TEST = "test"


class DatasetState(StrEnum):
    """Where a dataset stands between its upload and its use."""

    CREATED = "created"
    VALIDATING = "validating"
    READY = "ready"
    INVALID = "invalid"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job will not change any more, unless it is retried."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True)
class Page(Generic[ItemT]):
    """One page of a list, and where the next one starts."""

    items: list[ItemT]
    next_cursor: str | None = None


@dataclass(frozen=True)
class ClassCount:
    """A class and how many accepted samples it has."""

    name: str
    count: int


@dataclass(frozen=True)
class DatasetContent:
    """The file that was uploaded."""

    file_name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class FeatureColumn:
    """A column of a table that is learned from, and what its values are."""

    name: str
    kind: str


@dataclass(frozen=True)
class DatasetWarning:
    """Something about a ready dataset that may have been meant otherwise, and what helps."""

    reason: str
    detail: str
    field: str | None
    cure: str


@dataclass(frozen=True)
class DatasetFailure:
    """Why a dataset is invalid."""

    reason: str
    detail: str
    field: str | None = None
    row: int | None = None
    cure: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A set of labelled samples: its state, its counts by class, and why it was refused."""

    id: DatasetId
    name: str
    role: Role
    state: DatasetState
    modality: str | None
    sample_count: int | None
    rejected_count: int
    classes: list[ClassCount]
    input_shape: list[int] | None
    content: DatasetContent | None
    failure: DatasetFailure | None
    created_at: datetime
    validated_at: datetime | None
    feature_columns: list[FeatureColumn] = field(default_factory=list)
    warnings: list[DatasetWarning] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """A dataset to be made; its content is uploaded afterwards.

    Attributes:
        name: Shown in lists.
        role: What the dataset is for.
        modality: image, text, tabular or embedding; None lets validation read it off the content.
        label_column: The column of a table that holds the class; None is ``label``.
        id_column: The column that holds the sample's id; None is ``id``, if present.
        image_size: Side in pixels to which all images are resized; needed where sizes differ.
    """

    name: str
    role: Role
    modality: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class UploadPart:
    """A part of a dataset's content that has arrived."""

    number: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Measure:
    """How much of something there is, and how much there may be."""

    used: int
    limit: int


@dataclass(frozen=True)
class Usage:
    """What a workspace holds, beside its quotas."""

    stored_bytes: Measure
    datasets: Measure
    running_jobs: Measure
    queued_jobs: Measure


@dataclass(frozen=True)
class Rejection:
    """A row that validation left out, and why."""

    ordinal: int
    reason: str
    detail: str
    row: int | None = None
    name: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class JobFailure:
    """Why a job failed."""

    reason: str
    detail: str
    log_tail: str | None = None


@dataclass(frozen=True)
class Job:
    """A curation run: its state, how far it is, and why it failed."""

    id: JobId
    state: JobState
    synthetic_id: DatasetId
    reference_id: DatasetId | None
    test_id: DatasetId | None
    method: str
    config: JsonObject
    seed: int
    attempt: int
    fraction: float
    created_at: datetime
    selector_id: SelectorId | None = None
    queue_position: int | None = None
    phase: str | None = None
    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None
    device: str | None = None
    sample_count: int | None = None
    failure: JobFailure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A curation run to be made.

    Attributes:
        synthetic_id: The pool of samples to weigh.
        reference_id: Real samples of the classes, to learn from.
        test_id: Real samples for the report; without them it is cross-validated on the reference.
        method: The way of weighing.
        config: Settings that differ from the defaults.
        seed: The same seed and data give the same result.
        max_runtime_seconds: None takes the service's own limit.
    """

    synthetic_id: DatasetId
    reference_id: DatasetId
    test_id: DatasetId | None = None
    method: str = "winnow"
    config: JsonObject = field(default_factory=dict)
    seed: int = 0
    max_runtime_seconds: int | None = None


@dataclass(frozen=True)
class JobWarning:
    """Something that does not keep a job from running, but may spoil what comes of it."""

    reason: str
    detail: str
    field: str | None = None


@dataclass(frozen=True)
class JobEstimate:
    """What a job would take, without its time in the queue.

    Attributes:
        seconds: Time from its start to its end.
        seconds_low: It will hardly take less.
        seconds_high: It will hardly take more.
        peak_memory_bytes: Most memory of the training process.
        device: cpu or cuda, as the workspace's newest job said; None before the first.
        basis: past_jobs where the workspace has finished jobs like this one, else rule.
        past_job_count: Jobs that the times rest on.
        warnings: What may spoil the job.
    """

    seconds: float
    seconds_low: float
    seconds_high: float
    peak_memory_bytes: int
    device: str | None
    basis: str
    past_job_count: int
    warnings: list[JobWarning]


@dataclass(frozen=True)
class SampleWeight:
    """The result for one sample of the pool."""

    position: int
    sample_id: str
    label: int
    class_name: str
    score: float
    weight: float
    rank: int
    keep: bool


@dataclass(frozen=True, kw_only=True)
class TopFraction:
    """Keep this fraction of the samples, best first; within each class where balanced."""

    fraction: float
    balanced: bool = False
    kind: Literal["top_fraction"] = "top_fraction"


@dataclass(frozen=True, kw_only=True)
class TopCount:
    """Keep this many samples, best first; spread evenly over the classes where balanced."""

    count: int
    balanced: bool = False
    kind: Literal["top_count"] = "top_count"


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Keep every sample whose score is at least this."""

    threshold: float
    kind: Literal["threshold"] = "threshold"


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """Keep what the job itself suggests."""

    kind: Literal["suggested"] = "suggested"


SelectionRule = TopFraction | TopCount | Threshold | Suggested


def describe_rule(rule: SelectionRule) -> str:
    """Returns the name of a cut that was given none."""
    match rule:
        case TopFraction():
            said = f"best {rule.fraction:g} of the pool"
        case TopCount():
            said = f"best {rule.count}"
        case Threshold():
            said = f"score at least {rule.threshold:g}"
        case Suggested():
            said = "suggested"
    is_balanced = isinstance(rule, TopFraction | TopCount) and rule.balanced
    return f"{said}, balanced" if is_balanced else said


@dataclass(frozen=True)
class Selection:
    """A named cut of a job's samples; it never changes."""

    id: SelectionId
    job_id: JobId
    name: str
    rule: SelectionRule
    kept_count: int
    created_at: datetime


@dataclass(frozen=True)
class Selector:
    """What a finished job learned, ready to score samples that it never saw."""

    id: SelectorId
    job_id: JobId | None
    method: str
    encoder: str
    modality: str
    input_shape: list[int] | None
    class_names: list[str]
    sample_count: int
    created_at: datetime
