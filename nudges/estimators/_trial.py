"""Arguments of `fit` → one checked trial, or an error that names the argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from nudges.domain import CONTROL
from nudges.errors import DataError
from nudges.scoring import checked_propensity

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class TrialError(DataError, ValueError):
    """Input that cannot be learned from; also a ValueError, as scikit-learn's callers expect."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Input of `fit` after checking, rows of weight 0 left out.

    Attributes:
        X: (n, p) features as numbers, NaN where unknown.
        y: (n,) outcome.
        given: (n,) column of the arm given.
        propensity: (n, n_arms).
        groups: (n,) labels of the randomised unit.
        weight: (n,) sample weights, all above 0.
        arms: labels, control first.
    """

    X: Floats
    y: Floats
    given: Indices
    propensity: Floats
    groups: NDArray[Any]
    weight: Floats
    arms: tuple[str, ...]


def checked_trial(
    X: Floats,
    y: ArrayLike,
    *,
    treatment: ArrayLike,
    propensity: ArrayLike,
    groups: ArrayLike | None,
    sample_weight: ArrayLike | None,
    arms: Sequence[str] | None,
) -> Trial:
    """Input of `fit` as arrays of matching length; `X` is checked and numeric already.

    Raises:
        TrialError: what is wrong with which argument.
    """
    n_rows = len(X)
    labels = np.asarray(treatment)
    labels = labels if labels.dtype.kind == "U" else labels.astype(str)
    _same_length("treatment", labels, n_rows)
    outcome = checked_outcome(y, n_rows)
    order = arm_order(labels, arms)
    try:
        chance = checked_propensity(propensity, n_rows)
    except DataError as error:
        raise TrialError(str(error)) from error
    if chance.shape[1] != len(order):
        raise TrialError(
            f"propensity: {chance.shape[1]} columns, must be {len(order)}, in the order {', '.join(order)}."
        )
    units, weight = checked_rows(n_rows, groups, sample_weight)
    return _counted(Trial(X, outcome, _positions(labels, order), chance, units, weight, order))


def checked_outcome(y: ArrayLike, n_rows: int) -> Floats:
    """Outcomes as finite floats, (n,)."""
    if y is None:
        raise TrialError("y: None; this estimator requires y to be passed, but the target y is None.")
    try:
        outcome = np.asarray(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"))
    except ValueError as error:
        raise TrialError(f"y: {error} Must be a number in every row. Leave out rows without an outcome.") from error
    outcome = outcome[:, 0] if outcome.ndim == 2 and outcome.shape[1] == 1 else outcome
    if outcome.ndim != 1:
        raise TrialError(f"y: shape {outcome.shape}, must be ({n_rows},), one outcome a row.")
    _same_length("y", outcome, n_rows)
    return outcome


def checked_rows(n_rows: int, groups: ArrayLike | None, sample_weight: ArrayLike | None) -> tuple[NDArray[Any], Floats]:
    """Units and weights of the rows, each row a unit of weight 1 where nothing is said."""
    units = np.arange(n_rows) if groups is None else np.asarray(groups)
    weight = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    if weight.ndim != 1:
        raise TrialError("sample_weight: Sample weights must be 1D array or scalar.")
    _same_length("groups", units, n_rows)
    _same_length("sample_weight", weight, n_rows)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise TrialError("sample_weight: must be finite, never negative and not zero in every row.")
    return units, weight


def arm_order(labels: NDArray[np.str_], arms: Sequence[str] | None) -> tuple[str, ...]:
    """Control first and named, never guessed by sorting."""
    seen = set(np.unique(labels).tolist())
    if arms is None and CONTROL not in seen:
        raise TrialError(f"treatment: no row of {CONTROL!r}. Name the arms, control first: arms=('none', 'a').")
    order = (CONTROL, *sorted(seen - {CONTROL})) if arms is None else named_arms(arms)
    if unknown := seen - set(order):
        raise TrialError(f"treatment: {min(unknown)!r}, must be one of the arms {', '.join(order)}.")
    if len(order) < 2:
        raise TrialError(f"arms == {order}, must name the control and at least one arm.")
    return order


def named_arms(arms: Sequence[str] | None) -> tuple[str, ...]:
    """Arms as written down, the control first.

    Raises:
        TrialError: fewer than two, one of them twice, or none named at all.
    """
    order = () if arms is None else tuple(str(arm) for arm in arms)
    if len(order) < 2 or len(set(order)) < len(order):
        raise TrialError(f"arms == {order}, must name the control first and at least one other arm, none twice.")
    return order


def _same_length(name: str, values: NDArray[Any], n_rows: int) -> None:
    if len(values) != n_rows:
        raise TrialError(f"{name}: {len(values)} rows, must be as many as X, {n_rows}.")


def _positions(labels: NDArray[np.str_], order: tuple[str, ...]) -> Indices:
    known, codes = np.unique(labels, return_inverse=True)
    return np.array([order.index(label) for label in known.tolist()], dtype=np.intp)[codes]


def _counted(trial: Trial) -> Trial:
    """The rows that count: those of weight 0 say nothing, not even to which fold their unit belongs."""
    if (trial.weight > 0).all():
        return trial
    rows = np.flatnonzero(trial.weight > 0)
    return Trial(
        X=trial.X[rows],
        y=trial.y[rows],
        given=trial.given[rows],
        propensity=trial.propensity[rows],
        groups=trial.groups[rows],
        weight=trial.weight[rows],
        arms=trial.arms,
    )
