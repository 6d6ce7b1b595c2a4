"""What a campaign committed in a turn → the choice as it was made, and everybody's lane and arm as drawn then."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import CONTROL, Campaign, Shares
from nudges.draws import LANES, RoundDraw
from nudges.errors import ConfigError
from nudges.steps.choose.scope import Scope
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

ANY_ARM = "*"
"""The policy arm written in the ledger where the turn's mixture decides."""

Stops = tuple[tuple[str, str], ...]
"""Pairs of group and arm: units of the group do not get the arm in any lane."""

_CHOICE = """
SELECT week_no, policy, price_per_penny, control_share, learn_share, best_share, holdout_share, arms, stops, rounds
FROM choices WHERE campaign = :campaign AND week_no >= :first AND week_no <= :week ORDER BY week_no
"""
_ROUNDS = """
SELECT rounds FROM choices
WHERE campaign = :campaign AND week_no <= :week AND rounds IS NOT NULL ORDER BY week_no LIMIT 1
"""
_ASSIGNED = """
SELECT household_id, unit_id, lane, arm, policy_arm, draw, propensity, is_contactable, first_week_no
FROM assignments WHERE campaign = :campaign AND week_no = :week
"""
# In order of the key: the first row of a unit comes first.
_EARLIER = """
SELECT unit_id, lane, arm, policy_arm, draw, propensity, week_no AS first_week_no
FROM assignments
WHERE campaign = :campaign AND week_no >= :first AND week_no < :week AND COALESCE(first_week_no, week_no) = week_no
ORDER BY week_no, household_id
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """How one turn chooses, from its first week on, whatever the files say later.

    Attributes:
        week_no: the week that made it.
        policy: as in the ledger.
        price_per_penny: dual price of the budget.
        shares: what lanes are drawn by.
        holdout_share: council-wide.
        arms: ids, control first, in the order that draws pick from.
        stops: which arms a group does not get.
        rounds: the rounds drawn for the whole campaign; None where households are.
        is_committed: the week asked for has a choice of its own in the ledger.
    """

    week_no: int
    policy: str
    price_per_penny: float
    shares: Shares
    holdout_share: float
    arms: tuple[str, ...]
    stops: Stops
    rounds: RoundDraw | None = None
    is_committed: bool = False


@dataclass(slots=True)
class Given:
    """Lane, arm and the rest of every household, before what is committed overrules it."""

    lane: NDArray[np.int8]
    arm: NDArray[np.intp]
    policy_arm: NDArray[np.intp]
    draw: NDArray[np.float64]
    propensity: NDArray[np.float64]
    is_contactable: NDArray[np.bool_]
    first_week_no: NDArray[np.int64]


def committed_choice(ws: Workspace, campaign: Campaign, week: Week) -> Choice | None:
    """The first choice of the turn that `week` is in, up to that week; None when the turn has none yet."""
    first = campaign.turn_starts(campaign.turn_of(week))
    rows = ws.ledger.select(_CHOICE, campaign=campaign.id, first=first.number, week=week.number).to_pylist()
    if not rows:
        return None
    row = rows[0]
    return Choice(
        week_no=int(row["week_no"]),
        policy=str(row["policy"]),
        price_per_penny=float(row["price_per_penny"]),
        shares=Shares(float(row["control_share"]), float(row["learn_share"]), float(row["best_share"])),
        holdout_share=float(row["holdout_share"]),
        arms=tuple(json.loads(row["arms"])),
        stops=read_stops(row["stops"]),
        rounds=RoundDraw.from_json(row["rounds"]) if row["rounds"] else None,
        is_committed=int(rows[-1]["week_no"]) == week.number,
    )


def committed_rounds(ws: Workspace, campaign: Campaign, week: Week) -> RoundDraw | None:
    """The rounds as the campaign's first choice drew them, for good; None before it, and where households are drawn."""
    rows = ws.ledger.select(_ROUNDS, campaign=campaign.id, week=week.number).to_pylist()
    return RoundDraw.from_json(rows[0]["rounds"]) if rows else None


