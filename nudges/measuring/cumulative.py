"""Turns outcomes of the same units at several looks or windows into effects and their joint covariance.

Each column is analysed on its own exactly as `unit_ancova` would; what is added is how the columns move together. The
covariance of two estimates is the sum over units of the product of their influences, psi_ik = (A_k x_i)_tau e_ik /
sqrt(1 - h_ik), so that the diagonal is the HC2 variance of `unit_ancova` (MacKinnon & White 1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.ancova import hc2_influence
from nudges.measuring.effect import Effect, Method

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cumulative:
    """Effects at T looks (or in T windows), treated minus control in units of the outcome, and how they move together.

    Attributes:
        estimates: (T,); NaN at a look that cannot be estimated (fewer than two units in an arm).
        covariance: (T, T); NaN in the row and the column of such a look.
        n_units_treated: units with an outcome at the last look that can be estimated; 0 when none can.
        n_units_control: the same of control.
        df: n - k at that look; NaN when there is none.
        influence: (n, T) influence of each unit on each estimate, 0 where it has no outcome; sums to the covariance.
    """

    estimates: Floats
    covariance: Floats
    n_units_treated: int
    n_units_control: int
    df: float
    influence: Floats

    @property
    def se(self) -> Floats:
        """(T,) standard error at each look."""
        return np.sqrt(np.diag(self.covariance))

    def effect(self, look: int, *, alpha: float = 0.05) -> Effect:
        """The effect at one look (from 0) as if it were the only one; degrees of freedom are those of the last look."""
        return Effect.of(
            float(self.estimates[look]),
            float(self.se[look]),
            self.df,
            n_treated=self.n_units_treated,
            n_control=self.n_units_control,
            method=Method.ANCOVA_HC2,
            alpha=alpha,
        )


def cumulative_effects(
    weekly: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Cumulative:
    """Estimate the effect over weeks 1 to k for every k.

    Look k is `unit_ancova` on each unit's plain mean of its weeks 1 to k that were read, over the units with at least
    one of them. Where a unit's weeks count by collections read (as `outcome_values` does), the two agree when as many
    were read in every week; take `joint_effects` with the outcomes to the end of each week to agree always.

    Args:
        weekly: (n, T) outcome of each unit in each week after its assignment, NaN where nothing was read.
        pre: (n,) outcome before, NaN where unknown, or None.
        treated: (n,) 0 or 1.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.

    Raises:
        DataError: shapes differ, treated not 0/1, weights not positive.
    """
    return joint_effects(running_means(_matrix(weekly)), pre, treated, weights=weights, strata=strata)


def running_means(weekly: Floats) -> Floats:
    """Mean of weeks 1 to k for every k, (n, T), over the weeks that are not NaN; NaN before the first of them."""
    known = np.isfinite(weekly)
    count = np.cumsum(known, axis=1)
    total = np.cumsum(np.where(known, weekly, 0.0), axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def joint_effects(
    outcomes: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Cumulative:
    """Estimate the effect on each column of `outcomes`, (n, T), each over the units that have it.

    Arguments and errors as in `cumulative_effects`.
    """
    y = _matrix(outcomes)
    n, looks = y.shape
    z, w = _arms(treated, n), _weights(weights, n)
    x = np.full(n, np.nan) if pre is None else np.asarray(pre, dtype=np.float64)
    labels = None if strata is None else np.asarray(strata)
    for name, shape in (("pre", x.shape), ("strata", (n,) if labels is None else labels.shape)):
        if shape != (n,):
            raise DataError(f"measuring.joint_effects: {name}.shape == {shape}, must be ({n},), one row per unit.")
    influence = np.zeros((n, looks))
    estimates = np.full(looks, np.nan)
    last = (0, 0, float("nan"))
    for look in range(looks):
        rows = np.flatnonzero(np.isfinite(y[:, look]))
        inside = z[rows]
        if min(inside.sum(), (1 - inside).sum()) < 2:
            continue
        try:
            one = hc2_influence(y[rows, look], x[rows], inside, w[rows], None if labels is None else labels[rows])
        except UnsupportedError:
            continue
        estimates[look] = one.estimate
        influence[rows, look] = one.rows
        last = (int(inside.sum()), int((1 - inside).sum()), one.df)
    covariance = influence.T @ influence
    missing = ~np.isfinite(estimates)
    covariance[missing, :] = np.nan
    covariance[:, missing] = np.nan
    return Cumulative(estimates, covariance, *last, influence)


def _matrix(values: ArrayLike) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise DataError(
            f"measuring.joint_effects: outcomes.shape == {matrix.shape}, must be (units, looks) with at least one look."
        )
    return matrix


def _arms(treated: ArrayLike, n: int) -> Floats:
    z = np.asarray(treated, dtype=np.float64)
    if z.shape != (n,) or not np.isin(z, (0.0, 1.0)).all():
        raise DataError(
            f"measuring.joint_effects: treated must be {n} values of 0 and 1, one for each row of outcomes."
        )
    return z


def _weights(weights: ArrayLike | None, n: int) -> Floats:
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError(
            f"measuring.joint_effects: weights must be {n} values above 0, the number of households in each unit."
        )
    return w
