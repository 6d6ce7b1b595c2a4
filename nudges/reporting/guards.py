"""Turns outcomes that a campaign was not meant to change into rows: did anything get worse?"""

from __future__ import annotations

from typing import Any

from nudges.domain import Outcome
from nudges.measuring import Effect, Kind, Measured, lower_is_better
from nudges.reporting.disclosure import TOO_FEW, is_publishable
from nudges.reporting.figures import effect_cell, interval_cell, percent, scale_of
from nudges.reporting.grid import Grid, Row

_WORSE, _BETTER, _OPEN = "worse", "better", "no difference shown"
_UNWATCHED = (
    "Not compared between the groups: complaints, fly-tipping, side waste, opt-outs. A rise in them would not show "
    "here."
)


def guardrails(measured: Measured, *, is_valid: bool) -> dict[str, Any]:
    """What was watched, with its interval, and what was not."""
    head = measured.headline
    gap = head.outage
    missed = (
        f"Missed or unread collections: {percent(gap.treated_share, 2)} in the campaign, "
        f"{percent(gap.control_share, 2)} in the control."
    )
    rows = [_row(group.title, Outcome(group.label), group.effect, measured) for group in measured.of(Kind.GUARDRAIL)]
    grid = Grid(
        ("", "Difference", "95 % interval", "Reading"),
        tuple(rows),
        "in the campaign minus control; each interval is right for one look at its own row",
    )
    return {"grid": grid if rows and is_valid else None, "lines": [missed, _UNWATCHED]}


def _row(title: str, outcome: Outcome, effect: Effect | None, measured: Measured) -> Row:
    label = title.removeprefix("the ")
    label = label[0].upper() + label[1:]
    if effect is None or not is_publishable(effect, measured.headline.unit):
        return Row(label, (TOO_FEW, "", ""))
    scale = scale_of(outcome)
    said = _reading(effect, outcome)
    cells = (f"{effect_cell(effect, scale)} {scale.unit}", interval_cell(effect, scale), said)
    return Row(label, cells, "bad" if said == _WORSE else "")


def _reading(effect: Effect, outcome: Outcome) -> str:
    low, high = (effect.ci_low, effect.ci_high) if lower_is_better(outcome) else (-effect.ci_high, -effect.ci_low)
    return _WORSE if low > 0 else _BETTER if high < 0 else _OPEN
