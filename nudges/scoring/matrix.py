"""Outcomes, arms given and logged propensities → the score matrix Γ that everything else reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.nuisance import cross_fitted_means

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def score_matrix(
    Z: Floats,
    y: ArrayLike,
    *,
    treatment_index: ArrayLike,
    propensity: ArrayLike,
    folds: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """Γ, (n, n_arms), in the unit of the outcome: the one place where trial rows become scores.

    Cross-fitted regressions of all arms (`cross_fitted_means`), corrected by the outcome seen (`aipw_scores`). Right
    on average for any nuisance because the propensities are those that were logged (Robins et al. 1994;
    Chernozhukov et al. 2018). A score contrast is Γ[:, a] - Γ[:, 0].

    Args:
        Z: (n, p) standardised features (`Scale`), no gaps.
        y: (n,) outcome.
        treatment_index: (n,) arm given, columns of `propensity`, control first.
        propensity: (n, n_arms) logged probabilities, rows summing to 1, none zero.
        folds: (n,) from `group_folds`, so that a unit never informs its own scores.
        sample_weight: (n,) weight of each row in the regressions; the scores themselves are not weighted.

    Raises:
        DataError: what is wrong with which argument.
    """
    outcome = np.asarray(y, dtype=np.float64)
    given = np.asarray(treatment_index, dtype=np.intp)
    chance = checked_propensity(propensity, len(outcome))
    nuisance = cross_fitted_means(
        Z,
        outcome,
        treatment_index=given,
        n_arms=chance.shape[1],
        folds=np.asarray(folds, dtype=np.intp),
        sample_weight=None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64),
    )
    return _corrected(outcome, given, chance, nuisance)


def aipw_scores(y: ArrayLike, treatment_index: ArrayLike, propensity: ArrayLike, nuisance: ArrayLike) -> Floats:
    """Γ, (n, n_arms): nuisance + 1{arm given} (y - nuisance) / propensity.

    Args:
        y: (n,) outcome.
        treatment_index: (n,) arm given, columns of the matrices.
        propensity: (n, n_arms) logged probabilities, rows summing to 1, none zero.
        nuisance: (n, n_arms) expected outcomes from models that never saw the row.

    Raises:
        DataError: shapes that do not fit, a propensity of zero or rows that do not sum to 1.
    """
    outcome = np.asarray(y, dtype=np.float64)
    given = np.asarray(treatment_index, dtype=np.intp)
    chance = checked_propensity(propensity, len(outcome))
    scores = np.array(nuisance, dtype=np.float64)
    if scores.shape != chance.shape:
        raise DataError(f"nuisance: shape {scores.shape}, must be that of propensity, {chance.shape}.")
    return _corrected(outcome, given, chance, scores)


def _corrected(outcome: Floats, given: Indices, chance: Floats, nuisance: Floats) -> Floats:
    """Scores written over the nuisance: the arm given gets its residual, blown up by its rarity."""
    rows = np.arange(len(outcome))
    expected = nuisance[rows, given]
    nuisance[rows, given] = expected + (outcome - expected) / chance[rows, given]
    return nuisance


def checked_propensity(propensity: ArrayLike, n_rows: int) -> Floats:
    """The logged probabilities as an array, after checking that they can carry an estimate."""
    chance = np.asarray(propensity, dtype=np.float64)
    if chance.ndim != 2 or len(chance) != n_rows:
        raise DataError(f"propensity: shape {chance.shape}, must be ({n_rows}, arms), one column an arm.")
    if not (chance > 0).all():
        raise DataError("propensity: 0 or less in some row, must be above 0. Give every arm a share in the learn lane.")
    if not np.allclose(chance.sum(axis=1), 1.0, atol=1e-6):
        raise DataError("propensity: rows must sum to 1 over the arms, control included.")
    return chance
