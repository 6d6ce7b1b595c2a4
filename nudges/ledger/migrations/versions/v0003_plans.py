"""Plans: what a campaign will be measured by, stored before its start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; campaigns approved before have no stored plan."""
    op.create_table(
        "plans",
        sa.Column("plan_id", _TEXT, nullable=False),
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("plan", _TEXT, nullable=False),
        sa.Column("detectable_share", sa.Double(), nullable=True),
        sa.Column("registered_by", _TEXT, nullable=False),
        sa.Column("registered_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id"),
    )


def downgrade() -> None:
    """Decisions are not thrown away."""
    raise NotImplementedError("The ledger has no way back from stored plans: restore a backup.")
