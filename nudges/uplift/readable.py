"""Scores net of cost → a rule of two questions that a person can read, and what it gives up against the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nudges.choice import Tree, allocate_priced, policy_tree
from nudges.scoring import Value, under
from nudges.uplift.averaging import averaged
from nudges.uplift.evidence import Evidence, Floats, Prices, net_benefit
from nudges.uplift.held_out import GATE_FOLDS, HeldOut, payoffs, scored, within

SMALLEST_LEAF = 100
"""Fewest rows that a sentence may speak of, or a hundredth of all when that is more."""

_CUTS = 16


@dataclass(frozen=True, slots=True)
class Readable:
    """A rule as sentences, learned from all rows, and its held-out figures.

    Attributes:
        sentences: one a group of households.
        over_none: pence a unit over no message.
        given_up: pence a unit that the model earns more than the rule.
    """

    sentences: tuple[str, ...]
    over_none: Value
    given_up: Value


def readable(held: HeldOut, evidence: Evidence, prices: Prices) -> Readable:
    """The exact tree of depth 2 on scores net of cost (Athey & Wager 2021), judged on folds it was not learned from.

    Where the budget binds, messages are charged at what the last penny of it is worth to the model, so that the rule
    spends about as much. A question has to bring more than a standard error of what a message brings.
    """
    cost = prices.cost_pence * evidence.households[:, None]
    charge = (_last_penny(held, evidence, prices) * cost).astype(np.float64)
    arm = np.zeros(len(evidence.y), dtype=np.intp)
    for fold in range(GATE_FOLDS):
        own, rows = np.flatnonzero(held.folds == fold), np.flatnonzero(held.folds != fold)
        training = evidence.only(rows)
        worth = payoffs(scored(training, within(held.folds[rows], fold)), training, prices)
        arm[own] = _planted(training, worth - charge[rows]).arms(evidence.X[own])
    payoff = under(held.payoff, arm)
    return Readable(
        sentences=_planted(evidence, held.payoff - charge).sentences(evidence.arms),
        over_none=averaged(payoff - held.none_payoff, evidence, arm, 0),
        given_up=averaged(held.model_payoff - payoff, evidence, held.model, arm),
    )


def _planted(training: Evidence, worth: Floats) -> Tree:
    names = training.columns or tuple(f"feature {column + 1}" for column in range(training.X.shape[1]))
    n_rows = len(training.y)
    noise = float((worth[:, 1:] - worth[:, :1]).std(axis=0).max()) / np.sqrt(n_rows)
    return policy_tree(
        training.X,
        worth,
        names=names,
        n_cuts=_CUTS,
        smallest_leaf=max(SMALLEST_LEAF, n_rows // 100),
        least_gain=noise,
    )


def _last_penny(held: HeldOut, evidence: Evidence, prices: Prices) -> float:
    homes = evidence.households
    benefit = net_benefit(held.effect, homes, prices.cost_pence, prices.pence_per_outcome)
    budget = prices.budget_pence_per_household * float(homes.sum())
    return allocate_priced(benefit, prices.cost_pence * homes[:, None], budget_pence=budget).price_per_penny
