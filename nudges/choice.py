"""Benefit and cost of every arm for every unit → one arm each, within a budget.

A fractional multi-choice knapsack has one dual price: at price λ every unit takes the arm with the largest
benefit - λ cost, and λ is bisected until the spend fits (Dantzig 1957; Sinha & Zoltners 1979). Only units whose
arm differs at the two ends of the bracket are looked at again, so the work shrinks with every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]

_STEPS = 200  # cuts of the price bracket; it halves what is open each time
_REPAIRS = 64  # passes over what still fits at the end
_ROUNDING = 1e-12  # sums of decimal prices are this exact: 5,000 texts of 0.1 pence do fit into 500
_NEAR = 2_048  # units nearest the margin that are tried one against another


@dataclass(frozen=True, slots=True)
class Allocation:
    """What each unit gets, and what the budget was worth.

    Attributes:
        arm: (n,) arm index, 0 for none.
        price_per_penny: benefit pence that one more penny of budget would buy; 0 when the budget does not bind.
        spent_pence: total cost, never above the budget.
    """

    arm: Arms
    price_per_penny: float
    spent_pence: float


def allocate(
    benefit_pence: ArrayLike, cost_pence: ArrayLike, *, budget_pence: float, capacity: ArrayLike | None = None
) -> Arms:
    """Arm index of each unit that makes the total benefit largest within the budget.

    Args:
        benefit_pence: (n, n_arms) pence; column 0 is none. What is maximised: take message costs off before,
            when a message that costs more than it brings must not go out.
        cost_pence: (n_arms,) or (n, n_arms) pence, column 0 costs 0.
        budget_pence: most that may be spent, never exceeded but by the rounding of a sum. Ties at the margin go in
            row order.
        capacity: (n_arms,) most units an arm may have; nothing limits column 0.

    Raises:
        DataError: shapes that do not fit, NaN, negative costs, or a first column that is not free.
    """
    return allocate_priced(benefit_pence, cost_pence, budget_pence=budget_pence, capacity=capacity).arm


def allocate_priced(
    benefit_pence: ArrayLike, cost_pence: ArrayLike, *, budget_pence: float, capacity: ArrayLike | None = None
) -> Allocation:
    """`allocate` with the dual price of the budget and the spend."""
    benefit, cost = _checked(benefit_pence, cost_pence, budget_pence)
    budget = float(budget_pence) * (1.0 + _ROUNDING)
    if capacity is None:
        arm, price = _within_budget(benefit, cost, budget)
        return Allocation(arm, price, _spend(cost, arm))
    limits = _limits(capacity, benefit.shape[1])
    arm, price = _within_capacity(benefit, cost, budget, limits)
    return Allocation(arm, price, _spend(cost, arm))


def at_price(benefit_pence: ArrayLike, cost_pence: ArrayLike, price_per_penny: float) -> Arms:
    """Arm index of each unit at a known price: the rule an allocation applies, without its budget."""
    benefit, cost = _checked(benefit_pence, cost_pence, 0.0)
    return _best(benefit, cost, price_per_penny)


def _checked(benefit_pence: ArrayLike, cost_pence: ArrayLike, budget_pence: float) -> tuple[Floats, Floats]:
    benefit = np.asarray(benefit_pence, dtype=np.float64)
    if benefit.ndim != 2 or benefit.shape[1] < 1:
        raise DataError(f"benefit_pence: shape {benefit.shape}, must be (units, arms) with none in column 0.")
    cost = np.asarray(cost_pence, dtype=np.float64)
    if cost.shape not in {benefit.shape, benefit.shape[1:]}:
        raise DataError(f"cost_pence: shape {cost.shape}, must be {benefit.shape[1:]} or {benefit.shape}.")
    cost = np.broadcast_to(cost, benefit.shape)
    if not (np.isfinite(benefit).all() and np.isfinite(cost).all()):
        raise DataError("benefit_pence, cost_pence: NaN or infinite, must be numbers. Leave such units out.")
    if (cost < 0).any() or cost[:, 0].any():
        raise DataError("cost_pence: must be 0 in column 0 and never negative.")
    if not budget_pence >= 0:
        raise DataError(f"budget_pence == {budget_pence}, must be 0 or more.")
    return benefit, cost


def _best(benefit: Floats, cost: Floats, price: float) -> Arms:
    """Arm with the largest benefit - price x cost; of equals the cheapest, so that spend falls as the price rises."""
    arm = np.zeros(len(benefit), dtype=np.intp)
    value = benefit[:, 0].copy()
    paid = np.zeros(len(benefit))
    for column in range(1, benefit.shape[1]):
        offer = benefit[:, column] - price * cost[:, column]
        better = (offer > value) | ((offer == value) & (cost[:, column] < paid))
        arm[better] = column
        value[better] = offer[better]
        paid[better] = cost[better, column]
    return arm


def _paid(cost: Floats, arm: Arms) -> Floats:
    return np.take_along_axis(cost, arm[:, None], axis=1)[:, 0]


def _spend(cost: Floats, arm: Arms) -> float:
    return float(_paid(cost, arm).sum())


def _top_price(benefit: Floats, cost: Floats) -> float:
    """A price at which every unit takes an arm that costs nothing."""
    ratio = np.zeros(len(benefit))
    free = benefit[:, 0].copy()
    for column in range(1, benefit.shape[1]):
        np.maximum(free, benefit[:, column], out=free, where=cost[:, column] == 0)
    for column in range(1, benefit.shape[1]):
        price = cost[:, column]
        np.maximum(
            ratio, np.divide(benefit[:, column] - free, price, out=np.zeros(len(free)), where=price > 0), out=ratio
        )
    return float(2.0 * max(ratio.max(initial=0.0), 1e-12))


def _within_budget(benefit: Floats, cost: Floats, budget: float) -> tuple[Arms, float]:
    """Bisect the price between `rich` arms that overspend and `poor` ones that fit."""
    rich = _best(benefit, cost, 0.0)
    if len(rich) == 0 or _spend(cost, rich) <= budget:
        return rich, 0.0
    low, high = 0.0, _top_price(benefit, cost)
    poor = _best(benefit, cost, high)
    rows, fixed = np.arange(len(rich)), 0.0
    for _ in range(_STEPS):
        differs = rich[rows] != poor[rows]
        settled = rows[~differs]
        fixed += float(_paid(cost[settled], poor[settled]).sum())
        rows = rows[differs]
        benefit_left, cost_left = benefit[rows], cost[rows]
        middle = _middle_price(benefit_left, cost_left, rich[rows], poor[rows], low, high)
        if middle is None:
            break
        trial = _best(benefit_left, cost_left, middle)
        if fixed + _spend(cost_left, trial) <= budget:
            poor[rows], high = trial, middle
        else:
            rich[rows], low = trial, middle
    arm = _fill(cost, poor, rich, budget)
    return _polish(benefit, cost, arm, high, budget), high


def _middle_price(benefit: Floats, cost: Floats, rich: Arms, poor: Arms, low: float, high: float) -> float | None:
    """Median of the prices inside the bracket at which a unit is indifferent; None when no unit's is."""
    gain = np.take_along_axis(benefit, rich[:, None], axis=1) - np.take_along_axis(benefit, poor[:, None], axis=1)
    extra = _paid(cost, rich) - _paid(cost, poor)
    ties = np.divide(gain[:, 0], extra, out=np.zeros(len(extra)), where=extra > 0)
    inside = ties[(ties > low) & (ties < high)]
    return float(np.partition(inside, len(inside) // 2)[len(inside) // 2]) if len(inside) else None


def _fill(cost: Floats, poor: Arms, rich: Arms, budget: float) -> Arms:
    """Spend what is left: units tied at the price, in row order."""
    arm = poor.copy()
    rows = np.flatnonzero(poor != rich)
    extra = _paid(cost[rows], rich[rows]) - _paid(cost[rows], poor[rows])
    for _ in range(_REPAIRS):
        left = budget - _spend(cost, arm)
        fits = extra <= left
        rows, extra = rows[fits], extra[fits]
        taken = np.cumsum(extra) <= left
        if not taken.any():
            break
        arm[rows[taken]] = rich[rows[taken]]
        rows, extra = rows[~taken], extra[~taken]
    return arm


def _polish(benefit: Floats, cost: Floats, arm: Arms, price: float, budget: float) -> Arms:
    """Use what is left with the best change of one unit or exchange between two, among those nearest the margin."""
    rows, columns = _nearest_the_margin(benefit, cost, arm, price)
    for _ in range(_REPAIRS):
        now = arm[rows]
        extra, gain = cost[rows, columns] - cost[rows, now], benefit[rows, columns] - benefit[rows, now]
        first, second = _best_pair(rows, extra, gain, budget - _spend(cost, arm))
        if gain[first] + (0.0 if second is None else gain[second]) <= 1e-12 * np.abs(gain).max(initial=1.0):
            break
        trial = arm.copy()
        for move in (first, second):
            if move is not None:
                trial[rows[move]] = columns[move]
        if _spend(cost, trial) > budget:
            break
        arm = trial
    return arm


def _nearest_the_margin(benefit: Floats, cost: Floats, arm: Arms, price: float) -> tuple[Arms, Arms]:
    """Changes (row, arm) that lose least at the price; the present arms of those rows are among them."""
    value = benefit - price * cost
    loss = np.take_along_axis(value, arm[:, None], axis=1) - value
    np.put_along_axis(loss, arm[:, None], np.inf, axis=1)
    nearest = loss.min(axis=1)
    rows = np.argpartition(nearest, min(_NEAR, len(arm)) - 1)[:_NEAR]
    rows = np.sort(rows[np.isfinite(nearest[rows])])
    return np.repeat(rows, benefit.shape[1]), np.tile(np.arange(benefit.shape[1]), len(rows))


def _best_pair(rows: Arms, extra: Floats, gain: Floats, left: float) -> tuple[int, int | None]:
    """The move, and perhaps a second in another row, with the largest joint gain that costs at most `left` more."""
    order = np.argsort(extra, kind="stable")
    record = np.maximum.accumulate(gain[order])
    holder = np.maximum.accumulate(np.where(gain[order] >= record, np.arange(len(order)), 0))
    last = np.searchsorted(extra[order], left - extra, side="right") - 1
    partner = order[holder[np.maximum(last, 0)]]
    joint = np.where((last >= 0) & (rows[partner] != rows), gain + gain[partner], -np.inf)
    alone = np.where(extra <= left, gain, -np.inf)
    if alone.max() >= joint.max():
        return int(alone.argmax()), None
    return int(joint.argmax()), int(partner[joint.argmax()])


# --- capacity ---------------------------------------------------------------------------


def _limits(capacity: ArrayLike, n_arms: int) -> Floats:
    limits = np.array(capacity, dtype=np.float64)
    if limits.shape != (n_arms,) or not (limits >= 0).all():
        raise DataError(f"capacity: {capacity!r}, must be {n_arms} numbers of 0 or more. Write inf for no limit.")
    limits[0] = np.inf
    return limits


def _within_capacity(benefit: Floats, cost: Floats, budget: float, limits: Floats) -> tuple[Arms, float]:
    """Raise the toll of each crowded arm until it fits, under the budget's price; then seat who is left over."""
    tolls = np.zeros(benefit.shape[1])
    arm, price = _within_budget(benefit, cost, budget)
    for _ in range(_REPAIRS):
        counts = np.bincount(arm, minlength=len(tolls))
        crowded = np.flatnonzero((counts > limits) | ((tolls > 0) & (counts < limits)))
        if len(crowded) == 0:
            break
        before = tolls.copy()
        for column in crowded:
            value = benefit - price * cost - tolls
            value[:, column] += tolls[column]
            tolls[column] = _toll(value, int(column), limits)
        arm, price = _within_budget(benefit - tolls, cost, budget)
        if np.allclose(before, tolls, rtol=1e-9, atol=1e-12):
            break
    return _seat(benefit, cost, benefit - price * cost - tolls, arm, budget, limits), price


def _toll(value: Floats, column: int, limits: Floats) -> float:
    """Smallest toll at which at most its capacity prefers this arm: the margin of the first unit left out."""
    others = np.delete(value, column, axis=1).max(axis=1)
    margin = value[:, column] - others
    room = int(min(limits[column], len(margin)))
    if room >= len(margin):
        return 0.0
    return float(max(np.partition(margin, len(margin) - room - 1)[len(margin) - room - 1], 0.0))


def _seat(benefit: Floats, cost: Floats, value: Floats, arm: Arms, budget: float, limits: Floats) -> Arms:
    """Put out the units with the least margin where an arm is over capacity, then fill the rooms that are left."""
    arm = arm.copy()
    for column in range(1, benefit.shape[1]):
        inside = np.flatnonzero(arm == column)
        over = len(inside) - int(min(limits[column], len(inside)))
        if over > 0:
            margin = value[inside, column] - value[inside, 0]
            arm[inside[np.argsort(-margin, kind="stable")[len(inside) - over :]]] = 0
    spent = _spend(cost, arm)
    for column in np.argsort(-benefit.max(axis=0, initial=0.0), kind="stable"):
        room = limits[column] - int((arm == column).sum())
        rows = np.flatnonzero((arm == 0) & (value[:, column] >= value[:, 0]) & (benefit[:, column] > benefit[:, 0]))
        if column == 0 or room <= 0 or len(rows) == 0:
            continue
        rows = rows[np.argsort(-value[rows, column], kind="stable")][: int(min(room, len(rows)))]
        fits = rows[spent + np.cumsum(cost[rows, column]) <= budget]
        arm[fits] = column
        spent = _spend(cost, arm)
    return arm
