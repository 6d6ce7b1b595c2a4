"""Turns opt-outs, bounces and the stop switch into rows, and those rows into who must not be written to now."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from nudges.errors import DataError
from nudges.ledger.bulk import Bulk
from nudges.ledger.rows import insert_missing
from nudges.ledger.schema import TABLES
from nudges.ledger.turns import next_turn

ALL = "all"
"""Scope of the stop switch that stops every campaign."""

RESUBSCRIBED = "resubscribed"
OFFICER = "officer"

_STOPS = TABLES["stops"]
_SUPPRESSIONS = TABLES["suppressions"]

# A row that suppresses is in force until a later row undoes it for the same household or the same address, and for its
# medium or all. A resident's resubscription undoes anything but an officer's row. Order of arrival does not matter.
_UNDONE = """
    u.is_active = 0
    AND (u.since_at > s.since_at OR (u.since_at = s.since_at AND u.suppression_id > s.suppression_id))
    AND (u.medium = s.medium OR u.medium = '' OR (u.reason = 'resubscribed' AND s.medium = ''))
    AND (u.reason <> 'resubscribed' OR s.reason <> 'officer')
"""
_IN_FORCE = f"""
SELECT DISTINCT s.household_id, s.address_hash, s.medium
FROM suppressions s
WHERE s.is_active = 1
  AND NOT EXISTS (SELECT 1 FROM suppressions u WHERE u.household_id = s.household_id AND u.household_id <> '' AND {_UNDONE})
  AND NOT EXISTS (SELECT 1 FROM suppressions u WHERE u.address_hash = s.address_hash AND u.address_hash <> '' AND {_UNDONE})
ORDER BY s.household_id, s.address_hash, s.medium
"""  # noqa: S608, E501


class Consent(Bulk):
    """Suppressions and stops."""

    def suppress(
        self,
        *,
        household_id: str = "",
        address_hash: str = "",
        medium: str = "",
        reason: str = OFFICER,
        source: str,
        now: datetime,
    ) -> None:
        """Write that a household, or an address, must not be written to; `medium` empty means by any."""
        self._write(1, household_id, address_hash, medium, reason, source, now)

    def unsuppress(
        self, *, household_id: str = "", address_hash: str = "", medium: str = "", source: str, now: datetime
    ) -> None:
        """Undo every earlier suppression of the household, or of the address; `medium` empty means all of them."""
        self._write(0, household_id, address_hash, medium, OFFICER, source, now)

    def suppressed(self) -> pa.Table:
        """household_id, address_hash, medium (each empty for "any") of every suppression in force."""
        return self.select(_IN_FORCE)

    def stop(self, scope: str, by: str, reason: str = "", *, now: datetime) -> None:
        """Turn the stop switch on for a campaign or `all`."""
        self._turn_switch(scope, by, reason, now, is_on=1)

    def resume(self, scope: str, by: str, reason: str = "", *, now: datetime) -> None:
        """Turn it off again."""
        self._turn_switch(scope, by, reason, now, is_on=0)

    def stopped(self, campaign: str | None = None) -> bool:
        """Whether everything, or this campaign, is stopped now."""
        with self._db.reading() as connection:
            stopped = set(connection.execute(_STOPPED).scalars())
        return ALL in stopped or campaign in stopped

    def _turn_switch(self, scope: str, by: str, reason: str, now: datetime, *, is_on: int) -> None:
        with self._db.writing() as connection:
            row = {
                "stop_id": next_turn(connection, _STOPS),
                "scope": scope,
                "is_on": is_on,
                "by": by,
                "reason": reason,
                "at": now,
            }
            insert_missing(connection, _STOPS, [row])

    def _write(
        self, active: int, household_id: str, address: str, medium: str, reason: str, source: str, now: datetime
    ) -> None:
        if not (household_id or address):
            raise DataError("ledger.suppressions: household_id and address_hash are empty, one must be given.")
        with self._db.writing() as connection:
            row = {
                "suppression_id": next_turn(connection, _SUPPRESSIONS, prefix="~"),
                "household_id": household_id,
                "address_hash": address,
                "medium": medium,
                "is_active": active,
                "reason": reason,
                "since_at": now,
                "source": source,
            }
            insert_missing(connection, _SUPPRESSIONS, [row])


def stopped_scopes() -> sa.Select[tuple[str]]:
    """Scopes whose last turn of the switch was on."""
    later = _STOPS.alias("later")
    is_last = ~sa.exists().where(later.c.scope == _STOPS.c.scope, later.c.stop_id > _STOPS.c.stop_id)
    return sa.select(_STOPS.c.scope).where(_STOPS.c.is_on == 1, is_last)


_STOPPED = stopped_scopes()
