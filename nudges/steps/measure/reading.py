"""Turns ledger and warehouse rows into the arrays of one campaign: sums in DuckDB, one row per randomised unit."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from nudges.domain import Campaign
from nudges.measuring import Drawn, Outcomes, Sent
from nudges.measuring.units import Flags
from nudges.outcomes import STREAM_OF
from nudges.steps.measure.outcomes import read_outcomes
from nudges.steps.measure.sent import read_sent, sent_of
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

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
# Newest row of each home (whichever bins it used before), then units by number with what was drawn first; households
# are all homes that share the bins. A unit that no home uses any more has no round, and so no outcome.
_HOMES = """
CREATE TEMP TABLE homes AS
SELECT unit_id, round_id, street
FROM (
    SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id,
           CASE WHEN NULLIF(street, '') IS NOT NULL THEN CONCAT_WS('|', street, locality, split_part(postcode, ' ', 1))
                WHEN postcode LIKE '% %' THEN postcode END AS street
    FROM households
    QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) newest
WHERE unit_id IN (SELECT unit_id FROM assigned)
"""
_UNITS = """
CREATE TEMP TABLE units AS
WITH sizes AS (
    SELECT unit_id, COUNT(*) AS households, MIN(round_id) AS round_id, MIN(street) AS street FROM homes GROUP BY unit_id
), drawn AS (
    SELECT unit_id, MIN(week_no) AS start, ANY_VALUE(lane) AS lane, ANY_VALUE(arm) AS arm,
           ANY_VALUE(policy_arm) AS policy_arm, MAX(is_contactable) AS is_contactable, COUNT(*) AS assigned
    FROM assigned GROUP BY unit_id
)
SELECT (ROW_NUMBER() OVER (ORDER BY unit_id) - 1)::INTEGER AS unit_no, d.*, s.round_id,
       COALESCE(s.households, d.assigned) AS households,
       CASE WHEN s.street IS NULL THEN -1 ELSE DENSE_RANK() OVER (ORDER BY s.street) - 1 END::BIGINT AS street,
       d.lane = 'holdout' AS is_holdout,
       d.lane = 'control' AS is_control,
       d.lane IN ('learn', 'best') AS is_treated,
       d.lane = 'learn' OR (d.lane = 'best' AND d.policy_arm = '*') AS is_arm_random
FROM drawn d LEFT JOIN sizes s USING (unit_id)
"""


@dataclass(frozen=True, slots=True)
class CampaignData:
    """Arrays of one campaign: as drawn, as measured, and what was sent."""

    drawn: Drawn
    outcomes: Outcomes
    sent: Sent


def first_assignments(ws: Workspace, campaign: Campaign, week: Week) -> pa.Table:
    """Each unit's first assignment in the campaign, one row a household, up to the run of `week`."""
    rows = ws.ledger.select(_FIRST, campaign=campaign.id, week=week.number)
    unit = np.asarray(rows["unit_id"].combine_chunks().dictionary_encode().indices)
    number = rows["week_no"].to_numpy()
    first = np.full(int(unit.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, unit, number)
    return rows.filter(pa.array(number == first[unit]))


def read_campaign(ws: Workspace, campaign: Campaign, week: Week, assigned: pa.Table) -> CampaignData:
    """Read everything measuring needs, with data to the end of `week`; the headline's to the planned end at most."""
    messages = read_sent(ws, campaign, week)
    with ws.facts(week, extra=["membership"]) as connection:
        connection.register("assigned", assigned)
        connection.execute(_HOMES.format(stream=STREAM_OF[campaign.outcome]))
        connection.execute(_UNITS)
        drawn = _drawn(ws, campaign, week, connection)
        outcomes = read_outcomes(connection, campaign, drawn, last_week(campaign, week), week)
        return CampaignData(drawn, outcomes, sent_of(connection, messages, drawn))


def last_week(campaign: Campaign, week: Week) -> Week:
    """The headline's last week: `week`, but not past that of the campaign's last messages."""
    return min(week, campaign.starts + campaign.weeks)


def _drawn(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> Drawn:
    rows = connection.execute(
        "SELECT start, arm, is_treated, is_control, is_holdout, is_arm_random, is_contactable = 1 AS is_contactable, "
        "households::DOUBLE AS households, street FROM units ORDER BY unit_no"
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
        street=np.asarray(rows["street"], dtype=np.intp),
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
