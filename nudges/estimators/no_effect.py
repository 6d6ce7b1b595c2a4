"""No effect: every arm does nothing. With it a campaign never targets; the gate still finds the best single arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._contract import ArmEffects
from nudges.estimators._trial import Trial


class Estimator(ArmEffects):
    """Predicts an effect of 0 for everyone.

    Args:
        arms: labels, control first; taken from the rows when not given.
    """

    def __init__(self, arms: tuple[str, ...] | None = None) -> None:
        self.arms = arms

    def _learn(self, trial: Trial) -> None:
        self.importance_ = np.zeros((len(trial.arms) - 1, self.n_features_in_))

    def _predicted(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros((len(X), len(self.arms_) - 1))
