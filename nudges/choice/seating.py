"""A division of units among arms, some in parts → one arm each that keeps every limit, as good as can be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.exchanges import all_can_be_tried, exchanged
from nudges.choice.offers import picked
from nudges.choice.problem import Prices, Problem
from nudges.choice.sifting import Sifted, margins
from nudges.choice.starts import drawn_starts

_NEAR = 128  # units nearest the margin that are tried one against another
_ROUNDS = 8  # each looks for those nearest anew
_ENOUGH = 1e-7  # of the benefit
_WHOLE = 1e-6  # a part of a unit that is this near one is one


def whole_units(kind: Arms, sifted: Sifted) -> Arms:
    """(n,) arms of single units from the division of their kinds; parts of units get none.

    Args:
        kind: (n,) kind of each unit.
        sifted: division by kinds.
    """
    seats = np.floor(sifted.units[1:] + _WHOLE)
    within = np.argsort(kind, kind="stable")
    place = np.empty(len(kind), dtype=np.intp)
    place[within] = np.arange(len(kind)) - np.searchsorted(kind[within], kind[within])
    arm = np.zeros(len(kind), dtype=np.intp)
    upper = np.zeros(sifted.units.shape[1])
    for column, taken in enumerate(seats, start=1):
        lower, upper = upper, upper + taken
        arm[(place >= lower[kind]) & (place < upper[kind])] = column
    return arm


def seated(problem: Problem, arm: Arms, prices: Prices) -> Arms:
    """Arms within all limits, improved by exchanges among the units nearest the margin: coverage, then benefit."""
    value = problem.value(prices)
    arm = _within_limits(problem, arm, value)
    for _ in range(_ROUNDS):
        if _good_enough(problem, arm, prices):
            break
        rows = _near(problem, arm, value, _NEAR)
        better = exchanged(_others_fixed(problem, arm, rows), arm[rows], prices)
        if (better == arm[rows]).all():
            break
        arm[rows] = better
    return arm if _good_enough(problem, arm, prices) else _from_other_starts(problem, arm, prices)


def touched_up(problem: Problem, arm: Arms, prices: Prices) -> Arms:
    """The same arms after exchanges among the units nearest the margin, from where they are and from other starts."""
    rows = _near(problem, arm, problem.value(prices), _NEAR)
    anew = arm.copy()
    anew[rows] = exchanged(_others_fixed(problem, arm, rows), arm[rows], prices)
    return anew if _good_enough(problem, anew, prices) else _from_other_starts(problem, anew, prices)


def _from_other_starts(problem: Problem, arm: Arms, prices: Prices) -> Arms:
    """The best of these arms and of what exchanges make of other starts for the nearest units."""
    rows = _near(problem, arm, problem.value(prices), _NEAR)
    few = _others_fixed(problem, arm, rows)
    if all_can_be_tried(few):
        return arm
    for start in drawn_starts(few, prices):
        anew = arm.copy()
        anew[rows] = exchanged(few, start, prices)
        if _standing(problem, anew) > _standing(problem, arm):
            arm = anew
    return arm


def _standing(problem: Problem, arm: Arms) -> tuple[float, float]:
    """Coverage first, then benefit: larger is better."""
    return -float(problem.short(arm).sum()), float(problem.benefit[arm, np.arange(len(arm))].sum())


def _good_enough(problem: Problem, arm: Arms, prices: Prices) -> bool:
    """Whether everyone is covered and the benefit so near its bound that no search is worth it."""
    short, benefit = _standing(problem, arm)
    missing = problem.bound(prices, problem.at_least) - benefit
    return short == 0 and missing <= _ENOUGH * abs(benefit)


def _within_limits(problem: Problem, arm: Arms, value: Floats) -> Arms:
    """Put out the least sure users of a limit that rounding has overstepped."""
    arm = arm.copy()
    for number, use in enumerate(problem.uses):
        while (over := problem.used(arm)[number] - problem.at_most[number]) > 0:
            used = picked(use, arm)
            users = np.flatnonzero(used > 0)
            loss = value[arm[users], users] - value[0, users]
            users = users[np.argsort(loss, kind="stable")]
            arm[users[: np.searchsorted(np.cumsum(used[users]), over) + 1]] = 0
    return arm


def _near(problem: Problem, arm: Arms, value: Floats, count: int) -> Arms:
    """Units that lose least by another arm; half of them could fill a coverage that is short, if there is one."""
    margin = margins(value, value.argmax(axis=0))
    short = problem.short(arm) > 0
    wanted = np.flatnonzero(problem.member[short].any(axis=0) & (arm == 0))
    first = wanted[np.argsort((value[0] - value[1:].max(axis=0))[wanted], kind="stable")][: count // 2]
    nearest = np.argpartition(margin, count)[:count] if len(margin) > count else np.arange(len(margin))
    rest = np.setdiff1d(nearest, first)
    return np.union1d(first, rest[np.argsort(margin[rest], kind="stable")][: count - len(first)])


def _others_fixed(problem: Problem, arm: Arms, rows: Arms) -> Problem:
    """What is left of limits and coverage for some units."""
    others = problem.count.copy()
    others[rows] = 0.0
    fixed = replace(problem, count=others)
    return replace(
        problem.take(rows),
        at_most=problem.at_most - fixed.used(arm),
        at_least=np.maximum(problem.at_least - fixed.covered(arm), 0.0),
    )
