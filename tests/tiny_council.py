"""A workspace with a made-up borough of a few hundred households, for tests that run whole weeks."""

from __future__ import annotations

import re
from pathlib import Path

from nudges.demo import Loop
from nudges.sources.synthetic import Borough
from nudges.starter import copy_starter
from nudges.steps.workspace import open_workspace
from nudges.weeks import Week


def settle(home: Path, *, week: Week, households: int, history: int = 8, seed: int = 3) -> Loop:
    """Starter files with campaigns that begin in `week` and write weekly, and a borough whose history ends there."""
    if not (home / "council.toml").exists():
        copy_starter(home)
    for path in sorted((home / "campaigns").glob("*.toml")):
        _change(path, starts=f'"{week}"', every_weeks="1")
    _change(home / "council.toml", messages="20")
    start = week - (history - 1)
    weeks = history + 4
    borough = Borough.make(households=households, seed=seed, start=start, weeks=weeks)
    return Loop(open_workspace(home, {}), borough, start, history, weeks)


def drop_all(home: Path, *, week: Week, households: int, history: int = 8, seed: int = 3) -> None:
    """The same with every drop in the inbox, nothing loaded yet."""
    loop = settle(home, week=week, households=households, history=history, seed=seed)
    loop.begin()
    loop.ws.ledger.close()


def _change(path: Path, **values: str) -> None:
    text = path.read_text("utf-8")
    for name, value in values.items():
        text, changed = re.subn(rf"(?m)^{name} *=.*$", f"{name} = {value}", text)
        assert changed == 1, f"{path.name}: {name}"
    path.write_text(text, "utf-8")
