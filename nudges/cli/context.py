"""What every verb needs from outside: the workspace, the clock, the environment."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from nudges.errors import ConfigError
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
WeekOption = Annotated[
    str | None,
    typer.Option("--week", help="ISO week whose data is used, like 2026-W48. Default: the last whole week."),
]
LookWeek = Annotated[
    str | None,
    typer.Option("--week", help="ISO week to look at, like 2026-W48. Default: the last whole week with facts."),
]
Campaigns = Annotated[
    list[str] | None, typer.Option("--campaign", help="Only this campaign. Repeat for more. Default: all that run.")
]

_NEWEST = """
SELECT MAX(week_no) AS week_no FROM files
WHERE is_live = 1 AND week_no <= :upto AND table_name IN ('lifts', 'tags', 'loads')
"""

RUN_TIME = time(6)  # of Monday, when the weekly run starts by prefect.yaml


def now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)


def workspace() -> Workspace:
    """The workspace that --home or NUDGES_HOME names (default: this folder)."""
    return open_workspace(home(), os.environ)


def home() -> Path:
    """Folder of the workspace."""
    return Path(os.environ.get("NUDGES_HOME") or ".").resolve()


def week_of(text: str | None) -> Week:
    """The week asked for, or the last whole week."""
    return Week.parse(text) if text else Week.containing(now().date()) - 1


def week_to_look_at(ws: Workspace, text: str | None) -> Week:
    """The week asked for, or the last whole week that has lifts, tags or loads."""
    last = week_of(text)
    if text:
        return last
    newest = ws.ledger.select(_NEWEST, upto=last.number)["week_no"][0].as_py()
    return last if newest is None else Week(int(newest))


def moment_to_look_from(week: Week) -> datetime:
    """Now for the last whole week; for a week long past the moment its run was due, as its plan looked then."""
    due = datetime.combine((week + 1).monday, RUN_TIME, UTC)
    return now() if week >= week_of(None) else due


def day_of(text: str | None) -> date | None:
    """An ISO date; raises ConfigError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"date == {text!r}, must be a day. Write 2026-11-23.") from None
