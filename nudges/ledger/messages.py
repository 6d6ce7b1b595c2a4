"""Turns due messages into claims, and providers' receipts into states that only move forward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nudges.domain import MessageState, Receipt, ReceiptStatus
from nudges.errors import DataError
from nudges.ledger.consent import ALL, stopped_scopes
from nudges.ledger.database import Database
from nudges.ledger.events import apply_waiting
from nudges.ledger.masking import masked
from nudges.ledger.rows import parts, rows_in
from nudges.ledger.schema import DUE, TABLES, UNDER_WAY
from nudges.weeks import Week

_MESSAGES = TABLES["messages"]
_ATTEMPTS = TABLES["attempts"]
_STRIDE = 40_000

_FINAL = (MessageState.DROPPED, MessageState.REFUSED, MessageState.ACCEPTED)
_BACK = (
    (MessageState.CLAIMED, MessageState.RETRY),
    (MessageState.IN_DOUBT, MessageState.RETRY),
    (MessageState.APPROVED, MessageState.PLANNED),
)

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
            _finish_attempts(connection, receipts, now, provider)
            for status in ReceiptStatus:
                _move(connection, status, [found for found in receipts if found.status is status], now, provider)
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
        """Move messages that are in one of `only_from` to `state`; returns how many moved.

        Raises:
            DataError: the move would be backwards. Only CLAIMED and IN_DOUBT messages may go back, to RETRY, and only
                when it is known that nothing was sent; an approval that became void takes APPROVED back to PLANNED.
        """
        _require_forward(state, only_from)
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
                if MessageState.CLAIMED in only_from:
                    _close_attempts(connection, part, reason, now)
        return moved

    def set_campaign_state(
        self,
        campaign: str,
        week: Week,
        state: MessageState,
        *,
        reason: str,
        now: datetime,
        only_from: Sequence[MessageState],
    ) -> int:
        """Move all messages of a campaign's run that are in one of `only_from`, not yet claimed, as set_state does."""
        _require_forward(state, only_from)
        known = [str(each) for each in only_from if each is not state]
        ours = sa.and_(_MESSAGES.c.campaign == campaign, _MESSAGES.c.week_no == week.number)
        change = (
            sa.update(_MESSAGES)
            .where(ours, _MESSAGES.c.state.in_(known))
            .values(state=str(state), state_reason=reason, changed_at=now)
        )
        moved = 0
        for part in self._strides(ours):
            with self._db.writing() as connection:
                moved += connection.execute(change.where(part)).rowcount
        return moved

    def _strides(self, rows: sa.ColumnElement[bool]) -> Iterator[sa.ColumnElement[bool]]:
        """Parts of `rows` to change one by one, so that a stop is not kept waiting for SQLite's one writer."""
        if not self._db.is_sqlite:
            yield sa.true()  # PostgreSQL locks rows, not the table
            return
        rowid = sa.literal_column("messages.rowid", sa.Integer)
        with self._db.reading() as connection:
            ends = sa.select(sa.func.min(rowid), sa.func.max(rowid)).select_from(_MESSAGES).where(rows)
            first, last = connection.execute(ends).one()
        if first is not None:
            for start in range(first, last + 1, _STRIDE):
                yield rowid.between(start, start + _STRIDE - 1)

    def abandoned(self, *, before: datetime) -> list[dict[str, Any]]:
        """CLAIMED messages whose attempt began before `before` and never finished, with its `attempt_id`."""
        query = (
            sa.select(_MESSAGES, _ATTEMPTS.c.attempt_id, _ATTEMPTS.c.started_at, _ATTEMPTS.c.run_id)
            .join(_ATTEMPTS, _ATTEMPTS.c.message_id == _MESSAGES.c.message_id)
            .where(
                _MESSAGES.c.state == str(MessageState.CLAIMED),
                sa.text(UNDER_WAY),
                _ATTEMPTS.c.started_at < before,
            )
            .order_by(_MESSAGES.c.message_id)
        )
        with self._db.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _require_forward(state: MessageState, only_from: Sequence[MessageState]) -> None:
    order = list(MessageState)
    for known in only_from:
        if (known, state) not in _BACK and (known in _FINAL or order.index(known) > order.index(state)):
            raise DataError(f"ledger.messages.state == {known.value!r}, must not become {state.value!r}: never back.")


