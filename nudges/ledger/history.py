"""Turns messages and events into what a household got by the end of a week, and into one household's whole trail."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from nudges.ledger.bulk import Bulk
from nudges.ledger.schema import TABLES
from nudges.weeks import Week

_HISTORY = """
WITH heard AS (
    SELECT message_id,
        MAX(CASE WHEN kind = 'delivered' THEN 1 ELSE 0 END) AS delivered,
        MAX(CASE WHEN kind = 'clicked' THEN 1 ELSE 0 END) AS clicked,
        MAX(CASE WHEN kind IN ('unsubscribed', 'complained') THEN 1 ELSE 0 END) AS opted_out
    FROM events
    WHERE occurred_at < :until
    GROUP BY message_id
)
SELECT m.household_id, m.week_no, m.medium, m.campaign,
    CASE WHEN m.state = 'accepted' AND m.changed_at < :until THEN 1 ELSE 0 END AS accepted,
    COALESCE(h.delivered, 0) AS delivered,
    COALESCE(h.clicked, 0) AS clicked,
    COALESCE(h.opted_out, 0) AS opted_out
FROM messages m
LEFT JOIN heard h ON h.message_id = m.message_id
WHERE m.week_no <= :week_no
"""

_COUNTS = ("accepted", "delivered", "clicked", "opted_out")


class History(Bulk):
    """What was sent and what came of it."""

    def message_history(self, *, upto: Week) -> pa.Table:
        """household_id, week_no, medium, campaign, accepted, delivered, clicked, opted_out: one row a message.

        Messages of runs up to and including `upto`; the four flags (int64, 0 or 1) say only what had happened before
        the Monday after `upto`, UTC.
        """
        until = datetime.combine((upto + 1).monday, time(), UTC)
        found = self.select(_HISTORY, until=until, week_no=upto.number)
        for name in _COUNTS:
            place = found.schema.get_field_index(name)
            found = found.set_column(place, name, found.column(place).cast(pa.int64()))
        return found

    def household_trail(self, household_id: str) -> dict[str, list[dict[str, Any]]]:
        """Rows of one household by table (assignments, messages, attempts, events, suppressions), oldest first."""
        messages = TABLES["messages"]
        ours = sa.select(messages.c.message_id).where(messages.c.household_id == household_id)
        queries = {
            "assignments": _of("assignments", "household_id", household_id, "week_no", "campaign"),
            "messages": _of("messages", "household_id", household_id, "week_no", "message_id"),
            "attempts": _within("attempts", ours, "started_at", "attempt_id"),
            "events": _within("events", ours, "occurred_at", "event_id"),
            "suppressions": _of("suppressions", "household_id", household_id, "since_at", "suppression_id"),
        }
        with self._db.reading() as connection:
            return {name: [row._asdict() for row in connection.execute(query)] for name, query in queries.items()}


def _of(table: str, column: str, value: str, *order: str) -> sa.Select[Any]:
    rows = TABLES[table]
    return sa.select(rows).where(rows.c[column] == value).order_by(*(rows.c[name] for name in order))


def _within(table: str, message_ids: sa.Select[tuple[str]], *order: str) -> sa.Select[Any]:
    rows = TABLES[table]
    return sa.select(rows).where(rows.c.message_id.in_(message_ids)).order_by(*(rows.c[name] for name in order))
