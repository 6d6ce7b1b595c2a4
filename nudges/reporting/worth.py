"""Turns savings into the rows, prices and sources of the section on what an effect is worth."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nudges.domain import Verdict
from nudges.measuring import Headline, Measured
from nudges.reporting.figures import percent, plain, pounds_cells, range_cells
from nudges.reporting.grid import Row


def money(measured: Measured) -> dict[str, Any]:
    """Tonnes, pounds and carbon with their intervals, prices and sources."""
    saved, head = measured.money, measured.headline
    assert saved is not None  # noqa: S101 - callers ask first
    cost = f"£{plain(saved.programme_cost_pence / 100)}"
    per_tonne = saved.cost_per_tonne_pence
    rows = [
        Row("Residual waste avoided, tonnes", range_cells(saved.residual_tonnes, 1)),
        Row(
            f"of which would have been landfilled ({percent(saved.landfill_share, 0)}), tonnes",
            range_cells(saved.landfill_tonnes, 1),
        ),
        Row("Disposal cost avoided", pounds_cells(saved.gross_pence)),
        Row("Extra recycling to pay for", pounds_cells(saved.recycling_cost_pence)),
        Row("Net saving", pounds_cells(saved.net_pence), "total"),
        Row(f"Messages ({plain(head.messages)} sent)", (cost, "as billed")),
        Row("Net saving less messages", pounds_cells(saved.balance_pence), "total"),
        Row(
            "Messages, pounds per tonne avoided",
            pounds_cells(per_tonne) if per_tonne else ("none", "the tonnes may be zero"),
        ),
        Row("CO2e avoided in landfill, tonnes", range_cells(saved.co2e_tonnes, 1)),
    ]
    return {
        "rows": rows,
        "note": f"over {plain(head.household_weeks)} measured household-weeks; minus = worse",
        "claim": _claim(head),
        "routes_head": ("Route", "Share of residual", "Tonnes avoided", "Pounds a tonne, all in"),
        "routes": [
            Row(
                name,
                (
                    percent(share, 0),
                    plain(saved.residual_tonnes.value * share, 1),
                    f"£{plain(price / 100, 2)}",
                ),
            )
            for name, share, price in saved.routes
        ],
        "sources": saved.sources,
    }  # fmt: skip


def _claim(head: Headline) -> str:
    if head.verdict is Verdict.SHOWN:
        return (
            "Only tonnes of the weeks and households measured are counted. They are cash only above the minimum "
            "tonnage of the disposal contract: ask the contract manager. Staff time is not in the cost of messages."
        )
    if head.verdict is Verdict.HARM:
        return "The campaign cost money and added waste; the rows above are the size of the loss."
    return "No saving is claimed: the intervals include none at all. The rows above show what remains possible."


def money_json(measured: Measured) -> dict[str, Any] | None:
    """Savings as JSON."""
    return None if measured.money is None else asdict(measured.money)
