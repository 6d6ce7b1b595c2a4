"""Turns every premises of a real city into one whole weekly run, with time and memory of each step.

python -m benchmarks.leeds        needs NUDGES_REAL_DATA, a folder with `leeds/` in it

The frame (premises, rounds, calendar) is real; lifts, tags and contacts are simulated on top. A child process loads the
frame, simulates 26 weeks and has the campaign choose once five weeks earlier, with households answering as if its texts
had gone out, so that the measured run learns from real rows; its time and memory are listed apart. Every household has
a fictional email and mobile, and nearly all are written to by both: the worst case.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.meter import Meter, Reading, highest_mib, machine, table
from nudges.demo.drops import drop_week
from nudges.domain import Summary
from nudges.sources.synthetic import Borough, Calibration
from nudges.starter import copy_starter
from nudges.steps.approve import approve_campaign
from nudges.steps.deliver import deliver
from nudges.steps.ingest import load_drops
from nudges.steps.weekly import STEPS, run_step
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

START = Week.parse("2025-W14")
HISTORY = 26
WEEK = START + HISTORY  # 2025-W40
BEFORE = WEEK - 5  # its four weeks of outcome are closed by WEEK
DELIVERED = 5_000
_TABLES = ("lifts", "tags", "loads")
_CAMPAIGN = f"""
title = "Everyone"
segments = ["everyone"]
unit = "household"
outcome = "residual_kg"
starts = "{BEFORE}"
weeks = 12
every_weeks = 1
estimator = "causal_stack"
budget_pence = 2000000000
stated_effect_share = -0.02
[shares]
control = 0.05
learn = 0.10
best = 0.85
[arms.street_norm]
template = "street_norm"
media = ["sms", "email"]
reach = "all"
[arms.collection_day]
template = "collection_day"
media = ["sms", "email"]
reach = "all"
"""
_SEGMENT = """-- title: Everyone
-- why: The worst case of a weekly run.
-- expect: 0.5 to 1
SELECT household_id FROM features
"""


def main() -> None:
    """Prepare in a child process, run the week, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which is kept")
    wanted = parser.parse_args()
    folder = _real_data()
    if wanted.prepare:
        prepare(wanted.prepare, folder)
        return
    with tempfile.TemporaryDirectory(prefix="nudges-leeds-") as temporary:
        home = wanted.keep or Path(temporary) / "leeds"
        prepared = _prepared(home)
        notes, readings = run(home)
    print(table("Before the week, in a process of its own (frame, simulator, first wave)", prepared, total=False))
    print("\n" + table(f"One week ({WEEK}) of all of Leeds, the engine's own steps", readings))
    print(f"\nHighest memory of the run's process: {highest_mib():,.0f} MiB. {machine()}\n")
    print("\n".join(f"- {note}" for note in notes))


def _real_data() -> Path:
    root = os.environ.get("NUDGES_REAL_DATA", "")
    folder = Path(root) / "leeds"
    if not root or not folder.is_dir():
        sys.stderr.write("skipped: NUDGES_REAL_DATA does not name a folder with leeds/ in it.\n")
        sys.exit(0)
    return folder


