"""Turns a roll-out by groups of rounds, each from its own week on, into the mean effect on the treated.

The default imputes what treated weeks would have been from round and week effects of untreated cells (Borusyak, Jaravel
& Spiess 2024, https://doi.org/10.1093/restud/rdae007). Group-time contrasts (Callaway & Sant'Anna 2021,
https://doi.org/10.1016/j.jeconom.2020.12.001) stand beside it; they rest on the one week before the start and are
wider. The plain two-way regression is here to show what it gets wrong: it compares late starters with early ones.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from nudges.measuring.effect import Effect, Method
from nudges.measuring.rollout import (
    Flags,
    Floats,
    Rollout,
    checked_rollout,
    shares,
    targets,
    two_way,
    weighted_effect,
)


class Comparison(StrEnum):
    """Rounds that a treated round is compared with in a week."""

    NOT_YET = "rounds not yet treated"
    NEVER = "rounds never treated"


def staggered_effect(
    weekly: ArrayLike,
    first_treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    since: tuple[int, int] | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect over treated household-weeks by imputation.

    Weeks in which every round was treated, and rounds without an untreated week, tell nothing and are left out.

    Args:
        weekly: (G, T) outcome per household of each round and week, NaN where nothing was weighed.
        first_treated: (G,) column (from 0) of the first treated week, inf for rounds never treated.
        weights: (G,) households; all 1 when None.
        since: only these weeks since the start, first and last, counted from 1; all when None.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: shapes, starts or weights are wrong.
        UnsupportedError: no untreated cells to compare with, or a start week with a single round.
    """
    where = "measuring.staggered_effect"
    rollout = checked_rollout(where, weekly, first_treated, weights)
    clean = (rollout.known & ~rollout.treated) * rollout.weights[:, None]
    reachable = (clean.sum(axis=1) > 0)[:, None] & (clean.sum(axis=0) > 0)
    cells = targets(rollout, since) & reachable
    share = shares(where, rollout, cells)
    v = share - clean * two_way(where, clean, share.sum(axis=1), share.sum(axis=0))
    return weighted_effect(where, rollout, v, cells, Method.IMPUTATION, alpha)


def group_time_effect(
    weekly: ArrayLike,
    first_treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    comparison: Comparison = Comparison.NOT_YET,
    since: tuple[int, int] | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect over treated household-weeks from changes since the week before each start.

    Arguments and errors as in `staggered_effect`; rounds not weighed in the week before a start are left out of it.
    """
    where = "measuring.group_time_effect"
    rollout = checked_rollout(where, weekly, first_treated, weights)
    cells = targets(rollout, since) & _has_base(rollout)
    weeks = rollout.y.shape[1]
    pairs = [
        (start, week, _compared(rollout, start, week, comparison))
        for start in np.unique(rollout.start[cells.any(axis=1)]).tolist()
        for week in range(start, weeks)
    ]
    for start, week, others in pairs:
        if not others.any():
            cells[rollout.start == start, week] = False
    share = shares(where, rollout, cells)
    v = share.copy()
    for start, week, others in pairs:
        inside = np.where(rollout.start == start, share[:, week], 0.0)
        moved = inside.sum() * others * rollout.weights / max(float(others @ rollout.weights), 1e-300)
        v[:, week] -= moved
        v[:, start - 1] += moved - inside
    return weighted_effect(where, rollout, v, cells, Method.GROUP_TIME, alpha)


def _has_base(rollout: Rollout) -> Flags:
    """(G, 1) rounds weighed in the week before their start."""
    base = rollout.start - 1
    return np.asarray(((base >= 0) & rollout.known[np.arange(len(base)), base])[:, None])


def _compared(rollout: Rollout, start: int, week: int, comparison: Comparison) -> Flags:
    never = rollout.start == rollout.y.shape[1]
    untreated = never if comparison is Comparison.NEVER else rollout.start > week
    return np.asarray(untreated & rollout.known[:, week] & rollout.known[:, start - 1])


def two_way_effect(
    weekly: ArrayLike, first_treated: ArrayLike, *, weights: ArrayLike | None = None, alpha: float = 0.05
) -> Effect:
    """The coefficient of "treated" beside round and week effects, CR1 by round: biased where effects grow or differ.

    A warning to set beside `staggered_effect`, never a headline (Goodman-Bacon 2021,
    https://doi.org/10.1016/j.jeconom.2021.03.014). Arguments and errors as in `staggered_effect`.
    """
    where = "measuring.two_way_effect"
    rollout = checked_rollout(where, weekly, first_treated, weights)
    weight = rollout.known * rollout.weights[:, None]

    def left_over(values: Floats) -> Floats:
        weighted = weight * values
        return values - two_way(where, weight, weighted.sum(axis=1), weighted.sum(axis=0))

    treatment = left_over(rollout.treated.astype(np.float64))
    v = weight * treatment / float((weight * treatment**2).sum())
    estimate = float((v * rollout.y).sum())
    score = (v * (left_over(rollout.y) - estimate * treatment)).sum(axis=1)
    n, ever = len(score), rollout.treated.any(axis=1)
    return Effect.of(
        estimate,
        float(np.sqrt(n / (n - 1) * (score @ score))),
        float(n - 1),
        n_treated=int(ever.sum()),
        n_control=int((~ever).sum()),
        method=Method.TWO_WAY,
        alpha=alpha,
    )
