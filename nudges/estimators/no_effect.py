"""No effect: every arm does nothing. With it a campaign never targets; the gate still finds the best single arm."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from nudges.estimators import checked_features, checked_trial


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Predicts an effect of 0 for everyone.

    Args:
        arms: labels, control first; taken from the rows when not given.
    """

    def __init__(self, arms: tuple[str, ...] | None = None) -> None:
        self.arms = arms

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
        """Check the input; there is nothing to learn."""
        trial = checked_trial(
            X, y, treatment=treatment, propensity=propensity, groups=groups, sample_weight=sample_weight, arms=self.arms
        )
        self.arms_ = trial.arms
        self.n_features_in_ = trial.X.shape[1]
        return self

    def effect(self, X: ArrayLike) -> NDArray[np.float64]:
        """Zeros, (n, n_arms - 1)."""
        check_is_fitted(self, "arms_")
        return np.zeros((len(checked_features(X, self.n_features_in_)), len(self.arms_) - 1))
