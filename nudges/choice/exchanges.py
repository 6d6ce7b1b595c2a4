"""Arms of a few units that keep all limits → better ones: single changes, pairs, threes, and every seating of a few."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.problem import Prices, Problem

_PASSES = 200
_TRIES = ((2, 512), (3, 64))  # so many changes at a time, of so many of the cheapest
_SEATINGS = 65_536  # so many seatings are all tried
_GAIN = 1e-12  # of the largest difference an arm makes; less is rounding


@dataclass(frozen=True, slots=True)
class _Changes:
    """What single changes of arm do; the first changes nothing.

    Attributes:
        row: (m,) unit, -1 for no change.
        arm: (m,) its new arm.
        gain: (m,) pence.
        extra: (n_limits, m) used more.
        covers: (n_groups, m) units covered more.
    """

    row: Arms
    arm: Arms
    gain: Floats
    extra: Floats
    covers: Floats


def exchanged(problem: Problem, arm: Arms, prices: Prices) -> Arms:
    """(n,) arms with less short of coverage, or as much and more benefit, until no exchange helps.

    Args:
        problem: every unit by itself.
        arm: (n,) arms that keep the limits.
        prices: near those of the best division; they say which changes are cheap enough to try more at a time.
    """
    if all_can_be_tried(problem):
        return _reseated(problem, arm)
    arm = arm.copy()
    for _ in range(_PASSES):
        changes = _changes(problem, arm)
        for together, most in _TRIES:
            few = _cheapest(changes, prices, most)
            moves = _best_together(problem, arm, changes, np.ix_(*[few] * together))
            if len(moves):
                break
        trial = arm.copy()
        trial[changes.row[moves]] = changes.arm[moves]
        if len(moves) == 0 or not problem.fits(trial):
            break
        arm = trial
    return arm


def all_can_be_tried(problem: Problem) -> bool:
    """Whether so few units are left that every seating of them is tried, which is exact."""
    return bool(problem.n_arms ** len(problem) <= _SEATINGS)


def _cheapest(changes: _Changes, prices: Prices, most: int) -> Arms:
    """No change, and those that lose least at the prices."""
    loss = prices.limits @ changes.extra - prices.groups @ changes.covers - changes.gain
    loss[0] = -np.inf
    return np.argsort(loss, kind="stable")[:most]


def _best_together(problem: Problem, arm: Arms, changes: _Changes, sets: tuple[Arms, ...]) -> Arms:
    """Of sets of changes, given as an open grid, the one that is worth most; empty when none is worth it."""
    worth = np.asarray(sum(changes.gain[each] for each in sets))
    lack = problem.at_least - problem.covered(arm)
    for need, covers in zip(lack, changes.covers, strict=True):
        if covers.any():
            left = np.maximum(need - sum(covers[each] for each in sets), 0.0)
            worth += _weight(problem) * (max(need, 0.0) - left)
    room = problem.at_most - problem.used(arm)
    for left, extra in zip(room, changes.extra, strict=True):
        if np.isfinite(left):
            worth[np.asarray(sum(extra[each] for each in sets)) > left] = -np.inf
    for one, other in itertools.combinations(sets, 2):
        same = (changes.row[one] == changes.row[other]) & (changes.row[one] >= 0)
        worth[np.broadcast_to(same, worth.shape)] = -np.inf
    best = np.unravel_index(worth.argmax(), worth.shape)
    if worth[best] <= _GAIN * problem.range_pence:
        return np.zeros(0, dtype=np.intp)
    chosen = np.array([each.ravel()[place] for each, place in zip(sets, best, strict=True)])
    return np.asarray(chosen[changes.row[chosen] >= 0])


def _changes(problem: Problem, arm: Arms) -> _Changes:
    columns, rows = np.nonzero(np.isfinite(problem.benefit))
    other = columns != arm[rows]
    columns, rows = columns[other], rows[other]
    now = arm[rows]
    extra = [use[columns, at] - use[now, at] for use, at in _tables(problem, rows)]
    covers = problem.member[:, rows] * ((columns > 0).astype(np.float64) - (now > 0))
    return _Changes(
        row=np.append(-1, rows),
        arm=np.append(0, columns),
        gain=np.append(0.0, problem.benefit[columns, rows] - problem.benefit[now, rows]),
        extra=np.pad(np.array(extra).reshape(len(problem.uses), len(rows)), ((0, 0), (1, 0))),
        covers=np.pad(covers, ((0, 0), (1, 0))),
    )


def _tables(problem: Problem, rows: Arms) -> list[tuple[Floats, Arms]]:
    """Uses, each with the columns that rows have in it."""
    return [(use, rows if use.shape[1] > 1 else np.zeros_like(rows)) for use in problem.uses]


def _weight(problem: Problem) -> float:
    """More than all these units can bring: coverage comes first."""
    return problem.range_pence * (len(problem) + 1.0)


def _reseated(problem: Problem, arm: Arms) -> Arms:
    """The best of all seatings."""
    few = len(problem)
    rows = np.arange(few)
    seatings = np.indices((problem.n_arms,) * few).reshape(few, -1)
    worth = np.zeros(seatings.shape[1])
    used = np.zeros((len(problem.uses), len(worth)))
    covered = np.zeros((len(problem.member), len(worth)))
    for row, seats in zip(rows, seatings, strict=True):
        worth += problem.benefit[seats, row]
        used += np.array([use[seats, row if use.shape[1] > 1 else 0] for use in problem.uses])
        covered += problem.member[:, row, None] * (seats > 0)
    worth -= _weight(problem) * np.maximum(problem.at_least[:, None] - covered, 0.0).sum(axis=0)
    worth[(used > problem.at_most[:, None]).any(axis=0)] = -np.inf
    now = int(np.ravel_multi_index(tuple(arm), (problem.n_arms,) * few)) if few else 0
    best = int(worth.argmax())
    if not worth[best] > worth[now] + _GAIN * problem.range_pence:
        return arm
    anew = np.asarray(seatings[:, best], dtype=np.intp)
    return anew if problem.fits(anew) else arm
