"""Turns effects by week and by span of weeks into drawings, tables and words: growth, decay, and after the end."""

from __future__ import annotations

import math
from typing import Any

from nudges.measuring import Group, Headline, Kind, Measured
from nudges.reporting import effects
from nudges.reporting.charts import Point, effect_by_span, effect_by_week
from nudges.reporting.drawing import Chart
from nudges.reporting.figures import Scale, plain
from nudges.reporting.grid import Grid
from nudges.weeks import Week

_PARTS = ((Kind.DECAY, "While it ran", "since the start"), (Kind.AFTER, "After it", "since the last message"))


def weekly(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """Effect by calendar week, drawn and as a table."""
    weeks, unit = measured.of(Kind.WEEK), measured.headline.unit
    points = effects.group_points(weeks, unit, scale)
    if not any(point.value is not None for point in points):
        return None
    chart = Chart("by-week", "Effect by week", effects.read_aloud(points, scale), "Week")
    return {
        "note": f"{scale.long_unit}, in the campaign minus control; band: 95 % interval; dashed: no effect",
        "drawing": effect_by_week(points, chart),
        "grid": Grid(
            ("Week", f"Effect, {scale.unit}", "95 % interval", effects.units_head(unit)),
            tuple(effects.group_rows(weeks, unit, scale)),
            "each interval is right for its own week alone",
        ),
    }


def decay(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """Effect by weeks since the first message and since the last one; None before any."""
    unit = measured.headline.unit
    found = [(title, since, measured.of(kind)) for kind, title, since in _PARTS if measured.of(kind)]
    if not found:
        return None
    parts = [(f"{title} (weeks {since})", _spans(groups, measured, scale)) for title, since, groups in found]
    spoken = effects.read_aloud(
        [
            Point(f"weeks {point.label} {since}", point.value, point.low, point.high)
            for (_, points), (_, since, _) in zip(parts, found, strict=True)
            for point in points
        ],
        scale,
    )
    rows = [
        row
        for _, since, groups in found
        for row in effects.group_rows([_named(group, _spoken(group, since)) for group in groups], unit, scale)
    ]
    return {
        "lines": _lines(measured.headline),
        "note": f"{scale.long_unit}, in the campaign minus control; line: 95 % interval; dashed: no effect",
        "drawing": effect_by_span(parts, Chart("decay", "Effect by weeks since the messages", spoken, "Weeks")),
        "grid": Grid(
            ("", f"Effect, {scale.unit}", "95 % interval", effects.units_head(unit)),
            tuple(rows),
            "each interval is right for one look at its own row",
        ),
    }


def _dashed(group: Group) -> str:
    first, _, last = group.label.partition("-")
    return first if last in {"", first} else f"{first}\u2013{last}"


def _spoken(group: Group, since: str) -> str:
    span = _dashed(group)
    return f"{'Week' if span.isdigit() else 'Weeks'} {span} {since}"


def _named(group: Group, title: str) -> Group:
    return Group(group.kind, group.label, title, group.effect, note=group.note)


def _spans(groups: tuple[Group, ...], measured: Measured, scale: Scale) -> list[Point]:
    unit = measured.headline.unit
    return [effects.effect_point(_dashed(group), group.effect, unit, scale, "too few") for group in groups]


def _lines(head: Headline) -> list[str]:
    ends = (
        f"Tonnes and pounds on this page end with {Week(head.last_week_no)}, the last week measured while messages "
        "went out. What the rows after it show is not added to them."
    )
    half = head.half_life_weeks
    if half and math.isfinite(half.value):
        span = f"{plain(half.low)} to {plain(half.high)}" if math.isfinite(half.high) else f"{plain(half.low)} or more"
        fades = f"After the last message the effect halves in about {plain(half.value)} weeks (95 % interval: {span})."
    else:
        fades = "How fast the effect fades after the last message is not known yet."
    return [ends, fades]
