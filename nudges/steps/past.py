"""A campaign's units → their weekly outcomes before it began, to say what it could show."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Campaign, Unit
from nudges.draws import BEST, CONTROL_LANE, LEARN, draws
from nudges.outcomes import STREAM_OF, outcome_values
from nudges.steps.choose import Chosen
from nudges.steps.matrix import sharing_homes
from nudges.steps.outcome_panel import read_panel
from nudges.steps.round_panel import read_round_panel
from nudges.weeks import Week

HISTORY_WEEKS = 52

CHOSEN_BY_WEEKS = 8
"""A segment picks homes by weeks as recent as these, after which they go back to their usual: left out where it can."""

LEAST_WEEKS = 12
"""Weeks that must be left for that."""

MOST_UNITS = 20_000
"""Units whose past is read: a spread needs no more."""

# Rounds of the register as it is now, the same that measuring goes by.
_ROUNDS = """
SELECT u.unit_no, MIN(h.round_id) AS round_id
FROM units u LEFT JOIN (
    SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id
    FROM households QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) h ON h.unit_id = u.unit_id
GROUP BY u.unit_no ORDER BY u.unit_no
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Past:
    """Weekly outcomes of (a sample of) the units that are compared, and how many were drawn.

    Attributes:
        weekly: (n, W) outcome per household, NaN where nothing was read; W from the first week with any reading on.
        households: (n,) in each unit.
        n_treated: units in the campaign that can be written to, of all; rounds, where rounds are drawn.
        n_control: the same of control.
    """

    weekly: Floats
    households: Floats
    n_treated: int
    n_control: int


def read_past(salt: str, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> Past:
    """Read up to 52 weeks that end with `week`, or with the week the campaign started in if that was before.

    Messages of a run go out in the week after it, so the starting week is still untouched. `salt` draws the sample.
    """
    last = min(week, campaign.starts).number
    first = last - HISTORY_WEEKS + 1
    if campaign.unit is Unit.ROUND and chosen.choice.rounds:
        rounds = chosen.choice.rounds
        panel = read_round_panel(connection, campaign.outcome, first, last).part(rounds.rounds)
        households = panel.households.mean(axis=1)
        has_homes = households > 0
        weekly = _from_first_reading(panel.weekly[has_homes])
        return Past(weekly, households[has_homes], len(rounds.treated), len(rounds.control))
    return _of_units(salt, campaign, last, connection, chosen)


def _of_units(salt: str, campaign: Campaign, last: int, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> Past:
    scope = chosen.scope
    lead = np.unique(scope.unit, return_index=True)[1]
    reachable = np.bincount(scope.unit, chosen.is_contactable & scope.has_service) > 0
    treated = ((chosen.lane == BEST) | (chosen.lane == LEARN))[lead] & reachable
    control = (chosen.lane == CONTROL_LANE)[lead] & reachable
    rows = np.flatnonzero(treated | control)
    if len(rows) > MOST_UNITS:
        ids = scope.units.take(pa.array(rows)).to_pylist()
        rows = rows[np.argsort(draws(f"{salt}:plan", ids), kind="stable")[:MOST_UNITS]]
    in_scope = np.bincount(scope.unit)[rows].astype(np.float64)
    households = sharing_homes(connection, scope.homes.take(pa.array(rows)), last, in_scope)
    weekly = _weekly(connection, campaign, scope.units.take(pa.array(rows)), households, last)
    weekly = _from_first_reading(weekly)
    usual = weekly[:, :-CHOSEN_BY_WEEKS] if weekly.shape[1] >= LEAST_WEEKS + CHOSEN_BY_WEEKS else weekly
    return Past(usual, households, int(treated.sum()), int(control.sum()))


def _weekly(
    connection: duckdb.DuckDBPyConnection, campaign: Campaign, units: pa.Array, households: Floats, last: int
) -> Floats:
    """(n, HISTORY_WEEKS). A unit's own rhythm spreads a fortnightly lift over two weeks, as measuring does."""
    n, first = len(units), last - HISTORY_WEEKS + 1
    connection.register("past_units", pa.table({"unit_id": units, "unit_no": pa.array(np.arange(n, dtype=np.int32))}))
    connection.execute("CREATE OR REPLACE TEMP TABLE units AS SELECT unit_id, unit_no FROM past_units")
    connection.unregister("past_units")
    rounds = connection.execute(_ROUNDS.format(stream=STREAM_OF[campaign.outcome])).to_arrow_table()["round_id"]
    panel = read_panel(connection, campaign.outcome, rounds.combine_chunks(), first, last)
    whole = panel.sums(np.full(n, first), np.full(n, last))
    rhythm = whole.weeks / np.maximum(whole.planned, 1)
    out = np.full((n, HISTORY_WEEKS), np.nan)
    for place in range(HISTORY_WEEKS):
        one = panel.sums(np.full(n, first + place), np.full(n, first + place))
        out[:, place] = outcome_values(
            campaign.outcome, one.total, one.valid, one.planned, one.planned * rhythm, households
        )
    return out


def _from_first_reading(weekly: Floats) -> Floats:
    read = np.isfinite(weekly).any(axis=0)
    return weekly[:, int(read.argmax()) if read.any() else weekly.shape[1] :]
