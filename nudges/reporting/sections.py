"""Turns parts of a measured campaign into the rows, notes and drawings of the page's sections."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from nudges.domain import Campaign, Council
from nudges.measuring import Effect, Flow, Group, Headline, Measured
from nudges.reporting.charts import Chart, Point, effect_by_week, forest
from nudges.reporting.disclosure import disclosed, shown
from nudges.reporting.figures import (
    Scale,
    effect_cell,
    interval_cell,
    p_words,
    percent,
    plain,
    signed,
)
from nudges.reporting.grid import Grid, Row

NOT_MEASURED = (
    "Homes without a contact, and homes whose bins are not weighed: no saving is claimed for them.",
    "Waste that moved elsewhere: household waste recycling centres, fly-tipping, neighbours' bins.",
    "Talk between neighbours: if homes without messages improved too, the effect is understated.",
    "Weeks after the last measured one: nothing is claimed for them.",
    "The weighbridge: lorry weights are not compared with bin weights on this page.",
    "Whole-life carbon: CO2e is counted for landfilled tonnes only.",
)
EXPLORATORY = (
    "These rows ask many questions of the same households, so some will look good or bad by chance. Use them to choose "
    "what to test next, never to claim a saving. 'Pooled' draws each row towards the common mean by as much as chance "
    "explains."
)


def sha256(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def design(campaign: Campaign, council: Council, salt_sha256: str) -> list[str]:
    """How it was decided who got a message."""
    share = campaign.shares
    lanes = (
        f"{percent(council.holdout_share, 0)} of units are held out of every campaign. Of the others, "
        f"{percent(share.control, 0)} get no message here (control), for the whole campaign. The rest are in the "
        f"campaign: every {campaign.every_weeks} weeks it is drawn anew which {percent(share.learn, 0)} get a message, "
        f"or none, drawn evenly from {len(campaign.arms) + 1} choices, and which {percent(share.best, 0)} get what the "
        "engine thinks best. A unit is a household with its own bins, or all households that share a bin store."
    )
    draw = (
        f"The draw is a hash of the unit and the salt '{campaign.salt}' with the council's secret salt (SHA-256 "
        f"{salt_sha256[:16]}\u2026), so it can be repeated and nobody could steer it. Compared are all units with a "
        "contact that were drawn into the campaign, whatever they got, against the control, from each one's first "
        "week. Messages are told apart in the first turn only, where they were drawn by lot and nothing came before."
    )
    return [lanes, draw]


def flow(head: Headline) -> Grid:
    """Households by group at each step."""
    rows = tuple(
        Row(
            row.arm,
            (
                shown(row.assigned),
                shown(row.contactable),
                *(("none", "none") if row.arm in {"control", "holdout"} and not row.accepted else _sent(row)),
                shown(row.weighed),
                "not compared" if row.arm == "holdout" else shown(row.analysed),
            ),
        )
        for row in head.flows
    )
    head_row = ("Group", "Assigned", "Contactable", "Accepted", "Delivered", "Weighed", "Analysed")
    return Grid(head_row, rows, "rounded to 5; accepted and delivered count households that any message reached")


def _sent(row: Flow) -> tuple[str, str]:
    return shown(row.accepted), shown(row.delivered)


def flow_json(row: Flow) -> dict[str, Any]:
    """One group's flow, counts hidden and rounded."""
    raw = asdict(row)
    return {name: value if name == "arm" else disclosed(value) for name, value in raw.items()}


def ratios(head: Headline) -> Grid:
    """Sample ratio at each step."""
    rows = tuple(
        Row(
            ratio.step,
            (
                *(
                    f"{shown(ratio.observed[name])} / {shown(ratio.expected[name])}" if name in ratio.observed else ""
                    for name in ("treated", "control", "holdout")
                ),
                p_words(ratio.p_value),
                "failed" if ratio.is_alarm else "passed",
            ),
            "bad" if ratio.is_alarm else "",
        )
        for ratio in head.ratios
    )
    head_row = ("Step", "In the campaign", "Control", "Holdout", "p", "Check")
    return Grid(head_row, rows, "counted / expected; fails below p = 0.001")


def outage(head: Headline) -> Grid:
    """Unread collections by arm."""
    gap = head.outage
    cells = (
        percent(gap.treated_share, 2),
        percent(gap.control_share, 2),
        f"{signed(gap.gap_share * 100, 2)} points",
        p_words(gap.p_value),
        "failed" if gap.is_alarm else "passed",
    )
    rows = (Row("After the start", cells, "bad" if gap.is_alarm else ""),)
    note = "missed or unread is missing, never zero; fails beyond 0.5 points when chance does not explain it"
    return Grid(("", "In the campaign", "Control", "Gap", "p", "Check"), rows, note)


