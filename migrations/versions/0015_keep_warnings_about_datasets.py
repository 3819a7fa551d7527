"""Keeps what a dataset that passed may yet not be what its user meant."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0015"
down_revision: str | Sequence[str] | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.add_column(
        "datasets",
        sa.Column(
            "warnings",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
    )
    op.create_check_constraint(
        op.f("ck_datasets_warnings_only_when_ready"),
        "datasets",
        "state = 'ready' OR warnings IS NULL",
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    op.drop_constraint(op.f("ck_datasets_warnings_only_when_ready"), "datasets", type_="check")
    op.drop_column("datasets", "warnings")
