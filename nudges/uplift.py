"""A randomised trial and an estimator → which policy has earned its place, and the words for it.

Three-fold cross-fitting by the randomised unit: the policy of a fold is learned on the others, so policy and test
never share rows. A model is used only when the lower bound (mean - 1.645 SE, one-sided 95 %) of its paired held-out
gain is above zero against the best single arm AND against none; the best single arm, itself picked out of fold, only
when its own lower bound over none is. Failing both, arms stay uniform while units are few, and go to none after.
Values are pence net of message cost, within the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from nudges.choice import allocate
from nudges.domain import Outcome
from nudges.estimators import UpliftEstimator
from nudges.scoring import (
    Scale,
    Value,
    aipw_scores,
    clustered_mean,
    cross_fitted_means,
    effective_sample_size,
    group_folds,
    under,
)

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]

COLD_START_UNITS = 1_000
"""Fewer closed units than this, and nothing is evaluated: the policy is uniform."""

COLD_START_UNITS_PER_ARM = 100
"""The same for the smallest arm."""

FEW_UNITS = 10_000
"""Fewer closed units than this, and no proof is no verdict: the policy stays uniform, after it becomes none.
With four arms and an outcome that spreads by 3 kg, a 2 % effect (0.18 kg) has a standard error of 0.08 here."""

GATE_FOLDS = 3

OUTCOME_WEEKS = 4
"""Weeks a message is credited with: the outcome window, and about what one message a month buys."""

RECYCLING_COLLECTIONS_4W = 2
"""Fortnightly recycling: lifts in the credited weeks that a tag rate applies to."""

FOOD_COLLECTIONS_4W = 4
"""Weekly food collection."""

KG_PER_RECYCLING_SET_OUT = 2.0
"""Residual that one more recycling set-out takes with it, kg. Assumed: 1.3 kg a week of recyclables are left in
residual (Mid Kent 2015, 956 households), so 2.6 kg a fortnight, three quarters of it."""

KG_PER_FOOD_SET_OUT = 1.3
"""Residual that one more food set-out takes with it, kg. Assumed: 1.7 kg a week of food is left in residual (same
study), three quarters of it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Closed rows of a campaign, one a unit.

    Attributes:
        X: (n, p) features as known before the unit's first message, NaN where unknown.
        y: (n,) outcome per household.
        given: (n,) arm index, 0 the control.
        propensity: (n, n_arms).
        groups: (n,) randomised unit.
        households: (n,) households of the unit that the campaign reaches out to.
        arms: labels, control first.
    """

    X: Floats
    y: Floats
    given: Arms
    propensity: Floats
    groups: NDArray[Any]
    households: Floats
    arms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prices:
    """What effects and messages are worth.

    Attributes:
        pence_per_outcome: pence a household and message of one unit of effect, signed: more is better.
        cost_pence: (n_arms,) a message's price to one household, 0 for the control.
        budget_pence_per_household: what the budget comes to for each household of the evidence.
    """

    pence_per_outcome: float
    cost_pence: Floats
    budget_pence_per_household: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        policy: `uniform`, `none`, `arm:<id>` or `model`.
        gain: pence a unit over the next simpler policy (a model over the best single arm, that over none); None
            while the start is cold.
        model_over_none: pence a unit of the model over no message; None while the start is cold.
        arm_over_none: pence a unit of the best single arm, picked out of fold, over no message.
        effects: mean effect of each arm against the control, outcome units, by arm.
        best_arm: the arm with the largest mean net benefit.
        effective_rows: rows that inform the model's value.
        n_units: units of evidence.
        words: the decision for people.
    """

    policy: str
    gain: Value | None
    model_over_none: Value | None
    arm_over_none: Value | None
    effects: Mapping[str, Value]
    best_arm: str
    effective_rows: float
    n_units: int
    words: str


def pence_per_outcome(outcome: Outcome, *, residual_pence_per_tonne: float, tag_cost_pence: float) -> float:
    """Pence that one unit of effect is worth per household and message, signed so that more benefit is better.

    Residual kg are priced at the council's route mix over the credited weeks, tags at the cost of one, set-outs at
    the residual they take with them.
    """
    per_kg = residual_pence_per_tonne / 1000.0
    return {
        Outcome.RESIDUAL_KG: -OUTCOME_WEEKS * per_kg,
        Outcome.TAG_RATE: -RECYCLING_COLLECTIONS_4W * float(tag_cost_pence),
        Outcome.RECYCLING_SET_OUT_RATE: RECYCLING_COLLECTIONS_4W * KG_PER_RECYCLING_SET_OUT * per_kg,
        Outcome.FOOD_SET_OUT_RATE: FOOD_COLLECTIONS_4W * KG_PER_FOOD_SET_OUT * per_kg,
    }[outcome]


def net_benefit(effect: Floats, households: Floats, cost_pence: Floats, pence: float) -> Floats:
    """Benefit less message cost, (n, n_arms) pence with none in column 0, from effects (n, n_arms - 1)."""
    worth = np.zeros((len(effect), effect.shape[1] + 1))
    worth[:, 1:] = effect * pence
    return (worth - cost_pence) * households[:, None]


