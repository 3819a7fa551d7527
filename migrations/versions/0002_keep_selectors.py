"""Keeps selectors, and jobs that score by one."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.create_table(
        "selectors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
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
            nullable=False,
        ),
        sa.Column("input_shape", postgresql.ARRAY(sa.Integer()), nullable=True),
        sa.Column("class_names", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sample_count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "modality IN ('image', 'text', 'tabular', 'embedding')",
            name=op.f("ck_selectors_modality_known"),
        ),
        sa.CheckConstraint("cardinality(class_names) > 1", name=op.f("ck_selectors_has_classes")),
        sa.CheckConstraint("cardinality(input_shape) > 0", name=op.f("ck_selectors_has_shape")),
        sa.CheckConstraint(
            "(modality = 'text') = (input_shape IS NULL)",
            name=op.f("ck_selectors_shape_by_modality"),
        ),
        sa.CheckConstraint("sample_count > 0", name=op.f("ck_selectors_samples_positive")),
        sa.ForeignKeyConstraint(["digest"], ["objects.digest"], name=op.f("fk_selectors_digest")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_selectors_job_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_selectors_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selectors")),
        sa.UniqueConstraint("job_id", name=op.f("uq_selectors_job_id")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_selectors_workspace_id_id")),
    )
    op.create_index(op.f("ix_selectors_digest"), "selectors", ["digest"], unique=False)
    op.create_index(
        "ix_selectors_workspace_id_created_at_id",
        "selectors",
        ["workspace_id", "created_at", "id"],
        unique=False,
    )
    op.add_column("jobs", sa.Column("selector_id", sa.Uuid(), nullable=True))
    op.alter_column("jobs", "reference_id", existing_type=sa.UUID(), nullable=True)
    op.create_index("ix_jobs_selector_id", "jobs", ["selector_id"], unique=False)
    op.create_foreign_key(
        "fk_jobs_workspace_id_selector_id",
        "jobs",
        "selectors",
        ["workspace_id", "selector_id"],
        ["workspace_id", "id"],
    )
    op.create_check_constraint(
        op.f("ck_jobs_taught_by_one_of_two"),
        "jobs",
        "(selector_id IS NULL) = (reference_id IS NOT NULL)",
    )


def downgrade() -> None:
    """Bring the database back to the revision before.

    Fails while there are jobs that score by a selector: they have no reference set, which that
    revision demands. Delete them first.
    """
    op.drop_constraint(op.f("ck_jobs_taught_by_one_of_two"), "jobs", type_="check")
    op.drop_constraint("fk_jobs_workspace_id_selector_id", "jobs", type_="foreignkey")
    op.drop_index("ix_jobs_selector_id", table_name="jobs")
    op.alter_column("jobs", "reference_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("jobs", "selector_id")
    op.drop_index("ix_selectors_workspace_id_created_at_id", table_name="selectors")
    op.drop_index(op.f("ix_selectors_digest"), table_name="selectors")
    op.drop_table("selectors")
