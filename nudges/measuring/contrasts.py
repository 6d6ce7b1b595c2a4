"""Turns drawn units and one outcome into the effect of being in the campaign."""

from __future__ import annotations

from nudges.errors import UnsupportedError
from nudges.measuring.ancova import unit_ancova
from nudges.measuring.effect import Effect
from nudges.measuring.ratios import linearised, ratio_effect
from nudges.measuring.units import Drawn, Flags, Floats, Series


def contrast_effect(
    drawn: Drawn, post: Series, pre: Series, units: Flags, *, treated: Flags | None = None
) -> Effect | None:
    """Effect of being in the campaign over some units, or of being `treated`; None where it cannot be estimated."""
    chosen = units & post.is_known
    inside = (drawn.is_treated if treated is None else treated)[chosen]
    if min(inside.sum(), (~inside).sum()) < 2:
        return None
    after, before = post.at(chosen), pre.at(chosen)
    weights, strata = drawn.households[chosen], drawn.strata[chosen]
    try:
        if after.over is None or after.under is None:
            return unit_ancova(after.values, before.values, inside, weights=weights, strata=strata)
        return ratio_effect(
            after.over,
            after.under,
            inside,
            pre_numerator=before.over,
            pre_denominator=before.under,
            weights=weights,
            strata=strata,
        )
    except UnsupportedError:
        return None


def as_means(drawn: Drawn, series: Series, units: Flags) -> Floats:
    """Outcome of some units such that a mean over an arm is the arm's outcome: rates are linearised by arm."""
    part = series.at(units)
    if part.over is None or part.under is None:
        return part.values
    return linearised(part.over, part.under, drawn.is_treated[units], drawn.households[units])
