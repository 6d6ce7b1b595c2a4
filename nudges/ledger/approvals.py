"""Turns a person's yes into a row pinned to what they saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from nudges.ledger.database import Database
from nudges.ledger.rows import insert_missing
from nudges.ledger.schema import TABLES
from nudges.ledger.turns import next_turn

_APPROVALS = TABLES["approvals"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one campaign as it stood."""

    approval_id: str
    campaign: str
    fingerprint: str
    max_messages: int
    max_pence: int
    approved_by: str
    approved_at: datetime
    note: str | None


class Approvals:
    """Approvals, newest last."""

    _db: Database

    def approve(
        self,
        campaign: str,
        fingerprint: str,
        max_messages: int,
        max_pence: int,
        by: str,
        note: str = "",
        *,
        now: datetime,
    ) -> Approval:
        """Write an approval; it replaces the campaign's earlier one."""
        with self._db.writing() as connection:
            approval = Approval(
                approval_id=next_turn(connection, _APPROVALS),
                campaign=campaign,
                fingerprint=fingerprint,
                max_messages=max_messages,
                max_pence=max_pence,
                approved_by=by,
                approved_at=now,
                note=note,
            )
            row = {name: getattr(approval, name) for name in Approval.__slots__}
            insert_missing(connection, _APPROVALS, [row])
        return approval

    def approval(self, campaign: str) -> Approval | None:
        """The campaign's newest approval."""
        query = sa.select(_APPROVALS).where(_APPROVALS.c.campaign == campaign)
        with self._db.reading() as connection:
            row = connection.execute(query.order_by(_APPROVALS.c.approval_id.desc()).limit(1)).mappings().first()
        return None if row is None else Approval(**row)
