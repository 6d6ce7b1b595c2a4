"""Turns ledger and warehouse rows into the arrays of one campaign: sums in DuckDB, one row per randomised unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from nudges.domain import Campaign, Outcome
from nudges.measuring import NONE_AT_FIRST, Drawn, Outcomes
from nudges.measuring.units import Flags, Floats
from nudges.outcomes import STREAM_OF, Sums, outcome_values
from nudges.steps.outcome_panel import read_panel
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

PRE_WEEKS = 26

Weeks = NDArray[np.int64]

# A household's first row in each unit, found by key: a join by unit would read every week's rows a second time.
_FIRST = """
SELECT a.household_id, a.unit_id, a.week_no, a.lane, a.arm, a.policy_arm, a.is_contactable
FROM (
    SELECT household_id, unit_id, MIN(week_no) AS week_no FROM assignments
    WHERE campaign = :campaign AND week_no <= :week GROUP BY household_id, unit_id
) f
CROSS JOIN assignments a
WHERE a.campaign = :campaign AND a.week_no = f.week_no AND a.household_id = f.household_id
"""
_CHOICES = """
SELECT week_no, holdout_share, control_share FROM choices
WHERE campaign = :campaign AND week_no <= :week
"""
_MESSAGES = """
SELECT m.household_id,
       SUM(CASE WHEN m.state = 'accepted' THEN 1 ELSE 0 END) AS accepted,
       SUM(CASE WHEN d.message_id IS NULL THEN 0 ELSE 1 END) AS delivered,
       SUM(CASE WHEN m.state IN ('accepted', 'in_doubt') THEN m.cost_pence ELSE 0 END) AS cost_pence
FROM messages m
LEFT JOIN (
    SELECT DISTINCT message_id FROM events WHERE kind = 'delivered' AND occurred_at < :until
) d ON d.message_id = m.message_id
WHERE m.campaign = :campaign AND m.week_no < :week
GROUP BY m.household_id
"""
# Newest row of each home (whichever bins it used before), then units by number with what was drawn first; households
# are all homes that share the bins. A unit that no home uses any more has no round, and so no outcome.
_HOMES = """
CREATE TEMP TABLE homes AS
SELECT unit_id, round_id
FROM (
    SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id
    FROM households
    QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) newest
WHERE unit_id IN (SELECT unit_id FROM assigned)
"""
_UNITS = """
CREATE TEMP TABLE units AS
WITH sizes AS (
    SELECT unit_id, COUNT(*) AS households, MIN(round_id) AS round_id FROM homes GROUP BY unit_id
), drawn AS (
    SELECT unit_id, MIN(week_no) AS start, ANY_VALUE(lane) AS lane, ANY_VALUE(arm) AS arm,
           ANY_VALUE(policy_arm) AS policy_arm, MAX(is_contactable) AS is_contactable, COUNT(*) AS assigned
    FROM assigned GROUP BY unit_id
)
SELECT (ROW_NUMBER() OVER (ORDER BY unit_id) - 1)::INTEGER AS unit_no, d.*, s.round_id,
       COALESCE(s.households, d.assigned) AS households,
       d.lane = 'holdout' AS is_holdout,
       d.lane = 'control' AS is_control,
       d.lane IN ('learn', 'best') AS is_treated,
       d.lane = 'learn' OR (d.lane = 'best' AND d.policy_arm = '*') AS is_arm_random
FROM drawn d LEFT JOIN sizes s USING (unit_id)
"""
_REACH = """
SELECT CASE WHEN u.is_holdout THEN 'holdout' WHEN u.is_control THEN 'control'
            WHEN u.arm = 'control' THEN '{none_at_first}' ELSE u.arm END AS shown_arm,
       COUNT(*) FILTER (m.accepted > 0) AS accepted, COUNT(*) FILTER (m.delivered > 0) AS delivered
