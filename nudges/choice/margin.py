"""What everyone takes at the price of the budget → the last pennies spent on the units nearest the margin."""

from __future__ import annotations

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.offers import Offers
from nudges.choice.pricing import Bracket

_REPAIRS = 64  # passes over what still fits at the end
_NEAR = 2_048  # units nearest the margin that are tried one against another


def spend_the_rest(offers: Offers, bracket: Bracket, budget: float) -> Arms:
    """(n,) arms within the budget: units tied at the price in their order, then the best single changes and swaps."""
    rows = bracket.open_rows
    if len(rows) == 0:
        return bracket.poor
    if len(rows) < _NEAR:
        rows = np.arange(min(len(offers), _NEAR)) if len(offers) <= _NEAR else _with_neighbours(offers, bracket)
    few = offers.take(rows)
    left = budget - (offers.spend(bracket.poor) - few.spend(bracket.poor[rows]))
    arm = bracket.poor.copy()
    arm[rows] = _polished(few, _filled(few, bracket.poor[rows], bracket.rich[rows], left), bracket.high, left)
    return arm


def _with_neighbours(offers: Offers, bracket: Bracket) -> Arms:
    """The open rows and those that lose least by a change at the price."""
    loss = _least_loss(_losses(offers, bracket.poor, bracket.high))
    return np.union1d(bracket.open_rows, np.argpartition(loss, _NEAR)[:_NEAR])


def _losses(offers: Offers, arm: Arms, price: float) -> Floats:
    """(n_arms, n) pence at the price that a unit loses by another arm; inf for its own."""
    value = offers.benefit - price * offers.cost
    loss = np.take_along_axis(value, arm[None, :], axis=0) - value
    np.put_along_axis(loss, arm[None, :], np.inf, axis=0)
    return loss


def _least_loss(losses: Floats) -> Floats:
    return np.asarray(losses.min(axis=0))


def _filled(offers: Offers, poor: Arms, rich: Arms, budget: float) -> Arms:
    """Spend what is left: units tied at the price, in their order."""
    arm = poor.copy()
    rows = np.flatnonzero(poor != rich)
    extra = (offers.paid(rich) - offers.paid(poor))[rows]
    for _ in range(_REPAIRS):
        left = budget - offers.spend(arm)
        fits = extra <= left
        rows, extra = rows[fits], extra[fits]
        taken = np.cumsum(extra) <= left
        if not taken.any():
            break
        arm[rows[taken]] = rich[rows[taken]]
        rows, extra = rows[~taken], extra[~taken]
    return arm


def _polished(offers: Offers, arm: Arms, price: float, budget: float) -> Arms:
    """Use what is left with the best change of one unit or exchange between two, among those nearest the margin."""
    rows, columns = _nearest_the_margin(offers, arm, price)
    cost = np.broadcast_to(offers.cost, offers.benefit.shape)
    for _ in range(_REPAIRS):
        now = arm[rows]
        extra = cost[columns, rows] - cost[now, rows]
        gain = offers.benefit[columns, rows] - offers.benefit[now, rows]
        first, second = _best_pair(rows, extra, gain, budget - offers.spend(arm))
        if gain[first] + (0.0 if second is None else gain[second]) <= 1e-12 * np.abs(gain).max(initial=1.0):
            break
        trial = arm.copy()
        for move in (first, second):
            if move is not None:
                trial[rows[move]] = columns[move]
        if offers.spend(trial) > budget:
            break
        arm = trial
    return arm


def _nearest_the_margin(offers: Offers, arm: Arms, price: float) -> tuple[Arms, Arms]:
    """Changes (row, arm) that lose least at the price; the present arms of those rows are among them."""
    nearest = _least_loss(_losses(offers, arm, price))
    rows = np.argpartition(nearest, min(_NEAR, len(arm)) - 1)[:_NEAR]
    rows = np.sort(rows[np.isfinite(nearest[rows])])
    rows, columns = np.repeat(rows, offers.n_arms), np.tile(np.arange(offers.n_arms), len(rows))
    possible = np.isfinite(offers.benefit[columns, rows])
    return rows[possible], columns[possible]


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
