"""Households and arms → who can be written to by which medium, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Arm, Campaign, Medium, MessageState, Reach
from nudges.steps.choose.scope import Scope
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arms = NDArray[np.intp]
Prices = Mapping[tuple[str, Medium], float]

_PRICES = """
SELECT arm, medium, AVG(cost_pence) AS pence FROM messages
WHERE campaign = :campaign AND week_no < :week AND state <> :dropped GROUP BY arm, medium
"""


@dataclass(frozen=True, slots=True)
class Reachable:
    """Who could be written to under each arm; (n, n_arms), the control's column False and 0.

    `carried` says by medium and arm index which households a message would go to.
    """

    known: Flags
    open: Flags
    cost_pence: Floats
    carried: Mapping[tuple[Medium, int], Flags]


def expected_prices(ws: Workspace, campaign: Campaign, week: Week) -> dict[tuple[str, Medium], float]:
    """Pence of one message by arm and medium: what this campaign's cost before, or one fragment and one email."""
    past = ws.ledger.select(_PRICES, campaign=campaign.id, week=week.number, dropped=MessageState.DROPPED).to_pylist()
    # Databases add floats in their own order: rounded, so that the same rows give the same prices.
    known = {(row["arm"], row["medium"]): round(float(row["pence"]), 6) for row in past}
    first = {Medium.SMS: ws.council.pence_per_fragment, Medium.EMAIL: ws.council.pence_per_email}
    return {
        (arm.id, medium): known.get((arm.id, medium), first[medium]) for arm in campaign.arms for medium in arm.media
    }


def arm_costs(campaign: Campaign, prices: Prices) -> Floats:
    """Expected pence of each arm's message to a household with all its media, (n_arms,)."""
    used = {arm.id: arm.media[:1] if arm.reach is Reach.FIRST else arm.media for arm in campaign.arms}
    return np.array([0.0, *(sum(prices[arm, medium] for medium in media) for arm, media in used.items())])


def reachable(campaign: Campaign, scope: Scope, prices: Prices) -> Reachable:
    """Who could be written to under each arm of the campaign."""
    shape = (len(scope.unit), len(campaign.arm_ids))
    known, opened, cost = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool), np.zeros(shape)
    carried = {}
    for column, arm in enumerate(campaign.arms, start=1):
        for medium, goes in _carried(arm, scope).items():
            known[:, column] |= scope.known[medium]
            opened[:, column] |= scope.open[medium]
            cost[:, column] += goes * prices[arm.id, medium]
            carried[medium, column] = goes
    return Reachable(known, opened, cost, carried)


def _carried(arm: Arm, scope: Scope) -> dict[Medium, Flags]:
    """Which households each medium of an arm would carry a message to: every open one, or only the first."""
    carried: dict[Medium, Flags] = {}
    taken = np.zeros(len(scope.unit), dtype=bool)
    for medium in arm.media:
        carried[medium] = scope.open[medium] & ~taken
        if arm.reach is Reach.FIRST:
            taken |= scope.open[medium]
    return carried


def of_arm(matrix: NDArray[np.generic], arm: Arms) -> NDArray[np.generic]:
    """Each row's entry of its arm."""
    return np.asarray(np.take_along_axis(matrix, arm[:, None], axis=1)[:, 0])


def by_unit(scope: Scope, households: NDArray[np.generic]) -> Floats:
    """Sums over the households of each unit, (units, columns), from (households, columns)."""
    columns = [np.bincount(scope.unit, column, len(scope.units)) for column in households.T.astype(np.float64)]
    return np.asarray(np.column_stack(columns), dtype=np.float64)


def by_medium(
    campaign: Campaign, reach: Reachable, arm: Arms, goes: Flags, prices: Prices
) -> dict[Medium, tuple[int, float]]:
    """Messages and expected pence by medium."""
    counts: dict[Medium, tuple[int, float]] = {}
    for (medium, column), carried in reach.carried.items():
        count = int((goes & (arm == column) & carried).sum())
        messages, pence = counts.get(medium, (0, 0.0))
        counts[medium] = (messages + count, pence + count * prices[campaign.arms[column - 1].id, medium])
    return counts
