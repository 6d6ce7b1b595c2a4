"""Turns counts of households by group and step into what may be published: a table, a drawing and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nudges.domain import CONTROL, Outcome, Unit
from nudges.measuring import Flow, Headline
from nudges.reporting.disclosure import HIDDEN, disclosed, disclosed_parts, disclosed_units, shown, units
from nudges.reporting.drawing import LINE, MUTED, RIBBON, WIDTH, Chart, area, box, cut, svg, text
from nudges.reporting.grid import Grid, Row

HOLDOUT = "holdout"
_NONE, _NOT_COMPARED = "none", "\u2013"
_STEPS = ("assigned", "contactable", "accepted", "delivered", "weighed", "analysed")
_DRAWN = ("assigned", "contactable", "analysed")
_LABEL, _ROW, _TOP, _BAR, _THICK = 190.0, 54.0, 30.0, 7.0, 26.0


@dataclass(frozen=True, slots=True)
class Count:
    """One publishable count; `number` is None where it is hidden or there is none."""

    said: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Lane:
    """One group with its publishable counts by step."""

    title: str
    units: Count
    stores: Count
    steps: dict[str, Count]


def lanes(head: Headline) -> tuple[Lane, ...]:
    """Every group of the draw. Sums over those in the campaign stand elsewhere: their counts guard each other."""
    found: dict[str, dict[str, Count]] = {row.arm: {} for row in head.flows}
    for step in _STEPS:
        for arm, count in _column(head.flows, step).items():
            found[arm][step] = count
    drawn = _counts(head.flows, lambda row: row.units, head.unit)
    stores = {row.arm: Count(shown(row.stores), disclosed(row.stores)) for row in head.flows}
    return tuple(Lane(_title(row.arm), drawn[row.arm], stores[row.arm], found[row.arm]) for row in head.flows)


def _title(arm: str) -> str:
    named = {CONTROL: "Control: no message", HOLDOUT: "Held out of every campaign"}
    return named.get(arm) or (arm.capitalize() if " " in arm else arm)


def _column(rows: Sequence[Flow], step: str) -> dict[str, Count]:
    """Counts of one step by group, words where there is nothing to count."""
    said = {row.arm: _words(row, step) for row in rows}
    counted = _counts([row for row in rows if not said[row.arm]], lambda row: int(getattr(row, step)))
    return {arm: Count(words, None) if words else counted[arm] for arm, words in said.items()}


def _words(row: Flow, step: str) -> str:
    if row.arm == HOLDOUT and step in {"weighed", "analysed"}:
        return _NOT_COMPARED
    return _NONE if step in {"accepted", "delivered"} and not row.accepted and not row.delivered else ""


def _counts(rows: Sequence[Flow], count: Callable[[Flow], int], unit: Unit = Unit.HOUSEHOLD) -> dict[str, Count]:
    if unit is Unit.ROUND:
        return {row.arm: Count(units(count(row), unit), disclosed_units(count(row), unit)) for row in rows}
    inside = [row for row in rows if row.arm not in {CONTROL, HOLDOUT}]
    safe = dict(zip([row.arm for row in inside], disclosed_parts([count(row) for row in inside]), strict=True))
    found = {arm: Count(HIDDEN if number is None else f"{number:,}", number) for arm, number in safe.items()}
    return {row.arm: found.get(row.arm) or Count(shown(count(row)), disclosed(count(row))) for row in rows}


def flow(head: Headline) -> dict[str, Any]:
    """The drawing and the table of households by group at each step."""
    rows = lanes(head)
    with_stores = any(row.stores for row in head.flows)
    if head.unit is Unit.ROUND:
        drawn = "Rounds"
        weighed = "everybody on the rounds" if head.outcome is Outcome.RESIDUAL_KG else "homes with a contact on them"
        note = f"assigned and contactable: homes in the campaign's segments; weighed: {weighed}"
    else:
        drawn = "Units (stores)" if with_stores else "Units"
        note = (
            "a unit is a household, or all that share a bin store; weighed: with a contact or not; the holdout is not "
            "compared"
        )
    grid = Grid(
        ("Group", drawn, "Assigned", "Contactable", "Accepted", "Delivered", "Weighed", "Analysed"),
        tuple(
            Row(lane.title, (_units(lane, with_stores=with_stores), *(lane.steps[step].said for step in _STEPS)))
            for lane in rows
        ),
        f"rounded to 5; {note}; accepted and delivered count households that any message reached",
    )
    spoken = "; ".join(
        f"{lane.title}: " + ", ".join(f"{step} {lane.steps[step].said}" for step in _STEPS) for lane in rows
    )
    chart = Chart("flow", "Households by group, from the draw to the comparison", f"Households. {spoken}.", "")
    return {
        "note": "height: households, to one scale; a bar becomes lower where households drop out",
        "drawing": _drawn(rows, chart),
        "grid": grid,
    }


def _units(lane: Lane, *, with_stores: bool) -> str:
    if not with_stores:
        return lane.units.said
    return f"{lane.units.said} ({lane.stores.said if lane.stores.number is not None else 'few'})"


def flow_json(head: Headline) -> list[dict[str, Any]]:
    """Every group's flow, counts hidden and rounded."""
    return [
        {
            "arm": row.arm,
            "units": lane.units.number,
            "stores": lane.stores.number,
            **{step: lane.steps[step].number for step in _STEPS},
        }
        for row, lane in zip(head.flows, lanes(head), strict=True)
    ]


def _drawn(rows: Sequence[Lane], chart: Chart) -> Markup:
    """A band a group, its height at each step the published count."""
    most = max((lane.steps[step].number or 0 for lane in rows for step in _DRAWN), default=0) or 1
    gap = (WIDTH - _LABEL - 130) / (len(_DRAWN) - 1)
    places = [_LABEL + 10 + gap * index for index in range(len(_DRAWN))]
    body = [text(x, 14, step.capitalize(), size=11, fill=MUTED) for x, step in zip(places, _DRAWN, strict=True)]
    body.append(text(WIDTH, 14, "Delivered to", anchor="end", size=11, fill=MUTED))
    for index, lane in enumerate(rows):
        top = _TOP + _ROW * index
        body.append(text(0, top + 32, cut(lane.title, 29)))
        body.append(text(WIDTH, top + 32, lane.steps["delivered"].said, anchor="end"))
        body += _band(lane, places, top, most)
    return svg(chart, WIDTH, _TOP + _ROW * len(rows), body)


def _band(lane: Lane, places: Sequence[float], top: float, most: int) -> list[str]:
    body, middle = [], top + 32
    counts = [lane.steps[step] for step in _DRAWN]
    heights = [None if count.number is None else max(1.5, _THICK * count.number / most) for count in counts]
    for (x1, h1), (x2, h2) in zip(
        zip(places, heights, strict=True), list(zip(places, heights, strict=True))[1:], strict=False
    ):
        if h1 is not None and h2 is not None:
            left, right = x1 + _BAR, x2
            body.append(
                area(
                    [
                        (left, middle - h1 / 2),
                        (right, middle - h2 / 2),
                        (right, middle + h2 / 2),
                        (left, middle + h1 / 2),
                    ],
                    fill=RIBBON,
                )
            )
    for x, height, count in zip(places, heights, counts, strict=True):
        if height is not None:
            body.append(box(x, middle - height / 2, _BAR, height, fill=LINE))
        body.append(text(x, top + 14 if height is not None else middle + 4, count.said, size=11))
    return body
