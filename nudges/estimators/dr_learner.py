"""DR-learner: cross-fitted doubly robust scores of all arms at once, then a ridge that may shrink to a constant.

Scores with the logged propensities (Kennedy 2023, arXiv 2004.14497), contrasts to the control, rotated so that the
first column asks "does any message work here?" and the rest "which one?"; each column is shrunk on its own by
cross-validation over groups. Effects are small and scores noisy, so the constant effect is always a candidate.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from nudges.estimators import Trial, checked_features, checked_trial
from nudges.scoring import Scale, aipw_scores, cross_fitted_means, group_folds, weighted

Floats = NDArray[np.float64]


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Cross-fitted, shrunk linear effects of every arm against the control.

    Args:
        arms: labels, control first; taken from the rows when not given.
        n_folds: folds of the nuisances and of the shrinkage.
        shares: penalties tried, as shares of the rows; the constant effect is tried besides.
        seed: of the folds.
    """

    def __init__(
        self,
        arms: tuple[str, ...] | None = None,
        n_folds: int = 5,
        shares: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
        seed: int = 0,
    ) -> None:
        self.arms = arms
        self.n_folds = n_folds
        self.shares = shares
        self.seed = seed

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        treatment: ArrayLike,
        propensity: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Score every arm out of fold, then shrink each rotated contrast."""
        trial = checked_trial(
            X, y, treatment=treatment, propensity=propensity, groups=groups, sample_weight=sample_weight, arms=self.arms
        )
        self.arms_ = trial.arms
        self.n_features_in_ = trial.X.shape[1]
        self.scale_ = Scale.of(trial.X)
        Z = self.scale_(trial.X)
        folds = group_folds(trial.groups, self.n_folds, self.seed)
        contrasts = _contrasts(trial, Z, folds)
        rotation = _rotation(contrasts.shape[1])
        columns = _shrunk(Z, contrasts @ rotation, weight=trial.weight, folds=folds, shares=self.shares)
        self.coef_ = rotation @ np.array([slope for _, slope in columns])
        self.intercept_ = rotation @ np.array([level for level, _ in columns])
        return self

    def effect(self, X: ArrayLike) -> Floats:
        """Predicted effect, (n, n_arms - 1)."""
        check_is_fitted(self, "coef_")
        return np.asarray(self.scale_(checked_features(X, self.n_features_in_)) @ self.coef_.T + self.intercept_)


def _contrasts(trial: Trial, Z: Floats, folds: NDArray[np.intp]) -> Floats:
    """Γ of every arm minus Γ of the control, (n, n_arms - 1)."""
    nuisance = cross_fitted_means(
        Z,
        trial.y,
        treatment_index=trial.given,
        n_arms=len(trial.arms),
        folds=folds,
        sample_weight=trial.weight,
    )
    scores = aipw_scores(trial.y, trial.given, trial.propensity, nuisance)
    return np.asarray(scores[:, 1:] - scores[:, :1])


def _rotation(size: int) -> Floats:
    """Orthonormal (size, size), first column all equal."""
    start = np.eye(size)
    start[:, 0] = 1.0 / np.sqrt(size)
    rotation = np.linalg.qr(start)[0]
    return np.asarray(rotation * np.where(rotation[:1].sum() < 0, -1.0, 1.0))


def _shrunk(
    Z: Floats, targets: Floats, *, weight: Floats, folds: NDArray[np.intp], shares: tuple[float, ...]
) -> list[tuple[float, Floats]]:
    """Level and slopes of each target, by the penalty whose held-out squared error is least.

    The slopes are 0 when no penalty beats a constant.
    """
    n_folds, n_features = int(folds.max()) + 1, Z.shape[1]
    design = np.column_stack([np.ones(len(Z)), Z, targets])
    grams = np.array([_gram(design, weight, folds == fold) for fold in range(n_folds)])
    penalties = [np.inf, *shares]
    columns = []
    for target in range(targets.shape[1]):
        kept = np.r_[: n_features + 1, n_features + 1 + target]
        own = grams[:, kept[:, None], kept]
        total = own.sum(axis=0)
        errors = [sum(_held_out(total - gram, gram, share) for gram in own) for share in penalties]
        columns.append(_solved(total, penalties[int(np.argmin(errors))]))
    return columns


def _gram(design: Floats, weight: Floats, held: NDArray[np.bool_]) -> Floats:
    rows = design[held]
    return np.asarray(rows.T @ weighted(rows, weight[held]))


def _solved(gram: Floats, share: float) -> tuple[float, Floats]:
    """Ridge from the cross products of [1, Z, target]: level and slopes, the level never penalised."""
    mass = gram[0, 0]
    centred = gram - np.outer(gram[0], gram[0]) / mass
    inner = slice(1, -1)
    size = gram.shape[0] - 2
    slopes = (
        np.zeros(size)
        if np.isinf(share)
        else np.linalg.solve(centred[inner, inner] + share * mass * np.eye(size), centred[inner, -1])
    )
    return float((gram[0, -1] - gram[0, inner] @ slopes) / mass), slopes


def _held_out(training: Floats, held: Floats, share: float) -> float:
    """Squared error on the held-out cross products of the ridge fitted to the training ones."""
    level, slopes = _solved(training, share)
    step = np.r_[-level, -slopes, 1.0]
    return float(step @ held @ step)
