"""The whole loop on a small borough: facts in, messages out, answers back, and an honest line at the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from nudges.demo import DemoResult, run_demo
from nudges.demo.headline import Headline
from nudges.demo.run import history_of
from nudges.errors import ConfigError
from nudges.steps.workspace import Workspace, open_workspace

HOMES, WEEKS = 700, 16


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    home = tmp_path_factory.mktemp("demo") / "borough"
    return run_demo(home, households=HOMES, weeks=WEEKS, seed=2, environment={})


@pytest.fixture(scope="module")
def ws(demo: DemoResult) -> Workspace:
    return open_workspace(demo.home, {})


def count(ws: Workspace, query: str) -> int:
    return int(ws.ledger.select(query).column(0)[0].as_py())


def test_it_ends_with_a_page_three_messages_and_a_headline(demo: DemoResult) -> None:
    assert demo.impact_page.suffix == ".html"
    assert demo.impact_page.stat().st_size > 1_000
    assert len(demo.samples) == 3
    assert {path.suffix for path in demo.samples} == {".eml", ".json"}
    assert demo.messages > 0
    assert demo.events > demo.messages  # most are delivered, some opened
    assert any(headline.truth is not None for headline in demo.headlines)
    assert "planted" in "\n".join(demo.lines)


def test_real_files_of_three_kinds_lie_in_the_inbox_and_bad_rows_in_quarantine(ws: Workspace) -> None:
    inbox = ws.var / "inbox"
    assert {path.suffix for path in inbox.iterdir() if path.is_file()} >= {".csv", ".xlsx", ".parquet"}
    assert count(ws, "SELECT sum(quarantined) FROM drops") >= 6 * WEEKS


def test_every_message_was_approved_and_none_was_sent_twice(ws: Workspace) -> None:
    assert count(ws, "SELECT count(*) FROM approvals WHERE approved_by = 'Demo approver'") == len(ws.campaigns)
    assert count(ws, "SELECT count(*) FROM messages WHERE state = 'in_doubt'") == 0
    accepted = count(ws, "SELECT count(*) FROM messages WHERE state = 'accepted'")
    files = [path for path in (ws.var / "outbox").rglob("*") if path.suffix in {".eml", ".json"}]
    assert len(files) == accepted == len({path.name for path in files})


def test_messages_leave_in_waking_hours_of_london(ws: Workspace) -> None:
    times = ws.ledger.select("SELECT due_at FROM messages").column(0).to_pylist()
    hours = {(value if isinstance(value, datetime) else datetime.fromisoformat(value)).hour for value in times}
    assert hours
    assert hours <= set(range(7, 20))  # 08:00 to 20:00 local is 07 to 20 UTC over the year


def test_people_who_said_stop_get_no_more(ws: Workspace) -> None:
    late = """
        SELECT count(*) FROM messages m JOIN events e ON e.kind = 'unsubscribed'
        JOIN messages o ON o.message_id = e.message_id
        WHERE m.household_id = o.household_id AND m.medium = o.medium
        AND m.state = 'accepted' AND m.week_no > o.week_no + 1
    """
    assert count(ws, "SELECT count(*) FROM events WHERE kind = 'unsubscribed'") > 0
    assert count(ws, late) == 0


def test_the_council_is_still_on_trial_and_nothing_left_the_building(ws: Workspace) -> None:
    assert not ws.council.live
    assert set(ws.council.channels.values()) == {"outbox"}


def test_a_demo_replaces_an_earlier_demo_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no demo"):
        run_demo(tmp_path, households=HOMES, weeks=WEEKS)
    assert (tmp_path / "precious.txt").exists()


def test_a_failed_check_is_said_in_place_of_the_effect() -> None:
    measured = Headline("less_rubbish", "effect shown", -0.2, -0.3, -0.1, 8.0, -0.21)
    assert "-0.200" in measured.words
    failed = replace(measured, verdict="invalid", alarms=("Sample ratio at 'assigned': not as drawn.",))
    assert failed.words == "less_rubbish: INVALID. Sample ratio at 'assigned': not as drawn."


def test_history_is_half_a_year_where_there_is_room() -> None:
    assert [history_of(weeks) for weeks in (40, 32, 16, 8)] == [26, 26, 10, 4]
    with pytest.raises(ConfigError, match="at least 8"):
        history_of(7)
