"""Takes uploads by parts, bounds workspaces, and remembers when a dataset was last used."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_QUOTAS = {
    "max_bytes": sa.BigInteger(),
    "max_datasets": sa.Integer(),
    "max_running_jobs": sa.Integer(),
    "max_queued_jobs": sa.Integer(),
}


def upgrade() -> None:
    """Bring the database to this revision."""
    op.create_table(
        "upload_parts",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "number BETWEEN 1 AND 10000", name=op.f("ck_upload_parts_number_in_range")
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_upload_parts_size_positive")),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_upload_parts_dataset_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["digest"], ["objects.digest"], name=op.f("fk_upload_parts_digest")
        ),
        sa.PrimaryKeyConstraint("dataset_id", "number", name=op.f("pk_upload_parts")),
    )
    op.create_index(op.f("ix_upload_parts_digest"), "upload_parts", ["digest"])
    op.create_index(op.f("ix_upload_parts_created_at"), "upload_parts", ["created_at"])
    for name, kind in _QUOTAS.items():
        op.add_column("workspaces", sa.Column(name, kind, nullable=True))
        op.create_check_constraint(
            op.f(f"ck_workspaces_{name}_not_negative"), "workspaces", f"{name} >= 0"
        )
    op.add_column("datasets", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    # Jobs that are there already have used their datasets.
    op.execute(
        "UPDATE datasets SET last_used_at = used.at FROM ("
        " SELECT dataset_id, max(created_at) AS at FROM jobs,"
        " LATERAL (VALUES (synthetic_id), (reference_id), (test_id)) AS of_job (dataset_id)"
        " WHERE dataset_id IS NOT NULL GROUP BY dataset_id"
        ") AS used WHERE datasets.id = used.dataset_id"
    )


def downgrade() -> None:
    """Bring the database back to the revision before."""
    op.drop_column("datasets", "last_used_at")
    for name in _QUOTAS:
        op.drop_column("workspaces", name)
    op.drop_table("upload_parts")
