"""Turns the order in which people acted into ids that sort in that order, whatever their clocks said."""

from __future__ import annotations

import sqlalchemy as sa


def next_turn(connection: sa.Connection, table: sa.Table, *, prefix: str = "") -> str:
    """The next id of a table with one text key, e.g. `000000000042`; held until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
    key = next(iter(table.primary_key.columns))
    last = connection.execute(sa.select(sa.func.max(key)).where(key.startswith(prefix))).scalar()
    number = int(str(last)[len(prefix) :]) if last else 0
    return f"{prefix}{number + 1:012d}"
