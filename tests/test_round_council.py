"""A council that weighs lorries and no bins: from drops of households, calendar, contacts and tickets to the page."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from round_council import TicketLoop, settle

from nudges.demo.headline import headlines
from nudges.domain import Summary, Unit, Verdict
from nudges.draws import RoundDraw
from nudges.measuring import Measured
from nudges.measuring.round_contrasts import WITH_MESSAGES
from nudges.steps.measure import measure
from nudges.steps.report import newest
from nudges.steps.why import why
from nudges.steps.workspace import Workspace

HISTORY, WEEKS = 16, 8


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> TicketLoop:
    home = tmp_path_factory.mktemp("council") / "tickets"
    played = settle(home, households=1_500, history=HISTORY, weeks=WEEKS, joined=0.15, blank=0.1, lost=0.03)
    played.play()
    return played


@pytest.fixture(scope="module")
def ws(loop: TicketLoop) -> Workspace:
    return loop.ws


@pytest.fixture(scope="module")
def measured(loop: TicketLoop) -> Measured:
    found = newest(loop.ws, loop.ws.campaign("right_day"), loop.last)
    assert found is not None
    return found


def rows(ws: Workspace, sql: str) -> list[dict[str, object]]:
    return list(ws.ledger.select(sql).to_pylist())


def rounds(ws: Workspace) -> RoundDraw:
    return RoundDraw.from_json(str(rows(ws, "SELECT rounds FROM choices ORDER BY week_no")[0]["rounds"]))


def test_no_bin_was_ever_weighed_or_counted(loop: TicketLoop, ws: Workspace) -> None:
    with ws.facts(loop.last) as facts:
        counts = {
            name: facts.execute(f"SELECT COUNT(*) FROM {name}").fetchall()[0][0] for name in ("lifts", "tags", "loads")
        }
    assert counts["lifts"] == counts["tags"] == 0
    assert counts["loads"] > 300


def test_every_step_of_every_week_was_done(ws: Workspace) -> None:
    assert {row["state"] for row in rows(ws, "SELECT DISTINCT state FROM runs")} == {"done"}
    learned = rows(ws, "SELECT summary FROM runs WHERE step = 'learn' ORDER BY started_at")
    summaries = [Summary(**json.loads(str(row["summary"]))) for row in learned]
    assert "nothing to learn from" in summaries[0].notes[0]


def test_the_same_rounds_are_drawn_in_every_week(ws: Workspace) -> None:
    found = rows(ws, "SELECT week_no, rounds, control_share FROM choices")
    assert len(found) == WEEKS
    assert len({row["rounds"] for row in found}) == 1
    assert {row["control_share"] for row in found} == {0.5}


def test_nobody_on_a_control_round_was_written_to(loop: TicketLoop, ws: Workspace) -> None:
    written = {row["household_id"] for row in rows(ws, "SELECT DISTINCT household_id FROM messages")}
    with ws.facts(loop.last) as facts:
        on = dict(facts.execute("SELECT household_id, residual_round_id FROM households").fetchall())
    assert {on[home] for home in written} == set(rounds(ws).treated)


def test_the_interval_holds_what_was_planted(loop: TicketLoop, ws: Workspace, measured: Measured) -> None:
    (said,) = headlines(ws, loop.borough.truth, loop.last - 1)
    head = measured.headline
    assert said.truth is not None
    assert said.truth < -0.4
    assert said.covers
    assert (head.unit, head.verdict) == (Unit.ROUND, Verdict.SHOWN)
    assert (head.effect.n_units_treated, head.effect.n_units_control) == (5, 5)
    assert head.randomisation is not None
    assert head.randomisation.n_assignments == 252


def test_tickets_of_several_rounds_are_shown(measured: Measured) -> None:
    shared = measured.headline.shared
    assert shared is not None
    assert 0.15 < shared.grams_share < 0.4
    assert "shared out by the households on each" in shared.rule
    assert "between rounds with messages and rounds without" in shared.rule


def test_households_cost_and_tonnes(ws: Workspace, measured: Measured) -> None:
    head, money = measured.headline, measured.money
    control, campaign = head.flows
    assert (control.arm, campaign.arm) == ("control", WITH_MESSAGES)
    assert control.weighed + campaign.weighed == 1_500
    assert control.accepted == 0
    assert campaign.contactable > campaign.accepted > campaign.delivered > 0
    sent = rows(ws, "SELECT COUNT(*) AS n, SUM(cost_pence) AS pence FROM messages WHERE state = 'accepted'")[0]
    assert (head.messages, head.cost_pence) == (sent["n"], pytest.approx(sent["pence"]))
    assert money is not None
    assert money.residual_tonnes.value == pytest.approx(
        -head.effect.estimate * campaign.weighed * WEEKS / 1000, rel=1e-12
    )


def test_measuring_again_changes_nothing(loop: TicketLoop, ws: Workspace, measured: Measured) -> None:
    measure(ws, loop.last, now=datetime(2027, 1, 4, 6, tzinfo=UTC))
    assert newest(ws, ws.campaign("right_day"), loop.last) == measured


def test_the_page_is_written_and_speaks_of_rounds(loop: TicketLoop, ws: Workspace) -> None:
    page = ws.var / "reports" / "right_day" / f"{loop.last}.html"
    text = page.read_text("utf-8")
    assert "Among the rounds chosen by lot to get messages" in text
    found = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert found["verdict"] == "effect shown"
    assert found["effect"]["ci_high"] < 0


def test_why_tells_the_round_and_its_outcome(loop: TicketLoop, ws: Workspace) -> None:
    trail = why(ws, "H000003", loop.last)
    (outcome,) = trail.outcomes
    assert outcome["outcome"] == f"residual_kg of round {trail.features['residual_round_id']}"
    assert 4 < outcome["before"] < 12
    assert 4 < outcome["since"] < 12
