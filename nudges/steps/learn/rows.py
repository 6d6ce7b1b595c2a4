"""Assignments of a campaign → one row for each unit and turn: when it was drawn, and what it got.

A unit keeps its lane and arm for a turn, so its first assignment in each turn is the draw; the later ones repeat it.
The holdout is left out: no other campaign writes to it either, so its outcome is not that of this campaign's control.
Nor does a control unit bring a row after its first turn: its lane was drawn once, and what it has done since depends
on that draw.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import Campaign, Lane, Shares
from nudges.draws import draws
from nudges.steps.choose.committed import ANY_ARM, Stops, codes, read_stops
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

MOST_ROWS = 200_000
"""Rows learned from at most: those of the units with the lowest hash, the same every week."""

Whole = NDArray[np.int64]

_CHOICES = """
SELECT week_no, arms, holdout_share, control_share, learn_share, best_share, policy, turn, stops FROM choices
WHERE campaign = :campaign AND week_no <= :week ORDER BY week_no
"""
# In order of the key. Weeks chosen before there were turns repeat one draw: the first of them counts.
_ROWS = """
SELECT household_id, unit_id, week_no, lane, arm, policy_arm, propensity, is_contactable
FROM assignments
WHERE campaign = :campaign AND week_no <= :closed AND (first_week_no = week_no OR first_week_no IS NULL)
ORDER BY week_no, household_id
"""


@dataclass(frozen=True, slots=True)
class PastChoice:
    """How one week chose."""

    turn: int
    arms: tuple[str, ...]
    shares: Shares
    holdout_share: float
    policy: str
    stops: Stops


@dataclass(frozen=True, slots=True)
class Rows:
    """First assignments, n of them, one a unit and turn.

    Attributes:
        unit_id: (n,) strings.
        unit: (n,) number of the unit.
        home: (n,) the first household of the unit, whose features speak for it.
        households: (n,) of the unit in the campaign's scope.
        week_no: (n,) of the assignment.
        turn: (n,) as recorded with the choice.
        is_first: (n,) the unit's first turn in the campaign.
        arm: (n,) index into the campaign's arms.
        policy_arm: (n,) index, or draws.UNIFORM.
        propensity: (n,) of the arm given, over all lanes, as it was logged.
    """

    unit_id: pa.Array
    unit: NDArray[np.intp]
    home: pa.Array
    households: Whole
    week_no: Whole
    turn: Whole
    is_first: NDArray[np.bool_]
    arm: NDArray[np.intp]
    policy_arm: NDArray[np.intp]
    propensity: NDArray[np.float64]


def past_choices(ws: Workspace, campaign: Campaign, week: Week) -> dict[int, PastChoice]:
    """Choices up to `week`, by week."""
    rows = ws.ledger.select(_CHOICES, campaign=campaign.id, week=week.number).to_pylist()
    return {
        int(row["week_no"]): PastChoice(
            turn=int(row["turn"] or 0),
            arms=tuple(json.loads(row["arms"])),
            shares=Shares(float(row["control_share"]), float(row["learn_share"]), float(row["best_share"])),
            holdout_share=float(row["holdout_share"]),
            policy=str(row["policy"]),
            stops=read_stops(row["stops"]),
        )
        for row in rows
    }


def first_rows(ws: Workspace, campaign: Campaign, choices: Mapping[int, PastChoice], *, closed: int) -> Rows:
    """First assignments of every turn up to the week `closed` that today's arms were drawn in."""
    table = ws.ledger.select(_ROWS, campaign=campaign.id, closed=closed)
    week_no = _whole(table["week_no"])
    known = np.array(sorted(choices), dtype=np.int64)
    table = table.filter(pa.array(np.isin(week_no, known)))
    week_no = _whole(table["week_no"])
    coded = table["unit_id"].combine_chunks().dictionary_encode()
    unit = coded.indices.to_numpy(zero_copy_only=False).astype(np.intp)
    turn = _turns(week_no, choices)
    start, draw = _draws_of(unit, turn)
    rows = np.flatnonzero(week_no == week_no[start][draw])  # a household that joined its unit later brings no draw
    homes = np.bincount(draw[rows], minlength=len(start))
    reachable = np.bincount(draw[rows], _whole(table["is_contactable"])[rows], minlength=len(start)) > 0
    is_first = _is_first(unit[start], week_no[start])
    usable = reachable & _is_fresh(table["lane"], start, is_first) & _has_arms(week_no[start], choices, campaign)
    kept = _sampled(usable, coded.dictionary, unit[start], campaign)
    first = start[kept]
    part = table.take(pa.array(first))
    return Rows(
        unit_id=part["unit_id"].combine_chunks(),
        unit=unit[first],
        home=part["household_id"].combine_chunks(),
        households=homes[kept].astype(np.int64),
        week_no=week_no[first],
        turn=turn[first],
        is_first=is_first[kept],
        arm=codes(part["arm"], campaign.arm_ids),
        policy_arm=codes(part["policy_arm"], (ANY_ARM, *campaign.arm_ids)) - 1,
        propensity=part["propensity"].to_numpy(),
    )


def _turns(week_no: Whole, choices: Mapping[int, PastChoice]) -> Whole:
    weeks = np.array(sorted(choices), dtype=np.int64)
    turns = np.array([choices[int(number)].turn for number in weeks], dtype=np.int64)
    return turns[np.searchsorted(weeks, week_no)] if len(week_no) else week_no


def _draws_of(unit: NDArray[np.intp], turn: Whole) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row of each unit and turn, and for every row which of them it belongs to; rows are in order of week."""
    span = int(turn.max(initial=0)) + 1
    _, start, draw = np.unique(unit * span + turn, return_index=True, return_inverse=True)
    return start.astype(np.intp), draw.astype(np.intp)


def _is_first(unit: NDArray[np.intp], week_no: Whole) -> NDArray[np.bool_]:
    """Whether a draw is its unit's first."""
    earliest = np.full(int(unit.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, unit, week_no)
    return np.asarray(earliest[unit] == week_no) if len(unit) else np.zeros(0, dtype=bool)


def _is_fresh(lane: pa.ChunkedArray, start: NDArray[np.intp], is_first: NDArray[np.bool_]) -> NDArray[np.bool_]:
    number = codes(lane, (str(Lane.HOLDOUT), str(Lane.CONTROL), str(Lane.LEARN), str(Lane.BEST)))[start]
    return np.asarray((number > 1) | ((number == 1) & is_first))


def _has_arms(week_no: Whole, choices: Mapping[int, PastChoice], campaign: Campaign) -> NDArray[np.bool_]:
    """Drawn from today's arms in today's order."""
    good = [number for number, choice in choices.items() if choice.arms == campaign.arm_ids]
    return np.isin(week_no, np.array(good, dtype=np.int64))


def _sampled(kept: NDArray[np.bool_], units: pa.Array, unit: NDArray[np.intp], campaign: Campaign) -> NDArray[np.intp]:
    """Positions kept, all rows of as many units as there is room for."""
    rows = np.flatnonzero(kept)
    if len(rows) <= MOST_ROWS:
        return rows
    order = np.argsort(draws(f"{campaign.salt}:learn", units.to_pylist()), kind="stable")
    counts = np.bincount(unit[rows], minlength=len(units))
    is_in = np.empty(len(units), dtype=bool)
    is_in[order] = np.cumsum(counts[order]) <= MOST_ROWS
    return rows[is_in[unit[rows]]]


def _whole(column: Any) -> Whole:  # noqa: ANN401
    return np.asarray(pc.cast(column, pa.int64()).to_numpy())
