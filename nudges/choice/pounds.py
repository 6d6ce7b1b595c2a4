"""An allocation → what one more pound would buy on each arm alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.offers import Offers

_POUND = 100.0
_FIRST = 1_024  # best moves looked at first; eight times as many each time these cost less than a pound


def pound_by_arm(offers: Offers, arm: Arms, uses: Sequence[Floats] = (), room: Sequence[float] = ()) -> Floats:
    """(n_arms,) benefit pence of 100 more pence that can only move units to one arm.

    Units move in the order of benefit per penny, until the pound or the room of a limit is used up; the last one in
    part.

    Args:
        offers: benefit and cost.
        arm: (n,) what each unit has.
        uses: per limit, (n_arms, 1) or (n_arms, n) what an arm uses up of it.
        room: per limit, what is left of it.
    """
    worth = np.zeros(offers.n_arms)
    paid, won = offers.paid(arm), offers.won(arm)
    for column in range(1, offers.n_arms):
        extra = offers.cost[column] - paid
        gain = offers.benefit[column] - won
        moves = np.flatnonzero((extra > 0) & (gain > 0))
        if len(moves):
            more = [use[column][moves if use.shape[1] > 1 else 0] - _now(use, arm, moves) for use in uses]
            worth[column] = _worth(extra[moves], gain[moves], more, room)
    return worth


def _now(use: Floats, arm: Arms, moves: Arms) -> Floats:
    return np.asarray(use[arm[moves], moves if use.shape[1] > 1 else 0])


def _worth(extra: Floats, gain: Floats, more: Sequence[Floats], room: Sequence[float]) -> float:
    rate, count = gain / extra, _FIRST
    while True:
        first = np.argpartition(-rate, count)[:count] if count < len(rate) else np.arange(len(rate))
        if count >= len(rate) or extra[first].sum() >= _POUND:
            break
        count *= 8
    first = first[np.argsort(-rate[first], kind="stable")]
    before = np.cumsum(extra[first]) - extra[first]
    share = np.clip((_POUND - before) / extra[first], 0.0, 1.0)
    for used, left in zip(more, room, strict=True):
        cumulated = np.cumsum(used[first])
        share[np.maximum.accumulate(cumulated > left * (1 + 1e-12) + 1e-12)] = 0.0
    return float(share @ gain[first])
