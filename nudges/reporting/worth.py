"""Turns savings into the rows, prices and sources of the section on what an effect is worth."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from nudges.domain import Unit, Verdict
from nudges.measuring import Headline, Measured
from nudges.money import Savings
from nudges.reporting.figures import percent, plain, pounds_cells, range_cells
from nudges.reporting.grid import Grid, Row

_ROUND_WEEKS_TO = 100  # so that a sum of household-weeks gives no exact count of households away


def money(measured: Measured) -> dict[str, Any]:
    """Tonnes, pounds and carbon with their intervals, prices and sources."""
    saved, head = measured.money, measured.headline
    assert saved is not None  # noqa: S101 - callers ask first
    cost = f"£{plain(saved.programme_cost_pence / 100)}"
    per_tonne = saved.cost_per_tonne_pence
    rows = (
        Row("Residual waste avoided, tonnes", range_cells(saved.residual_tonnes, 1)),
        Row(
            f"of which would have been landfilled ({percent(saved.landfill_share, 0)}), tonnes",
            range_cells(saved.landfill_tonnes, 1),
        ),
        Row("Disposal cost avoided (gross)", pounds_cells(saved.gross_pence)),
        Row("Extra recycling to pay for", pounds_cells(saved.recycling_cost_pence)),
        Row("Net saving", pounds_cells(saved.net_pence), "total"),
        Row(f"Messages ({plain(head.messages)} sent)", (cost, "as billed")),
        Row("Net saving less messages", pounds_cells(saved.balance_pence), "total"),
        Row(
            "Messages, pounds per tonne avoided",
            pounds_cells(per_tonne) if per_tonne else ("none", _no_tonnes(head)),
        ),
        Row("CO2e avoided in landfill, tonnes", range_cells(saved.co2e_tonnes, 1)),
    )
    return {
        "grid": Grid(("", "Best estimate", "95 % interval"), rows, f"{_span(head)}; minus = worse"),
        "claim": _claim(head),
        "cash": _cash(saved, head),
        "routes": Grid(
            ("Route", "Share of residual", "Tonnes avoided", "Pounds a tonne, all in"),
            tuple(
                Row(
                    name,
                    (percent(share, 0), plain(saved.residual_tonnes.value * share, 1), f"£{plain(price / 100, 2)}"),
                )
                for name, share, price in saved.routes
            ),
        ),
        "sources": saved.sources,
    }


def _no_tonnes(head: Headline) -> str:
    return "no tonnes were avoided" if head.verdict is Verdict.HARM else "the tonnes may be zero"


def _span(head: Headline) -> str:
    """How much was measured: counted in the register the effect is per household of, so it adds no uncertainty."""
    about = round(head.household_weeks / _ROUND_WEEKS_TO) * _ROUND_WEEKS_TO
    return f"over about {plain(about)} measured household-weeks"


def _claim(head: Headline) -> str:
    if head.verdict is Verdict.SHOWN:
        counted = (
            "everybody on the rounds with messages"
            if head.unit is Unit.ROUND
            else "homes with a contact that were weighed and drawn into the campaign, whether or not a message arrived"
        )
        return (
            f"Only measured weeks are counted, of {counted}; nothing after the last week. Staff time is not in the "
            "cost of messages."
        )
    if head.verdict is Verdict.HARM:
        return "The campaign cost money and added waste; the rows above are the size of the loss."
    return "No saving is claimed: the intervals include none at all. The rows above show what remains possible."


def _cash(saved: Savings, head: Headline) -> list[str]:
    """Which part of the gross saving is cash, and on what it depends."""
    if head.verdict is not Verdict.SHOWN:
        return ["No saving is claimed, so nothing here is cash."]
    lines = []
    taxed = saved.landfill_tax_pence
    if taxed is not None:
        fees = saved.gross_pence.value - taxed.value
        tax_words = f"£{plain(taxed.value / 100)} of the disposal cost avoided is landfill tax, charged on every tonne"
        lines.append(
            f"{tax_words}; £{plain(fees / 100)} is gate fees."
            if taxed.value
            else "All of the disposal cost avoided is gate fees; nothing of it is landfill tax."
        )
    lines.append(
        "Gate fees are cash only for tonnes above the minimum that the disposal contract makes the council pay for. "
        "The contract is not known here: ask the contract manager how many of these tonnes lie above it."
    )
    return lines


def money_json(measured: Measured) -> dict[str, Any] | None:
    """Savings as JSON; what is not known, or has no bound, is null."""
    return None if measured.money is None else _finite(asdict(measured.money))


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