def balance(head: Headline, scale: Scale) -> Grid:
    """The pre-period of the two groups, and an effect where there can be none."""
    both, test = head.balance, head.placebo
    rows = [
        Row(
            f"Mean {scale.name.removeprefix('the ')}, 26 weeks before",
            (
                plain(both.treated_mean * scale.factor, scale.digits),
                plain(both.control_mean * scale.factor, scale.digits),
                f"standardised difference {signed(both.standardised, 3)}" + (" (notable)" if both.is_notable else ""),
            ),
        ),
        Row(
            "Without any reading before",
            (percent(both.treated_missing_share), percent(both.control_missing_share), "kept, and marked as unknown"),
        ),
    ]
    if test:
        words = f"{effect_cell(test, scale)} {scale.unit} ({interval_cell(test, scale)}), p = {p_words(test.p_value)}"
        rows.append(Row("Placebo: 'effect' in the 13 weeks before the start", ("", "", words)))
    return Grid(("", "In the campaign", "Control", "Difference"), tuple(rows), "should differ by chance only")


def is_publishable(effect: Effect | None) -> bool:
    """Whether both groups of an effect are large enough to publish."""
    return effect is not None and all(
        disclosed(n) is not None for n in (effect.n_units_treated, effect.n_units_control)
    )


def _point(group: Group, scale: Scale, label: str) -> Point:
    effect = group.effect
    if effect is None or not is_publishable(effect):
        return Point(label, None)
    factor = scale.factor
    return Point(label, effect.estimate * factor, effect.ci_low * factor, effect.ci_high * factor)


def weekly(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """Effect by calendar week, drawn and as a table."""
    weeks = measured.of("week")
    points = [_point(group, scale, group.label) for group in weeks]
    if not any(point.value is not None for point in points):
        return None
    return {
        "note": f"{scale.long_unit}, in the campaign minus control; band: 95 % interval; dashed: no effect",
        "drawing": effect_by_week(points, Chart("by-week", "Effect by week", _read_aloud(points, scale), "Week")),
        "head": ("Week", f"Effect, {scale.unit}", "95 % interval", "Units in it / control"),
        "rows": _rows(weeks, scale, with_pooled=False),
    }


def groups(measured: Measured, scale: Scale) -> dict[str, Any] | None:
    """Effects by arm and by segment, drawn and as a table."""
    arms, segments = measured.of("arm"), measured.of("segment")
    if not arms and not segments:
        return None
    effect = measured.headline.effect
    factor = scale.factor
    points = [
        Point("All", effect.estimate * factor, effect.ci_low * factor, effect.ci_high * factor, is_overall=True)
    ]  # fmt: skip
    for title, part in (("By message", arms), ("By segment at the start", segments)):
        if part:
            points.append(Point(title, None, is_heading=True))
            points += [_point(group, scale, group.title) for group in part]
    drawn: Markup = forest(
        points,
        Chart(
            "forest",
            "Effect by message and by segment",
            _read_aloud([point for point in points if not point.is_heading], scale),
            f"Effect, {scale.long_unit} (left: {scale.less})",
        ),
    )
    return {
        "warning": EXPLORATORY,
        "note": "square and line: effect and 95 % interval; diamond: all; dashed: no effect",
        "drawing": drawn,
        "head": ("", f"Effect, {scale.unit}", "95 % interval", "Pooled", "Units with / without"),
        "rows": _rows((*arms, *segments), scale, with_pooled=True),
        "table_note": "exploratory",
    }


def _rows(items: Sequence[Group], scale: Scale, *, with_pooled: bool) -> list[Row]:
    rows = []
    for group in items:
        effect = group.effect
        if effect is None or not is_publishable(effect):
            rows.append(Row(group.title, ("too few to show", "", *([""] * with_pooled), "")))
            continue
        middle = (effect_cell(group.pooled, scale) if group.pooled else "",) if with_pooled else ()
        units = f"{shown(effect.n_units_treated)} / {shown(effect.n_units_control)}"
        rows.append(Row(group.title, (effect_cell(effect, scale), interval_cell(effect, scale), *middle, units)))
    return rows


def _read_aloud(points: Sequence[Point], scale: Scale) -> str:
    """The drawing in words: each row with its interval."""
    said = [
        f"{point.label}: {signed(point.value, scale.digits)} {scale.unit}, from {signed(point.low, scale.digits)} to "
        f"{signed(point.high, scale.digits)}"
        for point in points
        if point.value is not None and point.low is not None and point.high is not None
    ]
    return "Effect, in the campaign minus control. " + "; ".join(said) + "."
