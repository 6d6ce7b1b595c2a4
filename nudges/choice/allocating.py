"""Benefit, cost and rules → one arm each: the fast way with a budget alone, the general way with limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from nudges.choice.alike import in_order, kinds
from nudges.choice.allocation import ROUNDING, Allocation, Arms, Coverage, Limit
from nudges.choice.margin import spend_the_rest
from nudges.choice.offers import Offers, checked_budget, checked_offers, checked_order
from nudges.choice.pounds import pound_by_arm
from nudges.choice.pricing import Bracket, best, budget_bracket
from nudges.choice.problem import Prices, capacity_limits, constrained
from nudges.choice.seating import seated, touched_up, whole_units
from nudges.choice.sifting import sifted

_ENOUGH = 5e-7  # of the benefit: a smaller gap is not worth a search


def allocate(
    benefit_pence: ArrayLike, cost_pence: ArrayLike, *, budget_pence: float, capacity: ArrayLike | None = None
) -> Arms:
    """Arm index of each unit that makes the total benefit largest within the budget.

    Args:
        benefit_pence: (n, n_arms) pence; column 0 is none. What is maximised: take message costs off before, when a
            message that costs more than it brings must not go out. -inf where a unit cannot have an arm.
        cost_pence: (n_arms,) or (n, n_arms) pence, column 0 costs 0.
        budget_pence: most that may be spent, never exceeded but by the rounding of a sum. Ties at the margin go in
            row order.
        capacity: (n_arms,) most units an arm may have; nothing limits column 0.

    Raises:
        DataError: shapes that do not fit, NaN, negative costs, or a first column that is not free.
    """
    if capacity is not None:
        return allocate_priced(benefit_pence, cost_pence, budget_pence=budget_pence, capacity=capacity).arm
    budget = checked_budget(budget_pence)
    return _within_budget(checked_offers(benefit_pence, cost_pence, None), budget).arm


def allocate_priced(
    benefit_pence: ArrayLike,
    cost_pence: ArrayLike,
    *,
    budget_pence: float,
    capacity: ArrayLike | None = None,
    limits: Sequence[Limit] = (),
    coverage: Sequence[Coverage] = (),
    ties: ArrayLike | None = None,
) -> Allocation:
    """`allocate` with limits and coverage, and what money, limits and coverage were worth.

    Budget and limits are never overstepped. Coverage comes before benefit: a unit may get a message that is worth
    nothing so that its group is covered; what cannot be covered is in `unmet`. What is not perfect about the answer,
    because a unit cannot be cut in two, is at most `gap_pence`.

    Args:
        benefit_pence: as in `allocate`.
        cost_pence: as in `allocate`.
        budget_pence: as in `allocate`.
        capacity: as in `allocate`.
        limits: of channels and arms.
        coverage: of wards and groups.
        ties: (n,) draws; of equals the smaller draw goes first, and the rows may stand in any order. Without it, the
            first row.

    Raises:
        DataError: as `allocate`, and limits or coverage with shapes that do not fit, NaN or negative amounts.
    """
    budget = checked_budget(budget_pence)
    order = checked_order(ties, len(np.asarray(benefit_pence)))
    offers = checked_offers(benefit_pence, cost_pence, order)
    limits = [*capacity_limits(capacity, offers.n_arms), *limits]
    if limits or coverage:
        found = _within_limits(offers, budget, limits, coverage, order)
    else:
        found = _within_budget(offers, budget, pounds=True)
    if order is None:
        return found
    arm = np.empty_like(found.arm)
    arm[order] = found.arm
    return replace(found, arm=arm)


def at_price(benefit_pence: ArrayLike, cost_pence: ArrayLike, price_per_penny: float) -> Arms:
    """Arm index of each unit at a known price: the rule an allocation applies, without its budget."""
    return best(checked_offers(benefit_pence, cost_pence, None), price_per_penny)


def _within_budget(offers: Offers, budget: float, *, pounds: bool = False) -> Allocation:
    """The fast way: one price."""
    limit = budget * (1.0 + ROUNDING)
    bracket = budget_bracket(offers, limit)
    arm, price = spend_the_rest(offers, bracket, limit), bracket.high
    gap = _gap(offers, bracket, arm, limit)
    if gap > _ENOUGH * abs(float(offers.won(arm).sum())):
        problem = constrained(offers, budget, limits=(), coverage=(), order=None)
        arm = touched_up(problem, arm, Prices(np.array([price]), np.zeros(0)))
        gap = _gap(offers, bracket, arm, limit)
    return Allocation(
        arm=arm,
        price_per_penny=price,
        spent_pence=offers.spend(arm),
        tolls={},
        subsidies={},
        unmet={},
        pound_by_arm=pound_by_arm(offers, arm) if pounds else np.zeros(offers.n_arms),
        gap_pence=gap,
    )


def _gap(offers: Offers, bracket: Bracket, arm: Arms, limit: float) -> float:
    """Pence to the bound: what is left of the money at its price, and what moved units lose at the price."""
    moved = np.flatnonzero(arm != bracket.poor)
    few, before, now = offers.take(moved), bracket.poor[moved], arm[moved]
    gain = few.won(now) - few.won(before) - bracket.high * (few.paid(now) - few.paid(before))
    slack = bracket.high * (limit - offers.spend(arm)) if bracket.high > 0 else 0.0
    return max(slack - float(gain.sum()), 0.0)


def _within_limits(
    offers: Offers, budget: float, limits: Sequence[Limit], coverage: Sequence[Coverage], order: Arms | None
) -> Allocation:
    """The general way: a price for every limit and coverage, then the units that must not be cut in two."""
    problem = constrained(offers, budget, limits=limits, coverage=coverage, order=order)
    alike = kinds(problem)
    division = sifted(alike.problem)
    arm = seated(problem, whole_units(alike.kind, division), division.prices)
    if len(alike.problem) < len(problem):
        arm = in_order(problem, alike.kind, arm)
    short, reached = problem.short(arm), np.minimum(problem.at_least, problem.covered(arm))
    won = float(problem.benefit[arm, np.arange(len(arm))].sum())
    room = problem.at_most - problem.used(arm)
    prices = division.prices
    return Allocation(
        arm=arm,
        price_per_penny=float(prices.limits[0]),
        spent_pence=offers.spend(arm),
        tolls={limit.name: float(toll) for limit, toll in zip(limits, prices.limits[1:], strict=True)},
        subsidies={rule.name: float(price) for rule, price in zip(coverage, prices.groups, strict=True)},
        unmet={rule.name: float(lack) for rule, lack in zip(coverage, short, strict=True) if lack > 0},
        pound_by_arm=pound_by_arm(offers, arm, problem.uses[1:], [float(left) for left in room[1:]]),
        gap_pence=max(problem.bound(prices, reached) - won, 0.0),
    )
