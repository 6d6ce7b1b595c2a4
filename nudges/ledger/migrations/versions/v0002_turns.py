"""Turns: which turn a choice belongs to, which arms it gives nobody of a group, and since when a unit has its arm."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; they are empty in weeks chosen before."""
    op.add_column("choices", sa.Column("turn", sa.BigInteger(), nullable=True))
    op.add_column("choices", sa.Column("stops", _TEXT, nullable=True))
    op.add_column("assignments", sa.Column("first_week_no", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Decisions are not thrown away."""
    raise NotImplementedError("The ledger has no way back from turns: restore a backup.")
