"""Keeps the columns of the tables that a selector reads."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.add_column(
        "selectors",
        sa.Column("feature_columns", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.create_check_constraint(
        op.f("ck_selectors_columns_by_modality"),
        "selectors",
        "(modality = 'tabular') = (feature_columns IS NOT NULL)",
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    op.drop_constraint(op.f("ck_selectors_columns_by_modality"), "selectors", type_="check")
    op.drop_column("selectors", "feature_columns")
