"""Every verb as people and programs use it: words or JSON, an exit code by kind of error, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nudges.cli import app, main
from nudges.steps.weekly import STEPS
from nudges.steps.workspace import open_workspace
from nudges.weeks import Week

VERBS = {
    "demo", "init", "ingest", "segments", "plan", "power", "preview", "card", "check", "approve",
    "run", "deliver", "stop", "resume", "report", "why", "serve",
}  # fmt: skip


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Nudges = Callable[..., Said]


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nudges:
    def run(home: Path, *words: str) -> Said:
        monkeypatch.setenv("NUDGES_HOME", str(home))
        monkeypatch.delenv("NUDGES_LEDGER_URL", raising=False)
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def town(lived_council: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that this file may change."""
    return Path(shutil.copytree(lived_council, tmp_path_factory.mktemp("cli") / "council"))


@pytest.fixture(scope="module")
def week(town: Path) -> Week:
    """The last week run."""
    ws = open_workspace(town, {})
    newest = ws.ledger.select("SELECT MAX(week_no) AS week_no FROM assignments")["week_no"][0].as_py()
    ws.ledger.close()
    return Week(newest)


def test_every_verb_is_there_with_help_and_json(nudges: Nudges, tmp_path: Path) -> None:
    import typer

    commands: Any = typer.main.get_command(app)
    assert set(commands.commands) == VERBS
    for verb in VERBS:
        said = nudges(tmp_path, verb, "--help")
        assert said.code == 0
        assert "--json" in said.out


def test_segments(nudges: Nudges, town: Path, week: Week) -> None:
    said = nudges(town, "segments")
    assert f"Segments at the end of {week}" in said.out  # the newest week that has facts
    assert "Houses with their own bins" in said.out
    listed = nudges(town, "segments", "--json").json
    assert len(listed) >= 8
    assert {"id", "title", "count", "share", "change_since_last_week", "overlap", "is_outside"} <= set(listed[0])


def test_plan_prints_waterfall_cost_and_words(nudges: Nudges, town: Path, week: Week) -> None:
    said = nudges(town, "plan", "less_rubbish", "--week", str(week))
    assert said.code == 0, said.err
    assert "Turn 2 of 12, to " in said.out  # a demo council writes every week
    assert "every message equally often" in said.out
    for words in ("in segment", "contactable", "less holdout", "less control", "to send", "£", "fragments", "Stop: "):
        assert words in said.out
    assert "Smallest effect it could detect" in said.out
    assert said.out.count("to household ") == 5
    plan = nudges(town, "plan", "less_rubbish", "--week", str(week), "--json").json
    assert plan["waterfall"][0]["label"] == "in segment"
    assert sum(cost["messages"] for cost in plan["media"]) == plan["to_send"]


def test_plan_shows_no_contacts(nudges: Nudges, town: Path, week: Week) -> None:
    ws = open_workspace(town, {})
    with ws.facts(week) as facts:
        addresses = [row[0] for row in facts.execute("SELECT DISTINCT address FROM contacts").fetchall()]
    ws.ledger.close()
    said = nudges(town, "plan", "less_rubbish", "--week", str(week)).out
    assert addresses
    assert not [address for address in addresses if address in said]


def test_preview_of_a_template_joins_those_who_read_the_same(nudges: Nudges, town: Path) -> None:
    said = nudges(town, "preview", "tag_feedback")
    assert "for: House, first name known" in said.out
    assert "· cy ·" in said.out
    assert "No message: " in said.out  # the household of which nothing is known
    samples = nudges(town, "preview", "tag_feedback", "--json").json
    assert {sample["medium"] for sample in samples} == {"sms", "email"}
    words = [(sample["medium"], sample["language"], sample["subject"], sample["text"]) for sample in samples]
    assert len(words) == len(set(words))


def test_preview_of_a_campaign_shows_real_households(nudges: Nudges, town: Path, week: Week) -> None:
    samples = nudges(town, "preview", "less_rubbish", "--week", str(week), "--json").json
    assert samples
    assert all(sample["who"].startswith("household ") for sample in samples)
    assert all("lane of turn 2, chance of this arm 0." in sample["who"] for sample in samples)


def test_card_says_what_was_learned_and_why(nudges: Nudges, town: Path, week: Week, tmp_path: Path) -> None:
    said = nudges(town, "card", "less_rubbish", "--week", str(week))
    assert said.code == 0, said.err
    assert "# Model card: Less in the rubbish bin" in said.out
    assert "Cold start" in said.out
    card = nudges(town, "card", "less_rubbish", "--week", str(week), "--json").json
    assert (card["campaign"], card["policy"]) == ("less_rubbish", "uniform")
    page = tmp_path / "card.html"
    assert str(page) in nudges(town, "card", "less_rubbish", "--week", str(week), "--html", str(page)).out
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    missing = nudges(town, "card", "less_rubbish", "--week", "2020-W01")
    assert (missing.code, "no model card up to 2020-W01" in missing.err) == (5, True)


def test_check(nudges: Nudges, town: Path) -> None:
    said = nudges(town, "check")
    assert (said.code, "all good" in said.out) == (0, True)
    assert nudges(town, "check", "--json").json["problems"] == []


def test_a_dry_run_chooses_nothing(nudges: Nudges, town: Path, week: Week) -> None:
    steps = nudges(town, "run", "--dry-run", "--week", str(week), "--json").json
    assert [step["step"] for step in steps] == ["ingest", "responses", "features", "segments", "plan"]