def read_stops(text: str | None) -> Stops:
    """Stops from the ledger's JSON; empty before there were any."""
    return tuple((str(group), str(arm)) for group, arm in json.loads(text or "[]"))


def with_arms(campaign: Campaign, arms: tuple[str, ...]) -> Campaign:
    """The campaign with the arms a turn was begun with, in its order: an arm added since waits for the next turn.

    Raises:
        ConfigError: an arm of the turn is gone from the file.
    """
    known = {arm.id: arm for arm in campaign.arms}
    for name in arms:
        if name not in {CONTROL, *known}:
            raise ConfigError(
                f"campaigns/{campaign.id}.toml: arm {name!r} is gone, but this turn was begun with it. "
                "Put it back until the turn is over."
            )
    return replace(campaign, arms=tuple(known[name] for name in arms if name != CONTROL))


def earlier_in_turn(
    ws: Workspace, campaign: Campaign, week: Week, scope: Scope, choice: Choice
) -> tuple[pa.Table, NDArray[np.intp]]:
    """First assignments of the turn's earlier weeks, and the row of each unit in them: -1 for units new to the turn."""
    rows = ws.ledger.select(_EARLIER, campaign=campaign.id, first=choice.week_no, week=week.number)
    return rows, _rows_of(scope.units, rows["unit_id"])


def read_back(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    scope: Scope,
    choice: Choice,
    given: Given,
    earlier: tuple[pa.Table, NDArray[np.intp]],
) -> None:
    """Put what is committed in the place of what was worked out just now: the first assignment of a turn wins.

    A household that came since, to a unit of which some are committed, gets what its unit got.
    """
    arms = choice.arms
    row_of = earlier[1][scope.unit]
    _put(given, np.flatnonzero(row_of >= 0), row_of, earlier[0], arms)
    if not choice.is_committed:
        return
    rows = ws.ledger.select(_ASSIGNED, campaign=campaign.id, week=week.number)
    own = _rows_of(scope.household_id, rows["household_id"])
    here = np.flatnonzero(own >= 0)
    given.is_contactable[here] = rows["is_contactable"].to_numpy().astype(bool)[own[here]]
    by_unit = np.full(len(scope.units), -1, dtype=np.intp)
    by_unit[scope.unit[here]] = own[here]
    row_of = np.where(own >= 0, own, by_unit[scope.unit])
    _put(given, np.flatnonzero(row_of >= 0), row_of, rows, arms)


def _rows_of(wanted: pa.Array, column: pa.ChunkedArray) -> NDArray[np.intp]:
    """First row in which each of `wanted` stands, -1 where in none."""
    if not len(column):
        return np.full(len(wanted), -1, dtype=np.intp)
    found = pc.index_in(wanted, value_set=column.combine_chunks())
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.intp)


def _put(given: Given, here: NDArray[np.intp], row_of: NDArray[np.intp], rows: pa.Table, arms: tuple[str, ...]) -> None:
    there = row_of[here]
    given.lane[here] = codes(rows["lane"], tuple(str(lane) for lane in LANES))[there]
    given.arm[here] = codes(rows["arm"], arms)[there]
    given.policy_arm[here] = codes(rows["policy_arm"], (ANY_ARM, *arms))[there] - 1  # `*` ends at UNIFORM == -1
    given.draw[here] = rows["draw"].to_numpy()[there]
    given.propensity[here] = rows["propensity"].to_numpy()[there]
    since = pc.fill_null(rows["first_week_no"], -1).to_numpy()[there]
    given.first_week_no[here] = np.where(since < 0, given.first_week_no[here], since)


def codes(column: pa.ChunkedArray, words: tuple[str, ...]) -> NDArray[np.intp]:
    """Position of every word of a column in `words`."""
    return np.asarray(pc.index_in(column, value_set=pa.array(list(words))).to_numpy(), dtype=np.intp)
