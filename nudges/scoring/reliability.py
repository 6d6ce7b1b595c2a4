"""Score contrasts and predicted effects → how far predictions may be taken at their size, overall and bin by bin.

The slope of a regression of score contrasts on the predictions, the best linear predictor of the effect
(Chernozhukov et al., generic machine learning inference): 1 when a predicted difference of one penny brings one penny,
0 when predictions say nothing, below 1 when they are too bold. Predictions must not have seen their row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.units import sums_by_unit, unit_codes
from nudges.scoring.value import Value, checked_weight, clustered_mean, linearised

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_CONSTANT = 1e-12  # spread of predictions, relative to their size, below which they are one number


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like predictions.

    Attributes:
        low: least prediction in the bin.
        high: largest.
        predicted: mean prediction.
        observed: mean score contrast, with its interval.
    """

    low: float
    high: float
    predicted: float
    observed: Value


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predicted against observed effects, in the unit of the scores.

    Attributes:
        slope: 1 when sizes are right; NaN when all predictions are equal.
        intercept: observed effect where 0 is predicted; the mean effect when all predictions are equal.
        bins: from the lowest predictions up, of about equal weight; equal predictions are never parted.
    """

    slope: Value
    intercept: Value
    bins: tuple[Bin, ...]


def calibration(
    scores_contrast: ArrayLike,
    predicted: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    n_bins: int = 10,
) -> Calibration:
    """Regress score contrasts on predictions, and average both in bins.

    Args:
        scores_contrast: (n,) Γ[:, a] - Γ[:, 0].
        predicted: (n,) effect of the same arm, same unit, out of fold.
        groups: (n,) randomised unit.
        weight: (n,) households of the row.
        n_bins: at most so many.

    Raises:
        DataError: lengths that do not fit, values that are not finite, no rows, no bins.
    """
    contrast, guess = np.asarray(scores_contrast, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if contrast.ndim != 1 or contrast.shape != guess.shape or len(contrast) == 0:
        raise DataError(f"predicted: shape {guess.shape}, must be that of scores_contrast, {contrast.shape}, not 0.")
    if not (np.isfinite(contrast).all() and np.isfinite(guess).all()):
        raise DataError("calibration: scores_contrast or predicted not finite in some row, must be numbers.")
    if n_bins < 1:
        raise DataError(f"n_bins == {n_bins}, must be 1 or more. Write 10.")
    mass = checked_weight(weight, len(contrast))
    slope, intercept = _line(contrast, guess, groups, mass)
    labels = None if groups is None else np.asarray(groups)
    return Calibration(slope, intercept, _bins(contrast, guess, labels, mass, n_bins))


def _line(contrast: Floats, guess: Floats, groups: ArrayLike | None, mass: Floats | None) -> tuple[Value, Value]:
    """Slope and intercept of the weighted regression, with errors clustered by unit."""
    level = clustered_mean(contrast, groups, mass)
    centre = float(np.average(guess, weights=mass))
    step = guess - centre
    spread = float(np.average(step**2, weights=mass))
    if math.sqrt(spread) <= _CONSTANT * max(float(np.abs(guess).max()), math.ulp(1.0)):
        nothing = Value(math.nan, math.nan, math.nan, math.nan, math.nan, level.n_rows, level.n_units, level.df)
        return nothing, level
    slope = float(np.average(step * contrast, weights=mass)) / spread
    left = contrast - level.mean - slope * step
    pull = step * left / spread * _leverage(step, groups, mass)
    scale = float(np.sqrt(np.mean(contrast**2)))
    intercept = linearised(level.mean - slope * centre, left - centre * pull, groups, mass, scale=scale)
    return linearised(slope, pull, groups, mass, scale=scale / math.sqrt(spread)), intercept


def _leverage(step: Floats, groups: ArrayLike | None, mass: Floats | None) -> Floats:
    """1 / sqrt(1 - h) of each row's unit, h its share of the spread of predictions: it drew the line to itself."""
    codes, n_units = unit_codes(groups, len(step))
    own = sums_by_unit(step**2 if mass is None else mass * step**2, codes, n_units)
    share = np.minimum(own / own.sum(), 1.0 - 1e-6)
    return np.asarray(1.0 / np.sqrt(1.0 - share))[codes]


def _bins(
    contrast: Floats, guess: Floats, groups: NDArray[np.generic] | None, mass: Floats | None, n_bins: int
) -> tuple[Bin, ...]:
    number = _bin_numbers(guess, np.ones(len(guess)) if mass is None else mass, n_bins)
    found = []
    for label in np.unique(number[number >= 0]):
        rows = np.flatnonzero(number == label)
        weight = None if mass is None else mass[rows]
        observed = clustered_mean(contrast[rows], None if groups is None else groups[rows], weight)
        inside = guess[rows]
        mean = float(np.average(inside, weights=weight))
        found.append(Bin(float(inside.min()), float(inside.max()), mean, observed))
    return tuple(found)


def _bin_numbers(guess: Floats, mass: Floats, n_bins: int) -> Indices:
    """Bin of each row by the middle of its tie in the order of predictions; -1 for rows without weight, (n,)."""
    kept = mass > 0
    _, tie = np.unique(guess[kept], return_inverse=True)
    heavy = np.bincount(tie, weights=mass[kept])
    middle = (heavy.cumsum() - 0.5 * heavy) / heavy.sum()
    number = np.full(len(guess), -1, dtype=np.intp)
    number[kept] = np.minimum((middle * n_bins).astype(np.intp), n_bins - 1)[tie]
    return number
