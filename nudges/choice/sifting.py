"""A problem with limits and coverage → its dual prices, and everybody's arm but for a few units that must share.

The linear programme of a few thousand units is solved as it stands. For more, prices come from samples that grow:
units whose arm is clear at the prices so far are fixed, the programme divides the others, and units that regret being
fixed join them until none does, which proves the prices exact (sifting: Bixby et al. 1992,
https://doi.org/10.1287/opre.40.5.885).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nudges.choice.allocation import Arms, Floats
from nudges.choice.problem import Prices, Problem
from nudges.choice.programme import Shared, divided

_DIRECT = 4_000  # kinds of units whose programme is solved as it stands
_GROWTH = 8  # each sample is so many times the one before
_MOST = 60_000  # open units at which sifting stops: the answer then keeps the limits, and its gap says what it is worth
_WHOLE = 1e-6  # of a unit
_SLACK = 0.01  # of a unit: coverage at the edge of what is possible would have any price
_REGRET = 1e-8  # of the largest difference an arm makes; a smaller one is rounding


@dataclass(frozen=True, slots=True)
class Sifted:
    """Prices and the division they came with.

    Attributes:
        prices: of limits and coverage.
        units: (n_arms, n) units of each kind that get an arm; whole but for a few kinds.
        short: (n_groups,) units that each coverage is short of.
    """

    prices: Prices
    units: Floats
    short: Floats


def sifted(problem: Problem) -> Sifted:
    """Exact prices and division of a problem by kinds; coverage that cannot be met is lowered until it can."""
    while True:
        found = _by_samples(problem)
        short = np.where(found.short > _WHOLE, np.ceil(found.short - _WHOLE) + _SLACK, 0.0)
        if not short.any():
            return found
        problem = replace(problem, at_least=np.maximum(problem.at_least - short, 0.0))


def _by_samples(problem: Problem) -> Sifted:
    prices = Prices(np.zeros(len(problem.uses)), np.zeros(len(problem.member)))
    size = _DIRECT
    while size * 2 < len(problem):
        sample = problem.take(slice(None, None, len(problem) // size))
        share = float(sample.count.sum() / problem.count.sum())
        prices = _sift(sample.scaled(share), prices, everyone=size == _DIRECT).prices
        size *= _GROWTH
    return _sift(problem, prices, everyone=size == _DIRECT)


def _sift(problem: Problem, prices: Prices, *, everyone: bool) -> Sifted:
    """Divide the open units until no fixed one regrets its arm."""
    value = problem.value(prices)
    arm = value.argmax(axis=0)
    margin = margins(value, arm)
    all_units = np.ones(len(problem), dtype=bool)
    open_units = all_units if everyone else _nearest(margin, all_units, _DIRECT)
    while True:
        open_units = open_units | _to_make_room(problem, arm, margin, open_units)
        shared = _division(problem, arm, open_units)
        regret = _regret(problem, shared.prices, arm) & ~open_units
        if not regret.any() or open_units.sum() > _MOST:
            break
        open_units = open_units | _nearest(margin, regret, max(_DIRECT, int(open_units.sum())))
    units = np.zeros_like(problem.benefit)
    units[arm, np.arange(len(arm))] = problem.count
    units[:, open_units] = shared.units
    return Sifted(shared.prices, units, shared.short)


def _division(problem: Problem, arm: Arms, open_units: NDArray[np.bool_]) -> Shared:
    """The open units divided, with what the fixed ones leave of limits and coverage."""
    fixed = replace(problem, count=np.where(open_units, 0.0, problem.count))
    few = replace(
        problem.take(np.flatnonzero(open_units)),
        at_most=np.maximum(problem.at_most - fixed.used(arm), 0.0),
        at_least=np.maximum(problem.at_least - fixed.covered(arm), 0.0),
    )
    return divided(few)


def margins(value: Floats, arm: Arms) -> Floats:
    """(n,) pence by which the best arm beats the second."""
    if len(value) < 2:
        return np.full(len(arm), np.inf)
    best = np.take_along_axis(value, arm[None, :], axis=0)[0]
    others = value.copy()
    np.put_along_axis(others, arm[None, :], -np.inf, axis=0)
    return np.asarray(best - others.max(axis=0))


def _nearest(margin: Floats, among: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Of some units, those with the smallest margins."""
    rows = np.flatnonzero(among)
    if len(rows) > count:
        rows = rows[np.argpartition(margin[rows], count)[:count]]
    near = np.zeros(len(margin), dtype=bool)
    near[rows] = True
    return near


def _to_make_room(problem: Problem, arm: Arms, margin: Floats, open_units: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fixed units that must be opened because fixed arms alone overstep a limit: the least sure users of it."""
    opened = np.zeros(len(arm), dtype=bool)
    for number, use in enumerate(problem.uses):
        fixed = np.where(open_units | opened, 0.0, problem.count)
        used = fixed * (use[arm, 0] if use.shape[1] == 1 else use[arm, np.arange(len(arm))])
        over = used.sum() - problem.at_most[number]
        if over > 0:
            users = np.flatnonzero(used > 0)
            users = users[np.argsort(margin[users], kind="stable")]
            opened[users[: np.searchsorted(np.cumsum(used[users]), 1.5 * over) + 1]] = True
    return opened


def _regret(problem: Problem, prices: Prices, arm: Arms) -> NDArray[np.bool_]:
    value = problem.value(prices)
    own = np.take_along_axis(value, arm[None, :], axis=0)[0]
    return np.asarray(value.max(axis=0) - own > _REGRET * problem.range_pence)