def decide(evidence: Evidence, estimator: UpliftEstimator, prices: Prices, *, seed: int) -> Decision:
    """Evaluate the estimator out of fold and apply the gate.

    Raises:
        DataError: evidence whose arms, propensities or lengths do not fit together.
    """
    n_units = len(np.unique(evidence.groups))
    counts = np.bincount(evidence.given, minlength=len(evidence.arms))
    if n_units < COLD_START_UNITS or counts.min() < COLD_START_UNITS_PER_ARM:
        return _cold(n_units, counts)
    folds = group_folds(evidence.groups, GATE_FOLDS, seed)
    scores = _scores(evidence, folds)
    payoff = (scores * prices.pence_per_outcome - prices.cost_pence) * evidence.households[:, None]
    model, single = _held_out_policies(evidence, estimator, prices, payoff, folds)
    none = payoff[:, 0]
    reach = _reach(prices)
    single_payoff = none + reach[single] * (under(payoff, single) - none)
    over_single = clustered_mean(under(payoff, model) - single_payoff, evidence.groups)
    over_none = clustered_mean(under(payoff, model) - none, evidence.groups)
    arm_over_none = clustered_mean(single_payoff - none, evidence.groups)
    best = _best_single(payoff, reach)
    policy, gain, words = _gate(over_single, over_none, arm_over_none, evidence.arms[best], n_units)
    return Decision(
        policy=policy,
        gain=gain,
        model_over_none=over_none,
        arm_over_none=arm_over_none,
        effects=_effects(scores, evidence),
        best_arm=evidence.arms[best],
        effective_rows=effective_sample_size(evidence.given, evidence.propensity, model),
        n_units=n_units,
        words=words,
    )


def _cold(n_units: int, counts: NDArray[np.intp]) -> Decision:
    words = (
        f"Cold start: {n_units:,} units have closed outcomes, {int(counts.min()):,} in the smallest arm. Arms stay "
        f"uniform until there are {COLD_START_UNITS:,} and {COLD_START_UNITS_PER_ARM:,}."
    )
    return Decision("uniform", None, None, None, {}, "", 0.0, n_units, words)


def _scores(evidence: Evidence, folds: Arms) -> Floats:
    nuisance = cross_fitted_means(
        Scale.of(evidence.X)(evidence.X),
        evidence.y,
        treatment_index=evidence.given,
        n_arms=len(evidence.arms),
        folds=folds,
    )
    return aipw_scores(evidence.y, evidence.given, evidence.propensity, nuisance)


def _held_out_policies(
    evidence: Evidence, estimator: UpliftEstimator, prices: Prices, payoff: Floats, folds: Arms
) -> tuple[Arms, Arms]:
    """Arm of the model's policy and of the best single arm for every row, each learned without the row's fold."""
    labels = np.asarray(evidence.arms)[evidence.given]
    reach = _reach(prices)
    model = np.zeros(len(evidence.y), dtype=np.intp)
    single = np.zeros(len(evidence.y), dtype=np.intp)
    for fold in range(GATE_FOLDS):
        held, kept = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        single[held] = _best_single(payoff[kept], reach)
        fitted = clone(estimator).set_params(arms=evidence.arms)
        fitted.fit(
            evidence.X[kept],
            evidence.y[kept],
            treatment=labels[kept],
            propensity=evidence.propensity[kept],
            groups=evidence.groups[kept],
        )
        homes = evidence.households[held]
        benefit = net_benefit(fitted.effect(evidence.X[held]), homes, prices.cost_pence, prices.pence_per_outcome)
        budget = prices.budget_pence_per_household * float(homes.sum())
        model[held] = allocate(benefit, prices.cost_pence * homes[:, None], budget_pence=budget)
    return model, single


def _reach(prices: Prices) -> Floats:
    """Share of households each single arm reaches before the money is gone, (n_arms,)."""
    budget = np.full(prices.cost_pence.shape, prices.budget_pence_per_household)
    share = np.divide(budget, prices.cost_pence, out=np.ones_like(budget), where=prices.cost_pence > 0)
    return np.asarray(np.minimum(share, 1.0))


def _best_single(payoff: Floats, reach: Floats) -> int:
    """The arm, never the control, worth most when everyone the budget reaches gets it."""
    worth = reach[1:] * (payoff[:, 1:] - payoff[:, :1]).mean(axis=0)
    return 1 + int(worth.argmax())


def _effects(scores: Floats, evidence: Evidence) -> dict[str, Value]:
    return {
        arm: clustered_mean(scores[:, index] - scores[:, 0], evidence.groups)
        for index, arm in enumerate(evidence.arms)
        if index
    }


def _gate(
    over_single: Value, over_none: Value, arm_over_none: Value, best_arm: str, n_units: int
) -> tuple[str, Value, str]:
    if over_single.lower_bound > 0 and over_none.lower_bound > 0:
        words = (
            f"The model is used: on held-out units it earns {_pence(over_single)} a unit more than sending {best_arm} "
            f"to everyone, and {_pence(over_none)} more than sending nothing."
        )
        return "model", over_single, words
    doubt = f"The model is not used: its held-out gain over the best single arm is {_pence(over_single)} a unit"
    if arm_over_none.lower_bound > 0:
        words = f"{doubt}. {best_arm} goes to everyone: it earns {_pence(arm_over_none)} a unit more than nothing."
        return f"arm:{best_arm}", arm_over_none, words
    doubt = f"{doubt}, and the best single arm earns {_pence(arm_over_none)} a unit over nothing: no gain is proven"
    if n_units < FEW_UNITS:
        words = f"{doubt}. With {n_units:,} closed units that is no verdict: arms stay uniform until {FEW_UNITS:,}."
        return "uniform", arm_over_none, words
    return "none", arm_over_none, f"{doubt}. The best lane gets no message; the learn lane goes on."


def _pence(value: Value) -> str:
    return f"{value.mean:.2f}p (at least {value.lower_bound:.2f}p with 95 % confidence)"
