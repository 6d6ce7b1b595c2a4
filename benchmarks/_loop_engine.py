"""Turns closed turns into the next one by the functions of the weekly run: draws, decide, allocate and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks._loop_borough import FEATURES, TURN_WEEKS, World
from benchmarks._loop_choosers import Choice, Setting
from benchmarks._loop_effects import ARMS, COST_PENCE
from nudges import draws, estimators
from nudges.choice import allocate_priced
from nudges.domain import Outcome, Shares
from nudges.steps.choose.policy import stopped_to_none
from nudges.uplift import Decision, Detail, Earlier, Evidence, Prices, decide, net_benefit, pence_per_outcome
from nudges.uplift.sampling import shares_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHARES = Shares(control=0.10, learn=0.10, best=0.80)
"""Lanes of the campaign; there is no holdout besides. Outside the control lane no arm is ever rarer than 2.8 %."""

OUTSIDE = Shares(0.0, SHARES.learn / (SHARES.learn + SHARES.best), SHARES.best / (SHARES.learn + SHARES.best))
"""The same for a home known to be outside the control lane."""

ESTIMATOR = "causal_stack"
SEED = 20260105
N_ARMS = len(ARMS)


def placed(world: World, seed: int, turn: int) -> draws.Placing:
    """Lanes and draws of a turn."""
    return draws.place(world.ids.to_pylist(), draws.Salts.of(f"loop-{seed}", "demo", turn), SHARES, 0.0)


def control_lane(world: World, seed: int) -> Flags:
    """Homes that get nothing all year, whoever chooses, (n,)."""
    return np.asarray(placed(world, seed, 0).lane == draws.CONTROL_LANE)


@dataclass(slots=True)
class Engine:
    """Learns after every turn, from all turns, what the next one's best lane gets.

    Attributes:
        decisions: what the gate said before each turn but the first.
    """

    estimator: str = ESTIMATOR
    decisions: list[Decision] = field(default_factory=list)
    _earlier: Earlier | None = None

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:
        """Arms of the next turn."""
        policy = "uniform"
        policy_arm, mixture, allowed = np.full(world.size, draws.UNIFORM, dtype=np.intp), None, None
        if turn:
            evidence, prices = _evidence(setting), self._prices(setting)
            decision = self._decide(evidence, prices, turn, setting)
            policy, allowed = decision.policy, _allowed(decision, X)
            if policy == "model":
                policy_arm = self._model_arms(evidence, X, prices, allowed)
            else:
                arm, mixture = _fixed(policy)
                policy_arm[:] = arm
            policy_arm = stopped_to_none(policy_arm, allowed)
        placing = placed(world, setting.seed, turn)
        arm = draws.given_arms(placing, policy_arm, N_ARMS, mixture=mixture, allowed=allowed)
        shares = OUTSIDE if turn else SHARES
        chance = draws.propensities(
            policy_arm, N_ARMS, shares=shares, holdout_share=0.0, mixture=mixture, allowed=allowed
        )
        return Choice(arm, chance, policy)

    def _decide(self, evidence: Evidence, prices: Prices, turn: int, setting: Setting) -> Decision:
        decision = decide(
            evidence,
            estimators.load(self.estimator),
            prices,
            seed=SEED,
            looks=setting.turns,
            earlier=self._earlier,
            week=turn * TURN_WEEKS,
            detail=Detail.GATE,
        )
        self.decisions.append(decision)
        self._earlier = decision.memory
        return decision

    def _prices(self, setting: Setting) -> Prices:
        return Prices(
            pence_per_outcome=pence_per_outcome(
                Outcome.RESIDUAL_KG,
                residual_pence_per_tonne=1000 * setting.pence_per_kg,
                tag_cost_pence=0.0,
                weeks=TURN_WEEKS,
            ),
            cost_pence=COST_PENCE,
            budget_pence_per_household=float(COST_PENCE.max()),
        )

    def _model_arms(self, evidence: Evidence, X: Floats, prices: Prices, allowed: Flags | None) -> NDArray[np.intp]:
        model = estimators.load(self.estimator).set_params(arms=evidence.arms)
        model.fit(
            evidence.X,
            evidence.y,
            treatment=np.asarray(ARMS)[evidence.given],
            propensity=evidence.propensity,
            groups=evidence.groups,
        )
        worth = net_benefit(model.effect(X), np.ones(len(X)), prices.cost_pence, prices.pence_per_outcome)
        if allowed is not None:
            worth[~allowed] = -1e9
        return allocate_priced(worth, prices.cost_pence, budget_pence=float("inf")).arm


def segments(X: Floats) -> dict[str, Flags]:
    """Groups in which harm and fairness are looked at."""
    decile = X[:, FEATURES.index("deprivation_decile")]
    return {"most deprived areas": decile <= 3}


def _evidence(setting: Setting) -> Evidence:
    """Closed rows as the learn step has them: with a known outcome and a chance of every arm.

    The control lane, drawn once, is part of the first turn's trial; later rows are those outside it.
    """
    past = setting.past
    n = len(setting.is_control)
    keep = np.concatenate(
        [
            (~setting.is_control | (number == 0)) & np.isfinite(turn.y) & (turn.propensity > 0).all(axis=1)
            for number, turn in enumerate(past)
        ]
    )
    X = np.concatenate([turn.X for turn in past])[keep]
    return Evidence(
        X=X,
        y=np.concatenate([turn.y for turn in past])[keep],
        given=np.concatenate([turn.arm for turn in past])[keep],
        propensity=np.concatenate([turn.propensity for turn in past])[keep],
        groups=np.tile(np.arange(n), len(past))[keep],
        households=np.ones(int(keep.sum())),
        arms=ARMS,
        batch=np.repeat(np.arange(len(past)), n)[keep],
        segments=segments(X),
        columns=FEATURES,
    )


def _allowed(decision: Decision, X: Floats) -> Flags | None:
    if not decision.stops:
        return None
    flags = segments(X)
    allowed = np.ones((len(X), N_ARMS), dtype=bool)
    for stop in decision.stops:
        allowed[flags[stop.segment], ARMS.index(stop.arm)] = False
    return allowed


def _fixed(policy: str) -> tuple[int, Floats | None]:
    """A policy that is the same for every home, as its arm and mixture."""
    if policy == "uniform":
        return draws.UNIFORM, None
    if policy.startswith("mix:"):
        return draws.UNIFORM, shares_of(policy, ARMS)
    return (0 if policy == "none" else ARMS.index(policy.removeprefix("arm:"))), None
