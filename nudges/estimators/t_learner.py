"""T-learner: one ridge an arm, the effect is the difference of two predictions (Künzel et al. 2019).

A strong ranker, badly calibrated: the noise of two models lands in their difference. Kept as the plain comparison.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.utils.validation import check_is_fitted

from nudges.errors import DataError
from nudges.estimators import checked_features, checked_trial
from nudges.scoring import Scale


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Ridge of the outcome on standardised features within each arm.

    Args:
        arms: labels, control first; taken from the rows when not given.
        shares: penalties tried, as shares of an arm's rows; leave-one-out error decides.
    """

    def __init__(
        self, arms: tuple[str, ...] | None = None, shares: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    ) -> None:
        self.arms = arms
        self.shares = shares

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
        """Fit one ridge an arm."""
        trial = checked_trial(
            X, y, treatment=treatment, propensity=propensity, groups=groups, sample_weight=sample_weight, arms=self.arms
        )
        self.arms_ = trial.arms
        self.n_features_in_ = trial.X.shape[1]
        self.scale_ = Scale.of(trial.X)
        Z = self.scale_(trial.X)
        coefficients, intercepts = [], []
        for index, arm in enumerate(trial.arms):
            rows = trial.given == index
            if rows.sum() < 2:
                raise DataError(
                    f"treatment: {int(rows.sum())} rows of {arm!r}, must be at least 2. Wait for more rows."
                )
            ridge = RidgeCV(alphas=[share * rows.sum() for share in self.shares])
            ridge.fit(Z[rows], trial.y[rows], sample_weight=None if sample_weight is None else trial.weight[rows])
            coefficients.append(ridge.coef_)
            intercepts.append(ridge.intercept_)
        self.coef_ = np.array(coefficients[1:]) - coefficients[0]
        self.intercept_ = np.array(intercepts[1:]) - intercepts[0]
        return self

    def effect(self, X: ArrayLike) -> NDArray[np.float64]:
        """Difference of the arm's prediction and the control's, (n, n_arms - 1)."""
        check_is_fitted(self, "coef_")
        return np.asarray(self.scale_(checked_features(X, self.n_features_in_)) @ self.coef_.T + self.intercept_)