FROM sent m JOIN assigned a USING (household_id) JOIN units u ON u.unit_id = a.unit_id
GROUP BY 1
"""
_SEGMENTS = """
SELECT DISTINCT m.segment, u.unit_no
FROM membership m JOIN assigned a ON a.household_id = m.household_id AND a.week_no = m.week_no
JOIN units u ON u.unit_id = a.unit_id
WHERE m.week_no BETWEEN (SELECT MIN(start) FROM units) AND (SELECT MAX(start) FROM units)
"""


@dataclass(frozen=True, slots=True)
class CampaignData:
    """Arrays of one campaign, with what was sent. `reach` counts households by shown arm."""

    drawn: Drawn
    outcomes: Outcomes
    reach: Mapping[str, Mapping[str, int]]
    messages: int
    cost_pence: float


def first_assignments(ws: Workspace, campaign: Campaign, week: Week) -> pa.Table:
    """Each unit's first assignment in the campaign, one row a household, up to the run of `week`."""
    rows = ws.ledger.select(_FIRST, campaign=campaign.id, week=week.number)
    unit = np.asarray(rows["unit_id"].combine_chunks().dictionary_encode().indices)
    number = rows["week_no"].to_numpy()
    first = np.full(int(unit.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, unit, number)
    return rows.filter(pa.array(number == first[unit]))


def read_campaign(ws: Workspace, campaign: Campaign, week: Week, assigned: pa.Table) -> CampaignData:
    """Read everything measuring needs, with data to the end of `week`."""
    # A message of the run of week w goes out in week w + 1, and the week being measured ends on its Sunday.
    until = datetime.combine((week + 1).monday, time(0), tzinfo=UTC)
    sent = ws.ledger.select(_MESSAGES, campaign=campaign.id, week=week.number, until=until)
    with ws.facts(week, extra=["membership"]) as connection:
        connection.register("assigned", assigned)
        connection.register("sent", sent)
        connection.execute(_HOMES.format(stream=STREAM_OF[campaign.outcome]))
        connection.execute(_UNITS)
        drawn = _drawn(ws, campaign, week, connection)
        outcomes = _outcomes(connection, campaign, drawn, week)
        reach = {
            arm: {"accepted": int(accepted), "delivered": int(delivered)}
            for arm, accepted, delivered in connection.execute(_REACH.format(none_at_first=NONE_AT_FIRST)).fetchall()
        }
    totals = {name: float(np.sum(sent[name].to_numpy())) if len(sent) else 0.0 for name in ("accepted", "cost_pence")}
    return CampaignData(drawn, outcomes, reach, int(totals["accepted"]), totals["cost_pence"])


def _drawn(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> Drawn:
    rows = connection.execute(
        "SELECT start, arm, is_treated, is_control, is_holdout, is_arm_random, is_contactable = 1 AS is_contactable, "
        "households::DOUBLE AS households FROM units ORDER BY unit_no"
    ).fetchnumpy()
    start = np.asarray(rows["start"], dtype=np.int64)
    treated, held = _shares(ws, campaign, week)
    default = (1.0 - campaign.shares.control, ws.council.holdout_share)
    weeks, index = np.unique(start, return_inverse=True)
    return Drawn(
        first_week_no=start,
        is_treated=_flags(rows["is_treated"]),
        is_control=_flags(rows["is_control"]),
        is_holdout=_flags(rows["is_holdout"]),
        arm=np.asarray(rows["arm"], dtype=np.str_),
        is_arm_random=_flags(rows["is_arm_random"]),
        is_contactable=_flags(rows["is_contactable"]),
        households=np.asarray(rows["households"], dtype=np.float64),
        treated_share=np.array([treated.get(int(number), default[0]) for number in weeks])[index],
        holdout_share=np.array([held.get(int(number), default[1]) for number in weeks])[index],
    )


def _flags(values: ArrayLike) -> Flags:
    return np.asarray(values, dtype=np.bool_)


def _shares(ws: Workspace, campaign: Campaign, week: Week) -> tuple[dict[int, float], dict[int, float]]:
    """Configured chance of being in the campaign outside the holdout, and of the holdout, by week as chosen then."""
    treated, held = {}, {}
    for row in ws.ledger.select(_CHOICES, campaign=campaign.id, week=week.number).to_pylist():
        treated[int(row["week_no"])] = 1.0 - float(row["control_share"])
        held[int(row["week_no"])] = float(row["holdout_share"])
    return treated, held


def _outcomes(connection: duckdb.DuckDBPyConnection, campaign: Campaign, drawn: Drawn, week: Week) -> Outcomes:
    outcome = campaign.outcome
    start, begins = drawn.first_week_no, int(drawn.first_week_no.min())
    rounds = connection.execute("SELECT round_id FROM units ORDER BY unit_no").to_arrow_table()["round_id"]
    # Before the campaign only the units that are compared need their bins read.
    where = f"l.week_no > {begins} OR (u.is_contactable = 1 AND NOT u.is_holdout)"
    low = begins - PRE_WEEKS + 1
    panel = read_panel(connection, outcome, rounds.combine_chunks(), low, week.number, where=where)
    compared = drawn.is_contactable & ~drawn.is_holdout

    def sums(first: Weeks, last: Weeks, units: Flags) -> Sums:
        return panel.sums(first, np.where(units, last, low - 1))

    middle = start - PRE_WEEKS // 2
    halves = (sums(start - PRE_WEEKS + 1, middle, compared), sums(middle + 1, start, compared))
    both = halves[0] + halves[1]
    post = sums(start + 1, np.full_like(start, week.number), start < week.number)
    # Arms are drawn anew in the second turn, and its messages go out from the week after its first run on.
    again = campaign.turn_starts(1).number
    in_first = compared & (start < min(again, week.number))
    first_turn = sums(start + 1, np.full_like(start, min(again, week.number)), in_first)
    # A unit's own rhythm, so that one fortnightly lift is not read as the kg of one week.
    rhythm = (both.weeks + post.weeks) / np.maximum(both.planned + post.planned, 1.0)
    weekly = {}
    for number in range(begins + 1, week.number + 1):
        one = np.full_like(start, number)
        found = sums(one, one, compared & (start < number))
        weekly[number] = _values(outcome, found, drawn, weeks=found.planned * rhythm)
    return Outcomes(
        post=_values(outcome, post, drawn),
        first_turn=np.where(in_first, _values(outcome, first_turn, drawn), np.nan),
        pre=_values(outcome, both, drawn),
        pre_first=_values(outcome, halves[0], drawn),
        pre_second=_values(outcome, halves[1], drawn),
        planned=post.planned.astype(np.float64),
        valid=post.valid.astype(np.float64),
        weekly=weekly,
        segments=_segments(connection, len(start)),
    )


def _values(outcome: Outcome, sums: Sums, drawn: Drawn, *, weeks: Floats | None = None) -> Floats:
    span = sums.weeks if weeks is None else weeks
    return outcome_values(outcome, sums.total, sums.valid, sums.planned, span, drawn.households)


def _segments(connection: duckdb.DuckDBPyConnection, n: int) -> dict[str, Flags]:
    rows = connection.execute(_SEGMENTS).fetchnumpy()
    names = np.asarray(rows["segment"], dtype=np.str_)
    units = np.asarray(rows["unit_no"], dtype=np.int64)
    inside = {}
    for name in sorted(set(names.tolist())):
        inside[str(name)] = np.zeros(n, dtype=np.bool_)
        inside[str(name)][units[names == name]] = True
    return inside
