"""A campaign's budget, caps, capacities and coverage → what a turn's policy may use, and whom a week still reaches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nudges.choice import Coverage, Limit
from nudges.domain import Campaign
from nudges.draws import LEARN, learn_chances
from nudges.eligibility import Standing, sendable
from nudges.steps.choose.policy import Demand
from nudges.steps.choose.reach import Reachable, by_unit, of_arm
from nudges.steps.choose.scope import Scope
from nudges.steps.choose.turn import Turn

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def demand_of(turn: Turn, cost_pence: Floats) -> Demand:
    """What the policy may use in the weeks that are left of a turn.

    What the learn lane is expected to use comes off first; the rest is blown up from the best lane to all units, so
    that no unit's own lane can matter to what the policy would give it.
    """
    campaign, scope, reach, choice = turn.campaign, turn.scope, turn.reach, turn.choice
    ready = reach.open & (scope.has_service & ~scope.is_capped)[:, None]
    learn = (1.0 - choice.holdout_share) * choice.shares.learn * learn_chances(len(choice.arms), turn.allowed)
    best = (1.0 - choice.holdout_share) * choice.shares.best

    def left(at_most: float, use: Floats) -> float:
        return max(at_most * turn.weeks_left - float((learn * use).sum()), 0.0) / best if best > 0 else 0.0

    units = by_unit(scope, ready)
    return Demand(
        ready=units,
        cost_pence=cost_pence,
        budget_pence=left(campaign.budget_pence, by_unit(scope, reach.cost_pence * ready)),
        limits=tuple(Limit(name, use, left(most, use)) for name, most, use in _uses(campaign, scope, reach, ready)),
        coverage=_coverage(campaign, turn.groups, np.asarray(units.any(axis=1))),
        tie=turn.placing.tie,
    )


def _uses(campaign: Campaign, scope: Scope, reach: Reachable, ready: Flags) -> list[tuple[str, float, Floats]]:
    """Name, most a week, and use by unit and arm of every limit: caps in households, capacities in messages."""
    found = []
    for column, arm in enumerate(campaign.arms, start=1):
        if arm.most is not None:
            own = np.zeros(ready.shape)
            own[:, column] = ready[:, column]
            found.append((f"arm {arm.id}", float(arm.most), by_unit(scope, own)))
    for medium, most in campaign.capacity.items():
        own = np.zeros(ready.shape)
        for (carrier, column), carried in reach.carried.items():
            if carrier is medium:
                own[:, column] = carried & ready[:, column]
        found.append((f"{medium} capacity", float(most), by_unit(scope, own)))
    return found


def _coverage(campaign: Campaign, groups: Mapping[str, Flags], is_reachable: Flags) -> tuple[Coverage, ...]:
    rows = {segment: groups[segment] & is_reachable for segment in campaign.coverage}
    return tuple(
        Coverage(segment, rows[segment], share * float(rows[segment].sum()))
        for segment, share in campaign.coverage.items()
    )


def reached(campaign: Campaign, standing: Standing, reach: Reachable, draw: Floats) -> tuple[Floats, Flags, Flags]:
    """Expected pence of each household's message, whether the week has room for it, and whether the budget pays it.

    The learn lane goes first, then by draw. Caps and capacities count only who could be sent to, money only who has
    room; what costs nothing is always paid.
    """
    goes = sendable(standing)
    order = np.lexsort((draw, standing.lane != LEARN))
    has_room = np.ones(len(draw), dtype=bool)
    for column, arm in enumerate(campaign.arms, start=1):
        if arm.most is not None:
            uses = (goes & has_room & (standing.arm == column)).astype(np.float64)
            has_room &= _within(uses, order, float(arm.most))
    for medium, most in campaign.capacity.items():
        uses = np.zeros(len(draw))
        for (carrier, column), carried in reach.carried.items():
            if carrier is medium:
                uses += goes & has_room & carried & (standing.arm == column)
        has_room &= _within(uses, order, float(most))
    cost = np.where(goes & has_room, of_arm(reach.cost_pence, standing.arm), 0.0)
    return cost, has_room, _within(cost, order, float(campaign.budget_pence))


def _within(uses: Floats, order: NDArray[np.intp], most: float) -> Flags:
    """Who is reached before it is used up; those that use nothing always."""
    inside = np.empty(len(uses), dtype=bool)
    inside[order] = np.cumsum(uses[order]) <= most
    return np.asarray(inside | (uses == 0))
