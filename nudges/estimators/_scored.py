"""A trial → doubly robust scores of all arms, by the one function that makes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._basis import blocks, spreads, standardised
from nudges.estimators._trial import Trial
from nudges.scoring import group_folds, score_matrix

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

SCORE_FOLDS = 5


def arm_scores(trial: Trial, folds: Indices) -> Floats:
    """Γ, (n, n_arms), outcomes cross-fitted over `folds`."""
    return score_matrix(
        _standardised(trial.X, trial.weight),
        trial.y,
        treatment_index=trial.given,
        propensity=trial.propensity,
        folds=folds,
        sample_weight=trial.weight,
    )


def contrast_scores(trial: Trial) -> Floats:
    """Γ of every arm minus Γ of the control, (n, n_arms - 1)."""
    return contrasts_of(arm_scores(trial, group_folds(trial.groups, SCORE_FOLDS, 0)))


def contrasts_of(scores: Floats) -> Floats:
    """Γ of every arm minus Γ of the control, (n, n_arms - 1)."""
    return np.asarray(scores[:, 1:] - scores[:, :1])


def _standardised(X: Floats, weight: Floats) -> Floats:
    mean, sd, _ = spreads(X, weight)
    out = np.empty(X.shape)
    for rows in blocks(len(X)):
        out[rows] = standardised(X[rows], mean, sd)
    return out
