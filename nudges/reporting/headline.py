"""Turns the headline into its box: the number, its interval, the look, and what it rests on."""

from __future__ import annotations

from nudges.domain import Campaign, Unit
from nudges.measuring import Headline
from nudges.reporting.disclosure import shown
from nudges.reporting.figures import Scale, direction, interval_words, percent, plain, share_cell
from nudges.weeks import Week


def shown_headline(head: Headline, scale: Scale, campaign: Campaign) -> dict[str, str]:
    """Every line of the box and the small print below it."""
    low, high = head.interval
    mean = head.control_mean
    return {
        "number": direction(head.effect.estimate, scale),
        "subject": scale.subject,
        "interval": interval_words(low, high, scale),
        "share": share_cell(head.effect.estimate / mean, low / mean, high / mean) if mean > 0 else "",
        "look": look(head, campaign),
        "basis": _basis(head, scale, campaign),
        "looks": _looks(head),
    }


def look(head: Headline, campaign: Campaign) -> str:
    """`Look 5 of 12`, and whether the interval allows for the ones before it."""
    seen = head.looked
    number = Week(head.last_week_no).number - campaign.starts.number
    of = f"Look {seen.look if seen else number} of {seen.looks if seen else campaign.weeks}"
    return f"{of}, interval right for all looks so far." if seen else f"{of}, interval right for a single look."


def _looks(head: Headline) -> str:
    seen = head.looked
    kept = "Everyone is compared as drawn, whether or not a message arrived."
    if seen is None:
        if head.unit is Unit.ROUND:
            return (
                "With fewer than 20 rounds the result is read once, at the planned end: no weekly reading of so few "
                f"rounds is known to be safe. {kept}"
            )
        return (
            "The interval is right for one look, at the planned end. This page is made every week: decide then, not at "
            f"the first week that looks good. {kept}"
        )
    return (
        f"This page is made every week, and the interval is wide enough for that: {seen.rule.value}, boundary "
        f"{plain(seen.boundary, 2)} standard errors at this look. {kept}"
    )


def _basis(head: Headline, scale: Scale, campaign: Campaign) -> str:
    homes, others = shown(head.households_treated), shown(head.households_control)
    if head.unit is Unit.ROUND:
        rounds = (plain(head.effect.n_units_treated), plain(head.effect.n_units_control))
        compared = (
            f"{rounds[0]} rounds drawn to get messages ({homes} households) against {rounds[1]} rounds drawn to get "
            f"none ({others} households), which averaged"
        )
    else:
        compared = (
            f"{homes} households drawn into the campaign against {others} drawn to get no message of it, who averaged"
        )
    level = f"{plain(head.control_mean * scale.factor, scale.digits)} {'%' if scale.is_rate else scale.long_unit}"
    return (
        f"{compared} {level}. The smallest effect "
        f"this measurement had an 80 % chance to see: {plain(head.detectable * scale.factor, scale.digits)} "
        f"{scale.unit}. The campaign was meant to bring {direction(head.stated, scale)} "
        f"({percent(abs(campaign.stated_effect_share))}). Method: {head.effect.method.value}."
    )
