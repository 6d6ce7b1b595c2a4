"""T-learner: one model of the outcome an arm, the effect is the difference of two predictions (Künzel et al. 2019).

Logistic regression for an outcome of 0 and 1, ridge for any other. A strong ranker, badly calibrated: the noise of two
models lands in their difference. Kept plain, as the comparison.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV

from nudges.estimators._contract import ArmEffects
from nudges.estimators._importance import moved_by
from nudges.estimators._trial import Trial, TrialError
from nudges.scoring import Scale

Floats = NDArray[np.float64]


class Estimator(ArmEffects):
    """A model of the outcome within each arm.

    Args:
        arms: labels, control first; taken from the rows when not given.
        shares: penalties a ridge tries, as shares of an arm's rows; leave-one-out error decides.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ArmEffects._parameter_constraints,
        "shares": ["array-like"],
    }

    def __init__(
        self, arms: tuple[str, ...] | None = None, shares: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    ) -> None:
        self.arms = arms
        self.shares = shares

    def _learn(self, trial: Trial) -> None:
        self.scale_ = Scale.of(trial.X)
        Z = self.scale_(trial.X)
        self.is_binary_ = bool(np.isin(trial.y, (0.0, 1.0)).all())
        models = [self._one(Z, trial, arm) for arm in range(len(trial.arms))]
        self.coef_ = np.array([slopes for slopes, _ in models])
        self.intercept_ = np.array([level for _, level in models])
        self.importance_ = moved_by(self._predicted, trial.X, self.columns_.source, self.n_features_in_)

    def _one(self, Z: Floats, trial: Trial, arm: int) -> tuple[Floats, float]:
        rows = np.flatnonzero(trial.given == arm)
        if len(rows) < 2:
            raise TrialError(
                f"treatment: {len(rows)} rows of {trial.arms[arm]!r}, must be at least 2. Wait for more rows."
            )
        y, weight = trial.y[rows], trial.weight[rows]
        if self.is_binary_ and y.min() < y.max():
            logistic = LogisticRegression(max_iter=200).fit(Z[rows], y, sample_weight=weight)
            return logistic.coef_[0], float(logistic.intercept_[0])
        if self.is_binary_:  # one class only: half a row of the other keeps the level finite
            share = (weight @ y + 0.5) / (weight.sum() + 1.0)
            return np.zeros(Z.shape[1]), float(np.log(share / (1.0 - share)))
        ridge = RidgeCV(alphas=[share * weight.sum() for share in self.shares]).fit(Z[rows], y, sample_weight=weight)
        return ridge.coef_, float(ridge.intercept_)

    def _outcomes(self, Z: Floats) -> Floats:
        """Expected outcome under every arm, (n, n_arms)."""
        linear = Z @ self.coef_.T + self.intercept_
        return np.asarray(1.0 / (1.0 + np.exp(-linear))) if self.is_binary_ else np.asarray(linear)

    def _predicted(self, X: Floats) -> Floats:
        outcomes = self._outcomes(self.scale_(X))
        return np.asarray(outcomes[:, 1:] - outcomes[:, :1])
