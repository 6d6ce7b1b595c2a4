"""Turns groups and other estimates beside the headline into points, rows and words."""

from __future__ import annotations

from collections.abc import Sequence

from nudges.domain import Unit
from nudges.measuring import Effect, Group, Headline
from nudges.reporting.charts import Point
from nudges.reporting.disclosure import HIDDEN, SMALLEST, TOO_FEW, is_publishable, units
from nudges.reporting.figures import Scale, effect_cell, interval_cell, signed
from nudges.reporting.grid import Row


def point(label: str, value: float, low: float, high: float, scale: Scale, *, is_overall: bool = False) -> Point:
    """An effect in outcome units as one to draw."""
    factor = scale.factor
    return Point(label, value * factor, low * factor, high * factor, is_overall=is_overall)


def overall(head: Headline, scale: Scale, label: str) -> Point:
    """The headline with its interval for all looks."""
    return point(label, head.effect.estimate, *head.interval, scale, is_overall=True)


def effect_point(label: str, effect: Effect | None, unit: Unit, scale: Scale, note: str = "") -> Point:
    """One row, or why there is none; `note` is said where nothing could be estimated."""
    if effect is None or not is_publishable(effect, unit):
        return Point(label, None, note=(note if effect is None else "") or TOO_FEW)
    return point(label, effect.estimate, effect.ci_low, effect.ci_high, scale)


def group_points(groups: Sequence[Group], unit: Unit, scale: Scale) -> list[Point]:
    """Groups as points with their titles."""
    return [effect_point(group.title, group.effect, unit, scale) for group in groups]


def group_rows(
    groups: Sequence[Group], unit: Unit, scale: Scale, *, with_pooled: bool = False, hides_units: bool = False
) -> list[Row]:
    """Effect, interval, partially pooled effect where asked for, units with and without; nothing of small groups."""
    rows = []
    for group in groups:
        effect = group.effect
        if effect is None or not is_publishable(effect, unit):
            said = (group.note if effect is None else "") or TOO_FEW
            rows.append(Row(group.title, (said, "", *([""] * with_pooled), "")))
            continue
        middle = (effect_cell(group.pooled, scale) if group.pooled else "",) if with_pooled else ()
        sizes = HIDDEN if hides_units else unit_counts(effect, unit)
        rows.append(Row(group.title, (effect_cell(effect, scale), interval_cell(effect, scale), *middle, sizes)))
    return rows


def unit_counts(effect: Effect, unit: Unit) -> str:
    """`5,940 / 6,020`."""
    return " / ".join(units(count, unit) for count in (effect.n_units_treated, effect.n_units_control))


def hides_units(groups: Sequence[Group], head: Headline) -> bool:
    """Whether sizes of parts of the campaign must stay hidden: one of them, or all but one of them, is small."""
    if head.unit is Unit.ROUND:
        return False
    return any(
        group.effect is None or not is_publishable(group.effect) or 0 < whole - part < SMALLEST
        for group in groups
        for part, whole in ((group.effect.n_units_treated, head.effect.n_units_treated) if group.effect else (0, 0),)
    )


def units_head(unit: Unit) -> str:
    """What the last column counts."""
    return "Rounds with / without" if unit is Unit.ROUND else "Units with / without"


def read_aloud(points: Sequence[Point], scale: Scale) -> str:
    """A drawing in words: each row with its interval."""
    said = [
        f"{point.label}: {signed(point.value, scale.digits)} {scale.unit}, from {signed(point.low, scale.digits)} to "
        f"{signed(point.high, scale.digits)}"
        for point in points
        if point.value is not None and point.low is not None and point.high is not None
    ]
    return "Effect, in the campaign minus control. " + "; ".join(said) + "."
