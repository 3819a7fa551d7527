"""The tables; what must always hold is stated here as constraints, before any code relies on it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from curation.result_models import JobObject, Report, SampleWeight, Selection, Selector, Trace
from curation.running_totals import RunningTotal
from curation.sample_kinds import Modality, Role
from curation.table_root import Base, closed_set, one_of
from curation.webhook_models import (
    DeliveryState,
    TryOutcome,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

# Whoever works with the tables finds all of them here, and the words of their columns.
__all__ = [
    "CLAIMED_STATES",
    "FINAL_STATES",
    "ApiKey",
    "AuditEntry",
    "Base",
    "BrowserSession",
    "Checkpoint",
    "Dataset",
    "DatasetRejection",
    "DatasetState",
    "DeliveryState",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobObject",
    "JobState",
    "MaintenanceMark",
    "Modality",
    "ObjectRow",
    "Report",
    "Role",
    "RunningTotal",
    "SampleWeight",
    "Selection",
    "Selector",
    "Trace",
    "TryOutcome",
    "UploadPart",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "Workspace",
]


class DatasetState(StrEnum):
    """Where a dataset stands on its way from an empty row to something a job can read."""

    CREATED = "created"
    VALIDATING = "validating"
    READY = "ready"
    INVALID = "invalid"


class JobState(StrEnum):
    """Where a job stands; the ways between the states are in `curation.jobs` alone."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


