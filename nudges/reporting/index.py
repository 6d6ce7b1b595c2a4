"""Turns the newest measurement of every campaign into one list and a page a year, nulls and failed checks included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nudges.measuring import Measured
from nudges.reporting import listing_layout as layout
from nudges.reporting import year as account
from nudges.reporting.figures import effect_cell, ends_cell, plain, scale_of
from nudges.reporting.page import framed, shows_effects
from nudges.reporting.year import YearEntry, entry_json
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
    def of(cls, title: str, measured: Measured) -> IndexEntry:
        """The row of a measured campaign."""
        head, scale, week = measured.headline, scale_of(measured.headline.outcome), str(Week(measured.week_no))
        shows = shows_effects(head)
        effect = f"{effect_cell(head.effect, scale)} ({ends_cell(*head.interval, scale)}) {scale.unit}"
        return cls(
            href=f"{measured.campaign}/{week}.html",
            title=title,
            verdict=account.VERDICTS[head.verdict],
            effect=effect if shows else "none reported",
            detectable=f"{plain(head.detectable * scale.factor, scale.digits)} {scale.unit}" if shows else "",
            week=week,
        )


def index_page(
    council: str, entries: Sequence[IndexEntry], *, generated_at: datetime, years: Sequence[int] = ()
) -> str:
    """The list as a page; `years` have pages beside it."""
    return framed(
        "Impact of recycling messages",
        layout.INDEX,
        council=council,
        entries=entries,
        years=sorted(years, reverse=True),
        footer=f"Made {generated_at:%Y-%m-%d %H:%M} UTC.",
    )


def year_page(council: str, year: int, entries: Sequence[YearEntry], *, generated_at: datetime) -> str:
    """A year's account: the sum of what may be claimed, and every campaign planned against found."""
    return framed(
        f"Campaigns of {year}",
        layout.YEAR,
        council=council,
        year=year,
        sums=account.sums(entries),
        notes=account.NOTES,
        drawing=account.drawn(entries),
        listing=account.listing(entries),
        footer=f"Made {generated_at:%Y-%m-%d %H:%M} UTC.",
    )


def year_json(year: int, entries: Sequence[YearEntry]) -> dict[str, Any]:
    """The same facts, ready for JSON."""
    return {
        "year": year,
        "claimed_tonnes": account.claimed_tonnes(entries),
        "campaigns": [entry_json(entry) for entry in entries],
    }
