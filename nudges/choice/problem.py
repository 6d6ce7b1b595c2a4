"""Offers, limits and coverage → one problem: what is used up, who must be covered, and what prices make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.choice.allocation import ROUNDING, Arms, Coverage, Floats, Limit
from nudges.choice.offers import Offers, picked, taken
from nudges.errors import DataError

_WHOLE = 1e-9  # a share of a count that should be whole is this exact


@dataclass(frozen=True, slots=True)
class Prices:
    """Benefit pence of one more unit: of each limit (the budget first), and of each coverage less."""

    limits: Floats
    groups: Floats


@dataclass(frozen=True, slots=True)
class Problem:
    """Who may get what, under which limits and coverage; units that are alike may stand as one with a count.

    Attributes:
        benefit: (n_arms, n) pence.
        uses: a table (n_arms, n) or (n_arms, 1) a limit, the cost first.
        at_most: (n_limits,).
        member: (n_groups, n) true for the units a coverage is about.
        at_least: (n_groups,) whole units.
        count: (n,) units that each column stands for.
    """

    benefit: Floats
    uses: tuple[Floats, ...]
    at_most: Floats
    member: NDArray[np.bool_]
    at_least: Floats
    count: Floats

    def __len__(self) -> int:
        return int(self.benefit.shape[1])

    @property
    def n_arms(self) -> int:
        """Arms, none among them."""
        return int(self.benefit.shape[0])

    @property
    def range_pence(self) -> float:
        """Largest difference the arm of one unit can make; never 0."""
        best = self.benefit.max(axis=0, initial=-np.inf)
        worst = np.where(np.isfinite(self.benefit), self.benefit, best).min(axis=0, initial=np.inf)
        return float(max((best - worst).max(initial=0.0), 1e-9))

    def take(self, rows: Arms | slice) -> Problem:
        """The same problem for some of the units, whose limits and coverage are what they were."""
        return replace(
            self,
            benefit=np.ascontiguousarray(self.benefit[:, rows]),
            uses=tuple(taken(use, rows) for use in self.uses),
            member=self.member[:, rows],
            count=self.count[rows],
        )

    def scaled(self, share: float) -> Problem:
        """The same problem with a share of all limits and coverage."""
        return replace(self, at_most=self.at_most * share, at_least=self.at_least * share)

    def value(self, prices: Prices) -> Floats:
        """(n_arms, n) benefit less tolls plus subsidies."""
        value = self.benefit.copy()
        shared = np.zeros((self.n_arms, 1))
        for use, price in zip(self.uses, prices.limits, strict=True):
            if use.shape[1] == 1:
                shared += price * use
            elif price:
                value -= price * use
        value -= shared
        subsidy = np.zeros(len(self))
        for member, price in zip(self.member, prices.groups, strict=True):
            if price:
                subsidy[member] += price
        value[1:] += subsidy
        return value

    def used(self, arm: Arms) -> Floats:
        """(n_limits,) what these arms use up."""
        totals = np.bincount(arm, weights=self.count, minlength=self.n_arms)
        return np.array(
            [totals @ use[:, 0] if use.shape[1] == 1 else picked(use, arm) @ self.count for use in self.uses]
        )

    def covered(self, arm: Arms) -> Floats:
        """(n_groups,) units of each coverage that get some message."""
        return np.asarray(self.member @ ((arm > 0) * self.count), dtype=np.float64)

    def short(self, arm: Arms) -> Floats:
        """(n_groups,) units each coverage is short of."""
        return np.maximum(self.at_least - self.covered(arm), 0.0)

    def fits(self, arm: Arms) -> bool:
        """Whether these arms keep every limit."""
        return bool((self.used(arm) <= self.at_most).all())

    def bound(self, prices: Prices, at_least: Floats) -> float:
        """No arms with that coverage have more benefit than this (weak duality)."""
        priced = prices.limits > 0
        limits = float(prices.limits[priced] @ self.at_most[priced])
        best = float(self.value(prices).max(axis=0, initial=-np.inf) @ self.count) if len(self) else 0.0
        return best + limits - float(prices.groups @ at_least)


def constrained(
    offers: Offers,
    budget: float,
    *,
    limits: Sequence[Limit],
    coverage: Sequence[Coverage],
    order: Arms | None,
) -> Problem:
    """One problem of offers that stand in `order`, and of limits and coverage as they were given.

    Raises:
        DataError: names given twice, shapes that do not fit, negative or NaN uses, limits or coverage.
    """
    _check_names([limit.name for limit in limits], "limits")
    _check_names([rule.name for rule in coverage], "coverage")
    shape = (len(offers), offers.n_arms)
    uses = (offers.cost, *(_use(limit, shape, order) for limit in limits))
    members = [_member(rule, len(offers), order) for rule in coverage]
    amounts = [budget, *(_amount(limit.at_most, f"limit {limit.name!r}: at_most") for limit in limits)]
    at_most = [_whole_room(use, amount * (1.0 + ROUNDING)) for use, amount in zip(uses, amounts, strict=True)]
    at_least = [_amount(rule.at_least, f"coverage {rule.name!r}: at_least") for rule in coverage]
    return Problem(
        benefit=offers.benefit,
        uses=uses,
        at_most=np.array(at_most),
        member=np.array(members, dtype=bool).reshape(len(members), len(offers)),
        at_least=np.ceil(np.array(at_least, dtype=np.float64) - _WHOLE),
        count=np.ones(len(offers)),
    )


def capacity_limits(capacity: ArrayLike | None, n_arms: int) -> list[Limit]:
    """A limit for every arm but none that has a capacity."""
    if capacity is None:
        return []
    rooms = np.array(capacity, dtype=np.float64)
    if rooms.shape != (n_arms,) or not (rooms >= 0).all():
        raise DataError(f"capacity: {capacity!r}, must be {n_arms} numbers of 0 or more. Write inf for no limit.")
    return [Limit(f"arm {arm}", np.eye(n_arms)[arm], float(rooms[arm])) for arm in range(1, n_arms)]


def _check_names(names: Sequence[str], where: str) -> None:
    if len(set(names)) < len(names):
        raise DataError(f"{where}: {sorted(names)}, must have different names. Rename the second one.")


def _use(limit: Limit, shape: tuple[int, int], order: Arms | None) -> Floats:
    use = np.asarray(limit.use, dtype=np.float64)
    if use.shape not in {shape, shape[1:]}:
        raise DataError(f"limit {limit.name!r}: use has shape {use.shape}, must be {shape[1:]} or {shape}.")
    use = np.atleast_2d(use)
    if not np.isfinite(use).all() or (use < 0).any() or use[:, 0].any():
        raise DataError(f"limit {limit.name!r}: use must be numbers of 0 or more, and 0 in column 0.")
    if len(use) > 1 and order is not None:
        use = use[order]
    return np.ascontiguousarray(use.T)


def _whole_room(use: Floats, at_most: float) -> float:
    """What can be used of a limit: no part of a unit where uses are whole numbers."""
    return float(np.floor(at_most)) if np.isfinite(at_most) and (use == np.floor(use)).all() else at_most


def _member(rule: Coverage, n_units: int, order: Arms | None) -> NDArray[np.bool_]:
    rows = np.asarray(rule.rows)
    if rows.dtype != np.bool_ or rows.shape != (n_units,):
        raise DataError(
            f"coverage {rule.name!r}: rows are {rows.dtype} {rows.shape}, must be bool ({n_units},), one a unit."
        )
    return rows if order is None else rows[order]


def _amount(amount: float, where: str) -> float:
    if not amount >= 0:
        raise DataError(f"{where} == {amount}, must be 0 or more.")
    return float(amount)
