"""Prices and a few units → good seatings drawn near those that are best at the prices, for exchanges to start from.

What a seating loses at the prices, and the price of what it leaves unused, is all that it is worse than the bound. So
small losses are worth trying when they use up what is left, and no exchange of a few units finds that.
"""

from __future__ import annotations

import numpy as np

from nudges.choice.allocation import Arms, Floats
from nudges.choice.problem import Prices, Problem

_DRAWS = 4_096  # seatings at each temperature
_TEMPERATURES = (0.03, 0.1, 0.3)  # of the middle loss of the units: how much a draw may lose
_STARTS = 8
_SEED = 3  # any will do; the same problem has the same answer


def drawn_starts(problem: Problem, prices: Prices) -> list[Arms]:
    """A few (n,) arms that keep the limits: of those drawn, the ones with least short, then most benefit.

    Args:
        problem: every unit by itself.
        prices: at which losses are counted.
    """
    value = problem.value(prices)
    loss = value.max(axis=0) - value
    drawn = np.concatenate([_drawn(loss, share) for share in _TEMPERATURES], axis=1)
    units = np.arange(len(problem))[:, None]
    used = [use[drawn, units if use.shape[1] > 1 else 0].sum(axis=0) for use in problem.uses]
    fits = np.all(np.array(used) <= problem.at_most[:, None], axis=0)
    covered = problem.member.astype(np.float64) @ (drawn > 0)
    short = np.maximum(problem.at_least[:, None] - covered, 0.0).sum(axis=0)
    worth = problem.benefit[drawn, units].sum(axis=0) - problem.range_pence * (len(problem) + 1.0) * short
    best = np.argsort(np.where(fits, -worth, np.inf), kind="stable")[:_STARTS]
    return [drawn[:, number].astype(np.intp) for number in best if fits[number]]


def _drawn(loss: Floats, share: float) -> Arms:
    """(n, draws) arms, each the more likely the less it loses (Gumbel noise makes the draw)."""
    second = np.partition(loss, 1, axis=0)[1]
    temperature = share * float(np.median(second[np.isfinite(second)])) if np.isfinite(second).any() else 0.0
    noise = np.random.default_rng(_SEED).gumbel(size=(*loss.shape, _DRAWS))
    return np.asarray((temperature * noise - loss[:, :, None]).argmax(axis=0))
