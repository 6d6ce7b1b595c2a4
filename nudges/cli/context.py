"""What every verb needs from outside: the workspace, the clock, the environment."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
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
Campaigns = Annotated[
    list[str] | None, typer.Option("--campaign", help="Only this campaign. Repeat for more. Default: all that run.")
]


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


def day_of(text: str | None) -> date | None:
    """An ISO date; raises ConfigError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"date == {text!r}, must be a day. Write 2026-11-23.") from None
