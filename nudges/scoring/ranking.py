"""A priority and score contrasts → whether those ranked first gain more: AUTOC and Qini with a bootstrap.

The rank-weighted average treatment effect (Yadlowsky et al. 2025, arXiv 2111.07966). TOC(q) is the mean effect among
the share q with the highest priority less the mean effect among all. AUTOC is its integral over q, Qini the integral
of q TOC(q). Doubly robust scores stand in for effects, so propensities may vary from row to row. Between thresholds
at distinct priorities the cumulative gain is a straight line: what any order of the tied rows brings on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from nudges.errors import DataError
from nudges.scoring.ranked import Ranked, Steps, ranked, steps

Floats = NDArray[np.float64]

_ROUNDING = 1e-13


class RateWeighting(StrEnum):
    """How much each depth of the ranking counts."""

    AUTOC = "autoc"
    QINI = "qini"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a ranking is worth, in the unit of the scores; 0 for a ranking no better than chance.

    Attributes:
        estimate: above 0 when rows of high priority gain more than the rest.
        se: standard deviation over half-samples of units.
        low: lower end of the 95 % interval.
        high: upper end.
        p_value: two-sided, of no ranking at all; NaN when `se` is 0.
        n_rows: rows ranked.
        n_units: randomised units.
    """

    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    n_rows: int
    n_units: int


def rate(
    scores_contrast: ArrayLike,
    priority: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    weighting: RateWeighting = RateWeighting.AUTOC,
    n_boot: int = 200,
    seed: int,
) -> Rate:
    """Rank rows by priority, highest first, and say how much more the first gain.

    Args:
        scores_contrast: (n,) Γ[:, a] - Γ[:, 0], signed so that more is better.
        priority: (n,) predicted benefit from a model that never saw the row.
        groups: (n,) randomised unit; half-samples are of units.
        weight: (n,) households of the row.
        weighting: AUTOC looks at the top of the ranking, Qini at its whole length.
        n_boot: half-samples; 200 leave the standard error uncertain by one part in twenty.
        seed: of the half-samples. The result does not depend on the order of the rows.

    Raises:
        DataError: lengths that do not fit, values that are not finite, fewer than two half-samples.
    """
    if n_boot < 2:
        raise DataError(f"n_boot == {n_boot}, must be 2 or more. Write 200.")
    rows = ranked(scores_contrast, priority, groups, weight)
    estimate = _area(steps(rows.contrast, rows.mass, rows.tie), weighting)
    se, df = _half_sample_error(rows, weighting, n_boot, seed)
    if se <= _ROUNDING * float(np.abs(rows.contrast).max()):
        se = 0.0
    reach = float(-stdtrit(df, 0.025)) * se if 0 < se < math.inf else se
    p_value = math.nan if se == 0 or math.isinf(se) else float(2.0 * ndtr(-abs(estimate) / se))
    return Rate(estimate, se, estimate - reach, estimate + reach, p_value, len(rows.contrast), rows.n_units)


def _area(of: Steps, weighting: RateWeighting) -> float:
    """Exact integral of the piecewise straight curve: each step's moment times how early it comes."""
    if weighting is RateWeighting.QINI:
        earliness = 0.5 - 0.5 * (of.lower + of.upper)
    else:
        width = of.upper - of.lower
        inside = np.ones(len(width))
        inside[0] = 0.0
        later = slice(1, None)
        inside[later] = of.lower[later] * np.log1p(width[later] / of.lower[later]) / width[later]
        earliness = -inside - np.log(of.upper)
    return float(of.moment @ earliness) + 0.0  # never -0.0


def _half_sample_error(rows: Ranked, weighting: RateWeighting, n_boot: int, seed: int) -> tuple[float, float]:
    """Spread of the estimate over half-samples of units drawn without replacement, as that of the whole sample.

    A half-sample varies about the whole as the whole does about the truth (Yadlowsky et al. 2025); an odd unit over
    is allowed for.
    """
    half = rows.n_units // 2
    if half < 1:
        return math.inf, 0.0
    rng = np.random.default_rng(seed)
    inside = np.zeros(rows.n_units, dtype=bool)
    inside[:half] = True
    draws = []
    for _ in range(n_boot):
        rng.shuffle(inside)
        kept = np.flatnonzero(inside[rows.unit])
        draws.append(_area(steps(rows.contrast[kept], rows.mass[kept], rows.tie[kept]), weighting))
    whole = math.sqrt(half / (rows.n_units - half))
    return float(np.std(draws, ddof=1)) * whole, float(min(rows.n_units - 1, len(draws) - 1))
