"""Turns a count of households into one that can be published: small ones hidden, the rest rounded.

A hidden count must not come back by subtraction. Where the sum of several parts is published too, further parts are
hidden until what is hidden sums to more than two small counts can: then a small one may still be anything from 0 to 7.
Shares are printed from the published count, and drawings are drawn from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nudges.domain import Unit
from nudges.measuring import Effect

SMALLEST = 8
ROUND_TO = 5
FEW, HIDDEN, TOO_FEW = "7 or fewer", "hidden", "too few to show"


def disclosed(count: float) -> int | None:
    """The count rounded to the nearest 5, or None when it is 7 or fewer (0 included: absence is a fact too)."""
    return None if count < SMALLEST else int(count / ROUND_TO + 0.5) * ROUND_TO


def shown(count: float) -> str:
    """The publishable count as text."""
    safe = disclosed(count)
    return FEW if safe is None else f"{safe:,}"


def disclosed_parts(counts: Sequence[float]) -> list[int | None]:
    """Publishable counts of groups whose sum is published as well; None for the small and for those that guard them."""
    hidden = [count < SMALLEST for count in counts]
    if any(hidden):
        for index in sorted(range(len(counts)), key=lambda index: counts[index]):
            covered = sum(count for count, is_hidden in zip(counts, hidden, strict=True) if is_hidden)
            if sum(hidden) > 1 and covered > 2 * (SMALLEST - 1):
                break
            hidden[index] = True
    return [None if is_hidden else disclosed(count) for count, is_hidden in zip(counts, hidden, strict=True)]


def disclosed_share(share: float, count: float) -> float | None:
    """A share of `count` households, from the publishable number; None where it or the rest is small, or unknown."""
    if not math.isfinite(share):
        return None
    part = disclosed(share * count)
    return None if part is None or disclosed(count - share * count) is None else min(part / count, 1.0)


def shown_share(share: float, count: float, digits: int = 1) -> str:
    """The same as text: `3.4 %`, or a bound such as `under 0.2 %` where few households stand behind it."""
    safe = disclosed_share(share, count)
    if safe is not None:
        return f"{safe * 100:.{digits}f} %"
    if not math.isfinite(share):
        return "unknown"
    if count < 2 * SMALLEST:
        return TOO_FEW
    bound = math.ceil(SMALLEST / count * 10 ** (digits + 2)) / 10**digits
    return f"under {bound:.{digits}f} %" if share < 0.5 else f"over {100 - bound:.{digits}f} %"


def is_publishable(effect: Effect | None, unit: Unit = Unit.HOUSEHOLD) -> bool:
    """Whether both groups of an effect are large enough to publish; rounds hold many households each."""
    return effect is not None and (
        unit is Unit.ROUND
        or all(disclosed(count) is not None for count in (effect.n_units_treated, effect.n_units_control))
    )


def units(count: float, unit: Unit) -> str:
    """A count of units as text: households are rounded, rounds are not people."""
    return f"{count:,.0f}" if unit is Unit.ROUND else shown(count)


def disclosed_units(count: float, unit: Unit) -> int | None:
    """The same as a number."""
    return int(count) if unit is Unit.ROUND else disclosed(count)
