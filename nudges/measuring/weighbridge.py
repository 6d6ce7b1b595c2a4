"""Compares what bins say a campaign did with what the lorries that emptied them weighed.

Lorries weigh whole rounds. Where more of a round's households were in the campaign its load should have fallen by more:
load per household after the start = a + tau x share in the campaign + b x load before, weighted by households, HC2 with
Bell-McCaffrey degrees of freedom. tau is then the effect on a household in the campaign, as lorries saw it. Shares
differ little between rounds when households are drawn, so its interval is wide: it can contradict, seldom confirm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from nudges.errors import UnsupportedError
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import hc2_df, hc2_rows, weighted_fit

Floats = NDArray[np.float64]

FEWEST_ROUNDS = 8
CONTRADICTION = 0.05
"""Chance of so large a gap between bins and lorries, if both see the same effect, below which they contradict."""


class Agreement(StrEnum):
    """What lorry weights say of an effect found with bin weights."""

    CONSISTENT = "consistent"
    NOT_INFORMATIVE = "not informative"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Crosscheck:
    """The weighbridge beside the headline.

    Attributes:
        agreement: consistent where the lorries could have seen the effect and are compatible with it; contradicts
            where they are not compatible; not informative otherwise.
        effect: kg a household and week per household in the campaign, from lorries; None with too few rounds.
        gap_p_value: chance of so large a gap between the two, if both see the same effect; None without `effect`.
        rounds: with loads before and after the start.
        weighed_share_before: kg on bins for each kg on lorries, same rounds, before the start.
        weighed_share_after: the same after it.
        drift_p_value: chance of so large a change of that share with the share of households in the campaign, if bins
            weigh alike in both arms; None without `effect`.
    """

    agreement: Agreement
    effect: Effect | None
    gap_p_value: float | None
    rounds: int
    weighed_share_before: float | None
    weighed_share_after: float | None
    drift_p_value: float | None


@dataclass(frozen=True, slots=True)
class RoundWeights:
    """Rounds, (g,) each: kg a household and week by lorry and by bin, before and after; NaN where not known.

    `share` is the share of the round's households in the campaign, `households` are all on the round.
    """

    lorry_before: Floats
    lorry_after: Floats
    bins_before: Floats
    bins_after: Floats
    share: Floats
    households: Floats


def crosscheck(rounds: RoundWeights, effect: Effect, *, stated: float) -> Crosscheck:
    """Set the lorries beside the headline `effect`; `stated` is the effect the campaign was meant to have, in kg."""
    lorries, bins = (rounds.lorry_before, rounds.lorry_after), (rounds.bins_before, rounds.bins_after)
    known = np.isfinite(lorries).all(axis=0) & (rounds.households > 0)
    n = int(known.sum())
    before, after = (_weighed_share(rounds, each, part) for each, part in zip(bins, lorries, strict=True))
    w = rounds.households[known]
    seen = _slope(rounds.lorry_after[known], rounds.lorry_before[known], rounds.share[known], w)
    if seen is None:
        return Crosscheck(Agreement.NOT_INFORMATIVE, None, None, n, before, after, None)
    gap = abs(effect.estimate - seen.estimate) / float(np.hypot(effect.se, seen.se))
    gap_p = 2 * float(ndtr(-gap))
    drift = _drift(rounds, known)
    could_see = (seen.ci_high - seen.ci_low) / 2 <= max(abs(effect.estimate), abs(stated))
    agreement = (
        Agreement.CONTRADICTS
        if gap_p < CONTRADICTION
        else Agreement.CONSISTENT
        if could_see
        else Agreement.NOT_INFORMATIVE
    )
    return Crosscheck(agreement, seen, gap_p, n, before, after, drift)


def _weighed_share(rounds: RoundWeights, bins: Floats, lorry: Floats) -> float | None:
    both = np.isfinite(bins) & np.isfinite(lorry) & (lorry > 0)
    if not both.any():
        return None
    w = rounds.households[both]
    return float((bins[both] * w).sum() / (lorry[both] * w).sum())


def _drift(rounds: RoundWeights, known: NDArray[np.bool_]) -> float | None:
    """p-value of bins weighing less of the load, or more, where more households are in the campaign."""
    usable = known & np.isfinite(rounds.bins_before) & np.isfinite(rounds.bins_after) & (rounds.bins_before > 0)
    usable &= (rounds.lorry_before > 0) & (rounds.lorry_after > 0)
    change = (rounds.bins_after / rounds.lorry_after - rounds.bins_before / rounds.lorry_before)[usable]
    found = _slope(change, None, rounds.share[usable], rounds.households[usable])
    return None if found is None else found.p_value


def _slope(y: ArrayLike, x: Floats | None, share: Floats, w: Floats) -> Effect | None:
    """Slope on the share; None with too few rounds, or where all have the same share."""
    if len(w) < FEWEST_ROUNDS or float(np.ptp(share)) < 1e-6:
        return None
    columns = [np.ones(len(w)), share] + ([] if x is None else [x - x.mean()])
    try:
        fit = weighted_fit("measuring.crosscheck", np.column_stack(columns), np.asarray(y, dtype=np.float64), w)
    except UnsupportedError:
        return None
    se, above = float(np.sqrt((hc2_rows(fit) ** 2).sum())), int((share > np.median(share)).sum())
    return Effect.of(
        fit.estimate, se, hc2_df(fit), n_treated=above, n_control=len(w) - above, method=Method.LORRIES, alpha=0.05
    )
