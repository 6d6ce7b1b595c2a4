"""Evidence and an estimator → the arm every row would get from policies that were learned without it.

Cross-fitted by the randomised unit: the model and the best single arm of a fold are learned on the rows of the other
folds alone, scores of those rows included, so policy and test never share rows. The best single arm being picked out
of fold, its held-out value owes nothing to having won (the winner's curse).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from nudges.choice import allocate
from nudges.estimators import UpliftEstimator
from nudges.scoring import Scale, group_folds, score_matrix, under
from nudges.uplift.evidence import Arms, Evidence, Floats, Prices, net_benefit

GATE_FOLDS = 5
"""Four fifths of the rows learn, so that what is tested is nearly what will be used."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What each row would get, and what every arm is worth to it.

    Attributes:
        scores: (n, n_arms) doubly robust scores, outcome units; nuisances never saw the row's fold.
        payoff: (n, n_arms) pence a unit net of message cost, from the scores.
        effect: (n, n_arms - 1) predicted effects, outcome units.
        model: (n,) arm by the model, within the budget.
        single: (n,) best single arm of the other folds.
        reach: (n_arms,) share of households each single arm reaches before the money is gone.
        folds: (n,).
        best: arm with the largest mean net benefit over all rows, never the control.
        weight: (p,) share of each feature in what moves the predictions; zeros when nothing does.
    """

    scores: Floats
    payoff: Floats
    effect: Floats
    model: Arms
    single: Arms
    reach: Floats
    folds: Arms
    best: int
    weight: Floats

    @property
    def none_payoff(self) -> Floats:
        """Pence a unit without any message, (n,)."""
        return self.payoff[:, 0]

    @property
    def model_payoff(self) -> Floats:
        """Pence a unit under the model, (n,)."""
        return under(self.payoff, self.model)

    @property
    def single_payoff(self) -> Floats:
        """Pence a unit under the best single arm, given to as many as the budget reaches, (n,)."""
        return single_payoff(self.payoff, self.single, self.reach)


def held_out(evidence: Evidence, estimator: UpliftEstimator, prices: Prices, *, seed: int) -> HeldOut:
    """Learn and apply every policy out of fold."""
    folds = group_folds(evidence.groups, GATE_FOLDS, seed)
    reach = _reach(prices)
    scores = scored(evidence, folds)
    payoff = payoffs(scores, evidence, prices)
    effect = np.zeros((len(evidence.y), len(evidence.arms) - 1))
    moved = np.zeros(evidence.X.shape[1])
    model, single = np.zeros(len(folds), dtype=np.intp), np.zeros(len(folds), dtype=np.intp)
    for fold in range(GATE_FOLDS):
        held, rows = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        training = evidence.only(rows)
        worth = payoffs(scored(training, within(folds[rows], fold)), training, prices)
        single[held] = best_single(worth, reach)
        learned = fitted(estimator, training)
        moved += _moved_by(learned, evidence.X.shape[1])
        effect[held] = learned.effect(evidence.X[held])
        model[held] = chosen(effect[held], evidence.households[held], prices)
    weight = moved / moved.sum() if moved.any() else moved
    return HeldOut(scores, payoff, effect, model, single, reach, folds, best_single(payoff, reach), weight)


def _moved_by(learned: UpliftEstimator, n_features: int) -> Floats:
    """How much each feature moves the predicted effects of all arms, (p,); alike where the estimator does not tell."""
    importance = getattr(learned, "importance_", None)
    return np.ones(n_features) if importance is None else np.abs(np.asarray(importance)).sum(axis=0)[:n_features]


def within(folds: Arms, left_out: int) -> Arms:
    """Folds of the rows that remain when one fold is left out, numbered without a gap."""
    return np.asarray(folds - (folds > left_out), dtype=np.intp)


def scored(evidence: Evidence, folds: NDArray[np.intp]) -> Floats:
    """Γ of the evidence, (n, n_arms), nuisances cross-fitted over the folds."""
    return score_matrix(
        Scale.of(evidence.X)(evidence.X),
        evidence.y,
        treatment_index=evidence.given,
        propensity=evidence.propensity,
        folds=folds,
    )


def payoffs(scores: Floats, evidence: Evidence, prices: Prices) -> Floats:
    """Pence a unit under every arm, net of message cost, (n, n_arms)."""
    return np.asarray((scores * prices.pence_per_outcome - prices.cost_pence) * evidence.households[:, None])


def fitted(estimator: UpliftEstimator, training: Evidence) -> UpliftEstimator:
    """A copy of the estimator, learned from these rows alone."""
    copy: UpliftEstimator = clone(estimator).set_params(arms=training.arms)
    return copy.fit(
        training.X,
        training.y,
        treatment=np.asarray(training.arms)[training.given],
        propensity=training.propensity,
        groups=training.groups,
    )


def chosen(effect: Floats, households: Floats, prices: Prices) -> Arms:
    """Arm of each row by predicted effects (n, n_arms - 1), within the budget these rows stand for."""
    benefit = net_benefit(effect, households, prices.cost_pence, prices.pence_per_outcome)
    budget = prices.budget_pence_per_household * float(households.sum())
    return allocate(benefit, prices.cost_pence * households[:, None], budget_pence=budget)


def best_single(payoff: Floats, reach: Floats) -> int:
    """The arm, never the control, worth most when everyone the budget reaches gets it."""
    worth = reach[1:] * (payoff[:, 1:] - payoff[:, :1]).mean(axis=0)
    return 1 + int(worth.argmax())


def single_payoff(payoff: Floats, arm: Arms, reach: Floats) -> Floats:
    """Pence a unit when one arm (one index a row) goes to as many as the budget reaches, (n,)."""
    return np.asarray(payoff[:, 0] + reach[arm] * (under(payoff, arm) - payoff[:, 0]))


def _reach(prices: Prices) -> Floats:
    budget = np.full(prices.cost_pence.shape, prices.budget_pence_per_household)
    share = np.divide(budget, prices.cost_pence, out=np.ones_like(budget), where=prices.cost_pence > 0)
    return np.asarray(np.minimum(share, 1.0))
