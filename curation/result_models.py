"""The tables of what a job leaves: scores, files, traces, report, cuts and selector."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL
from sqlalchemy.orm import Mapped, mapped_column

from curation.sample_kinds import Modality
from curation.table_root import Base, closed_set, one_of


class SampleWeight(Base):
    """The result of one sample; each job's rows are a partition of their own.

    There is no foreign key to `jobs`: attaching a partition would then lock that table against
    every heartbeat and check a million rows. The partition's bound names the job, and
    `curation.jobs.delete_job` drops the partition with it.
    """

    __tablename__ = "sample_weights"
    __table_args__ = (
        CheckConstraint("score BETWEEN 0 AND 1", name="score_in_range"),
        # NaN is above every number in PostgreSQL, and infinity above every other.
        CheckConstraint("weight >= 0 AND weight < 'Infinity'", name="weight_is_finite"),
        CheckConstraint("position >= 0 AND rank >= 0 AND label >= 0", name="not_negative"),
        # Ranks are a permutation, so pages by score are pages by rank.
        UniqueConstraint("job_id", "rank"),
        Index("ix_sample_weights_label_rank", "label", "rank"),
        {"postgresql_partition_by": "LIST (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str]
    label: Mapped[int]
    score: Mapped[float] = mapped_column(REAL)
    weight: Mapped[float] = mapped_column(REAL)
    rank: Mapped[int] = mapped_column(BigInteger)
    keep: Mapped[bool] = mapped_column(Boolean)


class JobObject(Base):
    """A file that belongs to a job's result, by kind."""

    __tablename__ = "job_objects"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("objects.digest"), index=True)


class Trace(Base):
    """A stretch of one measured series of a run."""

    __tablename__ = "traces"
    __table_args__ = (
        CheckConstraint("cardinality(steps) = cardinality(values)", name="steps_match_values"),
    )

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    series: Mapped[str] = mapped_column(primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True)
    steps: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    values: Mapped[list[float]] = mapped_column(ARRAY(REAL))


class Report(Base):
    """The before-and-after table of a job, with what it was made from."""

    __tablename__ = "reports"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)  # JSON values, as interface.md lists.


class Selection(Base):
    """A named cut through a job's samples; it never changes."""

    __tablename__ = "selections"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "job_id"], ["jobs.workspace_id", "jobs.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("job_id", "name"),
        CheckConstraint("kept_count >= 0", name="kept_not_negative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    job_id: Mapped[UUID]
    name: Mapped[str]
    rule: Mapped[dict[str, Any]] = mapped_column(JSONB)  # JSON values of a selection rule.
    kept_count: Mapped[int]
    bitmap: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Selector(Base):
    """A function from samples to scores that a finished job left; it never changes."""

    __tablename__ = "selectors"
    __table_args__ = (
        one_of("modality", Modality),
        CheckConstraint("cardinality(class_names) > 1", name="has_classes"),
        CheckConstraint("cardinality(input_shape) > 0", name="has_shape"),
        CheckConstraint("(modality = 'text') = (input_shape IS NULL)", name="shape_by_modality"),
        CheckConstraint(
            "(modality = 'tabular') = (feature_columns IS NOT NULL)", name="columns_by_modality"
        ),
        CheckConstraint("sample_count > 0", name="samples_positive"),
        UniqueConstraint("workspace_id", "id"),
        UniqueConstraint("job_id"),
        Index("ix_selectors_workspace_id_created_at_id", "workspace_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id"))
    # Null once the job is deleted: a selector needs nothing of it.
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    method: Mapped[str]
    encoder: Mapped[str]
    modality: Mapped[Modality] = mapped_column(closed_set(Modality))
    # Null for texts, which have none.
    input_shape: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    class_names: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Objects of `name` and `kind`, as a dataset's; null where samples are no rows of a table.
    feature_columns: Mapped[list[dict[str, str]] | None] = mapped_column(JSONB(none_as_null=True))
    sample_count: Mapped[int]
    digest: Mapped[str] = mapped_column(ForeignKey("objects.digest"), index=True)
    created_at: Mapped[datetime]
