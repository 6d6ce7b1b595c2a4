"""SIGKILL in every step of the week, then the same week again: the same rows, and every message exactly once.

A weekly run and its deliveries play in a process of their own on a fixed clock. The reference run is never killed. Each
other run starts from a copy of the same workspace, is killed in one step, and is run again from the top.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tiny_council import settle

from nudges.steps.deliver import deliver
from nudges.steps.weekly import STEPS, run_week
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

pytestmark = pytest.mark.timeout(300)

FIRST = Week.parse("2026-W30")  # run whole in the prepared workspace, so that the week under test has a past
WEEK = FIRST + 1
RUN_AT = datetime.combine((WEEK + 1).monday, datetime.min.time(), UTC) + timedelta(hours=6)
HOUSEHOLDS = 600
LONGEST_DELAY = 0.25  # seconds into a step: most steps of so small a borough take about as long
MID_DELIVERY = (1, 7, 40)  # files in the outbox when the kill comes
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["nudges.steps.weekly", "nudges.steps.deliver", "nudges.demo"])


def live_week(home: Path, told: Connection) -> None:
    """The week's run, then a delivery at each moment something is due; `told` hears each step before it starts."""
    ws = open_workspace(home, {})
    list(run_week(ws, WEEK, clock=lambda: RUN_AT, on_step=told.send))
    for moment in due_moments(ws):
        told.send("deliver")
        deliver(ws, WEEK, now=moment + timedelta(minutes=1))
    ws.ledger.close()
    told.send("done")


def due_moments(ws: Workspace) -> list[datetime]:
    """When this week's messages are due, and those of the week before that wait for a fortnightly collection."""
    rows = ws.ledger.select(
        "SELECT DISTINCT due_at FROM messages "
        "WHERE week_no = :week OR state NOT IN ('accepted', 'refused', 'dropped') ORDER BY 1",
        week=WEEK.number,
    )
    found = [datetime.fromisoformat(value) if isinstance(value, str) else value for value in rows[0].to_pylist()]
    return [moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment for moment in found]


@dataclass
class Run:
    """One process that lives the week."""

    home: Path

    def __enter__(self) -> Run:
        self.heard, told = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=live_week, args=(self.home, told))
        self.process.start()
        told.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.heard.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()

    def steps(self) -> Iterator[str]:
        while True:
            try:
                yield self.heard.recv()
            except EOFError:
                return

    def to_the_end(self) -> None:
        assert list(self.steps())[-1:] == ["done"], "the run broke: see its traceback above"
        self.process.join()
        assert self.process.exitcode == 0

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        assert self.process.exitcode in {-signal.SIGKILL, 0}


def outbox(home: Path) -> list[Path]:
    return [path for path in (home / "var" / "outbox").rglob("*") if path.suffix in {".eml", ".json"}]


def claimed(home: Path) -> int:
    ws = open_workspace(home, {})
    found = ws.ledger.select("SELECT COUNT(*) FROM messages WHERE state = 'claimed'").column(0)[0].as_py()
    ws.ledger.close()
    return int(found)


@dataclass
class Ended:
    """What a workspace holds once the week is over."""

    assignments: pa.Table
    messages: pa.Table
    audience: pa.Table
    tries: Counter[str]
    files: Counter[str]

    @classmethod
    def of(cls, home: Path) -> Ended:
        ws = open_workspace(home, {})
        assignments = ws.ledger.select("SELECT * FROM assignments ORDER BY campaign, week_no, household_id")
        messages = ws.ledger.select(
            "SELECT message_id, campaign, week_no, household_id, medium, arm, content_hash, due_at, state "
            "FROM messages ORDER BY message_id"
        )
        tries = ws.ledger.select("SELECT message_id FROM attempts WHERE status = 'accepted'")["message_id"].to_pylist()
        live = ws.ledger.live_files(upto=WEEK, tables=["audience"])["audience"]
        audience = ws.warehouse.read(live).sort_by(
            [(name, "ascending") for name in ("campaign", "week_no", "household_id")]
        )
        ws.ledger.close()
        return cls(assignments, messages, audience, Counter(tries), Counter(path.stem for path in outbox(home)))

    @property
    def accepted(self) -> set[str]:
        rows = self.messages.filter(pc.equal(self.messages["state"], "accepted"))
        return set(rows["message_id"].to_pylist())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One week run, delivered and answered; the facts of the next lie in the inbox."""
    home = tmp_path_factory.mktemp("prepared") / "council"
    loop = settle(home, week=FIRST, households=HOUSEHOLDS, history=8)
    loop.begin()
    loop.run(FIRST)
    loop.live(WEEK)
    loop.ws.ledger.close()
    return home


@pytest.fixture(scope="module")
def reference(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    home = copied(prepared, tmp_path_factory.mktemp("reference"))
    with Run(home) as run:
        run.to_the_end()
    ended = Ended.of(home)
    assert ended.messages.filter(pc.equal(ended.messages["week_no"], WEEK.number)).num_rows > 100
    return ended


def copied(prepared: Path, folder: Path) -> Path:
    return Path(shutil.copytree(prepared, folder / "council"))


def lives_on(home: Path, reference: Ended) -> None:
    """Run again to the end: nothing lost, nothing twice, nothing different."""
    with Run(home) as run:
        run.to_the_end()
    ended = Ended.of(home)
    assert ended.assignments.equals(reference.assignments)
    assert ended.messages.equals(reference.messages)
    assert ended.audience.equals(reference.audience)
    assert set(ended.files.values()) == {1}
    assert set(ended.files) == ended.accepted
    assert set(ended.tries.values()) <= {1}


@pytest.mark.parametrize("step", [*STEPS, "deliver"])
def test_killed_in(step: str, prepared: Path, reference: Ended, tmp_path: Path) -> None:
    home = copied(prepared, tmp_path)
    delay = random.Random(step).uniform(0.01, LONGEST_DELAY)
    with Run(home) as run:
        for name in run.steps():
            if name == step:
                time.sleep(delay)
                run.kill()
                break
        else:
            pytest.fail(f"{step} never started")
    lives_on(home, reference)


def test_killed_again_and_again_while_sending(prepared: Path, reference: Ended, tmp_path: Path) -> None:
    home = copied(prepared, tmp_path)
    before, left_claimed = len(outbox(home)), 0
    for more in MID_DELIVERY:
        with Run(home) as run:
            until = time.monotonic() + 60
            while len(outbox(home)) < before + more and time.monotonic() < until:
                time.sleep(0.002)
            run.kill()
        assert before + more <= len(outbox(home)) < len(reference.accepted)
        left_claimed += claimed(home)
    assert left_claimed > 0  # the kill really came between claiming and recording
    lives_on(home, reference)
