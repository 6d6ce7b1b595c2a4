"""Turns the units of a campaign into the effects beside its headline: by message, segment, week and window, and checks.

All of them are exploratory, except that the robustness rows ask the headline's own question another way.
"""

from __future__ import annotations

from collections.abc import Mapping

from nudges.measuring.contrasts import contrast_effect
from nudges.measuring.effect import Effect
from nudges.measuring.pooling import pooled
from nudges.measuring.results import Group, Kind
from nudges.measuring.robustness import robustness_rows
from nudges.measuring.units import Drawn, Outcomes
from nudges.measuring.verdicts import outcome_name
from nudges.weeks import Week

TOO_FEW = "too few units in one of the two groups"
NO_SPREAD = "too few units, or the same outcome for all of them"


def by_arm(drawn: Drawn, outcomes: Outcomes, titles: Mapping[str, str]) -> list[Group]:
    """Effect of each arm in the campaign's first turn, where the arm was drawn by lot, against all that drew none.

    Later turns draw arms anew, so that by then every arm has had the others before it.
    """
    effects = {}
    for arm in titles:
        given = drawn.is_treated & drawn.is_arm_random & (drawn.arm == arm)
        units = drawn.contrast & (drawn.drew_none | given)
        effects[arm] = contrast_effect(drawn, outcomes.first_turn, outcomes.pre, units, treated=given)
    return _groups(Kind.ARM, effects, titles)


def by_segment(drawn: Drawn, outcomes: Outcomes, titles: Mapping[str, str]) -> list[Group]:
    """Effect among the units of each segment at first assignment: exploratory."""
    effects = {
        name: contrast_effect(drawn, outcomes.post, outcomes.pre, drawn.contrast & inside)
        for name, inside in outcomes.segments.items()
    }
    return _groups(Kind.SEGMENT, effects, titles)


def by_week(drawn: Drawn, outcomes: Outcomes) -> list[Group]:
    """Effect in each calendar week, over the units assigned before it."""
    groups = []
    for number, values in sorted(outcomes.weekly.items()):
        units = drawn.contrast & (drawn.first_week_no < number)
        effect = contrast_effect(drawn, values, outcomes.pre, units)
        label = str(Week(number))
        shown = effect if effect and effect.se > 0 else None
        groups.append(Group(Kind.WEEK, label, label, shown, note=_why_not(effect)))
    return groups


def _groups(kind: Kind, effects: Mapping[str, Effect | None], titles: Mapping[str, str]) -> list[Group]:
    known = {label: effect for label, effect in effects.items() if effect and effect.se > 0}
    shrunk = dict(zip(known, pooled(list(known.values())), strict=True))
    return [
        Group(kind, label, titles.get(label, label), known.get(label), shrunk.get(label), note=_why_not(effect))
        for label, effect in effects.items()
    ]


def _why_not(effect: Effect | None) -> str:
    """Why a group has no effect to show: an estimate without a spread has no interval."""
    if effect is None:
        return TOO_FEW
    return "" if effect.se > 0 else NO_SPREAD


def by_window(drawn: Drawn, outcomes: Outcomes, kind: Kind) -> list[Group]:
    """Effect in spans of weeks: since the unit's start, since the campaign's last message, or without some weeks."""
    groups = []
    for label, values in outcomes.windows.get(kind, {}).items():
        effect = contrast_effect(drawn, values, outcomes.pre, drawn.contrast)
        shown = effect if effect and effect.se > 0 else None
        groups.append(Group(kind, label, label, shown, note=_why_not(effect)))
    return groups


def robustness(drawn: Drawn, outcomes: Outcomes) -> list[Group]:
    """The headline's question answered in other ways, over the same units: none of them replaces it."""
    units = drawn.contrast & outcomes.post.is_known
    inside = drawn.is_treated[units]
    if min(inside.sum(), (~inside).sum()) < 2:
        return []
    rows = robustness_rows(
        outcomes.post.values[units],
        outcomes.pre.values[units],
        inside,
        weights=drawn.households[units],
        strata=drawn.strata[units],
    )
    ways = [Group(Kind.ROBUSTNESS, name, name, effect if effect.se > 0 else None) for name, effect in rows]
    return [*ways, *by_window(drawn, outcomes, Kind.ROBUSTNESS)]


def guardrails(drawn: Drawn, outcomes: Outcomes) -> list[Group]:
    """Effect on outcomes the campaign was not meant to change: `label` is the outcome, whose unit the effect is in."""
    groups = []
    for outcome, (after, before) in outcomes.guardrails.items():
        effect = contrast_effect(drawn, after, before, drawn.contrast)
        shown = effect if effect and effect.se > 0 else None
        groups.append(Group(Kind.GUARDRAIL, outcome.value, outcome_name(outcome), shown, note=_why_not(effect)))
    return groups
