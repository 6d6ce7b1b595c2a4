"""Turns counts and readings by arm into the checks that can void a headline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.ancova import unit_ancova
from nudges.measuring.effect import Effect

SRM_ALARM = 0.001
OUTAGE_LIMIT = 0.005  # half a percentage point, declared before any campaign
REACHED_LIMIT = 0.005  # of the households drawn to get nothing
IMBALANCE = 0.1  # standardised difference worth a look


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Units per group at one step against the configured shares. `is_alarm` voids the headline."""

    step: str
    observed: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    p_value: float
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class OutageGap:
    """Share of planned collections without a usable reading, by arm. `is_alarm` voids the headline."""

    treated_share: float
    control_share: float
    gap_share: float  # treated - control
    p_value: float
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class Attrition:
    """Share of contactable units without any outcome after the start, by arm: everyone stays in the arm drawn."""

    treated_share: float
    control_share: float
    gap_share: float  # treated - control
    p_value: float


@dataclass(frozen=True, slots=True)
class Reached:
    """Share of households drawn to get nothing that got a message of the campaign. `is_alarm` voids the headline."""

    control_share: float
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class Spillover:
    """Whether neighbours of messaged homes may have changed too.

    Attributes:
        mixed_share: share of the households in the campaign whose street also holds control households.
        neighbours: among control units, those with more messaged neighbours than the median against the others,
            clustered by street, in units of the outcome; None where that cannot be told.
    """

    mixed_share: float
    neighbours: Effect | None


@dataclass(frozen=True, slots=True)
class Balance:
    """Pre-period of the two arms, per household. The standardised difference has no unit."""

    treated_mean: float
    control_mean: float
    standardised: float
    treated_missing_share: float
    control_missing_share: float
    is_notable: bool


