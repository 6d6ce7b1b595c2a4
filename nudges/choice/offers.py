"""Benefit and cost as they were given → checked offers, an arm a row, in the order in which equals go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudges.choice.allocation import Arms, Floats
from nudges.errors import DataError


@dataclass(frozen=True, slots=True)
class Offers:
    """What each arm brings and costs each unit; arms in rows, so that an arm's numbers lie side by side.

    Attributes:
        benefit: (n_arms, n) pence, -inf where a unit cannot have an arm.
        cost: (n_arms, n) pence, or (n_arms, 1) when an arm costs the same for all.
    """

    benefit: Floats
    cost: Floats

    @property
    def n_arms(self) -> int:
        """Arms, none among them."""
        return int(self.benefit.shape[0])

    def __len__(self) -> int:
        return int(self.benefit.shape[1])

    def take(self, rows: Arms | slice) -> Offers:
        """The same offers to some of the units."""
        return Offers(np.ascontiguousarray(self.benefit[:, rows]), taken(self.cost, rows))

    def paid(self, arm: Arms) -> Floats:
        """(n,) what each unit costs under these arms."""
        return picked(self.cost, arm)

    def won(self, arm: Arms) -> Floats:
        """(n,) what each unit brings under these arms."""
        return picked(self.benefit, arm)

    def spend(self, arm: Arms) -> float:
        """Pence these arms cost together."""
        if self.cost.shape[1] == 1:
            return float(np.bincount(arm, minlength=self.n_arms) @ self.cost[:, 0])
        return float(self.paid(arm).sum())


def taken(table: Floats, rows: Arms | slice) -> Floats:
    """Some columns of an (n_arms, n) table; an (n_arms, 1) table is the same for all."""
    return table if table.shape[1] == 1 else np.ascontiguousarray(table[:, rows])


def picked(table: Floats, arm: Arms) -> Floats:
    """(n,) the entry of each unit's arm in an (n_arms, n) or (n_arms, 1) table."""
    if table.shape[1] == 1:
        return np.asarray(table[arm, 0])
    return np.asarray(np.take_along_axis(table, arm[None, :], axis=0)[0])


def checked_offers(benefit_pence: ArrayLike, cost_pence: ArrayLike, order: Arms | None) -> Offers:
    """Offers with the units in `order`.

    Raises:
        DataError: shapes that do not fit, NaN, infinite benefits, costs that are negative or not 0 for none.
    """
    benefit = np.asarray(benefit_pence, dtype=np.float64)
    if benefit.ndim != 2 or benefit.shape[1] < 1:
        raise DataError(f"benefit_pence: shape {benefit.shape}, must be (units, arms) with none in column 0.")
    cost = np.asarray(cost_pence, dtype=np.float64)
    if cost.shape not in {benefit.shape, benefit.shape[1:]}:
        raise DataError(f"cost_pence: shape {cost.shape}, must be {benefit.shape[1:]} or {benefit.shape}.")
    if not _finite(cost) or not (_finite(benefit) or _possible(benefit)):
        raise DataError("benefit_pence, cost_pence: NaN or infinite, must be numbers. Leave such units out.")
    columns = Offers(_by_arm(benefit, order), _by_arm(np.atleast_2d(cost), order if cost.ndim == 2 else None))
    if columns.cost.min(initial=0.0) < 0 or columns.cost[0].any():
        raise DataError("cost_pence: must be 0 in column 0 and never negative.")
    return columns


def checked_order(ties: ArrayLike | None, n_units: int) -> Arms | None:
    """Units in the order of their ties, those of equal ties in row order; None for row order."""
    if ties is None:
        return None
    values = np.asarray(ties, dtype=np.float64)
    if values.shape != (n_units,) or np.isnan(values).any():
        raise DataError(f"ties: shape {values.shape}, must be ({n_units},) numbers. Give one draw a unit.")
    return np.argsort(values, kind="stable")


def checked_budget(budget_pence: float) -> float:
    """A budget of 0 or more."""
    if not budget_pence >= 0:
        raise DataError(f"budget_pence == {budget_pence}, must be 0 or more.")
    return float(budget_pence)


def _finite(values: Floats) -> bool:
    """One sum tells; only a sum too large for a float needs a second look."""
    with np.errstate(all="ignore"):
        total = values.sum()
    return bool(np.isfinite(total) or np.isfinite(values).all())


def _possible(benefit: Floats) -> bool:
    """No NaN, nothing infinitely good, and none is always possible."""
    return bool(np.isfinite(benefit[:, 0]).all() and (benefit < np.inf).all())


def _by_arm(table: Floats, order: Arms | None) -> Floats:
    """(n_arms, n) copy of an (n, n_arms) table, block by block so that no second copy is ever whole."""
    if order is None:
        return np.ascontiguousarray(table.T)
    columns = np.empty(table.shape[::-1])
    for start in range(0, len(table), 65_536):
        columns[:, start : start + 65_536] = table[order[start : start + 65_536]].T
    return columns
