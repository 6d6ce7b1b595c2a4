"""Units → kinds of units that are the same in everything the choice looks at, with a count each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nudges.choice.allocation import Arms
from nudges.choice.problem import Problem

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, about 2**64 divided by the golden ratio
_SHIFT = np.uint64(29)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Units that are alike stand as one.

    Attributes:
        problem: one column a kind, with its count.
        kind: (n,) kind of each unit; kinds are numbered by their first unit.
    """

    problem: Problem
    kind: Arms


def kinds(problem: Problem) -> Kinds:
    """The same problem by kinds of units; every unit its own kind when none is like another."""
    _, first, inverse = np.unique(_fingerprints(problem), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    first, kind = np.sort(first), rank[inverse]
    if len(first) == len(problem) or not _same(problem, first[kind]):
        return Kinds(problem, np.arange(len(problem)))
    count = np.bincount(kind, weights=problem.count, minlength=len(first))
    return Kinds(replace(problem.take(first), count=count.astype(np.float64)), kind)


def in_order(problem: Problem, kind: Arms, arm: Arms) -> Arms:
    """The same arms among units of a kind, the first of them with the message that is worth most, none last."""
    won = problem.benefit[arm, np.arange(len(arm))]
    wanted = np.lexsort((-won, arm == 0, kind))
    seats = np.argsort(kind, kind="stable")
    ordered = np.empty_like(arm)
    ordered[seats] = arm[wanted]
    return ordered


def _fingerprints(problem: Problem) -> NDArray[np.uint64]:
    """(n,) 64 bits a unit, alike for units that are."""
    mark = np.zeros(len(problem), dtype=np.uint64)
    columns = [*problem.benefit, *(row for use in problem.uses if use.shape[1] > 1 for row in use)]
    bits = [(column + 0.0).view(np.uint64) for column in columns] + [row.astype(np.uint64) for row in problem.member]
    for column in bits:
        mark = (mark ^ column) * _MIX
        mark ^= mark >> _SHIFT
    return mark


def _same(problem: Problem, twin: Arms) -> bool:
    """Whether each unit really equals its twin: a fingerprint alone is no proof."""
    tables = [problem.benefit, *(use for use in problem.uses if use.shape[1] > 1), problem.member]
    return all(bool((row == row[twin]).all()) for table in tables for row in table)
