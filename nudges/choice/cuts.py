"""A feature's values → a few round numbers to split it at, and the bin of every unit between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.choice.allocation import Arms, Floats

_REACH = 0.1  # of the distance between two quantiles: so far may a cut move to be a rounder number


@dataclass(frozen=True, slots=True)
class Binned:
    """One feature in bins, and the ways to split it.

    Attributes:
        bin: (n,) number of cuts a value is above; the last bin is for what is not known.
        n_bins: bins, that one among them.
        cut: (n_ways,) cut of each way; inf when the question is whether the value is known.
        unknown_above: (n_ways,) whether the unknown go with those above.
        below: (n_ways, n_bins) 1 for the bins that go with those at or below the cut.
        has_unknown: whether any value is not known.
    """

    bin: Arms
    n_bins: int
    cut: Floats
    unknown_above: NDArray[np.bool_]
    below: Floats
    has_unknown: bool


def binned(values: Floats, n_cuts: int) -> Binned:
    """Bins of about equal size, or one a value when there are few; the unknown may go either way."""
    unknown = np.isnan(values)
    cuts = quantile_cuts(np.sort(values[~unknown]), n_cuts)
    place = np.searchsorted(cuts, values, side="left")
    place[unknown] = len(cuts) + 1
    below = np.tril(np.ones((len(cuts), len(cuts) + 2)))
    ways, unknown_above = cuts, np.ones(len(cuts), dtype=bool)
    if unknown.any():
        with_unknown = below.copy()
        with_unknown[:, -1] = 1.0
        is_known = np.append(np.ones(len(cuts) + 1), 0.0)[None, :]
        below = np.concatenate([below, with_unknown, is_known])
        ways = np.concatenate([cuts, cuts, [np.inf]])
        unknown_above = np.concatenate([unknown_above, ~unknown_above, [True]])
    return Binned(place, len(cuts) + 2, ways, unknown_above, below, bool(unknown.any()))


def quantile_cuts(known: Floats, n_cuts: int) -> Floats:
    """At most `n_cuts` ascending cuts of sorted values, each the roundest number near its quantile."""
    distinct = known[np.append(True, known[1:] > known[:-1])] if len(known) else known
    if len(distinct) <= n_cuts + 1:
        pairs = list(itertools.pairwise(distinct))
    else:
        at = np.arange(1, n_cuts + 1)
        low, high = (_at_share(known, (at + move) / (n_cuts + 1)) for move in (-_REACH, _REACH))
        following = distinct[np.minimum(np.searchsorted(distinct, low, side="right"), len(distinct) - 1)]
        pairs = list(zip(low, np.maximum(high, following), strict=True))
    cuts = np.unique([roundest(float(low), float(high)) for low, high in pairs])
    return cuts[cuts < known[-1]] if len(known) else cuts


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits in [low, high)."""
    if low <= 0 < high:
        return 0.0
    middle = (low + high) / 2.0
    for digits in range(1, 17):
        for near in (middle, low):
            number = float(f"{near:.{digits - 1}e}")
            if low <= number < high:
                return number
    return low


def _at_share(known: Floats, share: Floats) -> Floats:
    return np.asarray(known[np.minimum((share * len(known)).astype(np.intp), len(known) - 1)])
