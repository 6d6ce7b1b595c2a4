"""First schema: assignments, messages, attempts, events, consent, approvals, runs, files and audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table."""
    _create_decisions()
    _create_sending()
    _create_books()


def downgrade() -> None:
    """Decisions are not thrown away."""
    raise NotImplementedError("The ledger has no way back before its first schema: restore a backup.")


def _create_decisions() -> None:
    op.create_table(
        "choices",
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("arms", _TEXT, nullable=False),
        sa.Column("holdout_share", sa.Double(), nullable=False),
        sa.Column("control_share", sa.Double(), nullable=False),
        sa.Column("learn_share", sa.Double(), nullable=False),
        sa.Column("best_share", sa.Double(), nullable=False),
        sa.Column("policy", _TEXT, nullable=False),
        sa.Column("price_per_penny", sa.Double(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "week_no"),
    )
    op.create_table(
        "assignments",
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("household_id", _TEXT, nullable=False),
        sa.Column("unit_id", _TEXT, nullable=False),
        sa.Column("lane", _TEXT, nullable=False),
        sa.Column("arm", _TEXT, nullable=False),
        sa.Column("policy_arm", _TEXT, nullable=False),
        sa.Column("draw", sa.Double(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column("is_contactable", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "week_no", "household_id"),
    )
    op.create_index("ix_assignments_household_id", "assignments", ["household_id"])
    op.create_table(
        "messages",
        sa.Column("message_id", _TEXT, nullable=False),
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("household_id", _TEXT, nullable=False),
        sa.Column("arm", _TEXT, nullable=False),
        sa.Column("medium", _TEXT, nullable=False),
        sa.Column("template", _TEXT, nullable=False),
        sa.Column("language", _TEXT, nullable=False),
        sa.Column("template_hash", _TEXT, nullable=False),
        sa.Column("facts", _TEXT, nullable=False),
        sa.Column("content_hash", _TEXT, nullable=False),
        sa.Column("fragments", sa.BigInteger(), nullable=False),
        sa.Column("cost_pence", sa.Double(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("state_reason", _TEXT, nullable=True),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("provider", _TEXT, nullable=True),
        sa.Column("provider_id", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("ix_messages_campaign_week_no", "messages", ["campaign", "week_no"])
    _create_partial("ix_messages_due_at", "messages", ["due_at"], "state IN ('approved', 'retry')")
    op.create_index("ix_messages_household_id", "messages", ["household_id"])
    _create_partial("ix_messages_provider_id", "messages", ["provider_id"], "provider_id IS NOT NULL")
    op.create_table(
        "effects",
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("result", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "week_no", "kind", "label"),
    )
    op.create_table(
        "cards",
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("policy", _TEXT, nullable=False),
        sa.Column("card", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "week_no"),
    )


def _create_sending() -> None:
    op.create_table(
        "attempts",
        sa.Column("attempt_id", _TEXT, nullable=False),
        sa.Column("message_id", _TEXT, nullable=False),
        sa.Column("provider", _TEXT, nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("status", _TEXT, nullable=True),
        sa.Column("code", _TEXT, nullable=True),
        sa.Column("detail", _TEXT, nullable=True),
        sa.Column("run_id", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_index("ix_attempts_message_id", "attempts", ["message_id"])
    _create_partial("ix_attempts_started_at", "attempts", ["started_at"], "finished_at IS NULL")
    op.create_table(
        "events",
        sa.Column("event_id", _TEXT, nullable=False),
        sa.Column("provider", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("message_id", _TEXT, nullable=True),
        sa.Column("provider_id", _TEXT, nullable=True),
        sa.Column("address_hash", _TEXT, nullable=True),
        sa.Column("code", _TEXT, nullable=True),
        sa.Column("raw", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_events_message_id", "events", ["message_id"])
    op.create_index("ix_events_provider_id", "events", ["provider_id"])
    op.create_table(
        "suppressions",
        sa.Column("suppression_id", _TEXT, nullable=False),
        sa.Column("household_id", _TEXT, nullable=True),
        sa.Column("address_hash", _TEXT, nullable=True),
        sa.Column("medium", _TEXT, nullable=True),
        sa.Column("is_active", sa.BigInteger(), nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("since_at", sa.DateTime(), nullable=False),
        sa.Column("source", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("suppression_id"),
    )
    op.create_index("ix_suppressions_address_hash", "suppressions", ["address_hash"])
    op.create_index("ix_suppressions_household_id", "suppressions", ["household_id"])
    op.create_table(
        "stops",
        sa.Column("stop_id", _TEXT, nullable=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("is_on", sa.BigInteger(), nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("stop_id"),
    )
    op.create_table(
        "approvals",
        sa.Column("approval_id", _TEXT, nullable=False),
        sa.Column("campaign", _TEXT, nullable=False),
        sa.Column("fingerprint", _TEXT, nullable=False),
        sa.Column("max_messages", sa.BigInteger(), nullable=False),
        sa.Column("max_pence", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", _TEXT, nullable=False),
        sa.Column("approved_at", sa.DateTime(), nullable=False),
        sa.Column("note", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("approval_id"),
    )


def _create_books() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("step", _TEXT, nullable=False),
        sa.Column("campaign", _TEXT, nullable=True),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("summary", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "drops",
        sa.Column("drop_id", _TEXT, nullable=False),
        sa.Column("table_name", _TEXT, nullable=False),
        sa.Column("file_name", _TEXT, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("drop_id"),
    )
    op.create_table(
        "files",
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("table_name", _TEXT, nullable=False),
        sa.Column("week_no", sa.BigInteger(), nullable=False),
        sa.Column("drop_id", _TEXT, nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("is_live", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(), nullable=False),
        sa.Column("replaced_by", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_table(
        "audit",
        sa.Column("audit_id", _TEXT, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.Column("what", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=True),
        sa.Column("detail", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("audit_id"),
    )


def _create_partial(name: str, table: str, columns: list[str], only: str) -> None:
    where = sa.text(only)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
