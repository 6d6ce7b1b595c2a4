"""Outcomes of a randomised trial → doubly robust scores, and from those the value of any policy.

One score matrix Γ (units x arms) feeds training, evaluation, the gate and the budget. Its entry says what the
unit's outcome would have been under each arm, right on average because the propensities are known (Robins et al.
1994; Dudík et al. 2011). Every figure comes with an interval clustered by the randomised unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

Z_TWO_SIDED = 1.959963984540054
Z_ONE_SIDED = 1.6448536269514722

_FLAT_SHARE = 0.01  # a column this rarely missing needs no column of its own to say so


@dataclass(frozen=True, slots=True)
class Value:
    """A mean with its clustered 95 % interval.

    Attributes:
        mean: in the unit of the scores.
        se: clustered standard error.
        low: lower end of the 95 % interval.
        high: upper end.
        lower_bound: one-sided 95 % bound, what the gate looks at.
        n_rows: rows averaged.
        n_units: clusters.
    """

    mean: float
    se: float
    low: float
    high: float
    lower_bound: float
    n_rows: int
    n_units: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns raw features with gaps into centred columns of sd 1, gaps at the mean and flagged where common.

    Attributes:
        mean: (p,) of what is known.
        sd: (p,) of what is known; 1 where constant.
        gaps: (q,) columns whose being unknown gets a column of its own.
        gap_mean: (q,) share unknown.
    """

    mean: Floats
    sd: Floats
    gaps: Indices
    gap_mean: Floats

    @classmethod
    def of(cls, X: ArrayLike) -> Scale:
        """Learn means and spreads; every statistic is of features only, never of the outcome."""
        matrix = np.asarray(X, dtype=np.float64)
        known = np.isfinite(matrix)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, matrix, 0.0)
        mean = filled.sum(axis=0) / count
        sd = np.sqrt(np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count)
        unknown = 1.0 - known.mean(axis=0) if len(matrix) else np.zeros(matrix.shape[1])
        gaps = np.flatnonzero((unknown > _FLAT_SHARE) & (unknown < 1.0 - _FLAT_SHARE))
        flat = sd <= 1e-9 * np.maximum(np.abs(mean), 1.0)
        return cls(mean, np.where(flat, 1.0, sd), gaps, unknown[gaps])

    def __call__(self, X: ArrayLike) -> Floats:
        """Columns for a linear model, (n, p + q)."""
        matrix = np.asarray(X, dtype=np.float64)
        unknown = ~np.isfinite(matrix)
        out = (matrix - self.mean) / self.sd
        out[unknown] = 0.0
        spread = np.sqrt(self.gap_mean * (1.0 - self.gap_mean))
        flags = (unknown[:, self.gaps] - self.gap_mean) / spread
        return np.hstack([out, flags]) if len(self.gaps) else out


def group_folds(groups: ArrayLike, n_folds: int, seed: int) -> Indices:
    """Fold of each row, (n,): rows of one group are never apart, folds hold about equally many groups."""
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(codes.max(initial=-1)) + 1
    if n_groups < n_folds:
        raise DataError(f"groups: {n_groups} units, must be at least {n_folds} to hold some out. Wait for more rows.")
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    return np.asarray(shuffled[codes] % n_folds, dtype=np.intp)


