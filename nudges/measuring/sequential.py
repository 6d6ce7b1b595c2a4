"""Turns the estimates of repeated looks into intervals that may be read every week without raising false alarms.

With a declared horizon: O'Brien-Fleming error spending (Lan & DeMets 1983, https://doi.org/10.1093/biomet/70.3.659) on
the covariance of the looks as estimated from the data, so that a fixed cohort read week after week is not taken for new
households. Without one: an asymptotic confidence sequence (Waudby-Smith et al., https://arxiv.org/abs/2103.06476) whose
sample size is the number of units, never of unit-weeks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from nudges.errors import DataError
from nudges.measuring.crossing import boundaries

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a running campaign, out of a declared `horizon` of them.

    Attributes:
        look: number of the look, 1 to `horizon`.
        horizon: looks declared before the first.
        estimate: treated minus control, in units of the outcome.
        se: its standard error.
        boundary: standard errors from zero at which the look shows an effect.
        ci_low: estimate - boundary x se: the intervals of all looks hold the truth together with 1 - alpha.
        ci_high: estimate + boundary x se.
        spent_alpha: chance of a false alarm allowed up to and with this look, when nothing is going on.
    """

    look: int
    horizon: int
    estimate: float
    se: float
    boundary: float
    ci_low: float
    ci_high: float
    spent_alpha: float

    @property
    def is_crossed(self) -> bool:
        """Whether this look by itself shows an effect."""
        return not self.ci_low <= 0 <= self.ci_high


def spent_alpha(share: float, *, alpha: float = 0.05) -> float:
    """Error allowed when `share` (0-1) of the horizon is over: 2 - 2 Phi(z_{1-alpha/4} / sqrt(share)) on each side."""
    return 4 * float(ndtr(ndtri(alpha / 4) / math.sqrt(share)))


def sequential(
    estimates: ArrayLike,
    covariance: ArrayLike,
    *,
    horizon: int,
    alpha: float = 0.05,
    looks_at: Sequence[int] | None = None,
    df: float = math.inf,
) -> tuple[Look, ...]:
    """Intervals of the looks taken so far, out of `horizon` looks declared before the first.

    A boundary depends on the looks up to its own only. It comes from 256 fixed points of a lattice, no random numbers:
    within 0.001 of the published tables, and over 26 weekly looks within 0.002 of the limit in the number of points.

    Args:
        estimates: (T,) as `cumulative_effects` gives; a look that is NaN or has no spread is taken as not made.
        covariance: (T, T) of the estimates.
        horizon: looks (weeks) declared before the first; T or more.
        alpha: error over all looks together.
        looks_at: (T,) rising numbers of the looks within the horizon; 1 to T when None.
        df: of the t reference each look would have on its own; a boundary keeps its tail probability on the t scale.

    Returns:
        One Look for each that was made, in order.

    Raises:
        DataError: shapes differ, more looks than the horizon, `looks_at` not rising, alpha not between 0 and 1.
    """
    tau, sigma = np.asarray(estimates, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    numbers = list(range(1, len(tau) + 1)) if looks_at is None else [int(number) for number in looks_at]
    _check(tau, sigma, numbers, horizon, alpha)
    variance = np.diag(sigma)
    made = np.flatnonzero(np.isfinite(tau) & np.isfinite(variance) & (variance > 0))
    se = np.sqrt(variance[made])
    spent = [spent_alpha(numbers[index] / horizon, alpha=alpha) for index in made.tolist()]
    reach = boundaries(sigma[np.ix_(made, made)] / np.outer(se, se), spent)
    return tuple(
        _look(numbers[index], horizon, float(tau[index]), error, on_t(c, df), share)
        for index, error, c, share in zip(made.tolist(), se.tolist(), reach.tolist(), spent, strict=True)
    )


def _look(number: int, horizon: int, estimate: float, se: float, boundary: float, spent: float) -> Look:
    reach = boundary * se
    return Look(number, horizon, estimate, se, boundary, estimate - reach, estimate + reach, spent)


def _check(tau: Floats, sigma: Floats, numbers: Sequence[int], horizon: int, alpha: float) -> None:
    if tau.ndim != 1 or sigma.shape != (len(tau), len(tau)) or len(numbers) != len(tau):
        raise DataError(
            f"measuring.sequential: estimates.shape == {tau.shape}, covariance.shape == {sigma.shape}, "
            f"{len(numbers)} look numbers: must be T, T x T and T. Take both from one call of cumulative_effects."
        )
    if any(b <= a for a, b in zip([0, *numbers], numbers, strict=False)) or max(numbers, default=0) > horizon:
        raise DataError(
            f"measuring.sequential: looks {list(numbers)} of a horizon of {horizon}, must rise from 1 to {horizon}. "
            "Leave out looks after the horizon: it was declared before the first."
        )
    if not 0 < alpha < 1:
        raise DataError(f"measuring.sequential: alpha == {alpha}, must be between 0 and 1. Write 0.05 for 95 %.")


def on_t(boundary: float, df: float) -> float:
    """The point of t(df) with the tail probability that `boundary` has under the normal."""
    if not math.isfinite(df):
        return boundary
    return max(-float(stdtrit(df, float(ndtr(-boundary)))), boundary)


def confidence_sequence(
    estimate: float, se: float, n_units: int, *, tuned_for: int, alpha: float = 0.05
) -> tuple[float, float]:
    """Interval that holds at every look of a horizon that was never declared, for as long as it goes on.

    estimate -/+ se sqrt(2 (n r^2 + 1) / (n r^2) log(sqrt(n r^2 + 1) / alpha)), n the number of units (households or bin
    stores, not unit-weeks: weeks of one household are not new households), and r^2 = (-2 log alpha + log(1 - 2 log
    alpha)) / tuned_for, which is tightest at `tuned_for` units. About 1.55 times the interval of a single look.

    Args:
        estimate: treated minus control.
        se: its standard error.
        n_units: units in both arms.
        tuned_for: units expected in the end, declared before the first look.
        alpha: error over all looks together.

    Raises:
        DataError: units below 1, a negative standard error or alpha not between 0 and 1.
    """
    if n_units < 1 or tuned_for < 1 or not se >= 0 or not 0 < alpha < 1:
        raise DataError(
            f"measuring.confidence_sequence: n_units == {n_units}, tuned_for == {tuned_for}, se == {se}, alpha == "
            f"{alpha}: must be 1 or more, 1 or more, 0 or more, and between 0 and 1."
        )
    scale = -2 * math.log(alpha)
    grown = n_units * (scale + math.log(scale + 1)) / tuned_for
    reach = se * math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / alpha))
    return estimate - reach, estimate + reach
