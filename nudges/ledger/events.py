"""Turns providers' events, in any order and any number of times, into proof of sending and into suppressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nudges.domain import Event, EventKind, MessageState, Receipt
from nudges.ledger.database import Database
from nudges.ledger.masking import address_hash, masked
from nudges.ledger.rows import insert_missing, parts, rows_in
from nudges.ledger.schema import TABLES

PERMANENT = "permanent"
"""First word of the code of a bounce that will happen again: the address does not exist."""

_EVENTS = TABLES["events"]
_MESSAGES = TABLES["messages"]
_SUPPRESSIONS = TABLES["suppressions"]

# Only a message the provider has can do any of these.
_PROOF = frozenset(str(kind) for kind in EventKind if kind is not EventKind.UNKNOWN)
_UNPROVED = tuple(str(state) for state in (MessageState.RETRY, MessageState.CLAIMED, MessageState.IN_DOUBT))

_Row = Mapping[str, Any]


class EventLog:
    """Everything that happened after sending."""

    _db: Database

    def record_events(self, events: Sequence[Event], *, provider: str, now: datetime) -> int:
        """Keep the events that are new and act on them; returns how many were new.

        An event proves that an unsettled message was accepted. An opt-out, a complaint or a permanent bounce writes a
        suppression, a resubscription undoes it. Events of messages not known yet are kept and act once they are.
        """
        rows = {row["event_id"]: row for row in (_row(event, provider, now) for event in events)}
        with self._db.writing() as connection:
            stored = rows_in(connection, sa.select(_EVENTS.c.event_id), _EVENTS.c.event_id, list(rows))
            known = {row.event_id for row in stored}
            fresh = _find_messages(connection, [row for key, row in rows.items() if key not in known], provider)
            insert_missing(connection, _EVENTS, fresh)
            _act(connection, fresh, now)
        return len(fresh)


def apply_waiting(connection: sa.Connection, receipts: Sequence[Receipt], *, provider: str, now: datetime) -> None:
    """Act on events that came before the receipts of their messages; safe to repeat."""
    provider_ids = [receipt.provider_id for receipt in receipts if receipt.provider_id]
    message_ids = [receipt.message_id for receipt in receipts]
    nameless = sa.select(_EVENTS).where(_EVENTS.c.provider == provider, _EVENTS.c.message_id == "")
    found = rows_in(connection, nameless, _EVENTS.c.provider_id, provider_ids)
    named = _find_messages(connection, [row._asdict() for row in found], provider)
    for row in named:
        if row["message_id"]:
            connection.execute(
                sa.update(_EVENTS).where(_EVENTS.c.event_id == row["event_id"]).values(message_id=row["message_id"])
            )
    heard = rows_in(connection, sa.select(_EVENTS), _EVENTS.c.message_id, message_ids)
    _act(connection, [row._asdict() for row in heard], now)


def _row(event: Event, provider: str, now: datetime) -> dict[str, Any]:
    return {
        "event_id": f"{provider}:{event.event_id}",
        "provider": provider,
        "kind": str(event.kind),
        "occurred_at": event.occurred_at,
        "received_at": now,
        "message_id": event.message_id,
        "provider_id": event.provider_id,
        "address_hash": address_hash(event.address),
        "code": event.code,
        "raw": masked(event.raw, event.address),
    }


def _find_messages(connection: sa.Connection, rows: Sequence[_Row], provider: str) -> list[dict[str, Any]]:
    """Name the message of events that carry only the provider's id."""
    wanted = sorted({row["provider_id"] for row in rows if row["provider_id"] and not row["message_id"]})
    query = sa.select(_MESSAGES.c.provider_id, _MESSAGES.c.message_id).where(_MESSAGES.c.provider == provider)
    found = {row.provider_id: row.message_id for row in rows_in(connection, query, _MESSAGES.c.provider_id, wanted)}
    return [{**row, "message_id": row["message_id"] or found.get(row["provider_id"], "")} for row in rows]


def _act(connection: sa.Connection, rows: Sequence[_Row], now: datetime) -> None:
    ids = sorted({row["message_id"] for row in rows if row["message_id"]})
    query = sa.select(_MESSAGES.c.message_id, _MESSAGES.c.household_id, _MESSAGES.c.medium)
    messages = {found.message_id: found for found in rows_in(connection, query, _MESSAGES.c.message_id, ids)}
    proved = sorted({row["message_id"] for row in rows if row["kind"] in _PROOF and row["message_id"] in messages})
    for part in parts(proved):
        connection.execute(
            sa.update(_MESSAGES)
            .where(_MESSAGES.c.message_id.in_(part), _MESSAGES.c.state.in_(_UNPROVED))
            .values(state=str(MessageState.ACCEPTED), state_reason=None, changed_at=now)
        )
    insert_missing(
        connection,
        _SUPPRESSIONS,
        [suppression for row in rows for suppression in _suppressions(row, messages.get(row["message_id"]))],
    )


def _suppressions(event: _Row, message: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """What an event says of whom we may write to: of the household when we know it, and of the address."""
    kind = EventKind(event["kind"])
    household = message.household_id if message else ""
    medium = message.medium if message else ""
    row = {
        "is_active": int(kind is not EventKind.RESUBSCRIBED),
        "reason": str(kind),
        "since_at": event["occurred_at"],
        "source": event["event_id"],
    }
    if kind is EventKind.BOUNCED and event["code"].lower().startswith(PERMANENT):
        whom = [(household, event["address_hash"], medium)]  # a new address of the household may be written to
    elif kind in {EventKind.UNSUBSCRIBED, EventKind.COMPLAINED}:
        whom = [(household, "", ""), ("", event["address_hash"], "")]  # one opt-out, every channel
    elif kind is EventKind.RESUBSCRIBED:
        whom = [(household, "", medium), ("", event["address_hash"], medium)]
    else:
        return
    for household_id, hashed, only in whom:
        if household_id or hashed:
            part = "household" if household_id else "address"
            identity = {"suppression_id": f"{event['event_id']}:{part}", "household_id": household_id}
            yield {**row, **identity, "address_hash": hashed, "medium": only}
