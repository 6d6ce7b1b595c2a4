"""What every estimator does alike: check the input, name the arms, say what scikit-learn asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from nudges.estimators._frames import Columns, has_text
from nudges.estimators._scored import contrast_scores
from nudges.estimators._trial import Trial, TrialError, checked_trial

Floats = NDArray[np.float64]

REQUESTS = {"treatment": True, "propensity": True, "groups": True, "sample_weight": True}
"""Metadata routed to `fit` and `score` without being asked for: without them there is no trial."""


class ArmEffects(BaseEstimator, ABC):  # type: ignore[misc]
    """A scikit-learn estimator of the effect of every arm; its files add `_learn` and `_predicted`."""

    __metadata_request__fit: ClassVar[dict[str, bool]] = REQUESTS
    __metadata_request__score: ClassVar[dict[str, bool]] = REQUESTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"arms": ["array-like", None]}

    arms: tuple[str, ...] | None
    arms_: tuple[str, ...]
    importance_: Floats
    n_features_in_: int
    columns_: Columns

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
        """Learn from one randomised trial.

        Args:
            X: (n, p) features as known before the arm was drawn; an array, or a DataFrame with text and gaps.
            y: (n,) outcome.
            treatment: (n,) label of the arm given.
            propensity: (n, n_arms) logged probability of every arm, columns in the order of `arms`.
            groups: (n,) randomised unit of each row; every row its own where not given.
            sample_weight: (n,) how many rows each row stands for.

        Raises:
            TrialError: what is wrong with which argument.
        """
        self._validate_params()
        trial = checked_trial(
            self._learned_features(X),
            y,
            treatment=treatment,
            propensity=propensity,
            groups=groups,
            sample_weight=sample_weight,
            arms=self.arms,
        )
        self.arms_ = trial.arms
        self._learn(trial)
        return self

    def effect(self, X: ArrayLike) -> Floats:
        """Predicted effect of every arm against the control, (n, n_arms - 1), in the outcome's unit."""
        check_is_fitted(self, "arms_")
        return self._predicted(self._features(X))

    def predict(self, X: ArrayLike) -> Floats:
        """The same as `effect`, under the name that a Pipeline and a search look for."""
        return self.effect(X)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        treatment: ArrayLike,
        propensity: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """How much nearer to the doubly robust scores of these rows than "no effect", more is better.

        1 - Σ (contrast - effect)² / Σ contrast², contrasts of scores cross-fitted within these rows alone (the
        R-loss of Nie and Wager 2021 for known propensities). The noise of a score is far larger than any effect, so
        even the truth reaches a few thousandths; 0 is what `no_effect` reaches.
        """
        predicted = self.effect(X)
        trial = checked_trial(
            self._features(X),
            y,
            treatment=treatment,
            propensity=propensity,
            groups=groups,
            sample_weight=sample_weight,
            arms=self.arms_,
        )
        kept = slice(None) if sample_weight is None else np.asarray(sample_weight) > 0
        contrasts = contrast_scores(trial)
        weight = trial.weight[:, None]
        lost = (weight * (contrasts - predicted[kept]) ** 2).sum()
        return float(1.0 - lost / (weight * contrasts**2).sum())

    @abstractmethod
    def _learn(self, trial: Trial) -> None:
        """Set what `_predicted` and `importance_` need."""

    @abstractmethod
    def _predicted(self, X: Floats) -> Floats:
        """Effects of checked features, (n, n_arms - 1)."""

    def _learned_features(self, X: ArrayLike) -> Floats:
        """Features of a fit as floats; remembers names, width and levels."""
        try:
            frame = _framed(X)
            if frame is None:
                matrix = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
                self.columns_ = Columns.numeric(matrix.shape[1])
                return np.asarray(matrix)
            validate_data(self, X, skip_check_array=True)
            self.columns_ = Columns.of(frame)
            return self.columns_(frame)
        except ValueError as error:
            raise TrialError(f"X: {error}") from error

    def _features(self, X: ArrayLike) -> Floats:
        """Features as floats, of the width and levels of the fit."""
        try:
            if not any(self.columns_.levels):
                matrix = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
                return np.asarray(matrix)
            validate_data(self, X, reset=False, skip_check_array=True)
            return self.columns_(pd.DataFrame(cast("Any", X)))
        except ValueError as error:
            raise TrialError(f"X: {error}") from error

    def __sklearn_tags__(self) -> Tags:
        """Gaps and text are welcome; without an outcome there is nothing to learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags


def _framed(X: ArrayLike) -> pd.DataFrame | None:
    """The frame of an input that holds text; None where every column is a number."""
    if isinstance(X, pd.DataFrame):
        return X if has_text(X) else None
    if isinstance(X, np.ndarray) and X.dtype.kind in "OU" and X.ndim == 2:
        frame = pd.DataFrame(X)
        return frame if has_text(frame) else None
    return None
