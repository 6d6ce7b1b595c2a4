"""Turns rows of the `effects` table into impact pages, pages of years, their JSON and an index in `var/reports`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nudges import __version__
from nudges.cards import ModelCard
from nudges.domain import Campaign, Summary
from nudges.measuring import Measured, from_rows
from nudges.reporting import (
    ImpactPage,
    IndexEntry,
    YearEntry,
    impact_json,
    impact_page,
    index_page,
    year_json,
    year_page,
    years,
)
from nudges.steps.card import html, newest_card
from nudges.steps.workspace import Workspace
from nudges.tables import FACTS
from nudges.weeks import Week

_NEWEST = """
SELECT campaign, week_no, kind, label, result FROM effects
WHERE campaign = :campaign AND week_no = (
    SELECT MAX(week_no) FROM effects WHERE campaign = :campaign AND week_no <= :week
)
"""
_MEASURED = "SELECT DISTINCT campaign FROM effects WHERE week_no <= :week"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A measured campaign; without `campaign` its file is gone, and it is listed all the same."""

    campaign: Campaign | None
    measured: Measured

    @property
    def title(self) -> str:
        return self.campaign.title if self.campaign else f"{self.measured.campaign} (its file was removed)"

    def in_year(self, year: int) -> YearEntry | None:
        ends = self.campaign.starts + self.campaign.weeks if self.campaign else Week(self.measured.week_no)
        return YearEntry.of(self.title, self.measured, year, is_final=self.measured.week_no >= ends.number)


def report(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:
    """Write the page of each campaign's newest measurement up to `week`, the pages of years, and the index.

    Files are replaced whole: `reports/<campaign>/<week>.html` and `.json`, the model card as `<week>-card.html` under
    the week it was decided in, `reports/<year>.html` and `.json` of every year something was measured in, and
    `reports/index.html`. Lists hold every campaign that was ever measured, whatever became of it.
    """
    named = {ws.campaign(name).id for name in campaigns} if campaigns else set(ws.campaigns)
    listed = _listed(ws, week)
    accounts = _accounts(listed)
    facts: dict[str, str | float | int | None] = {}
    pages = 0
    for each in listed:
        if each.campaign and each.campaign.id in named:
            others = accounts[years(each.measured)[-1]]
            facts[f"{each.campaign.id} page"] = _write_page(ws, each.campaign, each.measured, others, now).as_posix()
            pages += 1
    for name in sorted(named):
        card = newest_card(ws, ws.campaigns[name], week)
        if card is not None:
            facts[f"{name} model card"] = _write_card(ws, ws.campaigns[name], card, now).as_posix()
    facts |= {f"{year} page": _write_year(ws, year, accounts[year], now).as_posix() for year in sorted(accounts)}
    entries = [IndexEntry.of(each.title, each.measured) for each in listed]
    index = index_page(ws.council.name, entries, generated_at=now, years=sorted(accounts))
    _write(ws.var / "reports" / "index.html", index)
    said = f"{pages} impact page{'' if pages == 1 else 's'} written" if pages else "No campaign has been measured yet"
    return Summary("report", str(week), said, {"pages": pages, "campaigns_listed": len(entries)}, facts)


def _listed(ws: Workspace, week: Week) -> list[_Listed]:
    """Every campaign measured up to `week`, in order of id, with its newest measurement."""
    names = sorted(ws.ledger.select(_MEASURED, week=week.number)["campaign"].to_pylist())
    found = [(ws.campaigns.get(name), _newest(ws, name, week)) for name in names]
    return [_Listed(campaign, measured) for campaign, measured in found if measured]


def _accounts(listed: Sequence[_Listed]) -> dict[int, list[YearEntry]]:
    """Campaigns by the years they were measured in."""
    accounts: dict[int, list[YearEntry]] = {}
    for each in listed:
        for year in years(each.measured):
            entry = each.in_year(year)
            if entry:
                accounts.setdefault(year, []).append(entry)
    return accounts


def newest(ws: Workspace, campaign: Campaign, week: Week) -> Measured | None:
    """The campaign's newest measurement up to `week`."""
    return _newest(ws, campaign.id, week)


def _newest(ws: Workspace, campaign: str, week: Week) -> Measured | None:
    rows = ws.ledger.select(_NEWEST, campaign=campaign, week=week.number).to_pylist()
    return from_rows(rows) if rows else None


def _write_page(
    ws: Workspace, campaign: Campaign, measured: Measured, others: Sequence[YearEntry], now: datetime
) -> Path:
    """Write one page and its JSON; returns the page's path below the workspace."""
    week = Week(measured.week_no)
    page = ImpactPage(
        council=ws.council,
        campaign=campaign,
        measured=measured,
        generated_at=now,
        salt_sha256=hashlib.sha256(ws.council.salt.encode()).hexdigest(),
        data_sha256=_data_sha256(ws, week),
        version=__version__,
        campaigns=others,
    )
    path = ws.var / "reports" / campaign.id / f"{week}.html"
    _write(path.with_suffix(".json"), json.dumps(impact_json(page), indent=2, ensure_ascii=False) + "\n")
    _write(path, impact_page(page))
    return path.relative_to(ws.home)


def _write_year(ws: Workspace, year: int, entries: Sequence[YearEntry], now: datetime) -> Path:
    """Write a year's account and its JSON; returns the page's path below the workspace."""
    path = ws.var / "reports" / f"{year}.html"
    _write(path.with_suffix(".json"), json.dumps(year_json(year, entries), indent=2, ensure_ascii=False) + "\n")
    _write(path, year_page(ws.council.name, year, entries, generated_at=now))
    return path.relative_to(ws.home)


def _write_card(ws: Workspace, campaign: Campaign, card: ModelCard, now: datetime) -> Path:
    """Write the page of a model card beside the impact page of its week; returns its path below the workspace."""
    path = ws.var / "reports" / campaign.id / f"{card.week}-card.html"
    _write(path, html(ws, campaign, card, now=now))
    return path.relative_to(ws.home)


def _data_sha256(ws: Workspace, week: Week) -> str:
    """Hash of the names of all live fact files up to `week`; each name holds the hash of what was loaded."""
    files = ws.ledger.live_files(upto=week, tables=[table.name for table in FACTS])
    names = sorted(path for paths in files.values() for path in paths)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Replace a file whole: a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