def cross_fitted_means(
    Z: Floats,
    y: Floats,
    *,
    treatment_index: Indices,
    n_arms: int,
    folds: Indices,
    sample_weight: Floats | None = None,
) -> Floats:
    """Expected outcome of every arm for every row from a ridge that never saw the row's fold, (n, n_arms).

    Linear on purpose: with known propensities a better one buys a few per cent of the standard error. `Z` is
    centred and of sd 1 (`Scale`); the penalty is one unit of information per column, the intercept has none.
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    design = np.column_stack([np.ones(len(y)), Z])
    penalty = np.diag(np.r_[1e-9, np.full(Z.shape[1], float(max(Z.shape[1], 1)))])
    n_folds = int(folds.max(initial=0)) + 1
    out = np.empty((len(y), n_arms))
    for arm in range(n_arms):
        grams, moments = _by_fold(design, y, weight * (treatment_index == arm), folds, n_folds)
        for fold in range(n_folds):
            held = folds == fold
            level = float(np.average(y[~held], weights=weight[~held]))  # what an arm without rows is taken to bring
            gram = grams.sum(axis=0) - grams[fold]
            moment = moments.sum(axis=0) - moments[fold] - level * gram[:, 0]
            out[held, arm] = level + design[held] @ np.linalg.solve(gram + penalty, moment)
    return out


def _by_fold(design: Floats, target: Floats, weight: Floats, folds: Indices, n_folds: int) -> tuple[Floats, Floats]:
    """Gram matrix (n_folds, p, p) and moment vector (n_folds, p) of each fold; rows of weight 0 are left out."""
    grams = np.zeros((n_folds, design.shape[1], design.shape[1]))
    moments = np.zeros((n_folds, design.shape[1]))
    for fold in range(n_folds):
        rows = np.flatnonzero((folds == fold) & (weight > 0))
        part = design[rows]
        mass = weighted(part, weight[rows])
        grams[fold] = part.T @ mass
        moments[fold] = mass.T @ target[rows]
    return grams, moments


def weighted(rows: Floats, weight: Floats) -> Floats:
    """Rows times their weights; the rows themselves, uncopied, when every weight is 1."""
    return rows if (weight == 1).all() else rows * weight[:, None]


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
    rows = np.arange(len(outcome))
    scores[rows, given] += (outcome - scores[rows, given]) / chance[rows, given]
    return scores


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


def clustered_mean(values: ArrayLike, groups: ArrayLike | None = None) -> Value:
    """Mean of one value a row, with a standard error that lets rows of one group move together."""
    row = np.asarray(values, dtype=np.float64)
    n_rows = len(row)
    mean = float(row.mean()) if n_rows else float("nan")
    sums = row - mean
    if groups is not None:
        _, codes = np.unique(np.asarray(groups), return_inverse=True)
        sums = np.asarray(np.bincount(codes, weights=sums), dtype=np.float64)
    n_units = len(sums)
    se = float(np.sqrt((sums**2).sum() * n_units / (n_units - 1)) / n_rows) if n_units > 1 else float("inf")
    return Value(mean, se, mean - Z_TWO_SIDED * se, mean + Z_TWO_SIDED * se, mean - Z_ONE_SIDED * se, n_rows, n_units)


def under(scores: Floats, arm: ArrayLike) -> Floats:
    """Score of each row under one arm a row, (n,)."""
    index = np.broadcast_to(np.asarray(arm, dtype=np.intp), (len(scores),))
    return np.asarray(np.take_along_axis(scores, index[:, None], axis=1)[:, 0])


def policy_value(scores: Floats, arm: ArrayLike, *, groups: ArrayLike | None = None) -> Value:
    """Mean outcome if every row had got `arm` (one index a row, or one for all)."""
    return clustered_mean(under(scores, arm), groups)


def paired_gain(scores: Floats, arm: ArrayLike, instead_of: ArrayLike, *, groups: ArrayLike | None = None) -> Value:
    """Mean difference between two policies on the same rows: what they share cancels."""
    return clustered_mean(under(scores, arm) - under(scores, instead_of), groups)


def effective_sample_size(treatment_index: ArrayLike, propensity: Floats, arm: ArrayLike) -> float:
    """Rows that really inform the value of a policy, (Σw)²/Σw² with w = 1{given = policy's} / propensity."""
    given = np.asarray(treatment_index, dtype=np.intp)
    followed = given == np.broadcast_to(np.asarray(arm, dtype=np.intp), given.shape)
    weight = np.where(followed, 1.0 / under(propensity, given), 0.0)
    return float(weight.sum() ** 2 / (weight**2).sum()) if followed.any() else 0.0