def _prepared(home: Path) -> list[Reading]:
    command = [sys.executable, "-m", "benchmarks.leeds", "--prepare", str(home)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [Reading(**reading) for reading in json.loads(done.stdout)]


def prepare(home: Path, folder: Path) -> None:
    """Make the workspace with frame, history and first wave; write readings as JSON to stdout."""
    meter = Meter()
    ws = _workspace(home)
    with meter.step("ingest the frame: premises and 13 weeks of jobs") as rows:
        drops = load_drops(ws, START, now=_monday(START), paths=[folder], as_of=START.monday)
        rows(sum(drop.accepted for drop in drops))
    with meter.step("simulate 21 weeks") as rows:
        borough = _borough(ws)
        rows(_live(ws, borough, START, BEFORE))
    with meter.step("ingest contacts and the calendar continued") as rows:
        drops = load_drops(ws, START, now=_monday(START))
        rows(sum(drop.accepted for drop in drops))
    for path in (ws.var / "inbox").iterdir():
        path.unlink()
    for step in ("features", "segments", "choose"):
        with meter.step(f"first wave, {BEFORE}: {step}") as rows:
            rows(_rows(run_step(ws, step, BEFORE, clock=lambda: _monday(BEFORE + 1))))
    with meter.step("simulate 5 weeks that answer to it, and the week itself") as rows:
        rows(_live(ws, borough, BEFORE + 1, WEEK - 1, _first_wave(ws)))
        borough.bad_rows = True
        drop_week(ws.var / "inbox", borough.week(WEEK), WEEK)
    ws.ledger.close()
    sys.stdout.write(json.dumps(meter.as_dicts()))


def run(home: Path) -> tuple[list[str], list[Reading]]:
    """The measured week: every step of the engine, then a bounded delivery in trial mode."""
    meter, notes, now = Meter(), [], _monday(WEEK + 1)
    ws = open_workspace(home, {})
    for step in STEPS:
        if step == "approve":
            approve_campaign(ws, "everyone", by="Benchmark", max_messages=10**7, max_pence=2 * 10**9, now=now)
        with meter.step(step) as rows:
            summary = run_step(ws, step, WEEK, clock=lambda: now)
            rows(_rows(summary))
        notes += [f"{step}: {summary.headline}", *(f"{step}: {note}" for note in summary.notes[:8])]
    with meter.step(f"deliver, at most {DELIVERED:,} to the outbox") as rows:
        summary = deliver(ws, WEEK, now=now + timedelta(hours=11.5), limit=DELIVERED)
        rows(_rows(summary))
    notes.append(f"deliver: {summary.headline}")
    return notes, meter.readings


def _workspace(home: Path) -> Workspace:
    copy_starter(home)
    for path in (home / "campaigns").glob("*.toml"):
        path.unlink()
    (home / "campaigns" / "everyone.toml").write_text(_CAMPAIGN, "utf-8")
    (home / "segments" / "everyone.sql").write_text(_SEGMENT, "utf-8")
    return open_workspace(home, {})


def _borough(ws: Workspace) -> Borough:
    """A borough on the real frame; its contacts and continued calendar lie in the inbox."""
    with ws.facts(START + 200) as connection:
        homes, calendar = (
            connection.execute(f"SELECT * EXCLUDE week_no FROM {name} ORDER BY ALL").to_arrow_table()
            for name in ("households", "calendar")
        )
    everyone = dataclasses.replace(Calibration(), email_share=1.0, mobile_share=1.0)
    borough = Borough.make(
        seed=1, start=START, weeks=HISTORY + 1, frame=(homes, calendar), plan=everyone, bad_rows=False
    )
    for name in ("contacts", "calendar"):
        pq.write_table(borough.register()[name], ws.var / "inbox" / f"{name}.parquet")
    return borough


def _live(ws: Workspace, borough: Borough, first: Week, last: Week, exposures: pa.Table | None = None) -> int:
    """Simulate weeks straight into the warehouse; returns the rows written."""
    count = 0
    for week in (Week(number) for number in range(first.number, last.number + 1)):
        facts = borough.week(week, exposures)
        for name in _TABLES:
            rows = getattr(facts, name)
            written = ws.warehouse.write(name, week, rows, "history")
            ws.ledger.register_drop(_drop_row(name, week, rows.num_rows), [written], [])
            count += rows.num_rows
    return count


def _first_wave(ws: Workspace) -> pa.Table:
    """Everyone assigned to an arm gets its text: sent by nobody, so that the benchmark need not send it."""
    rows = ws.ledger.select("SELECT household_id, arm AS template FROM assignments WHERE arm <> 'control'")
    rows = rows.append_column("medium", pa.repeat(pa.scalar("sms"), rows.num_rows))
    return rows.append_column("week_no", pa.repeat(pa.scalar((BEFORE + 1).number), rows.num_rows))


def _drop_row(name: str, week: Week, rows: int) -> dict[str, object]:
    return {
        "drop_id": f"history-{name}-{week}",
        "table_name": name,
        "file_name": f"{name}_{week}",
        "accepted": rows,
        "replaced": 0,
        "quarantined": 0,
        "loaded_at": _monday(week + 1),
    }


def _rows(summary: Summary) -> int:
    return max(summary.counts.values(), default=0)


def _monday(week: Week) -> datetime:
    return datetime.combine(week.monday, datetime.min.time(), UTC) + timedelta(hours=6)


if __name__ == "__main__":
    main()