def _close_attempts(connection: sa.Connection, message_ids: Sequence[str], reason: str, now: datetime) -> None:
    """A claim that was given up is no longer under way."""
    given_up = sa.select(_MESSAGES.c.message_id).where(
        _MESSAGES.c.message_id.in_(message_ids), _MESSAGES.c.state != str(MessageState.CLAIMED)
    )
    connection.execute(
        sa.update(_ATTEMPTS)
        .where(_ATTEMPTS.c.message_id.in_(given_up), sa.text(UNDER_WAY))
        .values(finished_at=now, detail=masked(reason))
    )


def _due(now: datetime, media: Sequence[str]) -> sa.Select[tuple[str]]:
    """Ids of messages that may be claimed now, the longest due first."""
    stopped = stopped_scopes().subquery()
    all_stopped = sa.exists(sa.select(stopped.c.scope).where(stopped.c.scope == ALL))
    return (
        sa.select(_MESSAGES.c.message_id)
        .where(
            sa.text(DUE),
            _MESSAGES.c.due_at <= now,
            _MESSAGES.c.medium.in_([str(medium) for medium in media]),
            ~all_stopped,
            _MESSAGES.c.campaign.not_in(sa.select(stopped.c.scope)),
        )
        .order_by(_MESSAGES.c.due_at)  # no second key: the index gives this order without a sort
    )


def _take(connection: sa.Connection, ids: Sequence[str], now: datetime) -> Sequence[sa.RowMapping]:
    """Compare and set: only rows that are still due become CLAIMED."""
    return (
        connection.execute(
            sa.update(_MESSAGES)
            .where(_MESSAGES.c.message_id.in_(ids), sa.text(DUE))
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


def _finish_attempts(connection: sa.Connection, receipts: Sequence[Receipt], now: datetime, provider: str) -> None:
    if receipts:
        connection.execute(
            sa.update(_ATTEMPTS)
            .where(_ATTEMPTS.c.message_id == sa.bindparam("whose"), sa.text(UNDER_WAY))
            .values(
                provider=provider,
                finished_at=now,
                status=sa.bindparam("said"),
                code=sa.bindparam("its_code"),
                detail=sa.bindparam("its_detail"),
            ),
            [
                {
                    "whose": receipt.message_id,
                    "said": str(receipt.status),
                    "its_code": receipt.code,
                    "its_detail": masked(receipt.detail),
                }
                for receipt in receipts
            ],
        )


def _move(
    connection: sa.Connection, status: ReceiptStatus, receipts: Sequence[Receipt], now: datetime, provider: str
) -> None:
    """Move the messages of one kind of receipt; those that an event already proved accepted only learn their id."""
    if not receipts:
        return
    state, only_from = _SETTLES[status]
    rows = [
        {
            "whose": receipt.message_id,
            "why": None if state is MessageState.ACCEPTED else receipt.code or masked(receipt.detail),
            "theirs": receipt.provider_id or None,
        }
        for receipt in receipts
    ]
    is_ours = _MESSAGES.c.message_id == sa.bindparam("whose")
    known: sa.ColumnElement[str] = sa.func.coalesce(sa.bindparam("theirs"), _MESSAGES.c.provider_id)
    connection.execute(
        sa.update(_MESSAGES)
        .where(is_ours, sa.or_(*(_MESSAGES.c.state == str(earlier) for earlier in only_from)))
        .values(
            state=str(state), state_reason=sa.bindparam("why"), changed_at=now, provider=provider, provider_id=known
        ),
        rows,
    )
    named = [row for row in rows if row["theirs"]]
    if named:
        connection.execute(
            sa.update(_MESSAGES)
            .where(is_ours, _MESSAGES.c.provider_id.is_(None))
            .values(provider=provider, provider_id=sa.bindparam("theirs")),
            named,
        )
