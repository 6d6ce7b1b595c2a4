"""Turn `council.toml` into a `Council`, naming file, key and cure for whatever is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nudges.domain import ColumnRule, Council, IngestRule, Language, Lead, Medium, QuietHours, Route
from nudges.tomlfile import Section, load_toml

NATIONS = ("england", "wales", "scotland", "northern_ireland")
FILE = "council.toml"


def load_council(home: Path) -> Council:
    """Read the council of the workspace at `home`; raises ConfigError."""
    top = load_toml(home / FILE, where=FILE)
    council = Council(
        name=top.text("name"),
        nation=top.text("nation", allowed=NATIONS),
        phone=top.text("phone"),
        website=top.text("website"),
        public_url=top.text("public_url").rstrip("/"),
        timezone=_timezone(top),
        languages=tuple(Language(word) for word in top.texts("languages", default=("en",), allowed=tuple(Language))),
        live=top.flag("live", default=False),
        allow_list=top.texts("allow_list", default=()),
        salt=top.text("salt"),
        holdout_share=top.share("holdout_share", default=0.05),
        quiet_hours=_quiet_hours(top.section("quiet_hours")),
        send_times=_send_times(top.section("send_times")),
        cap_messages=top.section("cap").whole("messages", low=1, default=2),
        cap_weeks=top.section("cap").whole("weeks", low=1, default=4),
        late_after_minutes=top.whole("late_after_minutes", low=1, default=180),
        channels=_channels(top.section("channels")),
        pence_per_fragment=top.section("prices").number("pence_per_fragment", low=0),
        pence_per_email=top.section("prices").number("pence_per_email", low=0, default=0.0),
        tag_cost_pence=top.section("prices").whole("tag_cost_pence", low=0),
        recycling_fee_pence_per_tonne=top.section("prices").whole("recycling_fee_pence_per_tonne", low=-100_000),
        routes=_routes(top),
        ingest=tuple(_ingest_rule(section) for section in top.sections("ingest")),
    )
    top.done()
    return council


def _timezone(top: Section) -> str:
    name = top.text("timezone", default="Europe/London")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        top.fail("timezone", name, "must be a time zone name", "Write Europe/London.")
    return name


def _quiet_hours(section: Section) -> QuietHours:
    return QuietHours(start=_clock(section, "start", "20:00"), end=_clock(section, "end", "08:00"))


def _send_times(section: Section) -> Mapping[Lead, time]:
    defaults = {Lead.EVENING_BEFORE: "18:00", Lead.MORNING_AFTER: "10:00", Lead.NEXT_DAY: "10:00"}
    return {lead: _clock(section, lead, default) for lead, default in defaults.items()}


def _clock(section: Section, key: str, default: str) -> time:
    text = section.text(key, default=default)
    try:
        return time.fromisoformat(text)
    except ValueError:
        section.fail(key, text, "must be a time of day", 'Write "18:00".')


def _channels(section: Section) -> Mapping[Medium, str]:
    return {medium: section.text(medium, default="outbox") for medium in Medium}


def _routes(top: Section) -> tuple[Route, ...]:
    routes = tuple(
        Route(
            name=section.text("name"),
            share=section.share("share"),
            gate_fee_pence_per_tonne=section.whole("gate_fee_pence_per_tonne", low=-100_000),
            landfill=section.flag("landfill", default=False),
        )
        for section in top.sections("routes")
    )
    total = sum(route.share for route in routes)
    if abs(total - 1) > 1e-9:
        top.fail("routes", total, "shares of all routes must sum to 1", "Give every route of residual waste its share.")
    return routes


def _ingest_rule(section: Section) -> IngestRule:
    columns = section.section("columns")
    return IngestRule(
        match=section.text("match"),
        table=section.text("table"),
        columns={name: _column_rule(columns, name) for name in columns.names()},
    )


def _column_rule(columns: Section, name: str) -> ColumnRule:
    value: Any = columns.raw(name)
    if isinstance(value, str):
        return ColumnRule(value)
    section = columns.section(name)
    values = section.section("values")
    return ColumnRule(
        column=section.text("column"),
        times=section.number("times", default=1.0),
        values={word: values.text(word) for word in values.names()},
    )
