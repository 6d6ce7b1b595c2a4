"""One campaign's scope, policy and budget → an arm and a reason for every household. Reads, never writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from nudges.domain import Arm, Campaign, Medium, MessageState, Reach
from nudges.draws import LEARN, Salts, given_arms, place, propensities
from nudges.eligibility import Standing, reasons, sendable
from nudges.steps.choose.committed import ANY_ARM, Choice, Given, committed_choice, read_back
from nudges.steps.choose.policy import Demand, latest_policy, model_arms, single_arm
from nudges.steps.choose.scope import Scope, read_scope
from nudges.steps.matrix import feature_blocks
from nudges.steps.models import load_model
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

__all__ = ["ANY_ARM", "Chosen", "Reachable", "arm_costs", "choosing", "expected_prices"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PRICES = """
SELECT arm, medium, AVG(cost_pence) AS pence FROM messages
WHERE campaign = :campaign AND week_no < :week AND state <> :dropped GROUP BY arm, medium
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What choosing came to; n households.

    Attributes:
        scope: who they are.
        policy: as in the ledger.
        price_per_penny: dual price of the budget.
        lane: (n,) index into draws.LANES.
        arm: (n,) index into the campaign's arms.
        policy_arm: (n,) index, or draws.UNIFORM.
        draw: (n,) lane draw.
        propensity: (n,) of the arm given.
        is_contactable: (n,) had an open contact for some medium of every arm.
        reason: (n,) index into eligibility.REASONS.
        cost_pence: (n,) expected price of the message, 0 where none goes.
        medium_pence, medium_messages: expected spend and messages by medium.
    """

    scope: Scope
    policy: str
    price_per_penny: float
    lane: NDArray[np.int8]
    arm: NDArray[np.intp]
    policy_arm: NDArray[np.intp]
    draw: Floats
    propensity: Floats
    is_contactable: Flags
    reason: NDArray[np.intp]
    cost_pence: Floats
    medium_pence: Mapping[Medium, float]
    medium_messages: Mapping[Medium, int]


@dataclass(frozen=True, slots=True)
class Reachable:
    """Who could be written to under each arm; (n, n_arms), the control's column False and 0."""

    known: Flags
    open: Flags
    cost_pence: Floats


def choosing(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> Chosen:
    """Choose for one campaign. `connection` has views of features, membership and audience up to `week`.

    What was committed for the week before wins: policy, shares, lanes, arms and propensities are read back, only
    reasons follow today's stops, suppressions and caps.
    """
    scope = read_scope(ws, campaign, week, connection)
    made = committed_choice(ws, campaign, week)
    choice = made or Choice(latest_policy(ws, campaign, week), 0.0, campaign.shares, ws.council.holdout_share)
    prices = expected_prices(ws, campaign, week)
    reach = _reach(campaign, scope, prices)
    is_stopped = ws.ledger.stopped(campaign.id)
    given, price = _given(ws, campaign, week, connection, scope=scope, reach=reach, choice=choice)
    if made:
        price = made.price_per_penny
        read_back(ws, campaign, week, scope, given)
    standing = _standing(scope, given, reach, is_stopped=is_stopped)
    cost = np.where(sendable(standing), _of_arm(reach.cost_pence, given.arm), 0.0)
    is_paid = _paid(cost, standing, given.draw, float(campaign.budget_pence))
    reason = reasons(standing, is_paid)
    goes = sendable(standing) & is_paid
    by_medium = _by_medium(campaign, scope, given.arm, goes, prices)
    return Chosen(
        scope=scope,
        policy=choice.policy,
        price_per_penny=price,
        lane=given.lane,
        arm=given.arm,
        policy_arm=given.policy_arm,
        draw=given.draw,
        propensity=given.propensity,
        is_contactable=given.is_contactable,
        reason=reason,
        cost_pence=np.where(goes, cost, 0.0),
        medium_pence={medium: pence for medium, (_, pence) in by_medium.items()},
        medium_messages={medium: count for medium, (count, _) in by_medium.items()},
    )


def expected_prices(ws: Workspace, campaign: Campaign, week: Week) -> dict[tuple[str, Medium], float]:
    """Pence of one message by arm and medium: what this campaign's cost before, or one fragment and one email."""
    past = ws.ledger.select(_PRICES, campaign=campaign.id, week=week.number, dropped=MessageState.DROPPED).to_pylist()
    # Databases add floats in their own order: rounded, so that the same rows give the same prices.
    known = {(row["arm"], row["medium"]): round(float(row["pence"]), 6) for row in past}
    first = {Medium.SMS: ws.council.pence_per_fragment, Medium.EMAIL: ws.council.pence_per_email}
    return {
        (arm.id, medium): known.get((arm.id, medium), first[medium]) for arm in campaign.arms for medium in arm.media
    }


def arm_costs(campaign: Campaign, prices: Mapping[tuple[str, Medium], float]) -> Floats:
    """Expected pence of each arm's message to a household with all its media, (n_arms,)."""
    used = {arm.id: arm.media[:1] if arm.reach is Reach.FIRST else arm.media for arm in campaign.arms}
    return np.array([0.0, *(sum(prices[arm, medium] for medium in media) for arm, media in used.items())])


def _reach(campaign: Campaign, scope: Scope, prices: Mapping[tuple[str, Medium], float]) -> Reachable:
    shape = (len(scope.unit), len(campaign.arm_ids))
    known, opened, cost = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool), np.zeros(shape)
    for column, arm in enumerate(campaign.arms, start=1):
        for medium, goes in _carried(arm, scope).items():
            known[:, column] |= scope.known[medium]
            opened[:, column] |= scope.open[medium]
            cost[:, column] += goes * prices[arm.id, medium]
    return Reachable(known, opened, cost)