def sample_ratio(step: str, observed: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Test counts against configured shares by chi-square; an alarm below p = 0.001.

    Raises DataError when the groups differ, a share is negative or a group with share 0 has units.
    """
    if set(observed) != set(shares) or min(shares.values(), default=-1.0) < 0 or sum(shares.values()) <= 0:
        raise DataError(
            f"measuring.sample_ratio: groups {sorted(observed)} against shares {dict(shares)}, must be the same groups "
            "with shares of 0 or more."
        )
    total, whole = sum(observed.values()), sum(shares.values())
    expected = {group: total * share / whole for group, share in shares.items()}
    wrong = any(observed[group] > 0 and expected[group] == 0 for group in observed)
    live = [group for group in observed if expected[group] > 0]
    statistic = math.fsum((observed[group] - expected[group]) ** 2 / expected[group] for group in live)
    p_value = 0.0 if wrong else 1.0 if len(live) < 2 else float(chdtrc(len(live) - 1, statistic))
    return SampleRatio(step, dict(observed), expected, statistic, p_value, p_value < SRM_ALARM)


def outage_gap(planned: ArrayLike, valid: ArrayLike, treated: ArrayLike) -> OutageGap:
    """Compare planned collections without a usable reading between arms.

    The alarm needs both: a gap beyond half a percentage point and one that chance does not explain (p < 0.001, ratio
    estimator with units as clusters), so that a small campaign is not voided by noise.
    """
    p, v, z = (np.asarray(values, dtype=np.float64) for values in (planned, valid, treated))
    shares, variances = [], []
    for arm in (1.0, 0.0):
        plan, lost = p[z == arm], (p - v)[z == arm]
        total = float(plan.sum())
        share = float(lost.sum()) / total if total else 0.0
        shares.append(share)
        variances.append(float(((lost - share * plan) ** 2).sum()) / total**2 if total else 0.0)
    gap, se = shares[0] - shares[1], math.sqrt(sum(variances))
    p_value = 2 * float(ndtr(-abs(gap) / se)) if se > 0 else float(gap == 0)
    return OutageGap(shares[0], shares[1], gap, p_value, abs(gap) > OUTAGE_LIMIT and p_value < SRM_ALARM)


def attrition(has_outcome: ArrayLike, treated: ArrayLike) -> Attrition:
    """Compare the share of units without an outcome between arms: two proportions, pooled variance."""
    lost, z = ~np.asarray(has_outcome, dtype=np.bool_), np.asarray(treated, dtype=np.bool_)
    n = np.array([z.sum(), (~z).sum()], dtype=np.float64)
    if n.min() == 0:
        raise DataError("measuring.attrition: one arm has no units, must have at least one.")
    shares = np.array([lost[z].sum(), lost[~z].sum()]) / n
    pooled, gap = float(lost.mean()), float(shares[0] - shares[1])
    se = math.sqrt(pooled * (1 - pooled) * float((1 / n).sum()))
    return Attrition(float(shares[0]), float(shares[1]), gap, 2 * float(ndtr(-abs(gap) / se)) if se > 0 else 1.0)


def reached(control_households: float, control_reached: float) -> Reached:
    """Whether too many of those drawn to get nothing got a message of the campaign."""
    share = control_reached / control_households if control_households else 0.0
    return Reached(share, share > REACHED_LIMIT)


def spillover(
    post: ArrayLike, pre: ArrayLike, treated: ArrayLike, households: ArrayLike, street: ArrayLike
) -> Spillover | None:
    """Look for an effect on control units of having more messaged neighbours; None where no street is known.

    Args:
        post: (n,) outcome after the start, NaN where none.
        pre: (n,) outcome before, NaN where none.
        treated: (n,) 1 in the campaign, 0 in the control.
        households: (n,) in the unit.
        street: (n,) number of the unit's street, -1 where unknown.
    """
    y, z, w, s = np.asarray(post, float), np.asarray(treated, float), np.asarray(households, float), np.asarray(street)
    known = s >= 0
    if not known.any():
        return None
    n_streets = int(s.max()) + 1
    messaged, homes = (np.bincount(s[known], (w * each)[known], minlength=n_streets) for each in (z, np.ones_like(z)))
    is_mixed = (messaged > 0) & (messaged < homes)
    in_campaign = known & (z == 1)
    mixed = float(w[in_campaign & is_mixed[s]].sum()) / max(float(w[in_campaign].sum()), 1.0)
    control = known & (z == 0) & np.isfinite(y)
    around = homes[s] - w
    control &= around > 0
    share = np.divide(messaged[s], around, out=np.zeros_like(around), where=around > 0)
    return Spillover(mixed, _neighbours(y, np.asarray(pre, float), share, w, s, control))


def _neighbours(
    y: NDArray[np.float64],
    pre: NDArray[np.float64],
    share: NDArray[np.float64],
    w: NDArray[np.float64],
    street: NDArray[np.intp],
    control: NDArray[np.bool_],
) -> Effect | None:
    if not control.any():
        return None
    many = share[control] > np.median(share[control])
    try:
        return unit_ancova(y[control], pre[control], many, weights=w[control], cluster=street[control])
    except UnsupportedError:
        return None


def balance(pre: ArrayLike, treated: ArrayLike, weights: ArrayLike) -> Balance:
    """Compare the pre-period of the arms: weighted means and their difference over the pooled standard deviation."""
    x, z, w = (np.asarray(values, dtype=np.float64) for values in (pre, treated, weights))
    means, spreads, missing = [], [], []
    for arm in (1.0, 0.0):
        inside = z == arm
        known = inside & np.isfinite(x)
        mean = float(np.average(x[known], weights=w[known])) if known.any() else math.nan
        means.append(mean)
        spreads.append(float(np.average((x[known] - mean) ** 2, weights=w[known])) if known.any() else math.nan)
        missing.append(1 - known.sum() / inside.sum() if inside.any() else math.nan)
    difference, spread = means[0] - means[1], math.sqrt(sum(spreads) / 2)
    standardised = difference / spread if spread > 0 else 0.0 if difference == 0 else math.nan
    return Balance(
        means[0], means[1], standardised, float(missing[0]), float(missing[1]), is_notable=abs(standardised) > IMBALANCE
    )
