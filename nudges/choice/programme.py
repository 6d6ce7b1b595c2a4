"""A problem of a few thousand kinds of units → its exact division among the arms by a linear programme (HiGHS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from nudges.choice.allocation import Arms, Floats
from nudges.choice.problem import Prices, Problem

_SHORT = 1e5  # a unit a coverage is short of costs this many times the largest difference an arm makes


@dataclass(frozen=True, slots=True)
class Shared:
    """Best division of some units among the arms.

    Attributes:
        prices: of limits and coverage.
        units: (n_arms, n) units of each kind that get an arm, perhaps a part of one.
        short: (n_groups,) units each coverage is short of.
    """

    prices: Prices
    units: Floats
    short: Floats


@dataclass(frozen=True, slots=True)
class _Rows:
    """The programme: a variable for every arm but none that a unit can have, then one a coverage for what it lacks."""

    arm: Arms
    unit: Arms
    gain: Floats
    matrix: sp.csr_matrix
    bound: Floats
    scale: Floats


def divided(problem: Problem) -> Shared:
    """The linear programme of a problem whose limits leave at least room for none."""
    worth = problem.range_pence
    rows = _rows(problem)
    if len(rows.arm) == 0:
        return _nothing_to_divide(problem)
    cost = np.append(-rows.gain / worth, np.full(len(problem.member), _SHORT))
    found = linprog(cost, A_ub=rows.matrix, b_ub=rows.bound, bounds=(0, None), method="highs-ipm")
    if found.x is None:
        found = linprog(cost, A_ub=rows.matrix, b_ub=rows.bound, bounds=(0, None), method="highs-ds")
    marginal = np.maximum(-found.ineqlin.marginals[len(problem) :], 0.0) * worth * rows.scale
    n_limits = len(problem.uses)
    units = np.zeros(problem.benefit.shape)
    units[rows.arm, rows.unit] = found.x[: len(rows.arm)]
    units[0] = problem.count - units.sum(axis=0)
    return Shared(
        Prices(marginal[:n_limits], marginal[n_limits:]), units, np.asarray(found.x[len(rows.arm) :], dtype=np.float64)
    )


def _nothing_to_divide(problem: Problem) -> Shared:
    units = np.zeros(problem.benefit.shape)
    units[0] = problem.count
    return Shared(Prices(np.zeros(len(problem.uses)), np.zeros(len(problem.member))), units, problem.at_least)


def _rows(problem: Problem) -> _Rows:
    """One arm a unit, then limits, then coverage; limits are divided by their largest use."""
    arm, unit = np.nonzero(np.isfinite(problem.benefit[1:]))
    arm += 1
    gain = problem.benefit[arm, unit] - problem.benefit[0, unit]
    n_variables, n_groups = len(arm), len(problem.member)
    one_each = sp.csr_matrix((np.ones(n_variables), (unit, np.arange(n_variables))), (len(problem), n_variables))
    uses = [use[arm, unit if use.shape[1] > 1 else 0] for use in problem.uses]
    largest = np.array([use.max(initial=0.0) or 1.0 for use in uses])
    limits = sp.csr_matrix(np.array(uses).reshape(len(uses), n_variables) / largest[:, None])
    groups = sp.csr_matrix(-(problem.member[:, unit].astype(np.float64)))
    lacks = sp.vstack([sp.csr_matrix((len(problem) + len(uses), n_groups)), -sp.eye(n_groups)])
    never = np.array([use @ problem.count[unit] for use in uses])  # so much room nobody can fill
    room = np.minimum(problem.at_most, never) / largest
    return _Rows(
        arm=arm,
        unit=unit,
        gain=gain,
        matrix=sp.csr_matrix(sp.hstack([sp.vstack([one_each, limits, groups]), lacks])),
        bound=np.concatenate([problem.count, room, -problem.at_least]),
        scale=np.concatenate([1.0 / largest, np.ones(n_groups)]),
    )
