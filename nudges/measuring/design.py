"""Turns raw vectors, one row per randomised unit, into checked rows and the columns of a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import Floats, Labels

_CONSTANT = 1e-12  # spread of a covariate relative to its size below which it is a constant
_NOTHING = 1e-9  # relative to the outcome's size: below this a number is rounding, not a difference or a spread


@dataclass(frozen=True, slots=True)
class Rows:
    """n units: outcome, covariate (NaN where unknown), treatment 0/1, weight, stratum number or None."""

    where: str  # begins every message
    y: Floats
    x: Floats
    z: Floats
    w: Floats
    strata: Labels | None
    alpha: float

    @property
    def n_treated(self) -> int:
        """Units treated."""
        return int(self.z.sum())

    @property
    def n_control(self) -> int:
        """Units in control."""
        return len(self.z) - self.n_treated

    def effect(self, estimate: float, variance: float, df: float, method: Method) -> Effect:
        """The effect; an estimate or a spread that is rounding is written as 0."""
        se = float(np.sqrt(max(variance, 0.0)))
        rounding = _NOTHING * float(np.sqrt(np.average(self.y**2, weights=self.w)))
        if se <= rounding:
            estimate, se = estimate if abs(estimate) > rounding else 0.0, 0.0
        return Effect.of(
            estimate, se, df, n_treated=self.n_treated, n_control=self.n_control, method=method, alpha=self.alpha
        )


def checked_rows(
    where: str,
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None,
    strata: ArrayLike | None,
    alpha: float,
) -> Rows:
    """Check and convert the vectors of `unit_ancova`; `where` begins the messages. Raises as `unit_ancova` does."""
    y = vector(where, "post", post)
    z = vector(where, "treated", treated, n=len(y))
    w = np.ones(len(y)) if weights is None else vector(where, "weights", weights, n=len(y))
    _check(where, y, z, w)
    if not 0 < alpha < 1:
        raise DataError(f"{where}: alpha == {alpha}, must be between 0 and 1. Write 0.05 for 95 %.")
    x = np.full(len(y), np.nan) if pre is None else vector(where, "pre", pre, n=len(y))
    levels = None if strata is None else labels(where, "strata", strata, len(y))
    return Rows(where, y, x, z, w, levels, alpha)


def vector(where: str, name: str, values: ArrayLike, n: int | None = None) -> Floats:
    """One number a unit. Raises DataError for another shape."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or (n is not None and len(found) != n):
        wanted = "one row per unit" if n is None else f"{n} rows, one per unit of `post`"
        raise DataError(f"{where}: {name}.shape == {found.shape}, must be {wanted}.")
    return found


def labels(where: str, name: str, values: ArrayLike, n: int) -> Labels:
    """Any labels to numbers from 0. Raises DataError for another shape."""
    found = np.asarray(values)
    if found.shape != (n,):
        raise DataError(f"{where}: {name}.shape == {found.shape}, must be ({n},), one label per unit.")
    return np.unique(found, return_inverse=True)[1]


def _check(where: str, y: Floats, z: Floats, w: Floats) -> None:
    bad = int((~np.isfinite(y)).sum())
    if bad:
        raise DataError(f"{where}: post has {bad} units without an outcome (NaN), must have none. Leave them out.")
    if not np.isin(z, (0.0, 1.0)).all():
        raise DataError(f"{where}: treated has values other than 0 and 1. Write 1 for treated units.")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError(f"{where}: weights must be above 0. Write the number of households in each unit.")
    for arm, count in (("treated", int(z.sum())), ("control", int((1 - z).sum()))):
        if count < 2:
            raise UnsupportedError(
                f"{where}: {count} {arm} units, must be 2 or more for an interval. Wait for more units."
            )


def covariates(rows: Rows) -> list[Floats]:
    """Pre (centred on its weighted mean, scaled; 0 where unknown) and an indicator of unknown; constants left out."""
    missing = ~np.isfinite(rows.x)
    if missing.all():
        return []
    columns = []
    known = ~missing
    centre = np.average(rows.x[known], weights=rows.w[known])
    x = np.where(known, rows.x - centre, 0.0)
    spread = float(np.sqrt(np.mean(x[known] ** 2)))
    if spread > _CONSTANT * max(1.0, abs(centre)):
        columns.append(x / spread)
    if missing.any():
        columns.append(missing.astype(np.float64))
    return columns


def strata_columns(rows: Rows) -> list[Floats]:
    """A column for each stratum but the first."""
    if rows.strata is None:
        return []
    return [(rows.strata == level).astype(np.float64) for level in range(1, int(rows.strata.max()) + 1)]


def ancova_design(rows: Rows) -> Floats:
    """Columns: 1, treated, pre, missing, strata but the first. Constant ones are left out."""
    return np.column_stack([np.ones(len(rows.z)), rows.z, *covariates(rows), *strata_columns(rows)])