def _carried(arm: Arm, scope: Scope) -> dict[Medium, Flags]:
    """Which households each medium of an arm would carry a message to: every open one, or only the first."""
    carried: dict[Medium, Flags] = {}
    taken = np.zeros(len(scope.unit), dtype=bool)
    for medium in arm.media:
        carried[medium] = scope.open[medium] & ~taken
        if arm.reach is Reach.FIRST:
            taken |= scope.open[medium]
    return carried


def _of_arm(matrix: NDArray[np.generic], arm: NDArray[np.intp]) -> NDArray[np.generic]:
    return np.asarray(np.take_along_axis(matrix, arm[:, None], axis=1)[:, 0])


def _given(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    *,
    scope: Scope,
    reach: Reachable,
    choice: Choice,
) -> tuple[Given, float]:
    """Lanes by hash, arms by lane and policy, and the dual price."""
    salts = Salts.of(campaign.salt, ws.council.salt)
    n_arms = len(campaign.arm_ids)
    placing = place(scope.units.to_pylist(), salts, choice.shares, choice.holdout_share)
    price, policy = 0.0, choice.policy
    if policy.startswith("model:"):
        model = load_model(ws, campaign, policy.removeprefix("model:"))
        learn_arm = np.where(placing.lane == LEARN, given_arms(placing, np.zeros(len(scope.units), np.intp), n_arms), 0)
        best_share = (1.0 - choice.holdout_share) * choice.shares.best
        demand = _demand(ws, campaign, week, scope=scope, reach=reach, learn_arm=learn_arm, best_share=best_share)
        effect = np.zeros((len(scope.units), n_arms - 1))
        for rows, block in feature_blocks(connection, scope.homes, week.number, model.columns):
            effect[rows] = model.estimator.effect(block)
        policy_arm, price = model_arms(model, effect, demand, tie_salt=salts.tie)
    else:
        policy_arm = np.full(len(scope.units), single_arm(policy, campaign), dtype=np.intp)
    arm = given_arms(placing, policy_arm, n_arms)
    chance = propensities(policy_arm, n_arms, shares=choice.shares, holdout_share=choice.holdout_share)
    unit = scope.unit
    return (
        Given(
            lane=placing.lane[unit],
            arm=arm[unit],
            policy_arm=policy_arm[unit],
            draw=placing.draw[unit],
            propensity=np.asarray(_of_arm(chance, arm), dtype=np.float64)[unit],
            is_contactable=np.asarray(reach.open[:, 1:].all(axis=1), dtype=bool),
        ),
        price,
    )


def _demand(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    *,
    scope: Scope,
    reach: Reachable,
    learn_arm: NDArray[np.intp],
    best_share: float,
) -> Demand:
    """Budget for the best lane once the learn lane is paid, blown up to all units so that lanes cannot matter."""
    ready = reach.open & (scope.has_service & ~scope.is_capped)[:, None]
    n_units = len(scope.units)
    by_unit = np.column_stack([np.bincount(scope.unit, column, n_units) for column in ready.T.astype(np.float64)])
    spent = (_of_arm(reach.cost_pence * ready, learn_arm[scope.unit])).sum()
    left = max(float(campaign.budget_pence) - float(spent), 0.0)
    return Demand(
        units=scope.units,
        ready=np.asarray(by_unit, dtype=np.float64),
        cost_pence=arm_costs(campaign, expected_prices(ws, campaign, week)),
        budget_pence=left / best_share if best_share > 0 else 0.0,
    )


def _standing(scope: Scope, given: Given, reach: Reachable, *, is_stopped: bool) -> Standing:
    n = len(scope.unit)
    return Standing(
        has_service=scope.has_service,
        lane=given.lane,
        arm=given.arm,
        is_stopped=np.full(n, is_stopped),
        has_contact=np.asarray(_of_arm(reach.known, given.arm), dtype=bool),
        has_open_contact=np.asarray(_of_arm(reach.open, given.arm), dtype=bool),
        is_capped=scope.is_capped,
    )


def _paid(cost: Floats, standing: Standing, draw: Floats, budget: float) -> Flags:
    """Who the budget reaches: the learn lane first, then by draw; what costs nothing always."""
    order = np.lexsort((draw, standing.lane != LEARN))
    paid = np.empty(len(cost), dtype=bool)
    paid[order] = np.cumsum(cost[order]) <= budget
    return np.asarray(paid | (cost == 0))


def _by_medium(
    campaign: Campaign, scope: Scope, arm: NDArray[np.intp], goes: Flags, prices: Mapping[tuple[str, Medium], float]
) -> dict[Medium, tuple[int, float]]:
    """Messages and expected pence by medium."""
    counts: dict[Medium, tuple[int, float]] = {}
    for column, each in enumerate(campaign.arms, start=1):
        for medium, carried in _carried(each, scope).items():
            count = int((goes & (arm == column) & carried).sum())
            messages, pence = counts.get(medium, (0, 0.0))
            counts[medium] = (messages + count, pence + count * prices[each.id, medium])
    return counts
