"""Takes datasets whose content a worker fetches."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | Sequence[str] | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.add_column("datasets", sa.Column("import_url", sa.Text(), nullable=True))
    op.drop_constraint(op.f("ck_datasets_content_by_state"), "datasets", type_="check")
    op.create_check_constraint(
        op.f("ck_datasets_content_by_state"),
        "datasets",
        "CASE state WHEN 'created' THEN content_digest IS NULL"
        " WHEN 'ready' THEN content_digest IS NOT NULL"
        " ELSE content_digest IS NOT NULL OR import_url IS NOT NULL END",
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    # An import whose content has not come has no place in the older form.
    op.execute(
        "UPDATE datasets SET state = 'created', failure_reason = NULL, failure_detail = NULL,"
        " failure_field = NULL, failure_row = NULL, failure_cure = NULL"
        " WHERE content_digest IS NULL"
    )
    op.drop_constraint(op.f("ck_datasets_content_by_state"), "datasets", type_="check")
    op.create_check_constraint(
        op.f("ck_datasets_content_by_state"),
        "datasets",
        "(content_digest IS NULL) = (state = 'created')",
    )
    op.drop_column("datasets", "import_url")
