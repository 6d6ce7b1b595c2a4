"""A campaign's scope in a week and how its turn chooses → everything that placing its units needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from nudges.domain import Campaign
from nudges.draws import Placing, Salts, place
from nudges.steps.choose.committed import Choice
from nudges.steps.choose.policy import allowed_arms
from nudges.steps.choose.reach import Reachable
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
        placing: lanes and draws, (n,) each.
        groups: (n,) flags of the groups that stops and coverage name.
        allowed: (n, n_arms) arms that a unit may get; None when every one may get all.
    """

    campaign: Campaign
    week: Week
    choice: Choice
    scope: Scope
    reach: Reachable
    placing: Placing
    groups: Mapping[str, Flags]
    allowed: Flags | None

    @property
    def weeks_left(self) -> int:
        """Weeks of the turn from this one on."""
        ends = self.campaign.turn_ends(self.campaign.turn_of(self.week))
        return max(ends.number - self.week.number + 1, 1)


def turn_of(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    *,
    choice: Choice,
    scope: Scope,
    reach: Reachable,
) -> Turn:
    """Place the units of a campaign in the turn that `week` is in."""
    salts = Salts.of(campaign.salt, ws.council.salt, campaign.turn_of(week))
    placing = place(scope.units.to_pylist(), salts, choice.shares, choice.holdout_share)
    names = sorted({*(group for group, _ in choice.stops), *campaign.coverage})
    groups = group_flags(connection, scope.homes, week.number, names) if names else {}
    allowed = allowed_arms(choice.stops, groups, choice.arms, len(scope.units))
    return Turn(campaign, week, choice, scope, reach, placing, groups, allowed)
