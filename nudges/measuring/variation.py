"""Turns a council's own weekly outcomes into how much units differ, for how long, and how often they are read.

The covariance of a unit's weeks h apart is fitted as standing + fading rho^h, plus noise within a reading, less an echo
at the next one: a bin that was not put out is twice as full at the next collection. What two means over any weeks
share, and so what a pre-period explains, follows in closed form, also for more weeks than there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from nudges.errors import DataError, UnsupportedError

Floats = NDArray[np.float64]

FEWEST_UNITS, FEWEST_WEEKS = 4, 4
_CARRY = np.linspace(0, 0.98, 50)  # values of rho tried
_USUAL = 0.25  # of the most pairs: the next reading is as far away as this many of them are


@dataclass(frozen=True, slots=True)
class Variation:
    """How units differ from each other within a week, squared units of the outcome.

    Attributes:
        mean: outcome per household (and week).
        standing: variance of what lasts: homes that always have more.
        fading: variance of what fades from week to week by the factor `carry`.
        noise: variance of a single reading about these.
        echo: covariance of a reading's noise with that of the unit's next one, 0 or below.
        carry: 0-1, rho.
        read_share: readings per unit and week, 0-1; a fortnightly collection has one half at most.
        n_units: units it was estimated from.
        weeks: weeks it was estimated from.
    """

    mean: float
    standing: float
    fading: float
    noise: float
    echo: float
    carry: float
    read_share: float
    n_units: int
    weeks: int

    @property
    def icc(self) -> float:
        """Share of the variance of a single reading that is standing differences between units."""
        total = self.standing + self.fading + self.noise
        return self.standing / total if total > 0 else 0.0

    def of_means(self, weeks: int, other: int, *, apart: int) -> float:
        """Covariance of a unit's means over two spans of weeks, the second beginning `apart` weeks after the first.

        Spans begin together (`apart` 0) or do not overlap. Of so many weeks a unit has `read_share` as many readings m:
        a reading meets itself in 1/m of the pairs.
        """
        lag = np.abs(np.arange(other) + apart - np.arange(weeks)[:, None])
        distinct = lag[lag > 0]
        fading = self.fading * float(np.mean(self.carry**distinct)) if distinct.size else 0.0
        itself = 0.0 if apart else min(1 / (self.read_share * max(weeks, other)), 1.0)
        echoes = self.echo * self._next(weeks, other, apart=apart)
        return self.standing + (1 - itself) * fading + itself * (self.fading + self.noise) + echoes

    def _next(self, weeks: int, other: int, *, apart: int) -> float:
        """Share of the pairs of readings of two spans of which one is the unit's next after the other."""
        shorter, longer = (max(self.read_share * span, 1.0) for span in sorted((weeks, other)))
        pairs = (1.0 if apart == weeks else 0.0) if apart else 2 * (shorter - 1) + min(longer - shorter, 1.0)
        return pairs / (shorter * longer)

    def adjusted(self, weeks: int, pre_weeks: int) -> tuple[float, float]:
        """Variance over units of the mean of `weeks` weeks, and the share of it that the weeks just before explain."""
        variance = self.of_means(weeks, weeks, apart=0)
        if pre_weeks < 1 or variance == 0:
            return variance, 0.0
        before = self.of_means(pre_weeks, pre_weeks, apart=0)
        together = self.of_means(pre_weeks, weeks, apart=pre_weeks)
        return variance, together**2 / (variance * before)

    def running(self, ends: ArrayLike, pre_weeks: int) -> Floats:
        """(K, K) covariance of the means of weeks 1 to each of `ends`, less what the pre-period explains."""
        until = [int(end) for end in np.asarray(ends)]
        covariance = np.array([[self.of_means(a, b, apart=0) for b in until] for a in until])
        if pre_weeks < 1:
            return covariance
        before = self.of_means(pre_weeks, pre_weeks, apart=0)
        with_pre = np.array([self.of_means(pre_weeks, end, apart=pre_weeks) for end in until])
        return np.asarray(covariance - np.outer(with_pre, with_pre) / max(before, 1e-300), dtype=np.float64)


