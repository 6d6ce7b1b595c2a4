"""Held-out predictions → how well they rank, how far they may be taken at their size, what each budget brings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nudges.scoring import Calibration, PathPoint, Rate, budget_path, calibration, rate
from nudges.uplift.evidence import Evidence, Prices, net_benefit
from nudges.uplift.held_out import HeldOut

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BINS = 8


class Detail(StrEnum):
    """How much a decision says besides what it decides."""

    GATE = "gate"  # the gate's own figures
    CARD = "card"  # and how well the model ranks, its calibration and the path of the budget
    TREE = "tree"  # and a rule of two questions that a person can read


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the model's predictions are on rows it had not seen.

    Attributes:
        ranking: what ranking households for the best arm adds, pence a unit (AUTOC); 0 for no better than chance.
        calibration: observed against predicted benefit of all arms, pence a household before message cost.
        path: gain of the model over no message, pence a unit net of cost, by what is spent a unit.
    """

    ranking: Rate
    calibration: Calibration
    path: tuple[PathPoint, ...]


def quality(held: HeldOut, evidence: Evidence, prices: Prices, *, seed: int) -> Quality:
    """Judge the out-of-fold predictions by the scores."""
    homes = evidence.households
    predicted = net_benefit(held.effect, homes, prices.cost_pence, prices.pence_per_outcome)
    n_messages = held.effect.shape[1]
    contrast = (held.scores[:, 1:] - held.scores[:, :1]) * prices.pence_per_outcome
    return Quality(
        ranking=rate(
            held.payoff[:, held.best] - held.none_payoff, predicted[:, held.best], groups=evidence.groups, seed=seed
        ),
        calibration=calibration(
            contrast.ravel(),
            (held.effect * prices.pence_per_outcome).ravel(),
            groups=np.repeat(evidence.groups, n_messages),
            weight=np.repeat(homes, n_messages),
            n_bins=_BINS,
        ),
        path=budget_path(
            held.payoff, predicted, prices.cost_pence * homes[:, None], groups=evidence.groups, shares=_SHARES
        ),
    )
