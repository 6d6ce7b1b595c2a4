"""Turns the plan of a measurement into a row that is never edited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from nudges.ledger.database import Database
from nudges.ledger.rows import insert_missing
from nudges.ledger.schema import TABLES
from nudges.ledger.turns import next_turn

_PLANS = TABLES["plans"]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """What a campaign is to be measured by, as stored at one moment."""

    plan_id: str
    campaign: str
    sha256: str
    plan: str  # JSON, the text that was hashed
    detectable_share: float | None
    registered_by: str
    registered_at: datetime


class Plans:
    """Plans of measurement, oldest first."""

    _db: Database

    def store_plan(
        self, campaign: str, sha256: str, plan: str, by: str, *, detectable_share: float | None, now: datetime
    ) -> bool:
        """Store a plan unless it is the campaign's newest already; returns whether it was stored."""
        with self._db.writing() as connection:
            plan_id = next_turn(connection, _PLANS)
            newest = sa.select(_PLANS.c.sha256).where(_PLANS.c.campaign == campaign)
            if connection.execute(newest.order_by(_PLANS.c.plan_id.desc()).limit(1)).scalar() == sha256:
                return False
            row = StoredPlan(plan_id, campaign, sha256, plan, detectable_share, by, now)
            insert_missing(connection, _PLANS, [{name: getattr(row, name) for name in StoredPlan.__slots__}])
        return True

    def plans(self, campaign: str) -> tuple[StoredPlan, ...]:
        """Every plan stored for a campaign, the first one first."""
        query = sa.select(_PLANS).where(_PLANS.c.campaign == campaign).order_by(_PLANS.c.plan_id)
        with self._db.reading() as connection:
            return tuple(StoredPlan(**row) for row in connection.execute(query).mappings())
