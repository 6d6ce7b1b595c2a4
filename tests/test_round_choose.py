"""Choosing where rounds are drawn: once for a whole campaign, arms inside them, and a refusal that stops no other."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, audience, homes, settle, workspace

from nudges.domain import Shares, Unit
from nudges.draws import RoundDraw, Salts, draw_rounds
from nudges.errors import ConfigError, UnsupportedError
from nudges.steps.choose import choose, choosing
from nudges.steps.choose.step import DERIVED
from nudges.steps.learn import learn

N, ROUNDS = 2_400, 12
ROUND_CAMPAIGN = replace(CAMPAIGN, id="right_day", unit=Unit.ROUND, shares=Shares(0.5, 0.1, 0.4))
CONTROL, TREATED = {"control"}, {"learn", "best"}


def town(n=N, rounds=ROUNDS, stores=20):
    """Homes on rounds by their number; all flats of a bin store on the round of its first."""
    columns = homes(n, stores=stores)
    number = np.array([int(unit[1:]) for unit in columns["unit_id"]])
    columns["residual_round_id"] = [f"RES{each % rounds:03d}" for each in number]
    columns["has_residual_service"] = np.ones(n, dtype=int)
    return columns


@pytest.fixture
def ws(tmp_path):
    opened = workspace(tmp_path, ROUND_CAMPAIGN)
    settle(opened, WEEK, town())
    yield opened
    opened.ledger.close()


def drawn(ws, week=WEEK):
    rows = ws.ledger.select("SELECT * FROM choices WHERE week_no = :week", week=week.number).to_pylist()
    return RoundDraw.from_json(rows[0]["rounds"])


def lanes(ws, columns, week=WEEK):
    """Lanes outside the holdout by round."""
    of_home = dict(zip(columns["household_id"], columns["residual_round_id"], strict=True))
    found = {}
    for row in assignments(ws, week, ROUND_CAMPAIGN).to_pylist():
        if row["lane"] != "holdout":
            found.setdefault(of_home[row["household_id"]], set()).add(row["lane"])
    return found


def test_whole_rounds_are_control_and_all_others_are_in_it(ws):
    summary = choose(ws, WEEK, now=NOW)
    found, rounds = lanes(ws, town()), drawn(ws)
    assert len(rounds.control) == len(rounds.treated) == 6
    assert {name: found[name] for name in rounds.control} == dict.fromkeys(rounds.control, CONTROL)
    assert {name: found[name] for name in rounds.treated} == dict.fromkeys(rounds.treated, TREATED)
    assert "6 rounds get messages" in " ".join(summary.notes)
    assert summary.counts["control"] > 0


def test_the_draw_is_the_published_one_whatever_the_households(ws):
    """Anybody can repeat it: the names of the rounds and the salt are all it takes."""
    choose(ws, WEEK, now=NOW)
    salt = Salts.of(ROUND_CAMPAIGN.salt, ws.council.salt).control
    assert drawn(ws) == draw_rounds(set(town()["residual_round_id"]), f"{salt}:rounds", 0.5, where="")


def test_more_households_change_no_round_and_no_household(ws, tmp_path):
    choose(ws, WEEK, now=NOW)
    other = workspace(tmp_path / "other", ROUND_CAMPAIGN)
    settle(other, WEEK, town(N + 600))
    choose(other, WEEK, now=NOW)
    assert drawn(other) == drawn(ws)
    before, after = (
        assignments(each, WEEK, ROUND_CAMPAIGN).to_pandas().set_index("household_id") for each in (ws, other)
    )
    assert after.loc[before.index, ["lane", "arm", "propensity"]].equals(before[["lane", "arm", "propensity"]])
    other.ledger.close()


def test_propensities_are_how_often_arms_are_given(ws):
    """Control 0.5 of rounds; learn 0.1 and best 0.4 of the rest, the best lane drawing both messages evenly."""
    choose(ws, WEEK, now=NOW)
    rows = assignments(ws, WEEK, ROUND_CAMPAIGN).to_pandas()
    held = ws.council.holdout_share
    chance = {"control": held + (1 - held) * (0.5 + 0.1 / 3)} | dict.fromkeys(
        ("norm_sms", "caddy_email"), (1 - held) * (0.1 / 3 + 0.2)
    )
    assert rows.groupby("arm")["propensity"].unique().map(lambda some: some[0]).to_dict() == pytest.approx(chance)
    inside = rows[rows["lane"].isin(TREATED)]
    assert (inside["lane"] == "learn").mean() == pytest.approx(0.2, abs=0.05)
    assert set(rows["policy_arm"]) == {"*"}


def test_flats_that_share_bins_go_together(ws):
    choose(ws, WEEK, now=NOW)
    rows = assignments(ws, WEEK, ROUND_CAMPAIGN).to_pandas()
    stores = rows[rows["unit_id"].str.startswith("S")].groupby("unit_id")[["lane", "arm"]].nunique()
    assert (stores == 1).all(axis=None)


def test_rounds_stay_as_drawn_in_later_turns_and_arms_are_drawn_anew(ws):
    choose(ws, WEEK, now=NOW)
    later = WEEK + ROUND_CAMPAIGN.every_weeks
    settle(ws, later, town())
    choose(ws, later, now=NOW)
    assert drawn(ws, later) == drawn(ws)
    assert lanes(ws, town(), later) == lanes(ws, town())
    first, second = (assignments(ws, week, ROUND_CAMPAIGN).to_pandas()["arm"] for week in (WEEK, later))
    assert (first != second).any()


def test_a_round_that_comes_later_is_in_no_group(ws):
    """Its homes are not assigned; those of rounds that are gone leave the others as they were."""
    choose(ws, WEEK, now=NOW)
    changed = town()
    changed["residual_round_id"] = [
        "NEW" if name == "RES003" and index % 2 else name for index, name in enumerate(changed["residual_round_id"])
    ]
    settle(ws, WEEK + 4, changed)
    choose(ws, WEEK + 4, now=NOW)
    assert drawn(ws, WEEK + 4) == drawn(ws)
    rows = audience(ws, WEEK + 4, ROUND_CAMPAIGN)
    new = [
        home for home, name in zip(changed["household_id"], changed["residual_round_id"], strict=True) if name == "NEW"
    ]
    assert set(rows.loc[new, "reason"]) == {"no_service"}
    assert not set(new) & set(assignments(ws, WEEK + 4, ROUND_CAMPAIGN).to_pandas()["household_id"])


def test_a_run_again_ends_in_the_same_rows(ws):
    choose(ws, WEEK, now=NOW)
    before = assignments(ws, WEEK, ROUND_CAMPAIGN)
    choose(ws, WEEK, now=NOW)
    assert assignments(ws, WEEK, ROUND_CAMPAIGN).equals(before)


def test_too_few_rounds_are_refused_and_stop_no_other_campaign(tmp_path):
    ws = workspace(tmp_path, CAMPAIGN, ROUND_CAMPAIGN)
    settle(ws, WEEK, town(rounds=7))
    summary = choose(ws, WEEK, now=NOW)
    refusal = (
        "right_day: nobody is chosen. campaigns/right_day.toml: unit == 'round' with 7 rounds in its segments, must be "
        "8 or more, half of them without messages: with fewer, chance alone could explain any difference. Add segments "
        'that reach more rounds, or write unit = "household".'
    )
    assert summary.warnings == (refusal,)
    assert assignments(ws, WEEK, ROUND_CAMPAIGN).num_rows == 0
    assert len(audience(ws, WEEK, ROUND_CAMPAIGN)) == 0
    assert assignments(ws, WEEK).num_rows > 0
    with ws.facts(WEEK, extra=DERIVED) as connection, pytest.raises(UnsupportedError, match="7 rounds"):
        choosing(ws, ROUND_CAMPAIGN, WEEK, connection)
    ws.ledger.close()


def test_nothing_is_learned_and_a_card_of_before_is_not_followed(ws):
    summary = learn(ws, WEEK, now=NOW)
    assert Counter(summary.counts) == {"campaigns": 0}
    assert "nothing to learn from" in summary.notes[0]
    assert ws.ledger.select("SELECT * FROM cards").num_rows == 0
    row = {"campaign": ROUND_CAMPAIGN.id, "week_no": WEEK.number - 1, "policy": "none", "card": "{}"}
    ws.ledger.replace("cards", pa.Table.from_pylist([row]), campaign=ROUND_CAMPAIGN.id, week_no=WEEK.number - 1)
    assert choose(ws, WEEK, now=NOW).counts["chosen"] > 0
    assert ws.ledger.select("SELECT policy FROM choices").to_pylist() == [{"policy": "uniform"}]


@pytest.mark.parametrize(("unit", "fits"), [("household", False), ("round", True)])
def test_the_learn_lane_may_be_empty_where_nothing_is_learned(tmp_path, unit, fits):
    from nudges.catalogue import load_campaign

    text = (
        'title = "T"\nsegments = ["all"]\noutcome = "residual_kg"\nstarts = "2026-W10"\nweeks = 12\nbudget_pence = 1\n'
        f'stated_effect_share = -0.02\nunit = "{unit}"\n[shares]\ncontrol = 0.5\nlearn = 0.0\nbest = 0.5\n'
        '[arms.a]\ntemplate = "t"\nmedia = ["sms"]\n'
    )
    path = tmp_path / "right_day.toml"
    path.write_text(text)
    if fits:
        assert load_campaign(path).unit is Unit.ROUND
        path.write_text(text + "[coverage]\nall = 0.5\n")
        with pytest.raises(ConfigError, match=r"coverage == .* must be empty with unit = \"round\""):
            load_campaign(path)
    else:
        with pytest.raises(ConfigError, match=r"shares\.learn"):
            load_campaign(path)
