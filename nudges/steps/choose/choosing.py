"""One campaign's scope, policy and budget → an arm and a reason for every household. Reads, never writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.choice import Allocation, at_price
from nudges.domain import Campaign, Medium, Unit
from nudges.draws import given_arms, propensities
from nudges.eligibility import Standing, reasons, sendable
from nudges.steps.choose.committed import (
    ANY_ARM,
    Choice,
    Given,
    committed_choice,
    earlier_in_turn,
    read_back,
    with_arms,
)
from nudges.steps.choose.constraints import demand_of, reached
from nudges.steps.choose.policy import (
    allocated_arms,
    fixed_policy,
    latest_policy,
    net_worth,
    stopped_to_none,
)
from nudges.steps.choose.reach import Reachable, arm_costs, by_medium, expected_prices, of_arm, reachable
from nudges.steps.choose.rounds import drawn_rounds, in_rounds
from nudges.steps.choose.scope import Scope, read_scope
from nudges.steps.choose.turn import Turn, turn_of
from nudges.steps.matrix import feature_blocks
from nudges.steps.models import load_model
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

__all__ = ["ANY_ARM", "Choice", "Chosen", "arm_costs", "choosing", "expected_prices"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arms = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What choosing came to; n households.

    Attributes:
        scope: who they are.
        turn: number of the campaign's turn.
        choice: how the turn chooses; its arms are what the indices below point into.
        worth: what money, limits and coverage were worth to the model's policy; None for other policies, and in
            weeks after the turn's first.
        lane: (n,) index into draws.LANES.
        arm: (n,) arm index.
        policy_arm: (n,) index, or draws.UNIFORM.
        draw: (n,) lane draw.
        propensity: (n,) of the arm given.
        is_contactable: (n,) had an open contact for some medium of every arm.
        first_week_no: (n,) since when the unit has its lane and arm.
        reason: (n,) index into eligibility.REASONS.
        cost_pence: (n,) expected price of the message, 0 where none goes.
        medium_pence, medium_messages: expected spend and messages by medium.
    """

    scope: Scope
    turn: int
    choice: Choice
    worth: Allocation | None
    lane: NDArray[np.int8]
    arm: Arms
    policy_arm: Arms
    draw: Floats
    propensity: Floats
    is_contactable: Flags
    first_week_no: NDArray[np.int64]
    reason: Arms
    cost_pence: Floats
    medium_pence: Mapping[Medium, float]
    medium_messages: Mapping[Medium, int]

    @property
    def policy(self) -> str:
        """As in the ledger."""
        return self.choice.policy

    @property
    def price_per_penny(self) -> float:
        """Dual price of the turn's budget."""
        worth = self.worth
        return self.choice.price_per_penny if worth is None or self.choice.is_committed else worth.price_per_penny


