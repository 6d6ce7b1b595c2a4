"""Turns rows of the `effects` table into impact pages, their JSON and an index below `var/reports`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nudges import __version__
from nudges.cards import ModelCard
from nudges.domain import Campaign, Summary
from nudges.measuring import Measured, from_rows
from nudges.reporting import ImpactPage, IndexEntry, impact_json, impact_page, index_page
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


def report(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:
    """Write the page of each campaign's newest measurement up to `week`, and the index of all campaigns.

    Files are replaced whole: `reports/<campaign>/<week>.html` and `.json`, the model card as `<week>-card.html` under
    the week it was decided in, and `reports/index.html`.
    """
    named = {ws.campaign(name).id for name in campaigns} if campaigns else set(ws.campaigns)
    entries: list[IndexEntry] = []
    facts: dict[str, str | float | int | None] = {}
    pages = 0
    for campaign in sorted(ws.campaigns.values(), key=lambda campaign: campaign.id):
        measured = newest(ws, campaign, week)
        if measured is None:
            continue
        entries.append(IndexEntry.of(campaign, measured))
        if campaign.id in named:
            facts[f"{campaign.id} page"] = _write_page(ws, campaign, measured, now).as_posix()
            pages += 1
    for name in sorted(named):
        card = newest_card(ws, ws.campaigns[name], week)
        if card is not None:
            facts[f"{name} model card"] = _write_card(ws, ws.campaigns[name], card, now).as_posix()
    _write(ws.var / "reports" / "index.html", index_page(ws.council.name, entries, generated_at=now))
    said = f"{pages} impact page{'' if pages == 1 else 's'} written" if pages else "No campaign has been measured yet"
    return Summary("report", str(week), said, {"pages": pages, "campaigns_listed": len(entries)}, facts)


def newest(ws: Workspace, campaign: Campaign, week: Week) -> Measured | None:
    """The campaign's newest measurement up to `week`."""
    rows = ws.ledger.select(_NEWEST, campaign=campaign.id, week=week.number).to_pylist()
    return from_rows(rows) if rows else None


def _write_page(ws: Workspace, campaign: Campaign, measured: Measured, now: datetime) -> Path:
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
    )
    path = ws.var / "reports" / campaign.id / f"{week}.html"
    _write(path.with_suffix(".json"), json.dumps(impact_json(page), indent=2, ensure_ascii=False) + "\n")
    _write(path, impact_page(page))
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
