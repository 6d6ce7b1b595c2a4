"""A held-out gain and the number of looks → whether it is proven, and what remains of it once it was picked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr

from nudges.errors import DataError
from nudges.scoring import Value

ERROR_SHARE = 0.05
"""Chance, over all looks of a campaign, to open the gate for something without a gain."""

MODEL_ERROR_SHARE = 0.015
"""The same for a model at one look, however few there are. A model that is let in where there is nothing to choose by
does harm nearly every time, and that is to happen in less than 1 of 100 campaigns."""

_HALVINGS = 80  # of a bisection: more than a double holds
_TAIL = 8.0  # standard errors
_POINTS = 2_001


@dataclass(frozen=True, slots=True)
class Proof:
    """A gain held against the gate's own one-sided bound.

    Attributes:
        value: pence a unit, with its 95 % interval.
        level: chance of error of this one look.
        bound: lower end at that level.
    """

    value: Value
    level: float
    bound: float

    @property
    def is_proven(self) -> bool:
        """Whether even the lower bound is a gain."""
        return self.bound > 0


def proof(value: Value, looks: int, *, at_most: float = ERROR_SHARE) -> Proof:
    """Hold a gain against zero, allowing for a gate that is read `looks` times (Bonferroni).

    Raises:
        DataError: fewer than one look.
    """
    if looks < 1:
        raise DataError(f"looks: {looks!r}, must be 1 or more: the turns in which the campaign reads its gate.")
    return held_to(value, min(ERROR_SHARE / looks, at_most))


def held_to(value: Value, level: float) -> Proof:
    """Hold a gain against zero at a one-sided level."""
    return Proof(value, level, value.at_least(level))


def upper_bound(value: Value, level: float) -> float:
    """Upper end of a one-sided interval."""
    return 2.0 * value.mean - value.at_least(level)


def after_selection(proven: Proof) -> Value:
    """A proven gain corrected for being reported only because it passed: the winner's curse of the gate.

    Given that the estimate exceeded the gate's threshold it is a truncated normal. The interval inverts that
    distribution (Lee et al. 2016, https://doi.org/10.1214/15-AOS1371), cut at no gain at all; the mean is that of the
    posterior under a flat prior over gains from nothing up, never above the plain one.
    """
    value = proven.value
    if not 0 < value.se < np.inf:
        return value
    above = (value.mean - proven.bound) / value.se  # the threshold, in standard errors
    seen = value.mean / value.se
    low, bound, high = (_shift(seen - above, share) for share in (0.025, ERROR_SHARE, 0.975))
    return replace(
        value,
        mean=min(_posterior_mean(seen, above) * value.se, value.mean),
        low=max(value.mean + low * value.se, 0.0),
        high=min(value.mean + high * value.se, value.high),
        lower_bound=max(value.mean + bound * value.se, 0.0),
    )


def _shift(spare: float, share: float) -> float:
    """Mean, less what was seen, under which so much is seen with this probability given that the threshold is passed.

    In standard errors; `spare` is by how much the threshold was passed.
    """
    low, high = -50.0, 10.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        tail = log_ndtr(middle) - log_ndtr(middle + spare)  # log P(more than seen | more than the threshold)
        low, high = (middle, high) if tail < np.log(share) else (low, middle)
    return 0.5 * (low + high)


def _posterior_mean(seen: float, above: float) -> float:
    true = np.linspace(0.0, max(seen, 0.0) + _TAIL, _POINTS)
    log_density = -0.5 * (seen - true) ** 2 - log_ndtr(true - above)
    density = np.exp(log_density - log_density.max())
    return float((density @ true) / density.sum())
