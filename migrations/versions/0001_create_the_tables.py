"""Creates the first tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.create_table(
        "maintenance_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_maintenance_marks")),
    )
    op.create_table(
        "objects",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_objects_digest_is_sha256")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_objects_size_not_negative")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_objects")),
    )
    op.create_table(
        "sample_weights",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("weight", sa.REAL(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "weight >= 0 AND weight < 'Infinity'", name=op.f("ck_sample_weights_weight_is_finite")
        ),
        sa.CheckConstraint(
            "position >= 0 AND rank >= 0 AND label >= 0",
            name=op.f("ck_sample_weights_not_negative"),
        ),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_sample_weights_score_in_range")),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_sample_weights")),
        sa.UniqueConstraint("job_id", "rank", name=op.f("uq_sample_weights_job_id_rank")),
        postgresql_partition_by="LIST (job_id)",
    )
    op.create_index(
        "ix_sample_weights_label_rank", "sample_weights", ["label", "rank"], unique=False
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
        sa.UniqueConstraint("name", name=op.f("uq_workspaces_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']",
            name=op.f("ck_api_keys_scopes_known"),
        ),
        sa.CheckConstraint(
            "octet_length(secret_hash) = 32", name=op.f("ck_api_keys_secret_hash_is_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_api_keys_workspace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_workspace_id"), "api_keys", ["workspace_id"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("synthetic", "reference", "test", name="role", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column(
            "modality",
            sa.Enum(
                "image",
                "text",
                "tabular",
                "embedding",
                name="modality",
                native_enum=False,
                length=16,
            ),
            nullable=True,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "created",
                "validating",
                "ready",
                "invalid",
                name="datasetstate",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("label_column", sa.Text(), nullable=True),
        sa.Column("id_column", sa.Text(), nullable=True),
        sa.Column("image_size", sa.Integer(), nullable=True),
        sa.Column("content_digest", sa.Text(), nullable=True),
        sa.Column("content_name", sa.Text(), nullable=True),
        sa.Column("content_bytes", sa.BigInteger(), nullable=True),
        sa.Column("samples_digest", sa.Text(), nullable=True),
        sa.Column("sample_count", sa.Integer(), nullable=True),
        sa.Column("rejected_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("class_names", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column(
            "class_counts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("input_shape", postgresql.ARRAY(sa.Integer()), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("failure_field", sa.Text(), nullable=True),
        sa.Column("failure_row", sa.BigInteger(), nullable=True),
        sa.Column("failure_cure", sa.Text(), nullable=True),
        sa.Column("validation_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("validation_lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ring_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("validated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(content_digest IS NULL) = (state = 'created')",
            name=op.f("ck_datasets_content_by_state"),
        ),
        sa.CheckConstraint(
            "(failure_reason IS NOT NULL) = (state = 'invalid')",
            name=op.f("ck_datasets_invalid_says"),
        ),
        sa.CheckConstraint(
            "modality IN ('image', 'text', 'tabular', 'embedding')",
            name=op.f("ck_datasets_modality_known"),
        ),
        sa.CheckConstraint(
            "role IN ('synthetic', 'reference', 'test')", name=op.f("ck_datasets_role_known")
        ),
        sa.CheckConstraint(
            "state <> 'ready' OR (samples_digest IS NOT NULL AND sample_count > 0"
            " AND modality IS NOT NULL AND cardinality(class_names) > 1"
            " AND class_counts IS NOT NULL AND validated_at IS NOT NULL) IS TRUE",
            name=op.f("ck_datasets_ready_is_complete"),
        ),
        sa.CheckConstraint(
            "state = 'ready' OR samples_digest IS NULL",
            name=op.f("ck_datasets_samples_only_when_ready"),
        ),
        sa.CheckConstraint(
            "state IN ('created', 'validating', 'ready', 'invalid')",
            name=op.f("ck_datasets_state_known"),
        ),
        sa.CheckConstraint(
            "image_size BETWEEN 1 AND 4096", name=op.f("ck_datasets_image_size_in_range")
        ),
        sa.CheckConstraint("rejected_count >= 0", name=op.f("ck_datasets_rejected_not_negative")),
        sa.ForeignKeyConstraint(
            ["content_digest"], ["objects.digest"], name=op.f("fk_datasets_content_digest")
        ),
        sa.ForeignKeyConstraint(
            ["samples_digest"], ["objects.digest"], name=op.f("fk_datasets_samples_digest")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_datasets_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_datasets_workspace_id_id")),
    )
    op.create_index(
        op.f("ix_datasets_content_digest"), "datasets", ["content_digest"], unique=False
    )
    op.create_index(
        op.f("ix_datasets_samples_digest"), "datasets", ["samples_digest"], unique=False
    )
    op.create_index(
        "ix_datasets_validating",
        "datasets",
        ["last_rung_at"],
        unique=False,
        postgresql_where=sa.text("state = 'validating'"),
    )
    op.create_index(
        "ix_datasets_workspace_id_created_at_id",
        "datasets",
        ["workspace_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "dataset_rejections",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_dataset_rejections_dataset_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "ordinal", name=op.f("pk_dataset_rejections")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("synthetic_id", sa.Uuid(), nullable=False),
        sa.Column("reference_id", sa.Uuid(), nullable=False),
        sa.Column("test_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelling",
                "cancelled",
                name="jobstate",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("runner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("fraction", sa.Double(), server_default="0", nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("total_steps", sa.Integer(), nullable=True),
        sa.Column("eta_seconds", sa.Double(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("log_tail", sa.Text(), nullable=True),
        sa.Column("last_rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ring_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_runtime_seconds", sa.Integer(), nullable=False),
        sa.Column("sample_count", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(cancel_requested_at IS NOT NULL) = (state IN ('cancelling', 'cancelled'))",
            name=op.f("ck_jobs_cancel_by_state"),
        ),
        sa.CheckConstraint(
            "(failure_reason IS NOT NULL) = (state = 'failed')", name=op.f("ck_jobs_failed_says")
        ),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))",
            name=op.f("ck_jobs_finished_when_final"),
        ),
        sa.CheckConstraint(
            "(lease_expires_at IS NOT NULL) = (state IN ('running', 'cancelling'))",
            name=op.f("ck_jobs_lease_while_claimed"),
        ),
        sa.CheckConstraint(
            "state <> 'queued' OR attempt < max_attempts", name=op.f("ck_jobs_queued_is_claimable")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelling', 'cancelled')",
            name=op.f("ck_jobs_state_known"),
        ),
        sa.CheckConstraint(
            "attempt BETWEEN 0 AND max_attempts", name=op.f("ck_jobs_attempt_in_range")
        ),
        sa.CheckConstraint("fencing_token >= attempt", name=op.f("ck_jobs_token_counts_claims")),
        sa.CheckConstraint("fraction BETWEEN 0 AND 1", name=op.f("ck_jobs_fraction_in_range")),
        sa.CheckConstraint("max_runtime_seconds > 0", name=op.f("ck_jobs_runtime_positive")),
        sa.CheckConstraint("seed >= 0", name=op.f("ck_jobs_seed_not_negative")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "reference_id"],
            ["datasets.workspace_id", "datasets.id"],
            name=op.f("fk_jobs_workspace_id_reference_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "synthetic_id"],
            ["datasets.workspace_id", "datasets.id"],
            name=op.f("fk_jobs_workspace_id_synthetic_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "test_id"],
            ["datasets.workspace_id", "datasets.id"],
            name=op.f("fk_jobs_workspace_id_test_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_jobs_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_jobs_workspace_id_id")),
    )
    op.create_index(
        "ix_jobs_claimed",
        "jobs",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('running', 'cancelling')"),
    )
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_jobs_reference_id", "jobs", ["reference_id"], unique=False)
    op.create_index("ix_jobs_synthetic_id", "jobs", ["synthetic_id"], unique=False)
    op.create_index("ix_jobs_test_id", "jobs", ["test_id"], unique=False)
    op.create_index(
        "ix_jobs_workspace_id_created_at_id",
        "jobs",
        ["workspace_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["digest"], ["objects.digest"], name=op.f("fk_checkpoints_digest")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_checkpoints_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "fencing_token", "ordinal", name=op.f("pk_checkpoints")),
    )
    op.create_index(op.f("ix_checkpoints_digest"), "checkpoints", ["digest"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_idempotency_keys_job_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_idempotency_keys_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"], unique=False
    )
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index("ix_job_events_job_id_id", "job_events", ["job_id", "id"], unique=False)
    op.create_table(
        "job_objects",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["objects.digest"], name=op.f("fk_job_objects_digest")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_objects_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "kind", name=op.f("pk_job_objects")),
    )
    op.create_index(op.f("ix_job_objects_digest"), "job_objects", ["digest"], unique=False)
    op.create_table(
        "reports",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_reports_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_reports")),
    )
    op.create_table(
        "selections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("kept_count", sa.Integer(), nullable=False),
        sa.Column("bitmap", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kept_count >= 0", name=op.f("ck_selections_kept_not_negative")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "job_id"],
            ["jobs.workspace_id", "jobs.id"],
            name=op.f("fk_selections_workspace_id_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_selections_job_id_name")),
    )
    op.create_table(
        "traces",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("steps", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("values", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.CheckConstraint(
            "cardinality(steps) = cardinality(values)", name=op.f("ck_traces_steps_match_values")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_traces_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "series", "chunk", name=op.f("pk_traces")),
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    op.drop_table("traces")
    op.drop_table("selections")
    op.drop_table("reports")
    op.drop_index(op.f("ix_job_objects_digest"), table_name="job_objects")
    op.drop_table("job_objects")
    op.drop_index("ix_job_events_job_id_id", table_name="job_events")
    op.drop_table("job_events")
    op.drop_index(op.f("ix_idempotency_keys_job_id"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_checkpoints_digest"), table_name="checkpoints")
    op.drop_table("checkpoints")
    op.drop_index("ix_jobs_workspace_id_created_at_id", table_name="jobs")
    op.drop_index("ix_jobs_test_id", table_name="jobs")
    op.drop_index("ix_jobs_synthetic_id", table_name="jobs")
    op.drop_index("ix_jobs_reference_id", table_name="jobs")
    op.drop_index("ix_jobs_queued", table_name="jobs", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index(
        "ix_jobs_claimed",
        table_name="jobs",
        postgresql_where=sa.text("state IN ('running', 'cancelling')"),
    )
    op.drop_table("jobs")
    op.drop_table("dataset_rejections")
    op.drop_index("ix_datasets_workspace_id_created_at_id", table_name="datasets")
    op.drop_index(
        "ix_datasets_validating",
        table_name="datasets",
        postgresql_where=sa.text("state = 'validating'"),
    )
    op.drop_index(op.f("ix_datasets_samples_digest"), table_name="datasets")
    op.drop_index(op.f("ix_datasets_content_digest"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_index(op.f("ix_api_keys_workspace_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("workspaces")
    _drop_result_tables()
    op.drop_table("sample_weights")
    op.drop_table("objects")
    op.drop_table("maintenance_marks")


def _drop_result_tables() -> None:
    # Staged results are no partitions yet, so they would outlive their parent.
    op.execute(
        """
        DO $$
        DECLARE name text;
        BEGIN
            FOR name IN
                SELECT relname FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                AND relname ~ '^sample_weights_[0-9a-f]{32}_[0-9]+$'
            LOOP
                EXECUTE format('DROP TABLE %I', name);
            END LOOP;
        END $$
        """
    )
