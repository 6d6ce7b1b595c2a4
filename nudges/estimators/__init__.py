"""Uplift estimators, one file each: the stem is the name a campaign writes, `load` gives an unfitted instance.

Every file holds one scikit-learn estimator (the class named `Estimator`): the constructor stores, `fit` validates.
Files that begin with an underscore are what the estimators share, not estimators.

    fit(X, y, *, treatment, propensity, groups=None, sample_weight=None) -> self
        X (n, p) an array or a DataFrame, NaN where unknown, text and category columns welcome; y (n,) outcome;
        treatment (n,) arm labels; propensity (n, n_arms) logged probabilities with columns in the order of `arms`;
        groups (n,) the randomised unit, never split over folds.
    effect(X) -> (n, n_arms - 1)
        difference to the control in the outcome's unit, one column an arm, positive when the arm raises the outcome.
    arms_
        arm labels, the control first.
    importance_ (n_arms - 1, p)
        how much each feature moves the predicted effect: standard deviation of its part, outcome units.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import ConfigError

DEFAULT = "causal_stack"
"""What a campaign gets that names no estimator."""


class UpliftEstimator(Protocol):
    """What every file of this folder gives."""

    arms_: tuple[str, ...]
    importance_: NDArray[np.float64]

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
        """Learn from one randomised trial."""
        ...

    def effect(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predicted effect of every arm against the control."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name."""
        ...


def names() -> tuple[str, ...]:
    """Stems of the estimators in this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def load(name: str) -> UpliftEstimator:
    """An unfitted estimator by the stem of its file.

    Raises:
        ConfigError: no such file; lists the choices.
    """
    if name not in names():
        raise ConfigError(f'estimator == {name!r}, must be one of {", ".join(names())}. Write estimator = "{DEFAULT}".')
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("UpliftEstimator", module.Estimator())
