"""Turns spreads and numbers of units into the smallest effect a campaign can see, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.crossing import boundaries
from nudges.measuring.sequential import on_t, spent_alpha
from nudges.measuring.variation import Variation

Floats = NDArray[np.float64]

ALPHA = 0.05
"""False alarms over all looks of a campaign."""

FEWEST = 5
"""Fewest units with which a spread about a covariate can be told at all."""

_NORMAL = 1_000  # degrees of freedom beyond which t is the normal
MOST_UNITS = 10_000_000
MOST_WEEKS = 104
_LEAST_EIGENVALUE = 1e-6
_LOOKS = 13  # looks a boundary is worked out for: more of them, equally spaced, hardly move the last one


@dataclass(frozen=True, slots=True)
class Trial:
    """What is drawn, and for how long: the units may be households, bin stores or rounds.

    Attributes:
        n_treated: units in the campaign that can be written to.
        n_control: such units in control.
        weeks: measured after the start.
        pre_weeks: measured before it, to adjust for standing differences.
        is_read_weekly: whether the result is read every week (adjusted interval) or once, at the end.
        fewest_units: below which the draw is refused whatever it could see, so that fewer are never asked for.
    """

    n_treated: int
    n_control: int
    weeks: int
    pre_weeks: int = 26
    is_read_weekly: bool = True
    fewest_units: int = FEWEST

    @property
    def units(self) -> int:
        """Units in both arms."""
        return self.n_treated + self.n_control


@dataclass(frozen=True, slots=True)
class Power:
    """What a campaign can see, read every week until its end by the adjusted interval.

    Attributes:
        trial: what is drawn.
        stated_share: what the campaign is meant to do, with its sign.
        detectable: smallest true effect seen with probability 0.8, in units of the outcome, no sign.
        detectable_share: of the mean.
        chance: probability of seeing the stated effect.
        units_needed: units in all, split as now, with which the stated effect is seen; None when more than 10 million.
        weeks_needed: weeks with the units there are; None when more than two years.
        variance: over units, of the mean over the trial's weeks.
        r_squared: share of it that the weeks before explain.
        boundary: standard errors from zero that the last look asks for.
        reached_share: share of the campaign's units that messages get to.
        variation: of the council's own past.
    """

    trial: Trial
    stated_share: float
    detectable: float
    detectable_share: float
    chance: float
    units_needed: int | None
    weeks_needed: int | None
    variance: float
    r_squared: float
    boundary: float
    reached_share: float
    variation: Variation

    @property
    def is_enough(self) -> bool:
        """Whether the stated effect is at least the smallest detectable."""
        return abs(self.stated_share) >= self.detectable_share

    @property
    def reached_detectable_share(self) -> float:
        """Change among households that messages get to, of the mean, that makes up the smallest detectable effect."""
        return self.detectable_share / self.reached_share if self.reached_share > 0 else math.inf


def power(
    variation: Variation, trial: Trial, *, stated_share: float, reached_share: float = 1.0, target: float = 0.8
) -> Power:
    """Work out the smallest effect that a campaign can see, and what its stated effect would need.

    se = sqrt(V (1 - R^2) (1/n_1 + 1/n_0) (n - 3)/(n - 4)), the last for estimating the covariate's slope, and the
    detectable effect is (c + t_{target, n - 3}) se, c the boundary of the last look on t(n - 3), 5 % over all looks.

    Args:
        variation: of the drawn units, from the council's own past.
        trial: how many of them, and for how long.
        stated_share: effect the campaign is meant to have, as a share of the mean, with its sign.
        reached_share: share of the households compared as treated that messages get to, 0-1.
        target: probability with which the smallest effect is seen.

    Raises:
        DataError: weeks below 1, no stated effect, or a mean that is not positive.
        UnsupportedError: fewer than 5 units, or none in an arm.
    """
    _check(variation, trial, stated_share)
    curve = _Curve(variation, trial.n_treated / trial.units, trial.pre_weeks, trial.is_read_weekly, target)
    n, weeks, stated = trial.units, trial.weeks, abs(stated_share) * variation.mean
    variance, r_squared = variation.adjusted(weeks, trial.pre_weeks)
    c = curve.last_boundary(weeks)
    detectable = curve.detectable(n, weeks, c)

    def enough_units(units: int) -> bool:
        return curve.detectable(units, weeks, c) <= stated

    def enough_weeks(long: int) -> bool:
        return curve.detectable(n, long, curve.last_boundary(long)) <= stated

    return Power(
        trial=trial,
        stated_share=stated_share,
        detectable=detectable,
        detectable_share=detectable / variation.mean,
        chance=curve.chance(stated, n, weeks, c),
        units_needed=_fewest(enough_units, trial.fewest_units, MOST_UNITS),
        weeks_needed=_fewest(enough_weeks, 1, MOST_WEEKS),
        variance=variance,
        r_squared=r_squared,
        boundary=on_t(c, n - 3),
        reached_share=reached_share,
        variation=variation,
    )


def _check(variation: Variation, trial: Trial, stated_share: float) -> None:
    if trial.weeks < 1 or trial.pre_weeks < 0 or stated_share == 0 or not variation.mean > 0:
        raise DataError(
            f"measuring.power: weeks == {trial.weeks}, pre_weeks == {trial.pre_weeks}, stated_share == {stated_share}, "
            f"mean == {variation.mean:g}: must be 1 or more, 0 or more, not 0, and above 0."
        )
    if min(trial.n_treated, trial.n_control) < 1 or trial.units < FEWEST:
        raise UnsupportedError(
            f"measuring.power: {trial.n_treated} treated and {trial.n_control} control units, must be 1 or more of "
            f"each and {FEWEST} together. Widen the segment."
        )


@dataclass(frozen=True, slots=True)
class _Curve:
    """What stays the same while units and weeks are tried."""

    variation: Variation
    treated_share: float
    pre_weeks: int
    is_read_weekly: bool
    target: float

    def last_boundary(self, weeks: int) -> float:
        """Standard errors from zero that the last look asks for, on the normal scale."""
        looks = min(_LOOKS, max(int(weeks * self.variation.read_share), 1))  # no look before there is a new reading
        ends = np.unique(np.ceil(np.linspace(0, weeks, looks + 1)[1:] - 1e-9).astype(int))
        covariance = self.variation.running(ends, self.pre_weeks)
        variance = np.diag(covariance)
        if not self.is_read_weekly or looks == 1 or not (variance > 0).all():
            return -float(ndtri(ALPHA / 2))
        spent = [spent_alpha(end / weeks, alpha=ALPHA) for end in ends.tolist()]
        return float(boundaries(_possible(covariance / np.sqrt(np.outer(variance, variance))), spent)[-1])

    def se(self, units: int, weeks: int) -> float:
        """Standard error of the effect at the end."""
        treated = self.treated_share * units
        variance, r_squared = self.variation.adjusted(weeks, self.pre_weeks)
        slope = (units - 3) / (units - 4)
        return math.sqrt(variance * (1 - r_squared) * (1 / treated + 1 / (units - treated)) * slope)

    def detectable(self, units: int, weeks: int, boundary: float) -> float:
        """Smallest effect seen with the target probability."""
        reach = on_t(boundary, units - 3) + float(stdtrit(units - 3, self.target))
        return reach * self.se(units, weeks)

    def chance(self, effect: float, units: int, weeks: int, boundary: float) -> float:
        """Probability that the last look shows an effect of this size (noncentral t)."""
        se, df = self.se(units, weeks), units - 3
        if se == 0:
            return 1.0
        c = on_t(boundary, df)
        if df > _NORMAL:
            return float(ndtr(effect / se - c) + ndtr(-effect / se - c))
        return 1 - float(nctdtr(df, effect / se, c)) + float(nctdtr(df, effect / se, -c))


def _possible(correlation: Floats) -> Floats:
    """The nearest correlation without negative eigenvalues: the model's shares of readings are not whole numbers."""
    values, vectors = np.linalg.eigh(correlation)
    mended = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(mended))
    return np.asarray(mended / np.outer(scale, scale), dtype=np.float64)


