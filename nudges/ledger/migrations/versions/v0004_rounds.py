"""Rounds: which rounds a campaign drew into control and treatment, for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; it is empty where households were drawn."""
    op.add_column("choices", sa.Column("rounds", _TEXT, nullable=True))


def downgrade() -> None:
    """Decisions are not thrown away."""
    raise NotImplementedError("The ledger has no way back from drawn rounds: restore a backup.")