def test_a_run_again_adds_nothing(nudges: Nudges, town: Path, week: Week) -> None:
    def rows() -> list[int]:
        ws = open_workspace(town, {})
        counts = [
            ws.ledger.select(f"SELECT COUNT(*) FROM {name}")[0][0].as_py() for name in ("assignments", "messages")
        ]
        ws.ledger.close()
        return counts

    before = rows()
    said = nudges(town, "run", "--week", str(week))
    assert said.code == 0, said.err
    assert [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")] == list(STEPS)
    assert rows() == before


def test_approve_stop_deliver_resume(nudges: Nudges, town: Path, week: Week) -> None:
    approval = nudges(town, "approve", "less_rubbish", "--by", "Ann", "--week", str(week), "--json").json
    assert (approval["campaign"], approval["approved_by"], approval["max_pence"]) == ("less_rubbish", "Ann", 200_000)
    assert "voids this approval" in nudges(town, "approve", "less_rubbish", "--by", "Ann", "--max-messages", "9").out
    stopped = nudges(town, "stop", "--by", "Ann", "--reason", "a wrong date", "--json").json
    assert (stopped["scope"], stopped["stopped"]) == ("all", True)
    assert "Everything is stopped" in nudges(town, "deliver").out
    assert nudges(town, "resume").out.startswith("Resumed: all.")
    assert [step["step"] for step in nudges(town, "deliver", "--json").json] == ["responses", "deliver"]


def test_report(nudges: Nudges, town: Path, week: Week) -> None:
    measured, report = nudges(town, "report", "--json").json
    assert measured["counts"]["campaigns_measured"] >= 1
    page = town / report["facts"]["less_rubbish page"]
    assert page.stem == str(week)
    assert page.exists()
    card = town / report["facts"]["less_rubbish model card"]
    assert card.name.endswith("-card.html")
    assert "Model card" in card.read_text("utf-8")


def test_why_tells_the_whole_trail(nudges: Nudges, town: Path) -> None:
    ws = open_workspace(town, {})
    household = ws.ledger.select("SELECT MIN(household_id) AS h FROM messages WHERE state = 'accepted'")["h"][0].as_py()
    ws.ledger.close()
    said = nudges(town, "why", household).out
    for title in ("Holdout draw", "Segments:", "Features", "Decisions", "Draws", "Messages", "Events", "Outcomes"):
        assert title in said
    trail = nudges(town, "why", household, "--json").json
    drawn = trail["assignments"][0]
    assert (drawn["turn"], drawn["drawn_since"]) == (1, drawn["week"])
    assert drawn["policy"].startswith("every message equally often")
    assert trail["messages"][0]["state"] == "accepted"
    assert trail["outcomes"][0]["campaign"]


def test_ingest_says_what_became_of_each_file(nudges: Nudges, town: Path, tmp_path: Path) -> None:
    good = tmp_path / "tags_2026-W48.csv"
    good.write_text(
        "unit_id,tagged_on,stream,reason,colour\nH000001,2026-01-05,recycling,food,red\n,2026-01-05,recycling,food,red\n"
    )
    said = nudges(town, "ingest", str(good), str(tmp_path / "nowhere.csv"))
    assert said.code == 4
    assert "1 rows in quarantine: unit_id: missing" in said.out
    assert "columns that nothing reads: colour" in said.out
    assert said.err.count("\n") == 1
    assert "nowhere.csv" in said.err
    again = nudges(town, "ingest", str(good))
    assert (again.code, again.out) == (0, "1 file seen before: nothing changed.\n")
    [drop] = nudges(town, "ingest", str(good), "--json").json
    assert drop["is_repeat"]


def test_init_makes_a_workspace_that_checks(nudges: Nudges, tmp_path: Path) -> None:
    home = tmp_path / "mine"
    assert "council.toml" in nudges(tmp_path, "init", str(home)).out
    assert nudges(home, "check").code == 0
    said = nudges(tmp_path, "init", str(home))
    assert (said.code, said.err.count("\n")) == (3, 1)


def test_demo_takes_a_size(nudges: Nudges, tmp_path: Path) -> None:
    said = nudges(tmp_path, "demo", "--households", "3")
    assert said.code == 2
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["frobnicate"], 2, "No such command"),
        (["plan"], 2, "Missing argument"),
        (["plan", "nope"], 3, "campaign == 'nope'"),
        (["preview", "nope"], 3, "must be a template or a campaign"),
        (["run", "--week", "soon"], 3, "must be an ISO week"),
        (["run", "--step", "dance"], 3, "must be one of: ingest"),
        (["stop", "nope"], 3, "campaign == 'nope'"),
        (["why", "nobody"], 3, "is not in the register"),
        (["ingest", "--as-of", "soon"], 3, "must be a day"),
        (["approve", "less_rubbish", "--by", " "], 6, "somebody must answer"),
        (["plan", "less_rubbish", "--week", "2020-W01"], 5, "no features"),
    ],
)
def test_errors_have_a_code_and_no_traceback(
    nudges: Nudges, town: Path, words: list[str], code: int, says: str
) -> None:
    said = nudges(town, *words)
    assert said.code == code
    assert says in said.err
    assert "Traceback" not in said.err
    if code > 2:
        assert said.err.count("\n") == 1
        assert json.loads(nudges(town, *words, "--json").err)["exit_code"] == code


def test_no_workspace_here(nudges: Nudges, tmp_path: Path) -> None:
    said = nudges(tmp_path, "segments")
    assert said.code == 3
    assert "council.toml" in said.err


def test_called_as_a_script_it_ends_with_the_code(tmp_path: Path) -> None:
    script = "from nudges.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--home", str(tmp_path), "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "council.toml" in done.stdout + done.stderr
