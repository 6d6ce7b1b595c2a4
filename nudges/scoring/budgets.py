"""Scores of all arms and a policy's predictions → what it gains at every budget, each point with its interval.

The Qini curve for many arms with costs (Sverdrup et al. 2025, arXiv 2306.11979). At each budget a row may take the
arms on the upper hull of its predicted benefit against cost, and the money goes to the steepest steps of all rows
first (Dantzig's fractional knapsack). Steps of equal slope share what is left, so that ties fall the same way in any
order of the rows, and a policy that knows nothing draws a straight line. The gain is read from the scores, never from
the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.value import Value, linearised

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Budgets as shares of what the policy would spend if money were no object."""

_WINDOW = 0.1  # share of the path on either side over which its slope is read


@dataclass(frozen=True, slots=True)
class PathPoint:
    """One budget.

    Attributes:
        spend: mean cost a row.
        gain: mean gain a row over giving every row arm 0, or over the policy compared with; paired.
    """

    spend: float
    gain: Value


@dataclass(frozen=True, slots=True)
class _Path:
    """Steps of all rows from the steepest down.

    Attributes:
        row: (s,) row that takes the step.
        cost: (s,) extra cost.
        gain: (s,) extra score.
        level: (s,) number of the slope, 0 the steepest.
        paid: (levels,) total cost after each slope.
        earned: (levels,) total score after each slope.
        n_rows: rows, whether or not they take steps.
    """

    row: Indices
    cost: Floats
    gain: Floats
    level: Indices
    paid: Floats
    earned: Floats
    n_rows: int


def budget_path(
    scores: ArrayLike,
    benefit: ArrayLike,
    cost: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    shares: Sequence[float] = SHARES,
    instead_of: ArrayLike | None = None,
) -> tuple[PathPoint, ...]:
    """Walk the budget up and value what the policy would do at each stop.

    Args:
        scores: (n, n_arms) Γ in the unit of `benefit`, more is better.
        benefit: (n, n_arms) predicted out of fold; only differences to column 0 matter.
        cost: (n, n_arms) or (n_arms,), column 0 costs nothing.
        groups: (n,) randomised unit.
        shares: budgets as shares of the policy's unlimited spend, 0 to 1.
        instead_of: (n, n_arms) predictions of another policy that gets the same money; gains are then paired
            differences to it.

    Raises:
        DataError: shapes that do not fit, values that are not finite, a cost below 0, a share outside [0, 1].
    """
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise DataError(f"shares == {tuple(shares)}, must lie between 0 and 1. Write (0.3,) for 30 % of the money.")
    score = _matrix("scores", scores, None)
    price = _price(cost, score.shape)
    path = _path(score, _matrix("benefit", benefit, score.shape), price)
    other = None if instead_of is None else _path(score, _matrix("instead_of", instead_of, score.shape), price)
    scale = float(np.abs(score).max())
    return tuple(_point(path, other, float(share), groups, scale) for share in shares)


def _matrix(name: str, values: ArrayLike, shape: tuple[int, ...] | None) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or (shape is not None and matrix.shape != shape):
        raise DataError(f"{name}: shape {matrix.shape}, must be {shape or '(rows, arms)'}, one column an arm.")
    if not np.isfinite(matrix).all():
        raise DataError(f"{name}: not finite in some row, must be numbers.")
    return matrix


def _price(cost: ArrayLike, shape: tuple[int, ...]) -> Floats:
    price = np.asarray(cost, dtype=np.float64)
    if price.shape not in (shape, shape[1:]):
        raise DataError(f"cost: shape {price.shape}, must be {shape} or one number an arm.")
    price = np.broadcast_to(price, shape)
    if not (np.isfinite(price).all() and (price >= 0).all()) or price[:, 0].any():
        raise DataError("cost: below 0, not finite, or above 0 in column 0, must be 0 there and never negative.")
    return price


def _path(score: Floats, benefit: Floats, price: Floats) -> _Path:
    """All steps up the rows' hulls, by slope."""
    rows = np.arange(len(score))
    now = np.where(price == 0, benefit, -np.inf).argmax(axis=1)
    slope = np.full(len(score), np.inf)
    taken = [(rows, slope, np.zeros(len(score)), score[rows, now] - score[:, 0])]
    for _ in range(score.shape[1] - 1):
        nxt, steepness = _steepest(benefit[rows], price[rows], now)
        on = steepness > 0
        rows, now, nxt, slope = rows[on], now[on], nxt[on], np.minimum(steepness[on], slope[on])
        taken.append((rows, slope, price[rows, nxt] - price[rows, now], score[rows, nxt] - score[rows, now]))
        now = nxt
    row, slope, cost, gain = (np.concatenate(parts) for parts in zip(*taken, strict=True))
    _, level = np.unique(-slope, return_inverse=True)
    paid, earned = np.bincount(level, weights=cost).cumsum(), np.bincount(level, weights=gain).cumsum()
    return _Path(row, cost, gain, level, paid, earned, len(score))


def _steepest(benefit: Floats, price: Floats, now: Indices) -> tuple[Indices, Floats]:
    """The dearer arm with the most benefit a penny over the present one, and that slope; 0 where none is better."""
    extra = price - np.take_along_axis(price, now[:, None], axis=1)
    more = benefit - np.take_along_axis(benefit, now[:, None], axis=1)
    slope = np.divide(more, extra, out=np.zeros(more.shape), where=(extra > 0) & (more > 0))
    best = slope.argmax(axis=1)
    return best, np.take_along_axis(slope, best[:, None], axis=1)[:, 0]


def _point(path: _Path, other: _Path | None, share: float, groups: ArrayLike | None, scale: float) -> PathPoint:
    """Gain at one budget; the error allows for the price at which this sample happens to spend the budget."""
    money = share * float(path.paid[-1])
    asked = share * _by_row(path, path.cost)
    spend, gain, pull = _spent(path, money, asked)
    if other is not None:
        _, their_gain, their_pull = _spent(other, money, asked)
        gain, pull = gain - their_gain, pull - their_pull
    value = linearised(float(gain.mean()), pull - pull.mean(), groups, None, scale=scale)
    return PathPoint(float(spend.mean()), value)


def _spent(path: _Path, money: float, asked: Floats) -> tuple[Floats, Floats, Floats]:
    """Spend and gain of each row, and its pull on the mean gain, when all rows together spend `money`.

    A row that takes more than it brings to the budget leaves less to others, at the slope of the path.
    """
    part = _parts_taken(path, money)[path.level]
    spend, gain = _by_row(path, path.cost * part), _by_row(path, path.gain * part)
    return spend, gain, gain - _slope_at(path, money) * (spend - asked)


def _parts_taken(path: _Path, money: float) -> Floats:
    """Share of the steps of each slope that the money pays for, (levels,)."""
    own = np.diff(path.paid, prepend=0.0)
    left = money - (path.paid - own)
    return np.clip(np.divide(left, own, out=np.ones(len(own)), where=own > 0), 0.0, 1.0)


def _slope_at(path: _Path, money: float) -> float:
    """Score that one more penny brings, from the path itself; 0 where money is no object."""
    full = float(path.paid[-1])
    if money >= full:
        return 0.0
    low, high = max(money - _WINDOW * full, 0.0), min(money + _WINDOW * full, full)
    earned = np.interp([low, high], path.paid, path.earned)
    return float((earned[1] - earned[0]) / (high - low))


def _by_row(path: _Path, amount: Floats) -> Floats:
    return np.asarray(np.bincount(path.row, weights=amount, minlength=path.n_rows), dtype=np.float64)
