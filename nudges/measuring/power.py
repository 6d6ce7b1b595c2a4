"""Turns spreads and numbers of units into the smallest effect a campaign can see, in closed form."""

from __future__ import annotations

import math

from scipy.special import ndtri

from nudges.errors import DataError


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
