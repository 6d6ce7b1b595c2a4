"""Flows without a server: forms, guards, state names, and deployments that fit the flows they start."""

from __future__ import annotations

import importlib
import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Pending, Running
from pydantic import ValidationError

from flows import running
from flows.forms import BackfillForm, DeliverForm, WeeklyForm, london_moment, week_of
from flows.running import finished, guard_late, markdown, publish_cards
from flows.sweeper import dead_runs
from nudges.domain import Summary
from nudges.errors import ConfigError, LateRunError
from nudges.steps.workspace import open_workspace
from nudges.weeks import Week

REPO = Path(__file__).parent.parent
DEPLOYMENTS = {each["name"]: each for each in yaml.safe_load((REPO / "prefect.yaml").read_text())["deployments"]}
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


# --- prefect.yaml ------------------------------------------------------------------------------


def test_the_deployments_are_those_promised() -> None:
    assert set(DEPLOYMENTS) == {"weekly", "on-request", "deliver", "backfill", "sweeper"}


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_parameters_fit_the_flow(name: str) -> None:
    flow = flow_of(DEPLOYMENTS[name])
    given = DEPLOYMENTS[name].get("parameters", {})
    assert set(given) <= set(inspect.signature(flow.fn).parameters)
    if given:
        form = flow.validate_parameters(given)["form"]
        assert form.model_dump() == given["form"]  # every field is written down, so the page shows it


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_schedules_are_in_london_with_a_slug_and_without_active(name: str) -> None:
    for schedule in DEPLOYMENTS[name].get("schedules", []):
        assert schedule["timezone"] == "Europe/London"
        assert schedule["slug"]
        assert "active" not in schedule


def test_on_request_is_the_weekly_flow_dry_and_without_schedules_of_its_own() -> None:
    weekly, mine = DEPLOYMENTS["weekly"], DEPLOYMENTS["on-request"]
    assert mine["entrypoint"] == weekly["entrypoint"]
    assert "schedules" not in mine
    assert mine["parameters"]["form"]["dry_run"] is True
    assert weekly["parameters"]["form"]["dry_run"] is False


def test_one_weekly_run_at_a_time() -> None:
    assert DEPLOYMENTS["weekly"]["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert {DEPLOYMENTS[name]["work_pool"]["work_queue_name"] for name in ("weekly", "on-request", "backfill")} == {
        "weekly"
    }


def test_nothing_that_sends_is_tried_again_by_prefect() -> None:
    for name in DEPLOYMENTS:
        assert flow_of(DEPLOYMENTS[name]).retries == 0


# --- forms -------------------------------------------------------------------------------------


def test_the_form_is_one_a_waste_team_can_fill_in() -> None:
    schema = flow_of(DEPLOYMENTS["weekly"]).parameters.model_dump()
    fields = schema["definitions"]["WeeklyForm"]["properties"]
    assert fields["campaign"]["enum"][0] == "all"
    for name, field in fields.items():
        assert field["title"], name
        assert field["description"], name
        assert "default" in field, name


def test_forms_start_safe() -> None:
    assert WeeklyForm().dry_run
    assert WeeklyForm().campaigns() is None
    assert WeeklyForm(campaign="less_rubbish").campaigns() == ["less_rubbish"]
    assert not DeliverForm().even_if_late


@pytest.mark.parametrize(
    "wrong", [{"week": "soon"}, {"send_from": "tomorrow"}, {"surprise": 1}, {"dry_run": "perhaps"}], ids=str
)
def test_forms_refuse_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WeeklyForm.model_validate(wrong)


def test_backfill_needs_weeks() -> None:
    with pytest.raises(ValidationError):
        BackfillForm.model_validate({"first_week": "2026-W20"})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30 18:00", datetime(2026, 11, 30, 18, tzinfo=UTC)),  # winter: London is UTC
        ("2026-06-30 18:00", datetime(2026, 6, 30, 17, tzinfo=UTC)),  # summer: an hour ahead
    ],
)
def test_send_from_is_london_time(text: str, moment: datetime) -> None:
    assert london_moment(text) == moment
    assert WeeklyForm(send_from=text).not_before() == moment


def test_send_from_that_is_no_date() -> None:
    with pytest.raises(ConfigError, match="Write 2026-11-30 18:00"):
        WeeklyForm(send_from="2026-02-30 18:00").not_before()


