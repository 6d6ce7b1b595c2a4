"""Print results for people (rich tables) or for programs (`--json`), and errors with their exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nudges.domain import Summary
from nudges.errors import NudgesError

_PIPED_WIDTH = 160  # columns where nobody's terminal says how wide it is

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def as_json(value: object) -> str:
    """Any result of the product as JSON text."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:  # noqa: ANN401 -- walks results of any shape
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value


def show(value: object, *, json_wanted: bool) -> bool:
    """Print `value` as JSON when wanted; returns whether it did."""
    if json_wanted:
        sys.stdout.write(as_json(value) + "\n")
    return json_wanted


def say(text: str = "") -> None:
    """Print a plain line."""
    out.print(escape(text))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", right: Sequence[int] = ()
) -> None:
    """Print a table; `right` lists the columns of numbers."""
    grid = Table(title=escape(title) or None, title_justify="left", show_edge=False, pad_edge=False)
    for number, name in enumerate(columns):
        grid.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(number_text(cell)) for cell in row))
    out.print(grid)


def number_text(value: object) -> str:
    """A cell as a person writes it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)


def show_summary(summary: Summary) -> None:
    """Print what one step did."""
    out.print(f"[bold]{summary.step}[/bold]  {escape(summary.headline)}")
    for name, count in summary.counts.items():
        if count:
            say(f"    {name.replace('_', ' ')}: {count:,}")
    for name, fact in summary.facts.items():
        if fact not in (None, 0):
            say(f"    {name.replace('_', ' ')}: {number_text(fact)}")
    for note in summary.notes:
        say(f"    {note}")
    for warning in summary.warnings:
        say(f"    ! {warning}")


def complain(text: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(text.replace("\n", " ") + "\n")


def report_error(error: NudgesError, *, json_wanted: bool) -> None:
    """Print an error on stderr in one line, or as JSON."""
    if json_wanted:
        complain(json.dumps({"error": type(error).__name__, "message": str(error), "exit_code": error.exit_code}))
    else:
        complain(str(error))
