"""Offers and a budget → the exact price of its last penny, and what every unit takes at that price.

A fractional multi-choice knapsack has one dual price: at price λ every unit takes the arm with the largest
benefit - λ cost (Dantzig 1957; Sinha & Zoltners 1979). Every unit's best value is convex in λ, so one that takes
the same arm at both ends of a bracket takes it in between. A sample gives a bracket a few standard errors wide; only
the units that change their mind inside it are looked at again, and their breakpoints are bisected to the exact one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.offers import Offers, taken

_SAMPLE = 16_384  # units that bracket the price for the others
_ERRORS = 4.0  # standard errors of the sample's spend on either side
_BLOCK = 65_536  # units looked at together, so that they stay in the processor's cache
_CUTS = 200  # cuts of the price bracket; each halves what is open
_NEVER = 1e-12  # smallest price at which nobody buys, pence a penny


@dataclass(frozen=True, slots=True)
class Bracket:
    """What units take at both ends of a price bracket.

    Attributes:
        low: a price at which they overspend, or 0.
        high: a price at which the spend fits.
        rich: (n,) arm at `low`.
        poor: (n,) arm at `high`.
        open_rows: units that may change their mind in between.
    """

    low: float
    high: float
    rich: Arms
    poor: Arms
    open_rows: Arms


def best(offers: Offers, price: float) -> Arms:
    """Arm with the largest benefit - price x cost; of equals the cheapest, so that spend falls as the price rises."""
    arm = np.empty(len(offers), dtype=np.intp)
    for start in range(0, len(offers), _BLOCK):
        block = slice(start, start + _BLOCK)
        cost = offers.cost if offers.cost.shape[1] == 1 else offers.cost[:, block]
        arm[block] = _best_of_block(offers.benefit[:, block], cost, price)
    return arm


def _best_of_block(benefit: Floats, cost: Floats, price: float) -> Arms:
    """Arms are offered the cheapest first when they cost the same for all; then equals need no second comparison."""
    shared = cost.shape[1] == 1
    offered = np.argsort(cost[:, 0], kind="stable") if shared else np.arange(len(cost))
    arm = np.full(benefit.shape[1], offered[0])
    value, paid = benefit[offered[0]].copy(), np.broadcast_to(cost[offered[0]], benefit.shape[1:]).copy()
    offer, better = np.empty_like(value), np.empty(len(value), dtype=bool)
    if shared:
        value -= price * cost[offered[0]]
    for column in offered[1:]:
        np.subtract(benefit[column], price * cost[column], out=offer)
        np.greater(offer, value, out=better)
        if not shared:
            better |= (offer == value) & (cost[column] < paid)
            np.copyto(paid, cost[column], where=better)
        np.copyto(arm, column, where=better)
        np.maximum(value, offer, out=value)
    return arm


def budget_bracket(offers: Offers, budget: float) -> Bracket:
    """Tightest price bracket of the budget; `low == high == 0` when everyone may have what is best for them."""
    low, high = _sampled_bracket(offers, budget) if len(offers) > 2 * _SAMPLE else (0.0, top_price(offers))
    rich = best(offers, low)
    if low > 0 and offers.spend(rich) <= budget:
        low, high = 0.0, low
        poor, rich = rich, best(offers, low)
    else:
        poor = best(offers, high)
    if low == 0 and offers.spend(rich) <= budget:
        return Bracket(0.0, 0.0, rich, rich, np.zeros(0, dtype=np.intp))
    if offers.spend(poor) > budget:
        low, high = high, top_price(offers)
        rich, poor = poor, best(offers, high)
    return _cut(offers, budget, Bracket(low, high, rich, poor, np.flatnonzero(rich != poor)))


def _sampled_bracket(offers: Offers, budget: float) -> tuple[float, float]:
    """Prices of a sample between which the price of all lies but for bad luck, which costs a second look at all."""
    sample = offers.take(slice(None, None, len(offers) // _SAMPLE))
    share = len(sample) / len(offers)
    top = top_price(sample)
    middle = best(sample, _price_of(sample, budget * share, top))
    error = _ERRORS * float(sample.paid(middle).std()) * np.sqrt(len(sample))
    return _price_of(sample, budget * share + error, top), _price_of(sample, max(budget * share - error, 0.0), top)


def _price_of(offers: Offers, budget: float, top: float) -> float:
    rich = best(offers, 0.0)
    if offers.spend(rich) <= budget:
        return 0.0
    poor = best(offers, top)
    return _cut(offers, budget, Bracket(0.0, top, rich, poor, np.flatnonzero(rich != poor))).high


def _cut(offers: Offers, budget: float, bracket: Bracket) -> Bracket:
    """Bisect the breakpoints until none lies inside the bracket; the open rows stay those of the first one."""
    rich, poor, low, high = bracket.rich.copy(), bracket.poor.copy(), bracket.low, bracket.high
    rows, few = bracket.open_rows, offers.take(bracket.open_rows)
    fixed = offers.spend(bracket.poor) - few.spend(poor[rows])
    for _ in range(_CUTS):
        differs = rich[rows] != poor[rows]
        settled = ~differs
        fixed += Offers(few.benefit[:, settled], taken(few.cost, settled)).spend(poor[rows[settled]])
        rows, few = rows[differs], few.take(differs)
        even = _breakpoints(few, rich[rows], poor[rows])
        inside = even[(even > low) & (even < high)]
        if len(inside) == 0:
            break
        middle = float(np.partition(inside, len(inside) // 2)[len(inside) // 2])
        trial = best(few, middle)
        if fixed + few.spend(trial) <= budget:
            poor[rows], high = trial, middle
        else:
            rich[rows], low = trial, middle
    between = np.where(even >= high, rich[rows], poor[rows])
    if fixed + few.spend(between) > budget:
        rich[rows] = between
    else:  # rounding has made units that are tied at `low` buy there
        poor[rows], high = between, low
    return Bracket(low, high, rich, poor, bracket.open_rows)


def _breakpoints(offers: Offers, rich: Arms, poor: Arms) -> Floats:
    """(n,) prices at which units are indifferent between two arms."""
    gain, extra = offers.won(rich) - offers.won(poor), offers.paid(rich) - offers.paid(poor)
    return np.asarray(np.divide(gain, extra, out=np.zeros(len(extra)), where=extra > 0))


def top_price(offers: Offers) -> float:
    """A price at which every unit takes an arm that costs nothing."""
    free = offers.benefit[0].copy()
    for benefit, cost in zip(offers.benefit[1:], offers.cost[1:], strict=True):
        np.maximum(free, benefit, out=free, where=cost == 0)
    highest = _NEVER
    for benefit, cost in zip(offers.benefit[1:], offers.cost[1:], strict=True):
        ratio = np.divide(benefit - free, cost, out=np.zeros(len(free)), where=cost > 0)
        highest = max(highest, float(ratio.max(initial=0.0)))
    return 2.0 * highest
