"""Turns due messages into claims, and providers' receipts into states that only move forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nudges.domain import MessageState, Receipt, ReceiptStatus
from nudges.ledger.consent import ALL, stopped_scopes
from nudges.ledger.database import Database
from nudges.ledger.events import apply_waiting
from nudges.ledger.masking import masked
from nudges.ledger.rows import parts, rows_in
from nudges.ledger.schema import TABLES

_MESSAGES = TABLES["messages"]
_ATTEMPTS = TABLES["attempts"]
_DUE = (MessageState.APPROVED, MessageState.RETRY)

# Where a receipt may take a message from. Anything else has moved on, and a late receipt does not move it back.
_SETTLES: Mapping[ReceiptStatus, tuple[MessageState, tuple[MessageState, ...]]] = {
    ReceiptStatus.ACCEPTED: (MessageState.ACCEPTED, (MessageState.CLAIMED, MessageState.IN_DOUBT)),
    ReceiptStatus.REFUSED: (MessageState.REFUSED, (MessageState.CLAIMED, MessageState.IN_DOUBT)),
    ReceiptStatus.RETRY: (MessageState.RETRY, (MessageState.CLAIMED,)),
    ReceiptStatus.IN_DOUBT: (MessageState.IN_DOUBT, (MessageState.CLAIMED,)),
}


class MessageQueue:
    """The messages that are to be sent, each by one process once."""

    _db: Database

    def claim(self, *, now: datetime, limit: int, media: Sequence[str], run_id: str) -> list[dict[str, Any]]:
        """Take up to `limit` due messages for this run and write an attempt for each before returning them.

        No other process gets them. Stopped campaigns are left alone. Each dict is the message row with its
        `attempt_id`. The provider may be called only after this.
        """
        with self._db.writing() as connection:
            picked = _due(now, media).limit(limit)
            if not self._db.is_sqlite:
                picked = picked.with_for_update(skip_locked=True)
            ids = list(connection.execute(picked).scalars())
            claimed = [dict(row) for part in parts(ids) for row in _take(connection, part, now)]
            claimed.sort(key=lambda row: (row["due_at"], row["message_id"]))
            _write_attempts(connection, claimed, now, run_id)
        return claimed

    def settle(self, receipts: Sequence[Receipt], *, now: datetime, provider: str) -> None:
        """Write what the provider said: finish the attempts and move the messages forward. A repeat is a no-op."""
        with self._db.writing() as connection:
            for receipt in receipts:
                _finish_attempt(connection, receipt, now, provider)
                _move(connection, receipt, now, provider)
            apply_waiting(connection, receipts, provider=provider, now=now)

    def set_state(
        self,
        message_ids: Sequence[str],
        state: MessageState,
        *,
        reason: str,
        now: datetime,
        only_from: Sequence[MessageState],
    ) -> int:
        """Move messages that are in one of `only_from` to `state`; returns how many moved."""
        moved = 0
        with self._db.writing() as connection:
            for part in parts(message_ids):
                moved += connection.execute(
                    sa.update(_MESSAGES)
                    .where(
                        _MESSAGES.c.message_id.in_(part),
                        _MESSAGES.c.state.in_([str(known) for known in only_from]),
                        _MESSAGES.c.state != str(state),
                    )
                    .values(state=str(state), state_reason=reason, changed_at=now)
                ).rowcount
        return moved

    def abandoned(self, *, before: datetime) -> list[dict[str, Any]]:
        """CLAIMED messages whose attempt began before `before` and never finished, with its `attempt_id`."""
        query = (
            sa.select(_MESSAGES, _ATTEMPTS.c.attempt_id, _ATTEMPTS.c.started_at, _ATTEMPTS.c.run_id)
            .join(_ATTEMPTS, _ATTEMPTS.c.message_id == _MESSAGES.c.message_id)
            .where(
                _MESSAGES.c.state == str(MessageState.CLAIMED),
                _ATTEMPTS.c.finished_at.is_(None),
                _ATTEMPTS.c.started_at < before,
            )
            .order_by(_MESSAGES.c.message_id)
        )
        with self._db.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _due(now: datetime, media: Sequence[str]) -> sa.Select[tuple[str]]:
    """Ids of messages that may be claimed now, the longest due first."""
    stopped = stopped_scopes().subquery()
    is_stopped = sa.exists().where(sa.or_(stopped.c.scope == ALL, stopped.c.scope == _MESSAGES.c.campaign))
    return (
        sa.select(_MESSAGES.c.message_id)
        .where(
            _MESSAGES.c.state.in_([str(state) for state in _DUE]),
            _MESSAGES.c.due_at <= now,
            _MESSAGES.c.medium.in_([str(medium) for medium in media]),
            ~is_stopped,
        )
        .order_by(_MESSAGES.c.due_at, _MESSAGES.c.message_id)
    )


def _take(connection: sa.Connection, ids: Sequence[str], now: datetime) -> Sequence[sa.RowMapping]:
    """Compare and set: only rows that are still due become CLAIMED."""
    return (
        connection.execute(
            sa.update(_MESSAGES)
            .where(_MESSAGES.c.message_id.in_(ids), _MESSAGES.c.state.in_([str(state) for state in _DUE]))
            .values(state=str(MessageState.CLAIMED), changed_at=now)
            .returning(*_MESSAGES.c)
        )
        .mappings()
        .all()
    )


def _write_attempts(connection: sa.Connection, claimed: Sequence[dict[str, Any]], now: datetime, run_id: str) -> None:
    """Number the attempts of each message from 1: the key itself refuses a second claim of the same turn."""
    count = sa.select(_ATTEMPTS.c.message_id, sa.func.count()).group_by(_ATTEMPTS.c.message_id)
    ids = [row["message_id"] for row in claimed]
    earlier = {row[0]: row[1] for row in rows_in(connection, count, _ATTEMPTS.c.message_id, ids)}
    for row in claimed:
        row["attempt_id"] = f"{row['message_id']}.{earlier.get(row['message_id'], 0) + 1}"
    if claimed:
        connection.execute(
            sa.insert(_ATTEMPTS),
            [
                {
                    "attempt_id": row["attempt_id"],
                    "message_id": row["message_id"],
                    "provider": "",
                    "started_at": now,
                    "run_id": run_id,
                }
                for row in claimed
            ],
        )


def _finish_attempt(connection: sa.Connection, receipt: Receipt, now: datetime, provider: str) -> None:
    connection.execute(
        sa.update(_ATTEMPTS)
        .where(_ATTEMPTS.c.message_id == receipt.message_id, _ATTEMPTS.c.finished_at.is_(None))
        .values(
            provider=provider,
            finished_at=now,
            status=str(receipt.status),
            code=receipt.code,
            detail=masked(receipt.detail),
        )
    )


def _move(connection: sa.Connection, receipt: Receipt, now: datetime, provider: str) -> None:
    state, only_from = _SETTLES[receipt.status]
    values: dict[str, Any] = {"state": str(state), "changed_at": now, "provider": provider}
    if receipt.provider_id:
        values["provider_id"] = receipt.provider_id
    if state is not MessageState.ACCEPTED:
        values["state_reason"] = receipt.code or masked(receipt.detail)
    connection.execute(
        sa.update(_MESSAGES)
        .where(
            _MESSAGES.c.message_id == receipt.message_id,
            _MESSAGES.c.state.in_([str(known) for known in only_from]),
        )
        .values(**values)
    )
    if receipt.provider_id:  # an event may have proved acceptance before the receipt came
        connection.execute(
            sa.update(_MESSAGES)
            .where(_MESSAGES.c.message_id == receipt.message_id, _MESSAGES.c.provider_id.is_(None))
            .values(provider=provider, provider_id=receipt.provider_id)
        )
