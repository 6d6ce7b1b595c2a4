"""Membership, features, contacts, suppressions and past messages → the households of one campaign in one week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import Campaign, Medium, MessageState, Reason
from nudges.errors import NotReadyError
from nudges.ledger import address_hash
from nudges.outcomes import STREAM_OF
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

Flags = NDArray[np.bool_]

_NEVER_SENT = (MessageState.DROPPED, MessageState.REFUSED)

_SCOPE = """
SELECT f.household_id, f.unit_id, f.has_{stream}_service AS has_service, f.{stream}_round_id AS round_id,
       f.has_sms, f.has_email
FROM features f
SEMI JOIN (SELECT household_id FROM membership WHERE week_no = $week AND list_contains($segments, segment)) m
  ON m.household_id = f.household_id
WHERE f.week_no = $week
ORDER BY f.household_id
"""
_CONTACTS = """
SELECT household_id, medium, address FROM (
  SELECT household_id, medium, address,
         ROW_NUMBER() OVER (PARTITION BY household_id, medium ORDER BY known_on DESC) AS place
  FROM contacts WHERE week_no <= $week AND known_on <= CAST($sunday AS DATE)
) WHERE place = 1
"""
_MESSAGES = """
SELECT household_id,
       SUM(CASE WHEN week_no > :cap_from THEN 1 ELSE 0 END) AS lately,
       MAX(CASE WHEN campaign = :campaign AND week_no > :own_from THEN 1 ELSE 0 END) AS from_this
FROM messages
WHERE week_no > :since AND week_no < :week AND state NOT IN :never_sent
GROUP BY household_id
"""
_THIS_WEEK = """
SELECT household_id FROM audience
WHERE week_no = ? AND ((campaign <> ? AND reason = ?) OR (campaign = ? AND reason = ?))
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Households of one campaign in one week; n of them, in order of household_id.

    Attributes:
        household_id: (n,) strings.
        units: (m,) distinct unit ids, in order of first household.
        homes: (m,) the first household of each unit, whose features speak for it.
        unit: (n,) position in `units`.
        has_service: (n,) the outcome's stream is collected, by a round that was drawn where the campaign draws rounds.
        round_id: (n,) round that collects it, null without one.
        known: (n,) a contact is known, by medium.
        open: (n,) a known contact is not suppressed, by medium.
        is_capped: (n,) had its share of messages, or gets one from another campaign this week.
    """

    household_id: pa.Array
    units: pa.Array
    homes: pa.Array
    unit: NDArray[np.intp]
    has_service: Flags
    round_id: pa.Array
    known: Mapping[Medium, Flags]
    open: Mapping[Medium, Flags]
    is_capped: Flags


def read_scope(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> Scope:
    """Households that are in some segment of the campaign in `week`.

    Raises:
        NotReadyError: the week has no features or its segments were not run.
    """
    _require(ws, week)
    stream = STREAM_OF[campaign.outcome]
    rows = connection.execute(
        _SCOPE.format(stream=stream), {"week": week.number, "segments": list(campaign.segments)}
    ).to_arrow_table()
    households = rows["household_id"].combine_chunks()
    coded = rows["unit_id"].combine_chunks().dictionary_encode()
    unit = coded.indices.to_numpy(zero_copy_only=False).astype(np.intp)
    known = {medium: _flags(rows[f"has_{medium}"]) for medium in Medium}
    closed = _suppressed(ws, week, connection, households)
    return Scope(
        household_id=households,
        units=coded.dictionary,
        homes=households.take(pa.array(np.unique(unit, return_index=True)[1])),
        unit=unit,
        has_service=_flags(rows["has_service"]),
        round_id=rows["round_id"].combine_chunks(),
        known=known,
        open={medium: known[medium] & ~closed[medium] for medium in Medium},
        is_capped=_capped(ws, campaign, week, households) | _taken(campaign, week, connection, households),
    )


def _require(ws: Workspace, week: Week) -> None:
    live = ws.ledger.live_files(upto=week, tables=["features", "membership"])
    for table, step in (("features", "features"), ("membership", "segments")):
        if not any(f"week={week}/" in path for path in live.get(table, ())):
            raise NotReadyError(f"choose {week}: no {table} of that week. Run `nudges run --step {step}` first.")


def _flags(column: Any) -> Flags:  # noqa: ANN401
    return np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=bool)


def _are_in(households: pa.Array, some: Any) -> Flags:  # noqa: ANN401
    return np.asarray(pc.is_in(households, value_set=pc.cast(some, pa.string())).to_numpy(zero_copy_only=False))


def _suppressed(
    ws: Workspace, week: Week, connection: duckdb.DuckDBPyConnection, households: pa.Array
) -> dict[Medium, Flags]:
    """Households whose contact by a medium must not be written to: by household, or by the address it has now."""
    rows = ws.ledger.suppressed().to_pylist()
    closed = {}
    for medium in Medium:
        of_medium = [row for row in rows if row["medium"] in {"", None, medium}]
        whole = [row["household_id"] for row in of_medium if row["household_id"] and not row["address_hash"]]
        closed[medium] = _are_in(households, pa.array(whole, pa.string()))
    by_address = {(row["medium"] or "", row["address_hash"]) for row in rows if row["address_hash"]}
    if by_address:
        contacts = connection.execute(_CONTACTS, {"week": week.number, "sunday": str(week.sunday)}).to_arrow_table()
        hit = _hit_by_address(contacts, by_address)
        for medium in Medium:
            closed[medium] |= _are_in(households, pa.array(hit[medium], pa.string()))
    return closed


def _hit_by_address(contacts: pa.Table, by_address: set[tuple[str, str]]) -> dict[Medium, list[str]]:
    hit: dict[Medium, list[str]] = {medium: [] for medium in Medium}
    columns = (contacts[name].to_pylist() for name in ("household_id", "medium", "address"))
    for household, medium, address in zip(*columns, strict=True):
        hashed = address_hash(address)
        if (medium, hashed) in by_address or ("", hashed) in by_address:
            hit[Medium(medium)].append(household)
    return hit


def _capped(ws: Workspace, campaign: Campaign, week: Week, households: pa.Array) -> Flags:
    """Had as many messages as the council allows lately, or one of this campaign's less than `every_weeks` ago."""
    cap_from, own_from = week.number - ws.council.cap_weeks, week.number - campaign.every_weeks
    rows = ws.ledger.select(
        _MESSAGES,
        campaign=campaign.id,
        cap_from=cap_from,
        own_from=own_from,
        since=min(cap_from, own_from),
        week=week.number,
        never_sent=list(_NEVER_SENT),
    )
    if rows.num_rows == 0:
        return np.zeros(len(households), dtype=bool)
    full = pc.or_(
        pc.greater_equal(pc.cast(rows["lately"], pa.int64()), ws.council.cap_messages),
        pc.equal(pc.cast(rows["from_this"], pa.int64()), 1),
    )
    return _are_in(households, rows["household_id"].filter(full).combine_chunks())


def _taken(campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection, households: pa.Array) -> Flags:
    """Chosen by another campaign this week (who chose first has it), or capped when this one chose before.

    A cap once applied to a week stays: a message dropped since must not make a second run write more.
    """
    found = connection.execute(
        _THIS_WEEK, [week.number, campaign.id, Reason.CHOSEN, campaign.id, Reason.CAPPED]
    ).to_arrow_table()
    return _are_in(households, found["household_id"].combine_chunks())
