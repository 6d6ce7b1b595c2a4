"""What estimators on doubly robust scores share: a trial → Γ → contrasts to the control, and folds over units."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from nudges.estimators._contract import ArmEffects
from nudges.estimators._importance import moved_by
from nudges.estimators._rows import Scored
from nudges.estimators._scored import arm_scores, contrasts_of
from nudges.estimators._trial import Trial, TrialError, checked_outcome, checked_rows, named_arms
from nudges.scoring import group_folds


class DoublyRobust(ArmEffects):
    """Learns effects from the score matrix; its files add `_learn_contrasts` and `_predicted`.

    Args:
        arms: labels, control first; taken from the rows when not given.
        n_folds: folds of the outcome models, of the shrinkage and of what is held out.
        random_state: of the folds.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ArmEffects._parameter_constraints,
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    }

    def __init__(self, arms: tuple[str, ...] | None = None, n_folds: int = 5, random_state: int = 0) -> None:
        self.arms = arms
        self.n_folds = n_folds
        self.random_state = random_state

    def fit_scores(
        self,
        X: ArrayLike,
        scores: ArrayLike,
        *,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from a score matrix made elsewhere; `arms` must be named.

        Args:
            X: (n, p) features.
            scores: (n, n_arms) Γ, columns in the order of `arms`.
            y: (n,) outcome; where it lies between 0 and 1 it tells which rows have room to move.
            groups: (n,) randomised unit of each row.
            sample_weight: (n,) how many rows each row stands for.

        Raises:
            TrialError: shapes that do not fit together, or arms that are not named.
        """
        self._validate_params()
        order = named_arms(self.arms)
        matrix = self._learned_features(X)
        gamma = np.asarray(scores, dtype=np.float64)
        if gamma.shape != (len(matrix), len(order)) or not np.isfinite(gamma).all():
            raise TrialError(f"scores: shape {gamma.shape}, must be {len(matrix), len(order)} finite numbers.")
        outcome = None if y is None else checked_outcome(y, len(matrix))
        units, weight = checked_rows(len(matrix), groups, sample_weight)
        kept = np.flatnonzero(weight > 0) if (weight == 0).any() else slice(None)
        self.arms_ = order
        self._learn_scored(
            Scored(
                X=matrix[kept],
                contrasts=contrasts_of(gamma[kept]),
                y=None if outcome is None else outcome[kept],
                groups=units[kept],
                weight=weight[kept],
                folds=group_folds(units[kept], self.n_folds, self.random_state),
            )
        )
        return self

    def _learn(self, trial: Trial) -> None:
        folds = group_folds(trial.groups, self.n_folds, self.random_state)
        contrasts = contrasts_of(arm_scores(trial, folds))
        self._learn_scored(Scored(trial.X, contrasts, trial.y, trial.groups, trial.weight, folds))

    def _learn_scored(self, rows: Scored) -> None:
        self._learn_contrasts(rows)
        self.importance_ = moved_by(self._predicted, rows.X, self.columns_.source, self.n_features_in_)

    @abstractmethod
    def _learn_contrasts(self, rows: Scored) -> None:
        """Set what `_predicted` needs from the contrasts of the score matrix."""
