"""Power from a council's own past: on towns with known spreads, on lorries alone, and who is refused because of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from round_council import settle as ticket_council
from small_town import CAMPAIGN, NOW, WEEK, homes, settle, weigh, workspace

from nudges.cli import main
from nudges.errors import PowerError, UnsupportedError
from nudges.steps.plan import plan, plan_all, require_sight
from nudges.steps.power import outlook

N, STANDING, NOISE, KG = 3_000, 3.0, 1.5, 12.0
BOUNDARY = 2.03  # of the last of 12 weekly looks, give or take 0.02
BLIND = replace(CAMPAIGN, stated_effect_share=-0.0001)
SEEN = replace(CAMPAIGN, stated_effect_share=-0.2)


def town(home, campaign=CAMPAIGN, *, weeks=40):
    """Homes that differ by sd 3 kg for good and by 1.5 kg from week to week, none of them in a store."""
    ws = workspace(home, campaign)
    columns = homes(N)
    settle(ws, WEEK, columns)
    rng = np.random.default_rng(7)
    level = rng.normal(KG, STANDING, N)
    if weeks:
        past = [WEEK + offset for offset in range(1 - weeks, 1)]
        weigh(ws, columns, past, lambda units, week: level + rng.normal(0, NOISE, len(units)))
    return ws


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    ws = town(tmp_path_factory.mktemp("known"))
    yield ws
    ws.ledger.close()


def test_the_closed_form_is_that_of_the_planted_spreads(known):
    """V = 9 + 1.5^2 / 12, of which 26 weeks before explain 81 / (V (9 + 1.5^2 / 26)); (2.03 + 0.84) standard errors."""
    found = outlook(known, "less_rubbish", WEEK, runs=0)
    seen = found.power
    variance = STANDING**2 + NOISE**2 / 12
    explained = STANDING**4 / (variance * (STANDING**2 + NOISE**2 / 26))
    units = 1 / seen.trial.n_treated + 1 / seen.trial.n_control
    expected = (BOUNDARY + 0.842) * np.sqrt(variance * (1 - explained) * units)
    assert seen.detectable == pytest.approx(expected, rel=0.1)  # the town is one draw of 3,000 homes, truncated at 0
    assert seen.boundary == pytest.approx(BOUNDARY, abs=0.03)
    assert seen.variation.icc == pytest.approx(STANDING**2 / (STANDING**2 + NOISE**2), rel=0.03)
    assert seen.variation.read_share == 1
    assert found.noun == "households"
    assert found.words.startswith(f"With these {seen.trial.units:,} households and 12 weeks you can see a fall of ")
    assert found.simulated is None
    assert found.reach.delivered_share is None


def test_the_plan_says_the_same(known):
    found, planned = outlook(known, "less_rubbish", WEEK, runs=0), plan(known, "less_rubbish", WEEK, now=NOW, show=0)
    assert planned.detectable.effect == found.power.detectable
    assert (planned.detectable.n_treated, planned.detectable.n_control) == (
        found.power.trial.n_treated,
        found.power.trial.n_control,
    )
    assert planned.detectable.advice == found.words


def test_imaginary_campaigns_see_it_as_often_as_the_formula_says(known):
    exact = outlook(known, "less_rubbish", WEEK, runs=0).power.detectable_share
    found = outlook(known, "less_rubbish", WEEK, stated_share=-exact, runs=300)
    assert found.power.chance == pytest.approx(0.8, abs=0.01)
    assert found.simulated.chance == pytest.approx(0.8, abs=3 * found.simulated.chance_error)
    assert found.simulated_pre_weeks == 20  # of 40 weeks, less 8 that a segment may go by and 12 of the campaign
    assert found.note == ""


def test_what_if_it_ran_longer(known):
    short, long = (outlook(known, "less_rubbish", WEEK, weeks=weeks, runs=1) for weeks in (4, 38))
    assert long.power.detectable < short.power.detectable
    assert "38 weeks" in long.words
    assert long.simulated is None
    assert "42 or more" in long.note


def test_a_week_of_the_campaign_itself_is_not_its_past(known):
    """Looked at later, the campaign is judged by what was before it."""
    later = WEEK + 3
    settle(known, later, homes(N))
    assert outlook(known, "less_rubbish", later, runs=0).power.variation == (
        outlook(known, "less_rubbish", WEEK, runs=0).power.variation
    )


def test_without_a_past_nothing_is_said_and_nothing_refused(tmp_path):
    ws = town(tmp_path, BLIND, weeks=0)
    with pytest.raises(UnsupportedError, match="Load more weeks"):
        outlook(ws, "less_rubbish", WEEK)
    planned = plan(ws, "less_rubbish", WEEK, now=NOW, show=0)
    assert planned.detectable is None
    require_sight(ws, planned)
    ws.ledger.close()


def test_nothing_but_zero_is_no_past(tmp_path):
    ws = workspace(tmp_path)
    columns = homes(200)
    settle(ws, WEEK, columns)
    weigh(ws, columns, [WEEK + offset for offset in range(-9, 1)], lambda units, week: np.zeros(len(units)))
    with pytest.raises(UnsupportedError, match="nothing to change a share of"):
        outlook(ws, "less_rubbish", WEEK)
    ws.ledger.close()


def test_a_blind_campaign_is_refused_until_somebody_approves_it(tmp_path):
    ws = town(tmp_path, BLIND)
    planned = plan(ws, "less_rubbish", WEEK, now=NOW, show=0)
    with pytest.raises(PowerError, match=r"0\.01 % fall needs .* add --force"):
        require_sight(ws, planned)
    summary = plan_all(ws, WEEK, now=NOW)  # the weekly run only warns
    assert "0.01 % fall needs" in summary.warnings[0]
    assert not summary.notes
    ws.ledger.approve("less_rubbish", "print", 1, 1, "A. Officer", "", now=NOW)
    require_sight(ws, planned)
    ws.ledger.close()


def test_a_campaign_that_sees_its_effect_goes_on(tmp_path):
    ws = town(tmp_path, SEEN)
    require_sight(ws, plan(ws, "less_rubbish", WEEK, now=NOW, show=0))
    summary = plan_all(ws, WEEK, now=NOW)
    assert "enough for the 20 % fall" in summary.notes[0]
    assert not summary.warnings
    ws.ledger.close()


@pytest.fixture
def typed(monkeypatch, capsys):
    """Type words at a workspace; the plan's words need no templates."""

    def run(ws, *words):
        monkeypatch.setattr("nudges.cli.campaigns.workspace", lambda: ws)
        monkeypatch.setattr("nudges.steps.plan.drafts", lambda *args, **named: None)
        capsys.readouterr()
        code = main([*words, "--week", str(WEEK)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_power_in_words_and_json(known, typed):
    code, said, _ = typed(known, "power", "less_rubbish", "--runs", "20")
    assert code == 0
    for words in ("With these ", "Chance to see the stated 2 %", "(ICC)", "not known yet", "20 imaginary campaigns"):
        assert words in said
    code, said, _ = typed(known, "power", "less_rubbish", "--effect", "-0.5", "--weeks", "6", "--runs", "0", "--json")
    found = json.loads(said)
    assert (found["power"]["trial"]["weeks"], found["power"]["stated_share"]) == (6, -0.5)
    assert "enough for the 50 % fall" in found["words"]


def test_plan_ends_with_the_refusal_unless_forced(tmp_path, typed):
    ws = town(tmp_path, BLIND)
    code, said, err = typed(ws, "plan", "less_rubbish")
    assert code == PowerError.exit_code
    assert "in segment" in said
    assert "--force" in err
    assert typed(ws, "plan", "less_rubbish", "--force")[0] == 0
    assert typed(ws, "approve", "less_rubbish", "--by", "A. Officer")[0] == PowerError.exit_code
    assert ws.ledger.approval("less_rubbish") is None
    ws.ledger.close()


def test_rounds_are_judged_by_lorries_alone(tmp_path):
    loop = ticket_council(tmp_path / "tickets", households=1_000, history=30, weeks=2)
    loop.play()
    campaign = loop.ws.campaign("right_day")
    found = outlook(loop.ws, replace(campaign, weeks=4), campaign.starts, runs=20)
    trial = found.power.trial
    assert found.noun == "rounds"
    assert trial.n_treated + trial.n_control == found.power.variation.n_units >= 8
    assert trial.is_read_weekly == (trial.units >= 20)
    assert found.power.units_needed is None or found.power.units_needed >= 8
    assert found.words.startswith(f"With these {trial.units} rounds and 4 weeks you can see a fall of ")
    assert found.simulated.runs == 20
    assert found.power.reached_share < 1  # a lorry weighs everybody, messages reach those with a contact
    loop.ws.ledger.close()