CLAIMED_STATES = frozenset({JobState.RUNNING, JobState.CANCELLING})
FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class Workspace(Base):
    """Whom rows belong to; no request sees another workspace's rows."""

    __tablename__ = "workspaces"
    __table_args__ = (
        CheckConstraint("max_bytes >= 0", name="max_bytes_not_negative"),
        CheckConstraint("max_datasets >= 0", name="max_datasets_not_negative"),
        CheckConstraint("max_running_jobs >= 0", name="max_running_jobs_not_negative"),
        CheckConstraint("max_queued_jobs >= 0", name="max_queued_jobs_not_negative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    # The workspace served longest ago is served next; see `curation.jobs.claim_next_job`.
    last_claimed_at: Mapped[datetime | None]
    # Quotas of this workspace alone; null takes the installation's.
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_datasets: Mapped[int | None]
    max_running_jobs: Mapped[int | None]
    max_queued_jobs: Mapped[int | None]


class ApiKey(Base):
    """A key to a workspace; the secret itself is not stored."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']",
            name="scopes_known",
        ),
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash_is_sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A signed-in browser; it reaches as far as the key that it was opened with."""

    __tablename__ = "browser_sessions"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash_is_sha256"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ObjectRow(Base):
    """A file of the object store that rows may point to."""

    __tablename__ = "objects"
    __table_args__ = (
        CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name="digest_is_sha256"),
        CheckConstraint("size_bytes >= 0", name="size_not_negative"),
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Dataset(Base):
    """A set of labelled samples; once ready it never changes."""

    __tablename__ = "datasets"
    __table_args__ = (
        one_of("role", Role),
        one_of("modality", Modality),
        one_of("state", DatasetState),
        # A dataset that is imported is validated, or refused, from before its content is here.
        CheckConstraint(
            "CASE state WHEN 'created' THEN content_digest IS NULL"
            " WHEN 'ready' THEN content_digest IS NOT NULL"
            " ELSE content_digest IS NOT NULL OR import_url IS NOT NULL END",
            name="content_by_state",
        ),
        CheckConstraint("(failure_reason IS NOT NULL) = (state = 'invalid')", name="invalid_says"),
        CheckConstraint(
            # IS TRUE, because a comparison with NULL is neither true nor false, and would pass.
            "state <> 'ready' OR (samples_digest IS NOT NULL AND sample_count > 0"
            " AND modality IS NOT NULL AND cardinality(class_names) > 1"
            " AND class_counts IS NOT NULL AND validated_at IS NOT NULL) IS TRUE",
            name="ready_is_complete",
        ),
        CheckConstraint(
            "state = 'ready' OR samples_digest IS NULL", name="samples_only_when_ready"
        ),
        CheckConstraint("state = 'ready' OR warnings IS NULL", name="warnings_only_when_ready"),
        CheckConstraint("rejected_count >= 0", name="rejected_not_negative"),
        CheckConstraint("image_size BETWEEN 1 AND 4096", name="image_size_in_range"),
        # The target of composite foreign keys: a job's datasets are of the job's workspace.
        UniqueConstraint("workspace_id", "id"),
        Index("ix_datasets_workspace_id_created_at_id", "workspace_id", "created_at", "id"),
        Index(
            "ix_datasets_validating", "last_rung_at", postgresql_where=text("state = 'validating'")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(closed_set(Role))
    modality: Mapped[Modality | None] = mapped_column(closed_set(Modality))
    state: Mapped[DatasetState] = mapped_column(closed_set(DatasetState))
    label_column: Mapped[str | None]
    id_column: Mapped[str | None]
    image_size: Mapped[int | None]
    content_digest: Mapped[str | None] = mapped_column(ForeignKey("objects.digest"), index=True)
    content_name: Mapped[str | None]
    content_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # Where a worker fetches the content from, in an import.
    import_url: Mapped[str | None]
    samples_digest: Mapped[str | None] = mapped_column(ForeignKey("objects.digest"), index=True)
    sample_count: Mapped[int | None]
    rejected_count: Mapped[int] = mapped_column(server_default="0")
    class_names: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    class_counts: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
    input_shape: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    # A list, since JSONB does not keep the order of an object's keys.
    feature_columns: Mapped[list[dict[str, str]] | None] = mapped_column(JSONB(none_as_null=True))
    # What a ready dataset may not have been meant to be.
    warnings: Mapped[list[dict[str, str | None]] | None] = mapped_column(JSONB(none_as_null=True))
    failure_reason: Mapped[str | None]
    failure_detail: Mapped[str | None]
    failure_field: Mapped[str | None]
    failure_row: Mapped[int | None] = mapped_column(BigInteger)
    failure_cure: Mapped[str | None]
    validation_attempts: Mapped[int] = mapped_column(server_default="0")
    validation_lease_expires_at: Mapped[datetime | None]
    last_rung_at: Mapped[datetime | None]
    ring_count: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    validated_at: Mapped[datetime | None]
    # When a job was last created on it; retention counts from here.
    last_used_at: Mapped[datetime | None]


class UploadPart(Base):
    """A part of an upload that has arrived, until the whole is put together."""

    __tablename__ = "upload_parts"
    __table_args__ = (
        CheckConstraint("number BETWEEN 1 AND 10000", name="number_in_range"),
        CheckConstraint("size_bytes > 0", name="size_positive"),
    )

    dataset_id: Mapped[UUID] = mapped_column(
        ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(ForeignKey("objects.digest"), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(index=True)


class DatasetRejection(Base):
    """One row of an upload that was left out, and why."""

    __tablename__ = "dataset_rejections"

    dataset_id: Mapped[UUID] = mapped_column(
        ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str | None]
    field: Mapped[str | None]
    reason: Mapped[str]
    detail: Mapped[str]


class Job(Base):
    """One curation run: this row is the queue of record, and a message is only a doorbell."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint(
            "(lease_expires_at IS NOT NULL) = (state IN ('running', 'cancelling'))",
            name="lease_while_claimed",
        ),
        CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))",
            name="finished_when_final",
        ),
        CheckConstraint(
            "(cancel_requested_at IS NOT NULL) = (state IN ('cancelling', 'cancelled'))",
            name="cancel_by_state",
        ),
        CheckConstraint("(failure_reason IS NOT NULL) = (state = 'failed')", name="failed_says"),
        CheckConstraint("attempt BETWEEN 0 AND max_attempts", name="attempt_in_range"),
        # A queued job that may not be claimed any more would wait for ever.
        CheckConstraint("state <> 'queued' OR attempt < max_attempts", name="queued_is_claimable"),
        CheckConstraint("fraction BETWEEN 0 AND 1", name="fraction_in_range"),
        CheckConstraint("fencing_token >= attempt", name="token_counts_claims"),
        CheckConstraint("max_runtime_seconds > 0", name="runtime_positive"),
        CheckConstraint("seed >= 0", name="seed_not_negative"),
        ForeignKeyConstraint(
            ["workspace_id", "synthetic_id"], ["datasets.workspace_id", "datasets.id"]
        ),
        ForeignKeyConstraint(
            ["workspace_id", "reference_id"], ["datasets.workspace_id", "datasets.id"]
        ),
        ForeignKeyConstraint(["workspace_id", "test_id"], ["datasets.workspace_id", "datasets.id"]),
        # Made after both tables, since a selector names the job that it comes from.
        ForeignKeyConstraint(
            ["workspace_id", "selector_id"],
            ["selectors.workspace_id", "selectors.id"],
            name="fk_jobs_workspace_id_selector_id",
            use_alter=True,
        ),
        # A selector stands in for the reference set that taught it.
        CheckConstraint(
            "(selector_id IS NULL) = (reference_id IS NOT NULL)", name="taught_byone_of_two"
        ),
        UniqueConstraint("workspace_id", "id"),
        Index("ix_jobs_workspace_id_created_at_id", "workspace_id", "created_at", "id"),
        # Counts of a million jobs by state come from here, not from their rows.
        Index("ix_jobs_state", "state"),
        Index("ix_jobs_queued", "created_at", "id", postgresql_where=text("state = 'queued'")),
        Index(
            "ix_jobs_claimed",
            "lease_expires_at",
            postgresql_where=text("state IN ('running', 'cancelling')"),
        ),
        Index("ix_jobs_synthetic_id", "synthetic_id"),
        Index("ix_jobs_reference_id", "reference_id"),
        Index("ix_jobs_test_id", "test_id"),
        Index("ix_jobs_selector_id", "selector_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id"))
    synthetic_id: Mapped[UUID]
    reference_id: Mapped[UUID | None]
    test_id: Mapped[UUID | None]
    selector_id: Mapped[UUID | None]
    method: Mapped[str]
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)  # JSON values of a validated config.
    seed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[JobState] = mapped_column(closed_set(JobState))
    attempt: Mapped[int] = mapped_column(server_default="0")
    max_attempts: Mapped[int]
    fencing_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    runner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    phase: Mapped[str | None]
    fraction: Mapped[float] = mapped_column(server_default="0")
    step: Mapped[int | None]
    total_steps: Mapped[int | None]
    eta_seconds: Mapped[float | None]
    device: Mapped[str | None]
    failure_reason: Mapped[str | None]
    failure_detail: Mapped[str | None]
    log_tail: Mapped[str | None]
    last_rung_at: Mapped[datetime | None]
    ring_count: Mapped[int] = mapped_column(server_default="0")
    max_runtime_seconds: Mapped[int]
    sample_count: Mapped[int | None]
    # Of the attempt at work, or of the last one.
    seconds_by_phase: Mapped[dict[str, float] | None] = mapped_column(JSONB(none_as_null=True))
    # The request that asked for the run, by its id and its span (a W3C traceparent).
    request_id: Mapped[str | None]
    trace_parent: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """A creation request that was already answered; the database decides who was first."""

    __tablename__ = "idempotency_keys"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    # Deferred: the key is won first, and only the winner makes the job.
    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        index=True,
    )
    created_at: Mapped[datetime]


class JobEvent(Base):
    """Something that happened to a job; ids of one job grow in the order of commits."""

    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)  # JSON values, by kind.


class Checkpoint(Base):
    """The state of a run that a later attempt, on any machine, goes on from."""

    __tablename__ = "checkpoints"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    fencing_token: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    phase: Mapped[str]
    step: Mapped[int]
    digest: Mapped[str] = mapped_column(ForeignKey("objects.digest"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MaintenanceMark(Base):
    """When a kind of seldom housekeeping was last done, by whichever process came first."""

    __tablename__ = "maintenance_marks"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_run_at: Mapped[datetime]


class AuditEntry(Base):
    """Who did what to which row; entries are added and never changed."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_workspace_id_id", "workspace_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    # Null for what an operator did from the command line.
    key_prefix: Mapped[str | None]
    action: Mapped[str]
    object_id: Mapped[UUID | None]
