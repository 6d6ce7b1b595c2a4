"""What an allocation is asked for and what it answers: limits, coverage, and who gets what at which prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]

ROUNDING = 1e-12
"""Sums of decimal prices are this exact: 5,000 texts of 0.1 pence do fit into 500."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What all units together may use at most of one thing: a channel's capacity, an arm's cap.

    Attributes:
        name: as it is called in `Allocation.tolls`.
        use: (n_arms,) or (n, n_arms) used up when a unit gets an arm; 0 in column 0, never negative.
        at_most: most that may be used, in the same unit.
    """

    name: str
    use: Floats
    at_most: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many units of a ward or group get some message, whichever.

    Attributes:
        name: as it is called in `Allocation.subsidies` and `Allocation.unmet`.
        rows: (n,) true for the units of the group; groups may overlap.
        at_least: fewest units that get an arm other than 0.
    """

    name: str
    rows: NDArray[np.bool_]
    at_least: float


@dataclass(frozen=True, slots=True)
class Allocation:
    """What each unit gets, and what money, limits and coverage were worth.

    Attributes:
        arm: (n,) arm index, 0 for none.
        price_per_penny: benefit pence that one more penny of budget would buy; 0 when the budget does not bind.
        spent_pence: total cost, never above the budget.
        tolls: benefit pence that one more unit of each limit would buy, by name; a capacity is called `arm <index>`.
        subsidies: benefit pence that the last unit of each coverage costs, by name.
        unmet: units each coverage is short of, by name; only those that could not be met.
        pound_by_arm: (n_arms,) benefit pence that 100 more pence would buy if they could only move units to this arm;
            0 for none, for an arm nobody is better off with, and for an arm without room.
        gap_pence: no allocation with this coverage has a benefit larger by more than this (weak duality).
    """

    arm: Arms
    price_per_penny: float
    spent_pence: float
    tolls: Mapping[str, float]
    subsidies: Mapping[str, float]
    unmet: Mapping[str, float]
    pound_by_arm: Floats
    gap_pence: float
