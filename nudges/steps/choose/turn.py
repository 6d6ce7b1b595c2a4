"""A campaign's scope in a week and how its turn chooses → everything that placing its units needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Campaign
from nudges.draws import Placing, Salts, place
from nudges.steps.choose.committed import Choice
from nudges.steps.choose.policy import allowed_arms
from nudges.steps.choose.reach import Reachable
from nudges.steps.choose.rounds import unit_places
from nudges.steps.choose.scope import Scope
from nudges.steps.groups import group_flags
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Turn:
    """One campaign's turn as seen from one of its weeks; n units.

    Attributes:
        campaign: with the arms of the turn.
        week: of the run.
        choice: how the turn chooses.
        scope: households and units.
        reach: who can be written to.
        is_new: (n,) units that the turn has not placed in an earlier week.
        placing: lanes and draws, (n,) each; those of units that are not new are read back.
        groups: (n,) flags of the groups that stops and coverage name.
        allowed: (n, n_arms) arms that a unit may get; None when every one may get all.
    """

    campaign: Campaign
    week: Week
    choice: Choice
    scope: Scope
    reach: Reachable
    is_new: Flags
    placing: Placing
    groups: Mapping[str, Flags]
    allowed: Flags | None

    @property
    def weeks_left(self) -> int:
        """Weeks of the turn from this one on; all of them before the campaign starts."""
        number = self.campaign.turn_of(self.week)
        begins = max(self.week, self.campaign.turn_starts(number))
        return max(self.campaign.turn_ends(number).number - begins.number + 1, 1)


def turn_of(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    *,
    choice: Choice,
    scope: Scope,
    reach: Reachable,
    is_new: Flags,
) -> Turn:
    """Place the units of a campaign that are new to the turn `week` is in."""
    salts = Salts.of(campaign.salt, ws.council.salt, campaign.turn_of(week))
    new = np.flatnonzero(is_new)
    placed = place(
        scope.units.take(pa.array(new)).to_pylist(),
        salts,
        choice.shares,
        choice.holdout_share,
        control_draw=unit_places(scope, choice.rounds)[new] if choice.rounds else None,
    )
    names = sorted({*(group for group, _ in choice.stops), *campaign.coverage})
    groups = group_flags(connection, scope.homes, week.number, names) if names else {}
    allowed = allowed_arms(choice.stops, groups, choice.arms, len(scope.units))
    return Turn(campaign, week, choice, scope, reach, is_new, _scattered(placed, new, len(is_new)), groups, allowed)


def _scattered(placed: Placing, rows: NDArray[np.intp], n: int) -> Placing:
    """Draws of some rows among n; the others are in no lane that gets anything."""
    if len(rows) == n:
        return placed
    lane, draw, arm_draw, tie = (np.zeros(n, dtype=np.int8), *(np.zeros(n) for _ in range(3)))
    lane[rows], draw[rows], arm_draw[rows], tie[rows] = placed.lane, placed.draw, placed.arm_draw, placed.tie
    return Placing(lane, draw, arm_draw, tie)