def choosing(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> Chosen:
    """Choose for one campaign. `connection` has views of features, membership and audience up to `week`.

    What was committed in the turn before wins: policy, stops, shares, lanes, arms and propensities are read back,
    only reasons follow today's stops, suppressions and caps.

    Raises:
        UnsupportedError: the campaign draws rounds and reaches too few of them.
    """
    scope = read_scope(ws, campaign, week, connection)
    choice = committed_choice(ws, campaign, week) or _new_choice(ws, campaign, week, scope)
    if choice.rounds:
        scope = in_rounds(scope, choice.rounds)
    campaign = with_arms(campaign, choice.arms)
    prices = expected_prices(ws, campaign, week)
    reach = reachable(campaign, scope, prices)
    earlier = earlier_in_turn(ws, campaign, week, scope, choice)
    turn = turn_of(ws, campaign, week, connection, choice=choice, scope=scope, reach=reach, is_new=earlier[1] < 0)
    policy_arm, mixture, worth = _policy(ws, turn, connection, arm_costs(campaign, prices))
    given = _given(turn, policy_arm, mixture)
    read_back(ws, campaign, week, scope, choice, given, earlier)
    standing = _standing(scope, given, reach, is_stopped=ws.ledger.stopped(campaign.id))
    cost, has_room, is_paid = reached(campaign, standing, reach, given.draw)
    goes = sendable(standing) & has_room & is_paid
    sums = by_medium(campaign, reach, given.arm, goes, prices)
    return Chosen(
        scope=scope,
        turn=campaign.turn_of(week),
        choice=choice,
        worth=worth,
        lane=given.lane,
        arm=given.arm,
        policy_arm=given.policy_arm,
        draw=given.draw,
        propensity=given.propensity,
        is_contactable=given.is_contactable,
        first_week_no=given.first_week_no,
        reason=reasons(standing, is_paid, has_room),
        cost_pence=np.where(goes, cost, 0.0),
        medium_pence={medium: pence for medium, (_, pence) in sums.items()},
        medium_messages={medium: count for medium, (count, _) in sums.items()},
    )


def _new_choice(ws: Workspace, campaign: Campaign, week: Week, scope: Scope) -> Choice:
    """How a turn that begins now chooses. Where rounds are drawn nothing is learned, so messages are drawn evenly."""
    held, arms = ws.council.holdout_share, campaign.arm_ids
    if campaign.unit is Unit.ROUND:
        rounds = drawn_rounds(ws, campaign, week, scope)
        return Choice(week.number, "uniform", 0.0, rounds.lanes(campaign.shares), held, arms, (), rounds)
    policy, stops = latest_policy(ws, campaign, week)
    return Choice(week.number, policy, 0.0, campaign.shares, held, arms, stops)


def _policy(
    ws: Workspace, turn: Turn, connection: duckdb.DuckDBPyConnection, cost_pence: Floats
) -> tuple[Arms, Floats | None, Allocation | None]:
    """The policy's arm for every unit, the mixture where there is one, and what the model's constraints were worth."""
    choice = turn.choice
    if not choice.policy.startswith("model:"):
        arm, mixture = fixed_policy(choice.policy, turn.campaign)
        arms = np.full(len(turn.scope.units), arm, dtype=np.intp)
        return stopped_to_none(arms, turn.allowed), mixture, None
    model = load_model(ws, turn.campaign, choice.policy.removeprefix("model:"))
    effect = np.zeros((len(turn.scope.units), len(choice.arms) - 1))
    new = np.flatnonzero(turn.is_new)
    homes = turn.scope.homes.take(pa.array(new))
    for rows, block in feature_blocks(connection, homes, turn.week.number, model.columns):
        effect[new[rows]] = model.estimator.effect(block)
    demand = demand_of(turn, cost_pence)
    each = net_worth(model, effect, demand, turn.allowed)
    if choice.week_no < turn.week.number:  # who comes later in a turn takes what pays at its price
        return at_price(each, demand.cost_pence, choice.price_per_penny), None, None
    arms, worth = allocated_arms(each, demand)
    return arms, None, worth


def _given(turn: Turn, policy_arm: Arms, mixture: Floats | None) -> Given:
    """Everybody's lane, arm and propensity as drawn now."""
    n_arms, choice, unit = len(turn.choice.arms), turn.choice, turn.scope.unit
    arm = given_arms(turn.placing, policy_arm, n_arms, mixture=mixture, allowed=turn.allowed)
    chance = propensities(
        policy_arm,
        n_arms,
        shares=choice.shares,
        holdout_share=choice.holdout_share,
        mixture=mixture,
        allowed=turn.allowed,
    )
    return Given(
        lane=turn.placing.lane[unit],
        arm=arm[unit],
        policy_arm=policy_arm[unit],
        draw=turn.placing.draw[unit],
        propensity=np.asarray(of_arm(chance, arm), dtype=np.float64)[unit],
        is_contactable=np.asarray(turn.reach.open[:, 1:].all(axis=1), dtype=bool),
        first_week_no=np.full(len(unit), turn.week.number, dtype=np.int64),
    )


def _standing(scope: Scope, given: Given, reach: Reachable, *, is_stopped: bool) -> Standing:
    n = len(scope.unit)
    return Standing(
        has_service=scope.has_service,
        lane=given.lane,
        arm=given.arm,
        is_stopped=np.full(n, is_stopped),
        has_contact=np.asarray(of_arm(reach.known, given.arm), dtype=bool),
        has_open_contact=np.asarray(of_arm(reach.open, given.arm), dtype=bool),
        is_capped=scope.is_capped,
    )
