"""Keeps a job's origin, the seconds of its phases, and totals that never shrink."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.add_column("jobs", sa.Column("request_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("trace_parent", sa.Text(), nullable=True))
    op.add_column(
        "jobs",
        sa.Column("seconds_by_phase", postgresql.JSONB(none_as_null=True), nullable=True),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_table(
        "running_totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.CheckConstraint("value >= 0", name=op.f("ck_running_totals_value_not_negative")),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_running_totals")),
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    op.drop_table("running_totals")
    op.drop_index("ix_jobs_state", table_name="jobs")
    for column in ("seconds_by_phase", "trace_parent", "request_id"):
        op.drop_column("jobs", column)
