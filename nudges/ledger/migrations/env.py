"""Turns Alembic's revisions into statements on the connection that `Ledger.open` holds."""

from __future__ import annotations

from alembic import context

from nudges.ledger.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the caller holds one transaction around everything
)
context.run_migrations()
