"""Scores, policies and named segments → which arms to stop where, and who the policy would leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.scoring import Value, clustered_mean
from nudges.uplift.evidence import Evidence, Floats
from nudges.uplift.memory import Stop
from nudges.uplift.proof import ERROR_SHARE, upper_bound

LARGE_SEGMENT_UNITS = 1_000
"""Harm is looked for in segments of at least so many units ..."""

LARGE_SEGMENT_ROWS = 500
"""... with at least so many rows of the arm and of the control: kilograms are skewed, and a mean of 130 of them lies
beyond a normal 5 % bound in 11 % of draws."""

SHOWN_UNITS = 100
"""Segments with fewer units are named but not described."""

LEFT_OUT = 0.8
"""A segment is left out when its share of messages is below four fifths of the overall one."""


@dataclass(frozen=True, slots=True)
class GroupShare:
    """How a policy treats one segment.

    Attributes:
        segment: name of the segment.
        share_messaged: of its households; None when it is too small to describe.
        share_all: of all households.
        gain: pence a unit over no message in the segment; None when it is too small.
        is_left_out: whether it gets clearly fewer messages than the rest.
    """

    segment: str
    share_messaged: float | None
    share_all: float
    gain: Value | None
    is_left_out: bool


def harmful(
    evidence: Evidence, scores: Floats, pence_per_outcome: float, looks: int, *, kept: Sequence[Stop] = ()
) -> tuple[Stop, ...]:
    """Arms that make the outcome worse with confidence in a large segment.

    One-sided 5 % over all pairs of arm and large segment and all looks of the campaign (Bonferroni); the price of the
    message is not counted. A stop stays while its plain one-sided 95 % bound says harm, or where too few rows speak.

    Args:
        evidence: with segments.
        scores: (n, n_arms) doubly robust, outcome units.
        pence_per_outcome: its sign says which way is worse.
        looks: how many times this campaign will read its gate.
        kept: stops so far.
    """
    pairs = [
        (name, flags, arm)
        for name, flags in sorted(evidence.segments.items())
        for arm in range(1, len(evidence.arms))
        if _is_large(evidence, flags, arm)
    ]
    stops = {(stop.segment, stop.arm): stop for stop in kept}
    for name, flags, arm in pairs:
        pair = (name, evidence.arms[arm])
        effect = clustered_mean((scores[:, arm] - scores[:, 0])[flags], evidence.groups[flags])
        level = ERROR_SHARE if pair in stops else ERROR_SHARE / (len(pairs) * looks)
        if _makes_worse(effect, pence_per_outcome, level):
            stops[pair] = Stop(*pair, effect)
        else:
            stops.pop(pair, None)
    return tuple(stops[pair] for pair in sorted(stops))


def _is_large(evidence: Evidence, flags: NDArray[np.bool_], arm: int) -> bool:
    given = evidence.given[flags]
    counts = np.bincount(given, minlength=len(evidence.arms))
    units = len(np.unique(evidence.groups[flags]))
    return units >= LARGE_SEGMENT_UNITS and min(counts[0], counts[arm]) >= LARGE_SEGMENT_ROWS


def _makes_worse(effect: Value, sign: float, level: float) -> bool:
    """Whether even the best end of the effect's interval is on the wrong side."""
    return upper_bound(effect, level) < 0 if sign > 0 else effect.at_least(level) > 0


def shares(evidence: Evidence, messaged: Floats, gain: Floats) -> tuple[GroupShare, ...]:
    """How a policy treats each segment.

    Args:
        evidence: with segments.
        messaged: (n,) share of each row's households that the policy writes to.
        gain: (n,) pence a unit of the policy over no message.
    """
    homes = evidence.households
    overall = _mean(messaged, homes)
    rows = []
    for name, flags in sorted(evidence.segments.items()):
        if len(np.unique(evidence.groups[flags])) < SHOWN_UNITS:
            rows.append(GroupShare(name, None, overall, None, is_left_out=False))
            continue
        share = _mean(messaged[flags], homes[flags])
        value = clustered_mean(gain[flags], evidence.groups[flags])
        rows.append(GroupShare(name, share, overall, value, is_left_out=share < LEFT_OUT * overall))
    return tuple(rows)


def _mean(values: Floats, weight: Floats) -> float:
    total = float(weight.sum())
    return float((values * weight).sum() / total) if total > 0 else 0.0
