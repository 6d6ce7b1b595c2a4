"""Scores and one arm a row → what a policy is worth, alone and against another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.matrix import checked_propensity
from nudges.scoring.value import Value, clustered_mean

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def under(scores: Floats, arm: ArrayLike) -> Floats:
    """Score of each row under one arm a row, (n,)."""
    index = np.broadcast_to(np.asarray(arm, dtype=np.intp), (len(scores),))
    return np.asarray(np.take_along_axis(scores, index[:, None], axis=1)[:, 0])


def policy_value(
    scores: Floats, arm: ArrayLike, *, groups: ArrayLike | None = None, weight: ArrayLike | None = None
) -> Value:
    """Mean outcome if every row had got `arm` (one index a row, or one for all)."""
    return clustered_mean(under(scores, arm), groups, weight)


def paired_gain(
    scores: Floats,
    arm: ArrayLike,
    instead_of: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Value:
    """Mean difference between two policies on the same rows: what they share cancels."""
    return clustered_mean(under(scores, arm) - under(scores, instead_of), groups, weight)


def self_normalised_value(
    y: ArrayLike,
    treatment_index: ArrayLike,
    propensity: ArrayLike,
    arm: ArrayLike,
    *,
    groups: ArrayLike | None = None,
) -> Value:
    """Mean outcome under a policy from the rows that happened to follow it, weighted by 1 / propensity.

    The self-normalised estimator (Swaminathan & Joachims 2015): no model of the outcome, so a check on the doubly
    robust value. Its error is that of a weighted mean, linearised and clustered; `n_rows` counts rows that followed.

    Args:
        y: (n,) outcome.
        treatment_index: (n,) arm given.
        propensity: (n, n_arms) logged probabilities.
        arm: the policy's arm, (n,) or one for all.
        groups: (n,) randomised unit.

    Raises:
        DataError: no row followed the policy, or propensities that cannot carry an estimate.
    """
    outcome = np.asarray(y, dtype=np.float64)
    weight = following_weight(treatment_index, checked_propensity(propensity, len(outcome)), arm)
    if not weight.any():
        raise DataError("arm: no row was given the policy's arm, must be some. Give every arm a share in learn.")
    return clustered_mean(outcome, groups, weight)


def following_weight(treatment_index: ArrayLike, propensity: Floats, arm: ArrayLike) -> Floats:
    """1 / propensity where the arm given is the policy's, 0 elsewhere, (n,)."""
    given = np.asarray(treatment_index, dtype=np.intp)
    followed = given == np.broadcast_to(np.asarray(arm, dtype=np.intp), given.shape)
    return np.where(followed, 1.0 / under(propensity, given), 0.0)


def effective_sample_size(treatment_index: ArrayLike, propensity: Floats, arm: ArrayLike) -> float:
    """Rows that really inform the value of a policy, (Σw)²/Σw² with w = 1{given = policy's} / propensity."""
    weight = following_weight(treatment_index, propensity, arm)
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
