"""Turns the newest measurement of every campaign into one list, nulls and failed checks included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nudges.domain import Campaign, Verdict
from nudges.measuring import Measured
from nudges.reporting import layout
from nudges.reporting.figures import effect_cell, interval_cell, plain, scale_of
from nudges.reporting.page import framed
from nudges.weeks import Week


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One row of the list. `href` is relative to the index."""

    href: str
    title: str
    verdict: str
    effect: str
    detectable: str
    week: str

    @classmethod
    def of(cls, campaign: Campaign, measured: Measured) -> IndexEntry:
        """The row of a measured campaign."""
        head, scale, week = measured.headline, scale_of(measured.headline.outcome), str(Week(measured.week_no))
        effect = f"{effect_cell(head.effect, scale)} ({interval_cell(head.effect, scale)}) {scale.unit}"
        return cls(
            href=f"{campaign.id}/{week}.html",
            title=campaign.title,
            verdict="INVALID: a check failed" if head.verdict is Verdict.INVALID else head.verdict.value.capitalize(),
            effect="none reported" if head.verdict is Verdict.INVALID else effect,
            detectable=f"{plain(head.detectable * scale.factor, scale.digits)} {scale.unit}",
            week=week,
        )


def index_page(council: str, entries: Sequence[IndexEntry], *, generated_at: datetime) -> str:
    """The list as a page."""
    footer = f"Made {generated_at:%Y-%m-%d %H:%M} UTC."
    return framed("Impact of recycling messages", layout.INDEX, council=council, entries=entries, footer=footer)
