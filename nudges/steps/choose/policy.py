"""What learning decided → the arm the policy would give each unit, within what the budget leaves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.choice import allocate_priced, at_price
from nudges.domain import CONTROL, Campaign
from nudges.draws import UNIFORM, draws
from nudges.errors import ConfigError
from nudges.steps.models import Model
from nudges.steps.workspace import Workspace
from nudges.uplift import net_benefit
from nudges.weeks import Week

_CARD = """
SELECT policy FROM cards WHERE campaign = :campaign AND week_no <= :week ORDER BY week_no DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Demand:
    """What the policy may spend on whom; n units, arms with the control first.

    Attributes:
        units: (n,) unit ids.
        ready: (n, n_arms) households that could get each arm's message now.
        cost_pence: (n_arms,) expected price of an arm's message to one household.
        budget_pence: for all units, as though each were in the best lane.
    """

    units: pa.Array
    ready: NDArray[np.float64]
    cost_pence: NDArray[np.float64]
    budget_pence: float


def latest_policy(ws: Workspace, campaign: Campaign, week: Week) -> str:
    """Policy of the newest model card up to `week`; uniform while there is none."""
    rows = ws.ledger.select(_CARD, campaign=campaign.id, week=week.number).to_pylist()
    return str(rows[0]["policy"]) if rows else "uniform"


def single_arm(policy: str, campaign: Campaign) -> int:
    """Arm index of a policy that is the same for every unit, or UNIFORM."""
    if policy == "uniform":
        return UNIFORM
    arm = CONTROL if policy == "none" else policy.removeprefix("arm:")
    if arm not in campaign.arm_ids:
        raise ConfigError(
            f"campaigns/{campaign.id}.toml: arm {arm!r} is gone, but learning chose it. Put it back, or learn again."
        )
    return campaign.arm_ids.index(arm)


def model_arms(
    model: Model, effect: NDArray[np.float64], demand: Demand, *, tie_salt: str
) -> tuple[NDArray[np.intp], float]:
    """The model's arm for every unit and the dual price of the budget, from effects (n, n_arms - 1).

    Units that could get a message share the budget, equals in the order of a hash that has nothing to do with lanes;
    the others get the arm that is worth most at that price, and cost nothing.
    """
    each = net_benefit(effect, np.ones(len(effect)), demand.cost_pence, model.pence_per_outcome)
    order = np.argsort(draws(tie_salt, demand.units.to_pylist()), kind="stable")
    rows = order[demand.ready[order].any(axis=1)]
    ready = demand.ready[rows]
    found = allocate_priced(each[rows] * ready, demand.cost_pence * ready, budget_pence=demand.budget_pence)
    arm = at_price(each, demand.cost_pence, found.price_per_penny)
    arm[rows] = found.arm
    return arm, found.price_per_penny
