"""Turns other ways of asking, and other questions, into forests with their tables: robustness, messages, segments."""

from __future__ import annotations

import math
from typing import Any

from nudges.domain import Unit
from nudges.measuring import Agreement, Headline, Kind, Measured
from nudges.reporting import effects
from nudges.reporting.charts import Point, forest
from nudges.reporting.disclosure import is_publishable
from nudges.reporting.drawing import Chart
from nudges.reporting.figures import Scale, effect_cell, ends_cell, interval_cell, p_words, percent, plain
from nudges.reporting.grid import Grid, Row

EXPLORATORY = (
    "These rows ask many questions of the same households, so some will look good or bad by chance. Use them to choose "
    "what to test next, never to claim a saving. 'Pooled' draws each row towards the common mean by as much as chance "
    "explains."
)
_MIXED = "Messages and segments are mixed within every round, so lorry weights cannot tell them apart."
_AGREEMENT = {
    Agreement.CONSISTENT: "Consistent: lorry weights could have seen an effect of this size, and agree with it.",
    Agreement.NOT_INFORMATIVE: "Not informative: lorry weights cannot tell this effect from none.",
    Agreement.CONTRADICTS: "Contradicts: lorry weights disagree with bins. Find out why before claiming a saving.",
}


def robustness(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """The headline's question answered other ways, the placebo, and for rounds the draw repeated."""
    head = measured.headline
    groups = measured.of(Kind.ROBUSTNESS)
    points = [effects.overall(head, scale, "Headline"), *effects.group_points(groups, head.unit, scale)]
    redrawn = head.randomisation
    if redrawn and math.isfinite(redrawn.ci_low + redrawn.ci_high):
        ends = (redrawn.estimate, redrawn.ci_low, redrawn.ci_high)
        points.append(effects.point("Randomisation test", *ends, scale))
    if head.placebo and is_publishable(head.placebo, head.unit):
        points.append(effects.effect_point("Placebo: the 13 weeks before", head.placebo, head.unit, scale))
    if len(points) == 1:
        return None
    return {
        "lines": _redrawn(head, scale),
        "note": "diamond: headline, replaced by nothing below; square and line: effect and 95 % interval of one look",
        "drawing": forest(
            points,
            Chart(
                "robustness", "The same question asked in other ways", effects.read_aloud(points, scale), _axis(scale)
            ),
        ),
    }


def _axis(scale: Scale) -> str:
    return f"Effect, {scale.long_unit} (left: {scale.less})"


def _redrawn(head: Headline, scale: Scale) -> list[str]:
    """The randomisation test in words."""
    found = head.randomisation
    if found is None:
        return []
    draws = plain(found.n_assignments)
    how = f"all {draws} draws that could have been" if found.is_exact else f"{draws} draws that could have been"
    least = f"the smallest p these rounds can give is {p_words(found.smallest_p)}"
    ends = f"95 % interval {ends_cell(found.ci_low, found.ci_high, scale)} {scale.unit}"
    if not math.isfinite(found.ci_low + found.ci_high):
        ends = "so few rounds give no interval"
    return [f"Randomisation test over {how}: p = {p_words(found.p_value)}, {ends}; {least}."]


def weighbridge(head: Headline, scale: Scale) -> dict[str, Any] | None:
    """What lorry weights say of an effect found with bin weights; None where they were not set beside it."""
    check = head.crosscheck
    if check is None:
        return None
    rows = [Row("Bins (headline)", (effect_cell(head.effect, scale), ends_cell(*head.interval, scale)))]
    if check.effect:
        rows.append(
            Row("Lorries (weighbridge)", (effect_cell(check.effect, scale), interval_cell(check.effect, scale)))
        )
    lines = [_AGREEMENT[check.agreement]]
    if check.gap_p_value is not None:
        lines.append(
            f"If both saw the same effect, a gap at least this large would come up in {percent(check.gap_p_value)} of "
            "cases."
        )
    if check.weighed_share_before is not None and check.weighed_share_after is not None:
        lines.append(
            f"Bins account for {percent(check.weighed_share_before)} of the lorries' weight before the start and for "
            f"{percent(check.weighed_share_after)} after it, on the same rounds."
        )
    if check.drift_p_value is not None:
        lines.append(
            "Whether that share moved with the share of homes in the campaign, as it would if bins of one group were "
            f"weighed otherwise: p = {p_words(check.drift_p_value)}."
        )
    grid = Grid(("", f"Effect, {scale.unit}", "95 % interval"), tuple(rows), f"{plain(check.rounds)} rounds")
    return {"lines": lines, "grid": grid}


def groups(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """Effects by arm and by segment, drawn and as a table."""
    arms, segments = measured.of(Kind.ARM), measured.of(Kind.SEGMENT)
    head = measured.headline
    unit = head.unit
    if unit is Unit.ROUND:
        return {"warning": _MIXED, "drawing": None}
    if not arms and not segments:
        return None
    points = [effects.overall(head, scale, "All")]
    for title, part in (("By message", arms), ("By segment at the start", segments)):
        if part:
            points.append(Point(title, None, is_heading=True))
            points += effects.group_points(part, unit, scale)
    spoken = effects.read_aloud([point for point in points if not point.is_heading], scale)
    return {
        "warning": EXPLORATORY,
        "note": "square and line: effect and 95 % interval; diamond: all; dashed: no effect",
        "drawing": forest(points, Chart("forest", "Effect by message and by segment", spoken, _axis(scale))),
        "grid": Grid(
            ("", f"Effect, {scale.unit}", "95 % interval", "Pooled", effects.units_head(unit)),
            tuple(
                row
                for part in (arms, segments)
                for row in effects.group_rows(
                    part, unit, scale, with_pooled=True, hides_units=effects.hides_units(part, head)
                )
            ),
            "exploratory",
        ),
    }