def variation(weekly: ArrayLike, *, weights: ArrayLike | None = None, strata: ArrayLike | None = None) -> Variation:
    """Estimate it from weeks without a campaign.

    Each week's mean (by stratum) is taken out, because a campaign compares units of the same week. Units are weighted
    as the estimate will weigh them, so that a large bin store counts as much here as it will there.

    Args:
        weekly: (n, W) outcome per household of each unit and week, NaN where nothing was read.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units will be drawn.

    Raises:
        DataError: shapes differ or weights are not positive.
        UnsupportedError: fewer than 4 units read in two weeks or more, or fewer than 4 weeks.
    """
    y = np.asarray(weekly, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    labels = np.zeros(len(y), dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    if y.ndim != 2 or w.shape != y.shape[:1] or labels.shape != w.shape or not (np.isfinite(w) & (w > 0)).all():
        raise DataError(
            f"measuring.variation: weekly.shape == {y.shape}, {w.shape} weights, {labels.shape} strata, must be "
            "(units, weeks) and one weight above 0 and stratum for each unit."
        )
    read = np.isfinite(y)
    usable = read.sum(axis=1) >= 2
    if int(usable.sum()) < FEWEST_UNITS or y.shape[1] < FEWEST_WEEKS:
        raise UnsupportedError(
            f"measuring.variation: {int(usable.sum())} units with two readings or more, {y.shape[1]} weeks, must be "
            f"{FEWEST_UNITS} and {FEWEST_WEEKS} or more. Load more of the past."
        )
    y, w, labels, read = y[usable], w[usable], labels[usable], read[usable]
    mean = float(np.average(y[read], weights=np.broadcast_to(w[:, None], y.shape)[read]))
    away = _within_weeks(y, read, w, labels) * (w / w.mean())[:, None]
    lags, pairs = _covariances(away, read)
    standing, fading, noise, echo, carry = _fitted(lags, pairs)
    return Variation(mean, standing, fading, noise, echo, carry, float(read.mean()), len(y), y.shape[1])


def _within_weeks(y: Floats, read: NDArray[np.bool_], w: Floats, labels: NDArray[np.intp]) -> Floats:
    """Distance from the weighted mean of each week and stratum, 0 where not read, scaled up for the means taken out."""
    shape = (int(labels.max()) + 1, y.shape[1])
    total, over, count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(total, labels, np.where(read, y, 0.0) * w[:, None])
    np.add.at(over, labels, read * w[:, None])
    np.add.at(count, labels, read.astype(np.float64))
    mean = total / np.where(over > 0, over, 1.0)
    scale = np.sqrt(count / np.where(count > 1, count - 1, 1.0))
    return np.where(read, (np.where(read, y, 0.0) - mean[labels]) * scale[labels], 0.0)


def _covariances(away: Floats, read: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mean product of two readings of a unit h weeks apart, (W,), and how many pairs of readings it is of."""
    weeks = away.shape[1]
    total, pairs = np.zeros(weeks), np.zeros(weeks)
    for lag in range(weeks):
        total[lag] = np.einsum("ij,ij->", away[:, : weeks - lag], away[:, lag:])
        pairs[lag] = np.count_nonzero(read[:, : weeks - lag] & read[:, lag:])
    return np.where(pairs > 0, total / np.maximum(pairs, 1), 0.0), pairs


def _fitted(lags: Floats, pairs: Floats) -> tuple[float, float, float, float, float]:
    """Least squares on standing + fading rho^h + noise [h = 0] - echo [h = next], none negative, by grid of rho.

    A reading can echo half of its noise at most, or a mean of many would vary less than nothing.
    """
    root = np.sqrt(pairs)
    distance = np.arange(len(lags))
    after = np.flatnonzero(pairs[1:] > _USUAL * pairs.max())
    following = distance == (int(after[0]) + 1 if after.size else len(lags))
    best: tuple[float, Floats, float] | None = None
    for carry in _CARRY.tolist():
        fade = np.where(distance == 0, 1.0, carry**distance)
        columns = np.column_stack([np.ones(len(lags)), fade, distance == 0, -1.0 * following])
        found, miss = nnls(columns * root[:, None], lags * root)
        if best is None or miss < best[0] * (1 - 1e-9):
            best = (float(miss), found, carry)
    if best is None:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    standing, fading, noise, echo = (float(value) for value in best[1])
    if best[2] == 0.0:  # without a carry what fades is noise
        noise, fading = noise + fading, 0.0
    return standing, fading, noise, -min(echo, noise / 2), best[2]
