"""A priority and score contrasts → the Qini curve, its area, and the area above chance, each with its interval.

By doubly robust scores instead of raw rates of the treated and the untreated, so that the curve stays right when
propensities depend on the row. Thresholds lie at distinct priorities only: a constant priority gives the straight line
and a coefficient of exactly 0, in any order of the rows. Gains are means over all rows, in the unit of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from nudges.scoring.ranked import Ranked, ranked, steps
from nudges.scoring.units import sums_by_unit
from nudges.scoring.value import Value, linearised

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QiniCurve:
    """Gain over giving the arm to nobody, as it goes to more and more rows from the highest priority down.

    Attributes:
        share: (k + 1,) of the weight that gets the arm, 0 to 1, one point a distinct priority.
        gain: (k + 1,) mean gain per row of all rows.
        se: (k + 1,) clustered standard error of the rule "give it from this priority up".
        low: (k + 1,) lower end of the 95 % interval.
        high: (k + 1,) upper end.
        n_rows: rows ranked.
        n_units: randomised units.
    """

    share: Floats
    gain: Floats
    se: Floats
    low: Floats
    high: Floats
    n_rows: int
    n_units: int


def qini_curve(
    scores_contrast: ArrayLike,
    priority: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> QiniCurve:
    """Cumulative gain at every threshold, all standard errors from running sums (no bootstrap).

    Args:
        scores_contrast: (n,) Γ[:, a] - Γ[:, 0], signed so that more is better.
        priority: (n,) predicted benefit from a model that never saw the row.
        groups: (n,) randomised unit.
        weight: (n,) households of the row.

    Raises:
        DataError: lengths that do not fit, or values that are not finite.
    """
    rows = ranked(scores_contrast, priority, groups, weight)
    of = steps(rows.contrast, rows.mass, rows.tie)
    gain = np.concatenate([[0.0], of.moment.cumsum()])
    se = np.concatenate([[0.0], _running_errors(rows)])
    reach = se * (-stdtrit(rows.n_units - 1.0, 0.025) if rows.n_units > 1 else 1.0)
    share = np.concatenate([[0.0], of.upper])
    return QiniCurve(share, gain, se, gain - reach, gain + reach, len(rows.contrast), rows.n_units)


def _running_errors(rows: Ranked) -> Floats:
    """Clustered standard error of the mean of weight x contrast over the rows so far, at the end of each tie."""
    pull, total = rows.mass * rows.contrast, rows.mass.sum()
    by_unit = sums_by_unit(rows.mass, rows.unit, rows.n_units)
    squares = (pull * (pull + 2.0 * _own_before(pull, rows))).cumsum()
    crossed = (pull * by_unit[rows.unit]).cumsum()
    gain = pull.cumsum() / total
    spread = squares - 2.0 * gain * crossed + gain**2 * (by_unit**2).sum()
    ends = np.flatnonzero(np.diff(rows.tie, append=rows.tie[-1] + 1))
    if rows.n_units < 2:
        return np.full(len(ends), np.inf)
    return np.asarray(np.sqrt(np.maximum(spread[ends], 0.0) * rows.n_units / (rows.n_units - 1)) / total)


def _own_before(pull: Floats, rows: Ranked) -> Floats:
    """Sum of the pulls of the row's own unit ranked above it, (n,)."""
    if rows.n_units == len(pull):
        return np.zeros(len(pull))
    order = np.argsort(rows.unit, kind="stable")
    running = pull[order].cumsum() - pull[order]
    first = np.concatenate([[0], np.bincount(rows.unit, minlength=rows.n_units).cumsum()[:-1]])
    before = np.empty(len(pull))
    before[order] = running - running[first][rows.unit[order]]
    return before


def qini(
    scores_contrast: ArrayLike,
    priority: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Value:
    """Area between the Qini curve and the straight line of random order, in the unit of the scores.

    The mean over all shares of what the ranking gains above chance; not divided by a perfect curve, whose height
    nobody can see. Equal to `rate` with Qini weighting. The interval needs no bootstrap: it is that of a rank
    statistic (Hájek's projection), clustered.

    Args:
        scores_contrast: (n,) Γ[:, a] - Γ[:, 0], signed so that more is better.
        priority: (n,) predicted benefit from a model that never saw the row.
        groups: (n,) randomised unit.
        weight: (n,) households of the row.

    Raises:
        DataError: lengths that do not fit, or values that are not finite.
    """
    return _rank_area(ranked(scores_contrast, priority, groups, weight), level=0.5)


def auuc(
    scores_contrast: ArrayLike,
    priority: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Value:
    """Area under the Qini curve: `qini` plus half the mean effect. Arguments and errors as there."""
    return _rank_area(ranked(scores_contrast, priority, groups, weight), level=1.0)


def _rank_area(rows: Ranked, level: float) -> Value:
    """Weighted mean of contrast x (level - rank), rank the middle of the row's tie as a share from the top.

    A row pulls twice: by its own contrast, and by pushing down the ranks of all rows below it.
    """
    of = steps(rows.contrast, rows.mass, rows.tie)
    middle = 0.5 * (of.lower + of.upper)
    estimate = float(of.moment @ (level - middle)) + 0.0  # never -0.0
    above = of.moment.cumsum() - 0.5 * of.moment
    pushed = above - float((of.upper - of.lower) @ above)
    deviations = rows.contrast * (level - middle[rows.tie]) - estimate + pushed[rows.tie]
    scale = float(np.sqrt(np.mean(rows.contrast**2)))
    return linearised(estimate, deviations, rows.unit, rows.mass, scale=scale)
