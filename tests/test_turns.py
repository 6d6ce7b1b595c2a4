"""Choosing over the weeks of a campaign: what holds for a turn, what is drawn anew, and what limits a week."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, audience, homes, settle, workspace

from nudges.domain import Arm, Medium, Shares
from nudges.draws import draw
from nudges.errors import ConfigError
from nudges.features import model_columns
from nudges.steps.choose import choose
from nudges.steps.models import Model, store_model

N = 2_000
SAME = ["lane", "arm", "policy_arm", "draw", "propensity", "first_week_no"]


class Slope:
    """An estimator whose effects follow the kg of a home: worth most where most is thrown away."""

    def effect(self, X):
        kg = X["residual_kg_mean_8w"].to_numpy()
        return np.column_stack([-0.02 * (kg - 9), -0.01 * (kg - 9)])


class Flat:
    """The same effect for everybody, a text twice that of an email."""

    def effect(self, X):
        return np.tile([-0.10, -0.05], (len(X), 1))


def decide(ws, policy, week=WEEK, stops=()):
    """A model card as learning leaves one; `model` stores a made-up estimator."""
    if not isinstance(policy, str):
        policy = "model:" + store_model(ws, CAMPAIGN, Model(policy, tuple(model_columns()), CAMPAIGN.arm_ids, -60.0))
    card = {"decision": {"stops": [{"segment": group, "arm": arm} for group, arm in stops]}}
    row = {"campaign": CAMPAIGN.id, "week_no": week.number, "policy": policy, "card": json.dumps(card)}
    ws.ledger.replace("cards", pa.Table.from_pylist([row]), campaign=CAMPAIGN.id, week_no=week.number)
    return policy


def week_rows(ws, week):
    return assignments(ws, week).to_pandas().set_index("household_id")


def run(ws, week, columns=None, **segments):
    settle(ws, week, columns or homes(N, stores=20), **segments)
    choose(ws, week, now=NOW)
    return week_rows(ws, week)


@pytest.fixture
def ws(tmp_path):
    opened = workspace(tmp_path)
    yield opened
    opened.ledger.close()


def part(columns, keep):
    return {name: np.asarray(values)[keep] for name, values in columns.items()}


def choices(ws):
    return ws.ledger.select("SELECT * FROM choices ORDER BY week_no").to_pylist()


# --- what holds for a turn --------------------------------------------------------------


@pytest.mark.parametrize("policy", ["uniform", Slope()])
def test_a_unit_keeps_everything_for_a_turn_whatever_becomes_known_meanwhile(ws, policy):
    decide(ws, policy)
    first = run(ws, WEEK)
    changed = homes(N, stores=20) | {"residual_kg_mean_8w": np.full(N, 2.0)}
    decide(ws, "arm:caddy_email", WEEK + 1)  # and learning changed its mind
    for offset in (1, 2, 3):
        later = run(ws, WEEK + offset, changed)
        pd.testing.assert_frame_equal(later[SAME], first[SAME])
    assert {row["policy"] for row in choices(ws)} == {choices(ws)[0]["policy"]}
    assert {row["turn"] for row in choices(ws)} == {0}


def test_the_next_turn_draws_anew_outside_the_control_lane_and_takes_the_new_policy(ws):
    first = run(ws, WEEK)
    decide(ws, "arm:caddy_email", WEEK + 3)
    second = run(ws, WEEK + 4)
    for lane in ("holdout", "control"):
        assert ((first["lane"] == lane) == (second["lane"] == lane)).all()
    outside = ~first["lane"].isin(["holdout", "control"])
    moved = (first["lane"] != second["lane"])[outside].mean()
    learn = 0.35 / 0.75
    assert moved == pytest.approx(2 * learn * (1 - learn), abs=0.06)  # four standard errors of 1,400 units
    assert set(second.loc[second["lane"] == "best", "arm"]) == {"caddy_email"}
    assert (second["first_week_no"] == (WEEK + 4).number).all()
    assert [row["turn"] for row in choices(ws)] == [0, 1]
    row = second[outside].iloc[0]
    assert row["draw"] == 0.25 + 0.75 * draw("campaign:less_rubbish:smallton:turn1", row["unit_id"])


def test_who_comes_later_in_a_turn_is_placed_then_and_who_comes_back_gets_what_it_had(ws):
    decide(ws, Slope())
    columns = homes(N)
    light = columns | {"residual_kg_mean_8w": np.full(N, 2.0)}
    early, away = np.arange(N) < N // 2, np.arange(N) % 3 == 0
    first = run(ws, WEEK, part(columns, early))
    run(ws, WEEK + 1, part(light, ~away))
    third = run(ws, WEEK + 2, light)
    pd.testing.assert_frame_equal(third.loc[first.index, SAME], first[SAME])
    since = third["first_week_no"].map({(WEEK + offset).number: offset for offset in range(3)})
    ids = np.array(columns["household_id"])
    expected = pd.Series(np.select([early, ~away], [0, 1], 2), index=ids)[third.index]
    assert (since == expected).all()
    assert set(third.loc[since > 0, "policy_arm"]) == {"control"}  # nothing pays where so little is thrown away


def test_a_flat_that_comes_later_in_a_turn_gets_what_its_bin_store_got(ws):
    decide(ws, Slope())
    columns = homes(N, stores=20)
    keep = np.array([number >= 120 or number % 6 > 0 for number in range(N)])
    run(ws, WEEK, part(columns, keep))
    later = run(ws, WEEK + 2, columns | {"residual_kg_mean_8w": np.where(keep, 12.0, 2.0)})
    stores = later[later["unit_id"].str.startswith("S")]
    assert len(stores) == 120
    assert (stores.groupby("unit_id")[SAME].nunique() == 1).all(axis=None)
    assert (stores["first_week_no"] == WEEK.number).all()


def test_a_run_killed_in_a_later_week_of_the_turn_ends_the_same(ws, tmp_path, monkeypatch):
    whole = workspace(tmp_path / "other")
    for each in (ws, whole):
        decide(each, Slope())
        run(each, WEEK, part(homes(N), np.arange(N) < N // 2))
    run(whole, WEEK + 1, homes(N))
    settle(ws, WEEK + 1, homes(N))
    append = type(ws.ledger).append

    def half(self, table, rows):
        append(self, table, rows.slice(rows.num_rows // 3, rows.num_rows // 3))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(ws.ledger), "append", half)
        with pytest.raises(KeyboardInterrupt):
            choose(ws, WEEK + 1, now=NOW)
    choose(ws, WEEK + 1, now=NOW)
    pd.testing.assert_frame_equal(week_rows(ws, WEEK + 1), week_rows(whole, WEEK + 1))
    assert audience(ws, WEEK + 1).equals(audience(whole, WEEK + 1))
    whole.ledger.close()


def test_an_arm_added_in_the_middle_of_a_turn_waits_for_the_next(ws):
    run(ws, WEEK)
    added = replace(CAMPAIGN, arms=(Arm("thanks_sms", "thank_you", (Medium.SMS,)), *CAMPAIGN.arms))
    ws = replace(ws, campaigns={added.id: added})
    late = run(ws, WEEK + 1, homes(N + 200, stores=20))
    assert set(late["arm"]) == {"control", "norm_sms", "caddy_email"}
    assert json.loads(choices(ws)[1]["arms"]) == ["control", "norm_sms", "caddy_email"]
    assert set(run(ws, WEEK + 4)["arm"]) == {"control", "thanks_sms", "norm_sms", "caddy_email"}


def test_an_arm_taken_away_in_the_middle_of_a_turn_is_asked_back(ws):
    run(ws, WEEK)
    fewer = replace(CAMPAIGN, arms=CAMPAIGN.arms[1:])
    with pytest.raises(ConfigError, match=r"'norm_sms' is gone.*turn is over"):
        run(replace(ws, campaigns={fewer.id: fewer}), WEEK + 1)


# --- mixtures and stops -----------------------------------------------------------------


def test_a_mixture_is_logged_with_the_chances_it_was_drawn_with(ws):
    decide(ws, "mix:control=0.100,norm_sms=0.700,caddy_email=0.200")
    rows = run(ws, WEEK)
    assert (rows["policy_arm"] == "*").all()
    chance = {arm: 0.95 * (0.35 / 3 + 0.40 * part) for arm, part in (("norm_sms", 0.7), ("caddy_email", 0.2))}
    chance["control"] = 1 - sum(chance.values())
    np.testing.assert_allclose(rows["propensity"], rows["arm"].map(chance))
    best = rows.loc[rows["lane"] == "best", "arm"].value_counts(normalize=True)
    assert best["norm_sms"] == pytest.approx(0.7, abs=0.07)


@pytest.mark.parametrize("policy", ["uniform", "arm:norm_sms", "mix:norm_sms=0.8,caddy_email=0.2", Flat()])
def test_a_stopped_arm_is_given_to_nobody_of_the_group_in_any_lane(ws, policy):
    decide(ws, policy, stops=[("homes in flats", "norm_sms")])
    rows = run(ws, WEEK, homes(N, stores=100))
    flats = rows["unit_id"].str.startswith("S")
    assert set(rows.loc[flats, "arm"]) <= {"control", "caddy_email"}
    assert "norm_sms" in set(rows.loc[~flats, "arm"])
    assert json.loads(choices(ws)[0]["stops"]) == [["homes in flats", "norm_sms"]]
    learn = 0.95 * 0.35 / 2
    best = {"uniform": "caddy_email", "arm:norm_sms": "control"}.get(str(policy), "caddy_email")
    chance = {arm: learn + 0.95 * 0.40 * (arm == best) for arm in ("caddy_email", "control")}
    chance["control"] += 0.05 + 0.95 * 0.25
    np.testing.assert_allclose(rows.loc[flats, "propensity"], rows.loc[flats, "arm"].map(chance))


def test_a_stop_counts_from_the_next_turn(ws):
    run(ws, WEEK, homes(N, stores=100))
    decide(ws, "uniform", WEEK + 1, stops=[("homes in flats", "norm_sms")])
    held = run(ws, WEEK + 1, homes(N, stores=100))
    flats = held["unit_id"].str.startswith("S")
    assert "norm_sms" in set(held.loc[flats, "arm"])
    assert "norm_sms" not in set(run(ws, WEEK + 4, homes(N, stores=100)).loc[flats, "arm"])


def test_a_stop_by_segment_follows_membership(ws):
    decide(ws, "uniform", stops=[("everyone", "caddy_email"), ("gone", "norm_sms")])
    assert set(run(ws, WEEK)["arm"]) == {"control", "norm_sms"}


# --- constraints ------------------------------------------------------------------------


def chosen(rows):
    return rows[rows["reason"] == "chosen"]


@pytest.mark.parametrize("policy", ["uniform", "arm:norm_sms", Flat()])
def test_caps_and_capacity_hold_in_every_week_and_the_learn_lane_goes_first(tmp_path, policy):
    text, mail = CAMPAIGN.arms
    campaign = replace(CAMPAIGN, arms=(replace(text, most=150), mail), capacity={Medium.EMAIL: 90})
    ws = workspace(tmp_path, campaign)
    decide(ws, policy)
    for offset in range(2):
        run(ws, WEEK + offset)
        rows = audience(ws, WEEK + offset)
        arms = chosen(rows)["arm"].value_counts()
        assert arms.get("norm_sms", 0) <= 150
        assert arms.get("caddy_email", 0) <= 90
        out = rows[rows["reason"] == "over_capacity"]
        assert len(out) > 0
        for arm in ("norm_sms", "caddy_email"):
            if (chosen(rows)["arm"] == arm).any() and (out[out["lane"] == "learn"]["arm"] == arm).any():
                assert not ((chosen(rows)["arm"] == arm) & (chosen(rows)["lane"] == "best")).any()
    ws.ledger.close()


def test_a_model_chooses_within_the_capacity_of_the_turn(tmp_path):
    """Everybody would get a text; texts for a fifth of them leave the others the email, and few wait for room."""
    campaign = replace(CAMPAIGN, capacity={Medium.SMS: 80}, shares=Shares(0.3, 0.1, 0.6))
    ws = workspace(tmp_path, campaign)
    decide(ws, Flat())
    rows = run(ws, WEEK)
    best = rows[(rows["lane"] == "best") & (rows["is_contactable"] == 1)]
    reasons = audience(ws, WEEK)["reason"][rows.index]
    texts = ((rows["arm"] == "norm_sms") & reasons.isin(["chosen", "over_capacity"])).sum()
    assert 4 * 80 * 0.8 < texts < 4 * 80 * 1.25  # a turn's worth of texts, but for the draw of lanes
    assert (best["arm"] == "caddy_email").mean() > 0.4
    note = choose(ws, WEEK, now=NOW).notes[-1]
    assert "one more of sms capacity would bring" in note
    ws.ledger.close()


def test_coverage_writes_to_a_group_that_would_be_left_out(tmp_path):
    """Flats throw away least and nothing pays there: so many get something all the same, at a price that is said."""
    columns = homes(N, stores=150)
    columns["residual_kg_mean_8w"] = np.where(columns["is_flat"] == 1, 4.0, 12.0)
    columns["has_sms"] = columns["has_email"] = np.ones(N, dtype=int)
    flats = [home for home, is_flat in zip(columns["household_id"], columns["is_flat"], strict=True) if is_flat]
    asked = replace(CAMPAIGN, coverage={"flats": 0.4}, shares=Shares(0.2, 0.2, 0.6))
    shares = []
    for number, campaign in enumerate((replace(asked, coverage={}), asked)):
        ws = workspace(tmp_path / str(number), campaign)
        decide(ws, Slope())
        settle(ws, WEEK, columns)
        members = pa.table(
            {
                "segment": ["everyone"] * N + ["flats"] * len(flats),
                "household_id": [*columns["household_id"], *flats],
                "week_no": [WEEK.number] * (N + len(flats)),
            }
        )
        file = ws.warehouse.write("membership", WEEK, members, "membership-flats")
        ws.ledger.replace_files("membership", WEEK, [file], drop_id="flats", now=NOW)
        said = choose(ws, WEEK, now=NOW).notes[-1]
        rows = week_rows(ws, WEEK)
        units = rows[rows["unit_id"].str.startswith("S")].groupby("unit_id")["policy_arm"].first()
        shares.append((units != "control").mean())
        ws.ledger.close()
    assert shares == [0, pytest.approx(0.4)]
    assert "the last unit that coverage of flats asks for costs" in said


def test_the_same_worth_goes_to_the_lowest_ties(tmp_path):
    campaign = replace(CAMPAIGN, budget_pence=300, shares=Shares(0.2, 0.1, 0.7), every_weeks=1)
    ws = workspace(tmp_path, campaign)
    decide(ws, Flat())
    columns = homes(N)
    columns["has_sms"] = columns["has_email"] = columns["has_residual_service"] = np.ones(N, dtype=int)
    rows = run(ws, WEEK, columns)
    tie = np.array([draw("campaign:less_rubbish:smallton:turn0", unit, 2) for unit in rows["unit_id"]])
    texts = (rows["policy_arm"] == "norm_sms").to_numpy()
    assert 0 < texts.sum() < N / 2
    assert tie[texts].max() < tie[~texts].min() + 0.01
    ws.ledger.close()
