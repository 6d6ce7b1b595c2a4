"""Turns messages delivered to a household into bars, and the effect on those it was delivered to into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nudges.measuring import Headline
from nudges.reporting.disclosure import SMALLEST, disclosed, is_publishable, shown, shown_share
from nudges.reporting.drawing import LINE, WIDTH, Chart, box, svg, text
from nudges.reporting.figures import Scale, direction, interval_words

_LABEL, _ROW, _TOP = 150.0, 30.0, 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """Households that from `low` to `high` messages were delivered to; never a small number of them."""

    low: int
    high: int
    households: int

    @property
    def label(self) -> str:
        """`1 message`, `2 to 4 messages`."""
        if self.low == self.high:
            return "no message" if self.low == 0 else f"{self.low} message{'' if self.low == 1 else 's'}"
        return f"{self.low} to {self.high} messages"


def bars(doses: Sequence[tuple[int, int]]) -> tuple[Bar, ...]:
    """Counts of messages in ascending order; a small group joins its neighbour, so that sums give none away."""
    found: list[Bar] = []
    for messages, households in sorted(doses):
        if found and found[-1].households < SMALLEST:
            found[-1] = Bar(found[-1].low, messages, found[-1].households + households)
        else:
            found.append(Bar(messages, messages, households))
    if len(found) > 1 and found[-1].households < SMALLEST:
        last, before = found.pop(), found.pop()
        found.append(Bar(before.low, last.high, before.households + last.households))
    return tuple(found)


def dose(head: Headline, scale: Scale, *, is_valid: bool) -> dict[str, Any]:
    """Messages delivered to a household, drawn and as a table, and what one delivered did."""
    found = bars(head.doses)
    spoken = "; ".join(f"{bar.label}: {shown(bar.households)} households" for bar in found)
    chart = Chart("dose", "Messages delivered to a household", f"Households in the campaign. {spoken}.", "")
    return {
        "note": "households in the campaign with a contact, rounded to 5",
        "drawing": _drawn(found, chart) if found else None,
        "lines": [_delivered(head, scale)] if is_valid else [],
    }


def dose_json(head: Headline) -> list[dict[str, Any]]:
    """The bars as JSON."""
    return [{"from": bar.low, "to": bar.high, "households": disclosed(bar.households)} for bar in bars(head.doses)]


def _delivered(head: Headline, scale: Scale) -> str:
    found = head.delivered
    if found is None or not is_publishable(found.effect, head.unit):
        return "The effect on households that a message reached cannot be told: too few were reached, or none."
    effect = found.effect
    size = f"{direction(effect.estimate, scale)} (95 % interval {interval_words(effect.ci_low, effect.ci_high, scale)})"
    reached = shown_share(found.treated_share, head.households_treated)
    return (
        f"At least one message was delivered to {reached} of the households compared in the campaign and to "
        f"{shown_share(found.control_share, head.households_control)} of the control. Where one was, {scale.subject} "
        f"was {size}: the effect as drawn, divided by the difference of these shares. Delivered counts, opened does "
        "not: who opens a message is not decided by lot."
    )


def _drawn(found: Sequence[Bar], chart: Chart) -> Markup:
    most = max(disclosed(bar.households) or 0 for bar in found) or 1
    wide = WIDTH - _LABEL - 90
    body = []
    for index, bar in enumerate(found):
        middle = _TOP + _ROW * (index + 0.5)
        number = disclosed(bar.households)
        length = wide * (number or 0) / most
        body.append(text(_LABEL - 10, middle + 4, bar.label, anchor="end"))
        if number is not None:
            body.append(box(_LABEL, middle - 9, max(length, 1.5), 18, fill=LINE))
        body.append(text(_LABEL + length + 8, middle + 4, shown(bar.households)))
    return svg(chart, WIDTH, _TOP * 2 + _ROW * len(found), body)