def _fewest(is_enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """Smallest whole number from `least` to `most` that is enough, of a test that more can only pass; None if none."""
    if not is_enough(most):
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = math.isqrt(max(low, 1) * high) if high > 4 * max(low, 1) else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def mean_variance(sd_between: float, sd_within: float, weeks: int, *, autocorrelation: float = 0.0) -> float:
    """Variance over units of the mean of `weeks` weekly values.

    s_b^2 + s_w^2 / T * (1 + 2 sum_k (1 - k/T) rho^k): standing differences between units, plus weekly noise with
    first-order autocorrelation `rho`.
    """
    if weeks < 1:
        raise DataError(f"measuring.mean_variance: weeks == {weeks}, must be 1 or more.")
    carry = sum((1 - k / weeks) * autocorrelation**k for k in range(1, weeks))
    return sd_between**2 + sd_within**2 / weeks * (1 + 2 * carry)


def minimum_detectable(
    variance: float,
    n_treated: float,
    n_control: float,
    *,
    r_squared: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Smallest true difference seen with probability `power` at level `alpha`, in units of the outcome.

    (z_{1-alpha/2} + z_power) sqrt(V (1 - R^2) (1/n_treated + 1/n_control)), where V is the variance over units of the
    post-period mean and R^2 the share of it that the pre-period mean explains. Inf when an arm is empty.
    """
    if variance < 0 or not 0 <= r_squared <= 1:
        raise DataError(
            f"measuring.minimum_detectable: variance == {variance}, r_squared == {r_squared}, must be 0 or more, and a "
            "share between 0 and 1."
        )
    if n_treated <= 0 or n_control <= 0:
        return math.inf
    reach = float(ndtri(1 - alpha / 2) + ndtri(power))
    return reach * math.sqrt(variance * (1 - r_squared) * (1 / n_treated + 1 / n_control))