def test_the_week_is_the_last_whole_one_in_london() -> None:
    assert str(week_of("", NOW)) == "2026-W47"
    assert str(week_of("", datetime(2026, 6, 14, 23, 30, tzinfo=UTC))) == "2026-W24"  # Monday 00:30 in London
    assert str(week_of("2026-W10", NOW)) == "2026-W10"


# --- late runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "asks"), [(0, False), (179, False), (180, False), (181, True), (2000, True)])
def test_a_late_run_asks(monkeypatch: pytest.MonkeyPatch, minutes: int, asks: bool) -> None:
    council: Any = SimpleNamespace(late_after_minutes=180)
    monkeypatch.setattr(running, "clock", lambda: NOW)
    monkeypatch.setattr(running, "scheduled_at", lambda: NOW - timedelta(minutes=minutes))
    if asks:
        with pytest.raises(LateRunError, match=f"starts {minutes} minutes late.*Nothing was done"):
            guard_late(council, even_if_late=False)
    guard_late(council, even_if_late=asks)


def test_a_run_started_by_hand_is_never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    council: Any = SimpleNamespace(late_after_minutes=0)
    monkeypatch.setattr(running, "scheduled_at", lambda: None)
    guard_late(council, even_if_late=False)


# --- states and artifacts ----------------------------------------------------------------------


def summary(step: str, *, notes: tuple[str, ...] = (), warnings: tuple[str, ...] = ()) -> Summary:
    return Summary(step, "2026-W47", f"{step} done", {"rows_read": 3}, {"pence": 2.5}, notes, warnings)


def test_notes_alone_do_not_degrade_a_run() -> None:
    state = finished([summary("choose", notes=("policy uniform",)), summary("report")])
    assert (state.name, state.message) == ("Completed", "report done")


def test_a_warning_degrades_it_and_leaves_room_for_other_steps() -> None:
    state = finished(
        [summary("ingest", warnings=("bad " * 400, "worse")), summary("approve", warnings=("nobody said yes",))]
    )
    assert state.type is StateType.COMPLETED
    assert state.name == "Degraded"
    assert "(and 1 more) | approve: nobody said yes" in (state.message or "")
    assert len(state.message or "") < 1000


def test_a_step_as_markdown() -> None:
    text = markdown(summary("choose", notes=("policy uniform",), warnings=("look here",)))
    assert "## choose, 2026-W47" in text
    assert "| rows read | 3 |" in text
    assert "- policy uniform" in text
    assert "- **Look:** look here" in text


# --- sweeper -----------------------------------------------------------------------------------


def run(state: Any, *, minutes: float | None) -> FlowRun:
    start = None if minutes is None else NOW - timedelta(minutes=minutes)
    return FlowRun.model_validate({"id": uuid4(), "flow_id": uuid4(), "state": state, "start_time": start})


def swept(run: FlowRun, alive: set[UUID] | None = None) -> bool:
    return dead_runs([run], alive or set(), now=NOW, silence=timedelta(minutes=3)) == [run]


def test_silent_runs_are_dead() -> None:
    assert swept(run(Running(), minutes=10))


def test_a_heartbeat_keeps_a_run() -> None:
    beating = run(Running(), minutes=10)
    assert not swept(beating, {beating.id})


def test_a_run_that_has_only_begun_is_left() -> None:
    assert not swept(run(Running(), minutes=1))


def test_a_run_that_a_worker_took_and_never_began() -> None:
    assert swept(run(Pending(timestamp=NOW - timedelta(minutes=10)), minutes=None))
    assert not swept(run(Pending(timestamp=NOW - timedelta(minutes=1)), minutes=None))


# --- model cards -------------------------------------------------------------------------------


def test_the_model_card_becomes_an_artifact_under_its_own_key(
    lived_council: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, str]] = []
    monkeypatch.setattr(running, "create_markdown_artifact", lambda **given: made.append(given))
    ws = open_workspace(lived_council, {})
    newest = ws.ledger.select("SELECT MAX(week_no) AS week_no FROM cards")["week_no"][0].as_py()
    publish_cards(ws, Week(newest), ["less_rubbish"])
    publish_cards(ws, Week(newest) - 40, None)  # nothing runs, nothing is published
    ws.ledger.close()
    assert [each["key"] for each in made] == ["nudges-card-less-rubbish"]
    assert "# Model card: Less in the rubbish bin" in made[0]["markdown"]
    assert made[0]["description"]
