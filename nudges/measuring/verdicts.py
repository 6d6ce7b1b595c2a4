"""Turns a headline effect and its checks into a verdict, and the verdict into words for a finance director."""

from __future__ import annotations

from collections.abc import Sequence

from nudges.domain import Outcome, Verdict
from nudges.measuring.effect import Effect

_LOWER_IS_BETTER = {
    Outcome.RESIDUAL_KG: True,
    Outcome.TAG_RATE: True,
    Outcome.RECYCLING_SET_OUT_RATE: False,
    Outcome.FOOD_SET_OUT_RATE: False,
}
_NAMES = {
    Outcome.RESIDUAL_KG: ("residual waste", "kg a household a week"),
    Outcome.TAG_RATE: ("the share of recycling lifts tagged", "percentage points"),
    Outcome.RECYCLING_SET_OUT_RATE: ("the recycling set-out rate", "percentage points"),
    Outcome.FOOD_SET_OUT_RATE: ("the food set-out rate", "percentage points"),
}


def lower_is_better(outcome: Outcome) -> bool:
    """Whether a fall in the outcome is what a campaign wants."""
    return _LOWER_IS_BETTER[outcome]


def outcome_name(outcome: Outcome) -> str:
    """Name of an outcome in running text."""
    return _NAMES[outcome][0]


def outcome_unit(outcome: Outcome) -> str:
    """Unit of an outcome as `quantity` prints it."""
    return _NAMES[outcome][1]


def quantity(outcome: Outcome, value: float, *, digits: int = 2) -> str:
    """Print the size of an outcome value without its sign and unit: kg as it is, rates in percentage points."""
    scale = 1.0 if outcome is Outcome.RESIDUAL_KG else 100.0
    return f"{abs(value) * scale:.{digits}f}"


def verdict(
    effect: Effect,
    outcome: Outcome,
    *,
    stated: float,
    interval: tuple[float, float] | None = None,
    alarms: Sequence[str] = (),
) -> Verdict:
    """Decide what may be said of a headline.

    `stated` is the effect the campaign was meant to have, in units of the outcome (sign ignored). `interval` is the one
    to judge by, that of all looks together; the effect's own, of one look, when None. An interval wholly on
    the good side is shown, wholly on the bad side harm. Across zero it is *not shown* when the stated effect could have
    been seen with 80 % power, else *inconclusive*, as it is when nothing varied. Any alarm makes it *invalid*.
    """
    if alarms:
        return Verdict.INVALID
    if effect.se == 0:
        return Verdict.INCONCLUSIVE
    below, above = interval or (effect.ci_low, effect.ci_high)
    low, high = (below, above) if lower_is_better(outcome) else (-above, -below)
    if high < 0:
        return Verdict.SHOWN
    if low > 0:
        return Verdict.HARM
    return Verdict.NOT_SHOWN if 0 < effect.detectable_within(below, above) <= abs(stated) else Verdict.INCONCLUSIVE


def verdict_words(
    said: Verdict,
    effect: Effect,
    outcome: Outcome,
    *,
    detectable: float | None = None,
    drawn: str = "households",
    alarms: Sequence[str] = (),
) -> str:
    """Say a verdict in sentences that need no statistics.

    `detectable` is the smallest effect that could have been seen, the effect's own when None; `drawn` are the units.
    """
    name, unit = _NAMES[outcome]
    seen = f"{quantity(outcome, effect.detectable if detectable is None else detectable)} {unit}"
    size = f"{quantity(outcome, effect.estimate)} {unit}"
    way = "lower" if effect.estimate < 0 else "higher"
    found = (
        f"Among the {drawn} chosen by lot to get messages, {name} was {size} {way} than among those chosen to get none"
    )
    if said is Verdict.INCONCLUSIVE and effect.se == 0:
        return (
            f"Nothing can be said: {name} was the same for every unit of both groups, so there is nothing to compare."
        )
    match said:
        case Verdict.SHOWN:
            return f"{found}. Chance alone would rarely produce a difference this large."
        case Verdict.HARM:
            return f"{found}. The campaign made things worse, and chance alone is an unlikely reason: stop it."
        case Verdict.NOT_SHOWN:
            return (
                f"No effect on {name} was shown. The measurement was sharp enough to see a change of {seen} or more, "
                "which is smaller than the effect the campaign was meant to have. Claim no saving."
            )
        case Verdict.INCONCLUSIVE:
            return (
                f"The result is inconclusive: the measurement could only have seen a change of {seen} or more, so the "
                f"campaign may have worked, or not. Claim no saving. More {drawn} or more weeks would tell."
            )
        case Verdict.INVALID:
            return "No effect is reported, because a check of the experiment failed: " + " ".join(alarms)
