"""What learning decided → the arm the policy would give each unit in a turn, within what its constraints leave it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.choice import Allocation, Coverage, Limit, allocate_priced, at_price
from nudges.domain import CONTROL, Campaign
from nudges.draws import UNIFORM
from nudges.errors import ConfigError
from nudges.steps.choose.committed import Stops
from nudges.steps.models import Model
from nudges.steps.workspace import Workspace
from nudges.uplift import net_benefit
from nudges.weeks import Week

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arms = NDArray[np.intp]

_CARD = """
SELECT policy, card FROM cards WHERE campaign = :campaign AND week_no <= :week ORDER BY week_no DESC LIMIT 1
"""
_MIXTURE = "mix:"
_NEVER = -1e9  # pence: what no message is worth


@dataclass(frozen=True, slots=True)
class Demand:
    """What the policy may spend on whom; n units, arms with the control first.

    Attributes:
        ready: (n, n_arms) households that could get each arm's message now.
        cost_pence: (n_arms,) expected price of an arm's message to one household.
        budget_pence: of the whole turn for all units, as though each were in the best lane.
        limits: on what all units use, blown up in the same way.
        coverage: least number of units of a group that get some message.
        tie: (n,) draw that orders units that are worth the same.
    """

    ready: Floats
    cost_pence: Floats
    budget_pence: float
    limits: tuple[Limit, ...]
    coverage: tuple[Coverage, ...]
    tie: Floats


def latest_policy(ws: Workspace, campaign: Campaign, week: Week) -> tuple[str, Stops]:
    """Policy and stops of the newest model card up to `week`; uniform and none while there is no card.

    Stops of arms that the campaign no longer has are left out.
    """
    rows = ws.ledger.select(_CARD, campaign=campaign.id, week=week.number).to_pylist()
    if not rows:
        return "uniform", ()
    decision = json.loads(rows[0]["card"]).get("decision", {})
    stops = {(str(stop["segment"]), str(stop["arm"])) for stop in decision.get("stops", ())}
    return str(rows[0]["policy"]), tuple(sorted(pair for pair in stops if pair[1] in campaign.arm_ids))


def fixed_policy(policy: str, campaign: Campaign) -> tuple[int, Floats | None]:
    """A policy that is the same for every unit, as its arm and mixture.

    The arm is UNIFORM where arms are drawn: from the mixture, or evenly from all messages when that is None.

    Raises:
        ConfigError: it names an arm that the campaign no longer has.
    """
    if policy == "uniform":
        return UNIFORM, None
    if policy.startswith(_MIXTURE):
        return UNIFORM, _mixture(policy, campaign)
    return _arm_index(CONTROL if policy == "none" else policy.removeprefix("arm:"), campaign), None


def _mixture(policy: str, campaign: Campaign) -> Floats:
    mixture = np.zeros(len(campaign.arm_ids))
    for part in policy.removeprefix(_MIXTURE).split(","):
        arm, _, chance = part.partition("=")
        mixture[_arm_index(arm, campaign)] = float(chance)
    return np.asarray(mixture / mixture.sum())


def _arm_index(arm: str, campaign: Campaign) -> int:
    if arm not in campaign.arm_ids:
        raise ConfigError(
            f"campaigns/{campaign.id}.toml: arm {arm!r} is gone, but learning chose it. Put it back, or learn again."
        )
    return campaign.arm_ids.index(arm)


def allowed_arms(stops: Stops, groups: Mapping[str, Flags], arms: Sequence[str], n: int) -> Flags | None:
    """Which arms each of n units may get, (n, n_arms); None when every one may get all."""
    if not stops:
        return None
    allowed = np.ones((n, len(arms)), dtype=bool)
    for group, arm in stops:
        if arm in arms:
            allowed[groups[group], arms.index(arm)] = False
    return allowed


def net_worth(model: Model, effect: Floats, demand: Demand, allowed: Flags | None) -> Floats:
    """Benefit of every arm to one household of each unit less its message, (n, n_arms) pence."""
    each = net_benefit(effect, np.ones(len(effect)), demand.cost_pence, model.pence_per_outcome)
    if allowed is not None:
        each[~allowed] = _NEVER
    return each


def allocated_arms(each: Floats, demand: Demand) -> tuple[Arms, Allocation]:
    """The model's arm for every unit, and what money, limits and coverage were worth, from net worths (n, n_arms).

    Units that could get a message share what there is; the others get the arm that is worth most at that price, and
    cost nothing.
    """
    rows = np.flatnonzero(demand.ready.any(axis=1))
    ready = demand.ready[rows]
    worth = np.where(each[rows] <= _NEVER, _NEVER, each[rows] * ready)
    found = allocate_priced(
        worth,
        demand.cost_pence * ready,
        budget_pence=demand.budget_pence,
        limits=tuple(Limit(one.name, one.use[rows], one.at_most) for one in demand.limits),
        coverage=tuple(Coverage(one.name, one.rows[rows], one.at_least) for one in demand.coverage),
        ties=demand.tie[rows],
    )
    arm = at_price(each, demand.cost_pence, found.price_per_penny)
    arm[rows] = found.arm
    return arm, found


def stopped_to_none(policy_arm: Arms, allowed: Flags | None) -> Arms:
    """The policy's arms with those that a unit must not get turned into none."""
    if allowed is None:
        return policy_arm
    decided = np.maximum(policy_arm, 0)
    is_stopped = ~np.take_along_axis(allowed, decided[:, None], axis=1)[:, 0] & (policy_arm != UNIFORM)
    return np.where(is_stopped, 0, policy_arm).astype(np.intp)
