"""Makes a workspace for the demo borough, plays its weeks, and says where to look."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nudges.demo.headline import Headline, headlines
from nudges.demo.loop import Loop
from nudges.domain import Medium
from nudges.errors import ConfigError
from nudges.sources.synthetic import Borough, Effects
from nudges.starter import copy_starter
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

START = Week.parse("2026-W05")
HISTORY = 26
_SHORTEST = 8  # weeks that a demo needs
_MARK = ".nudges-demo"
_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo leaves: where to look, what was found beside what was planted, and how long each step took."""

    home: Path
    households: int
    weeks: int
    impact_page: Path
    samples: tuple[Path, ...]
    headlines: tuple[Headline, ...]
    messages: int
    events: int
    seconds: Mapping[str, float]
    total_seconds: float

    @property
    def lines(self) -> list[str]:
        """The summary a person reads."""
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        return [
            f"{self.households:,} households, {self.weeks} weeks, {self.messages:,} messages, {self.events:,} answers.",
            f"Impact page      {self.impact_page}",
            *(f"Sample message   {path}" for path in self.samples),
            "Kg of residual per household and week, in the campaign minus control:",
            *(f"  {headline.words}" for headline in self.headlines if headline.truth is not None),
            f"Took {self.total_seconds:.0f} s: {steps}.",
        ]


def run_demo(
    home: Path,
    *,
    households: int = 20_000,
    weeks: int = 40,
    seed: int = 1,
    progress: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    effects: Effects | None = None,
) -> DemoResult:
    """Play a borough of `households` for `weeks` weeks in the workspace `home`, made afresh; nothing leaves it.

    Progress goes to `progress`: a bar where that is a terminal, plain lines elsewhere, nothing where it is None.
    Raises ConfigError when `home` holds something other than an earlier demo.
    """
    begun = time.perf_counter()
    with open_demo(home, weeks=weeks, environment=environment or {}) as ws:
        borough = Borough.make(households=households, seed=seed, start=START, weeks=weeks, effects=effects)
        loop = Loop(ws, borough, START, history_of(weeks), weeks)
        with _shown(loop, progress):
            loop.play()
        return DemoResult(
            home=home,
            households=households,
            weeks=weeks,
            impact_page=_impact_page(ws),
            samples=_samples(ws),
            headlines=headlines(ws, borough.truth, loop.last),
            messages=loop.messages,
            events=loop.events,
            seconds=dict(loop.seconds),
            total_seconds=time.perf_counter() - begun,
        )


def print_result(result: DemoResult, say: Callable[[str], None]) -> None:
    """Say the summary line by line."""
    for line in result.lines:
        say(line)


def history_of(weeks: int) -> int:
    """Weeks of history before the first run: 26, fewer in a short demo."""
    if weeks < _SHORTEST:
        raise ConfigError(f"weeks == {weeks}, must be at least {_SHORTEST}. Write 40.")
    return min(HISTORY, weeks - 6 if weeks >= 12 else weeks // 2)


@contextmanager
def open_demo(
    home: Path, *, weeks: int, environment: Mapping[str, str], campaigns: Collection[str] | None = None
) -> Iterator[Workspace]:
    """A fresh workspace whose campaigns start when the history ends; an earlier demo in `home` is removed.

    `campaigns` keeps those of the starter that are named; all of them when None.
    """
    if home.exists() and any(home.iterdir()):
        if not (home / _MARK).exists():
            raise ConfigError(f"{home}: holds something that is no demo. Choose an empty folder.")
        shutil.rmtree(home)
    copy_starter(home)
    (home / _MARK).touch()
    history = history_of(weeks)
    for path in sorted((home / "campaigns").glob("*.toml")):
        if campaigns is None or path.stem in campaigns:
            _move(path, START + (history - 1), weeks - history)
        else:
            path.unlink()
    kept = {name: value for name, value in environment.items() if name != "NUDGES_LEDGER_URL"}
    ws = open_workspace(home, kept)
    try:
        yield ws
    finally:
        ws.ledger.close()


def _move(path: Path, starts: Week, weeks: int) -> None:
    text = re.sub(r"(?m)^starts *=.*$", f'starts = "{starts}"', path.read_text("utf-8"))
    path.write_text(re.sub(r"(?m)^weeks *=.*$", f"weeks = {weeks}", text), "utf-8")


def _impact_page(ws: Workspace) -> Path:
    pages = sorted(page for page in (ws.var / "reports").rglob("*.html") if not page.stem.endswith("-card"))
    return pages[-1] if pages else ws.var / "reports"


def _samples(ws: Workspace) -> tuple[Path, ...]:
    """Files of three messages, of as many templates and media as there are."""
    rows = ws.ledger.select(
        "SELECT template, medium, max(message_id) AS message_id FROM messages WHERE state = 'accepted' "
        "GROUP BY template, medium ORDER BY template, medium"
    ).to_pylist()
    picked: list[dict[str, str]] = []
    while rows and len(picked) < _SAMPLES:
        templates, media = {row["template"] for row in picked}, [row["medium"] for row in picked]
        rows.sort(key=lambda row: (row["template"] in templates, media.count(row["medium"])))
        picked.append(rows.pop(0))
    suffixes = {Medium.EMAIL: "eml", Medium.SMS: "json"}
    outbox = ws.var / "outbox"
    names = [f"{row['message_id']}.{suffixes[Medium(row['medium'])]}" for row in picked]
    return tuple(path for name in names for path in sorted(outbox.rglob(name))[:1])


@contextmanager
def _shown(loop: Loop, out: TextIO | None) -> Iterator[None]:
    """A bar on a terminal, one plain line a week elsewhere."""
    if out is None:
        yield
        return
    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        loop.on_step = _plain_lines(loop, out)
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        runs = loop.last.number - loop.first_run.number + 1
        task = bar.add_task("history", total=runs)
        loop.on_step = lambda week, step: bar.update(
            task, completed=max(week.number - loop.first_run.number, 0), description=f"{week} {step:<10}"
        )
        yield
        bar.update(task, completed=runs, description="done")


def _plain_lines(loop: Loop, out: TextIO) -> Callable[[Week, str], None]:
    seen: set[Week] = set()

    def say(week: Week, step: str) -> None:
        if step == "ingest" and week not in seen:
            seen.add(week)
            done = week.number - loop.first_run.number + 1
            out.write(f"{week}: run {done} of {loop.last.number - loop.first_run.number + 1}\n")
            out.flush()

    return say
