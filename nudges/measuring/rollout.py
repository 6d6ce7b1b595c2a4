"""Turns a panel of rounds whose messages began in different weeks into checked arrays, and cell weights into effects.

Every estimator of a staggered roll-out here is a weighted sum of the panel's cells, sum_it v_it y_it. Its standard
error treats the rounds of one start week as drawn alike: with e the distance of a round from its cohort's mean path,
the score of a round is sum_t v_it e_it, and the variance the sum of squared scores, each cohort's scaled up for the
mean taken out of it. It is unbiased for a full panel of rounds that vary alike, whatever the dependence between a
round's weeks. Degrees of freedom are Satterthwaite's (1946), over the cohorts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.effect import Effect, Method

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_COHORT = 2
"""Fewest rounds that start in one week: of a single one nothing shows how much rounds differ."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """G rounds by T weeks.

    Attributes:
        y: (G, T) outcome per household, 0 where unknown.
        known: (G, T).
        treated: (G, T) whether messages had begun.
        start: (G,) column of the first treated week; T for rounds never treated in the panel.
        weights: (G,) households.
    """

    y: Floats
    known: Flags
    treated: Flags
    start: NDArray[np.intp]
    weights: Floats


def checked_rollout(where: str, weekly: ArrayLike, first_treated: ArrayLike, weights: ArrayLike | None) -> Rollout:
    """Check and convert; `where` begins the messages.

    Raises:
        DataError: shapes differ, a start before the panel or between weeks, weights not positive.
        UnsupportedError: nothing treated, or nothing untreated, in the panel.
    """
    y = np.asarray(weekly, dtype=np.float64)
    first = np.asarray(first_treated, dtype=np.float64)
    if y.ndim != 2 or first.shape != y.shape[:1]:
        raise DataError(
            f"{where}: weekly.shape == {y.shape}, first_treated.shape == {first.shape}, must be (rounds, weeks) and "
            "(rounds,)."
        )
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != first.shape or not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError(f"{where}: weights must be {len(y)} values above 0, the households of each round.")
    begun = np.isfinite(first)
    if np.isnan(first).any() or (first[begun] < 0).any() or (first[begun] % 1 > 0).any():
        raise DataError(
            f"{where}: first_treated must be columns of `weekly` counted from 0, or inf for rounds never treated."
        )
    weeks = y.shape[1]
    start = np.where(begun, np.minimum(first, weeks), weeks).astype(np.intp)
    treated = np.arange(weeks) >= start[:, None]
    known = np.isfinite(y)
    if not (known & treated).any() or not (known & ~treated).any():
        raise UnsupportedError(
            f"{where}: the panel must hold weeks before and after a start. Read more weeks, or rounds not yet treated."
        )
    return Rollout(np.where(known, y, 0.0), known, treated, start, w)


def targets(rollout: Rollout, since: tuple[int, int] | None) -> Flags:
    """(G, T) treated cells of the wanted weeks since the start (first and last, from 1), or all treated cells."""
    cells = rollout.known & rollout.treated
    if since is not None:
        age = np.arange(rollout.y.shape[1]) - rollout.start[:, None] + 1
        cells &= (since[0] <= age) & (age <= since[1])
    return cells


def shares(where: str, rollout: Rollout, cells: Flags) -> Floats:
    """(G, T) each cell's share of the household-weeks of `cells`. Raises UnsupportedError when there are none."""
    weight = cells * rollout.weights[:, None]
    total = float(weight.sum())
    if total == 0:
        raise UnsupportedError(
            f"{where}: no treated week can be compared with rounds untreated in the same week and before. Stop at the "
            "last week in which some round was still untreated."
        )
    return np.asarray(weight / total, dtype=np.float64)


def weighted_effect(where: str, rollout: Rollout, v: Floats, cells: Flags, method: Method, alpha: float) -> Effect:
    """The effect sum v y of cell weights `v`, (G, T), over target `cells`, with its standard error.

    Raises UnsupportedError when a cohort that the estimate rests on has a single round.
    """
    away = rollout.y - _cohort_means(rollout)
    score = (v * away * rollout.known).sum(axis=1)
    cohorts = np.unique(rollout.start, return_inverse=True)[1]
    size = np.bincount(cohorts)
    used = np.bincount(cohorts, np.abs(v).sum(axis=1)) > 0
    if (size[used] < MIN_COHORT).any():
        raise UnsupportedError(
            f"{where}: a start week has a single round, must be {MIN_COHORT} or more to see how much rounds differ. "
            "Join it with the rounds of the next start week, or start rounds in groups."
        )
    variance = np.bincount(cohorts, score**2) * _small_cohorts(cohorts, rollout.weights)
    spread = float((variance[used] ** 2 / (size[used] - 1)).sum())
    df = float(variance.sum()) ** 2 / spread if spread > 0 else float(len(score) - len(size))
    return Effect.of(
        float((v * rollout.y).sum()),
        float(np.sqrt(variance.sum())),
        df,
        n_treated=int(cells.any(axis=1).sum()),
        n_control=int(((v != 0).any(axis=1) & ~cells.any(axis=1)).sum()),
        method=method,
        alpha=alpha,
    )


def _small_cohorts(cohorts: NDArray[np.intp], weights: Floats) -> Floats:
    """(C,) what the squares lose by taking each cohort's own mean: sum p^2 / sum p^2 (1 - 2 p + sum p^2), p shares."""
    share = weights / np.bincount(cohorts, weights)[cohorts]
    square = np.bincount(cohorts, share**2)
    kept = np.bincount(cohorts, share**2 * (1 - 2 * share + square[cohorts]))
    return np.where(kept > 0, square / np.where(kept > 0, kept, 1.0), 1.0)


def _cohort_means(rollout: Rollout) -> Floats:
    """(G, T) mean of each week over the rounds of the same start week, weighted by households."""
    cohorts = np.unique(rollout.start, return_inverse=True)[1]
    weight = rollout.known * rollout.weights[:, None]
    total = np.zeros((int(cohorts.max()) + 1, rollout.y.shape[1]))
    over = np.zeros_like(total)
    np.add.at(total, cohorts, weight * rollout.y)
    np.add.at(over, cohorts, weight)
    return np.asarray((total / np.where(over > 0, over, 1.0))[cohorts], dtype=np.float64)


def two_way(where: str, weight: Floats, unit_side: Floats, week_side: Floats) -> Floats:
    """(G, T) a_i + b_t with sum_t weight (a_i + b_t) = unit_side and sum_i weight (a_i + b_t) = week_side.

    The normal equations of unit and week effects, units eliminated. Raises UnsupportedError when they have no solution:
    some target hangs together with no untreated cell.
    """
    rows, columns = weight.sum(axis=1), weight.sum(axis=0)
    per_row = np.where(rows > 0, 1 / np.where(rows > 0, rows, 1.0), 0.0)
    left = np.diag(columns) - weight.T @ (weight * per_row[:, None])
    right = week_side - weight.T @ (unit_side * per_row)
    b = np.linalg.lstsq(left, right, rcond=1e-10)[0]
    off = float(np.abs(left @ b - right).max(initial=0.0))
    if off > 1e-8 * max(float(np.abs(right).max(initial=0.0)), 1e-12) and off > 1e-10:
        raise UnsupportedError(
            f"{where}: rounds fall into groups that share no untreated week, so they cannot be compared. Give each "
            "start week rounds that are untreated in the same weeks."
        )
    a = (unit_side - weight @ b) * per_row
    return np.asarray(a[:, None] + b, dtype=np.float64)
