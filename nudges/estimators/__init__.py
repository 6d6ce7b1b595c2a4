"""Uplift estimators, one file each: the stem is the name a campaign writes, `load` gives an unfitted instance.

Every file holds one scikit-learn estimator (the class named `Estimator`): the constructor stores, `fit` validates.

    fit(X, y, *, treatment, propensity, groups=None, sample_weight=None) -> self
        X (n, p) floats, NaN where unknown; y (n,) outcome; treatment (n,) arm labels; propensity (n, n_arms) logged
        probabilities with columns in the order of `arms`; groups (n,) the randomised unit, never split over folds.
    effect(X) -> (n, n_arms - 1)
        difference to the control in the outcome's unit, one column an arm, positive when the arm raises the outcome.
    arms_
        arm labels, the control first.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.domain import CONTROL
from nudges.errors import ConfigError, DataError
from nudges.scoring import checked_propensity

Floats = NDArray[np.float64]


class UpliftEstimator(Protocol):
    """What every file of this folder gives."""

    arms_: tuple[str, ...]

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

    def effect(self, X: ArrayLike) -> Floats:
        """Predicted effect of every arm against the control."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """Input of `fit` after checking.

    Attributes:
        X: (n, p) features, NaN where unknown.
        y: (n,) outcome.
        given: (n,) column of the arm given.
        propensity: (n, n_arms).
        groups: (n,) labels of the randomised unit.
        weight: (n,) sample weights.
        arms: labels, control first.
    """

    X: Floats
    y: Floats
    given: NDArray[np.intp]
    propensity: Floats
    groups: NDArray[Any]
    weight: Floats
    arms: tuple[str, ...]


def names() -> tuple[str, ...]:
    """Stems of the files in this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> UpliftEstimator:
    """An unfitted estimator by the stem of its file.

    Raises:
        ConfigError: no such file; lists the choices.
    """
    if name not in names():
        raise ConfigError(
            f'estimator == {name!r}, must be one of {", ".join(names())}. Write estimator = "dr_learner".'
        )
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("UpliftEstimator", module.Estimator())


def checked_trial(
    X: ArrayLike,
    y: ArrayLike,
    *,
    treatment: ArrayLike,
    propensity: ArrayLike,
    groups: ArrayLike | None,
    sample_weight: ArrayLike | None,
    arms: Sequence[str] | None,
) -> Trial:
    """Input of `fit` as arrays of matching length.

    Raises:
        DataError: what is wrong with which argument.
    """
    outcome = np.asarray(y, dtype=np.float64)
    matrix = checked_features(X)
    labels = np.asarray(treatment).astype(str)
    for name, length in (("X", len(matrix)), ("treatment", len(labels))):
        if length != len(outcome):
            raise DataError(f"{name}: {length} rows, must be as many as y, {len(outcome)}.")
    if len(outcome) == 0 or not np.isfinite(outcome).all():
        raise DataError("y: empty or not finite in some row, must be a number. Leave out rows without an outcome.")
    order = _arm_order(labels, arms)
    chance = checked_propensity(propensity, len(outcome))
    if chance.shape[1] != len(order):
        raise DataError(
            f"propensity: {chance.shape[1]} columns, must be {len(order)}, in the order {', '.join(order)}."
        )
    rows = np.arange(len(outcome)) if groups is None else np.asarray(groups)
    weight = np.ones(len(outcome)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return Trial(matrix, outcome, _positions(labels, order), chance, rows, weight, order)


def checked_features(X: ArrayLike, n_columns: int | None = None) -> Floats:
    """Features as floats; infinities become unknown, the width must be that of the fit."""
    matrix = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or (n_columns is not None and matrix.shape[1] != n_columns):
        raise DataError(f"X: shape {matrix.shape}, must be (rows, {n_columns or 'columns'}).")
    return matrix


def _arm_order(labels: NDArray[np.str_], arms: Sequence[str] | None) -> tuple[str, ...]:
    """Control first and named, never guessed by sorting."""
    seen = set(np.unique(labels).tolist())
    order = tuple(arms) if arms is not None else (CONTROL, *sorted(seen - {CONTROL}))
    if arms is None and CONTROL not in seen:
        raise DataError(f"treatment: no row of {CONTROL!r}. Name the arms, control first: arms=('none', 'a').")
    if unknown := seen - set(order):
        raise DataError(f"treatment: {min(unknown)!r}, must be one of the arms {', '.join(order)}.")
    if len(order) < 2:
        raise DataError(f"arms == {order}, must name the control and at least one arm.")
    return order


def _positions(labels: NDArray[np.str_], order: tuple[str, ...]) -> NDArray[np.intp]:
    known, codes = np.unique(labels, return_inverse=True)
    return np.array([order.index(label) for label in known.tolist()], dtype=np.intp)[codes]
