"""Outcomes of a randomised trial → doubly robust scores, and from those the value of any policy.

One score matrix Γ (units x arms) feeds training, evaluation, the gate and the budget. Its entry says what the
unit's outcome would have been under each arm, right on average because the propensities are known (Robins et al.
1994; Dudík et al. 2011). Every figure comes with an interval clustered by the randomised unit.
"""

from nudges.scoring.adaptive import stabilised_mean, stabilising_weight
from nudges.scoring.budgets import PathPoint, budget_path
from nudges.scoring.curves import QiniCurve, auuc, qini, qini_curve
from nudges.scoring.folds import group_folds
from nudges.scoring.informing import Overlap, overlap
from nudges.scoring.matrix import aipw_scores, checked_propensity, score_matrix
from nudges.scoring.nuisance import cross_fitted_means, weighted
from nudges.scoring.policies import (
    effective_sample_size,
    paired_gain,
    policy_value,
    self_normalised_value,
    under,
)
from nudges.scoring.ranking import Rate, RateWeighting, rate
from nudges.scoring.reliability import Bin, Calibration, calibration
from nudges.scoring.scale import Scale
from nudges.scoring.value import Z_ONE_SIDED, Z_TWO_SIDED, Value, clustered_mean

__all__ = [
    "Z_ONE_SIDED",
    "Z_TWO_SIDED",
    "Bin",
    "Calibration",
    "Overlap",
    "PathPoint",
    "QiniCurve",
    "Rate",
    "RateWeighting",
    "Scale",
    "Value",
    "aipw_scores",
    "auuc",
    "budget_path",
    "calibration",
    "checked_propensity",
    "clustered_mean",
    "cross_fitted_means",
    "effective_sample_size",
    "group_folds",
    "overlap",
    "paired_gain",
    "policy_value",
    "qini",
    "qini_curve",
    "rate",
    "score_matrix",
    "self_normalised_value",
    "stabilised_mean",
    "stabilising_weight",
    "under",
    "weighted",
]
