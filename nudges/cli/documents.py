"""Write docs/tables.md and docs/commands.md from the declarations: `python -m nudges.cli.documents`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from nudges.tables import FACTS, TABLES, Column

DOCS = Path(__file__).parent.parent.parent / "docs"


def tables_markdown() -> str:
    """Every table, column by column."""
    facts = {table.name for table in FACTS}
    lines = [
        "# The tables",
        "",
        (
            "Made from `nudges/tables/`. Facts are loaded from drops, the rest is made by the steps. "
            "Fact files also hold `week_no`, the ISO week counted from Monday 2000-01-03."
        ),
    ]
    for table in TABLES.tables.values():
        lines += ["", f"## {table.name}", "", table.meaning]
        if table.source:
            lines += ["", f"Source: {table.source}."]
        if table.name in facts:
            lines += ["", f"Stored by the week of `{table.week_from}`. A later row with the same key replaces it."]
        lines += ["", "| column | type | unit | allowed | meaning |", "|---|---|---|---|---|"]
        lines += [_row(column) for column in table.columns]
    return "\n".join(lines) + "\n"


def _row(column: Column) -> str:
    name = f"**{column.name}**" if column.key else column.name
    need = "" if column.required else ", may be empty"
    return f"| {name} | {column.type}{need} | {column.unit} | {_allowed(column)} | {column.meaning} |"


def _allowed(column: Column) -> str:
    if column.allowed:
        return ", ".join(str(word) for word in column.allowed)
    if column.low is not None or column.high is not None:
        low = "" if column.low is None else f"{column.low:g}"
        high = "" if column.high is None else f"{column.high:g}"
        return f"{low} to {high}".strip()
    return f"`{column.pattern}`" if column.pattern else ""


def commands_markdown(app: typer.Typer) -> str:
    """Every verb with its help and options."""
    group: Any = typer.main.get_command(app)  # a class of Click's, or of Typer's own copy of it
    lines = ["# The commands", "", "Made from `nudges --help`. Every verb takes `--json`.", ""]
    for name, command in group.commands.items():
        lines += [f"## nudges {name}", "", (command.help or "").strip(), "", *_parameters(command), ""]
    lines += ["## Exit codes", "", "| code | means |", "|---|---|", "| 0 | done |", *_exit_codes()]
    return "\n".join(lines) + "\n"


def _parameters(command: Any) -> Iterator[str]:  # noqa: ANN401
    yield "| argument or option | meaning |"
    yield "|---|---|"
    for parameter in command.params:
        option = parameter.param_type_name == "option"
        name = ", ".join(parameter.opts) if option else (parameter.name or "").upper()
        help_text = getattr(parameter, "help", None) or ""
        yield f"| `{name}` | {help_text} |"


def _exit_codes() -> Iterator[str]:
    from nudges import errors

    classes: list[type[errors.NudgesError]] = [errors.NudgesError, *errors.NudgesError.__subclasses__()]
    for error in sorted(classes, key=lambda each: each.exit_code):
        yield f"| {error.exit_code} | {(error.__doc__ or '').strip().splitlines()[0]} |"


def write() -> None:
    """Write both files."""
    from nudges.cli import app

    DOCS.mkdir(exist_ok=True)
    (DOCS / "tables.md").write_text(tables_markdown(), encoding="utf-8")
    (DOCS / "commands.md").write_text(commands_markdown(app), encoding="utf-8")


if __name__ == "__main__":
    write()
