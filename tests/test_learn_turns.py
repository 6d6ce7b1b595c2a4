"""What learning is given over several turns, against brute force from the ledger; that a policy holds for a turn."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, homes, settle, weigh, workspace
from test_turns import decide as card_says

from nudges.domain import Shares
from nudges.features import model_columns
from nudges.steps.choose import choose
from nudges.steps.learn import evidence, learn, rows
from nudges.steps.learn.evidence import evidence_of
from nudges.uplift import decide

N = 1_000
LONG = replace(CAMPAIGN, weeks=16, estimator="no_effect")
COLUMNS = tuple(model_columns())
NOW_AT = WEEK + 12  # three turns of four weeks are closed


def kg_of(columns, week):
    """What each home throws away in a week: known beforehand, so that windows can be checked by hand."""
    rng = np.random.default_rng(week.number)
    return np.round(columns["residual_kg_mean_8w"] + rng.normal(0, 1, N).clip(-2, 2), 3).clip(0.5)


def facts_of(week):
    """Features as known at the end of a week: the kg column says which week it is."""
    return homes(N, stores=10) | {"residual_kg_mean_26w": np.full(N, float(week.number))}


def lived(home, campaign=LONG, *, weeks=12, before_turn=None):
    """Weeks of a campaign one after another; `before_turn(ws, turn)` says what learning left for the turn."""
    ws = workspace(home, campaign)
    columns = homes(N, stores=10)
    units, inverse = np.unique(columns["unit_id"], return_inverse=True)
    for offset in range(weeks + 1):
        week = WEEK + offset
        if before_turn and week == campaign.turn_starts(campaign.turn_of(week)):
            before_turn(ws, campaign.turn_of(week))
        settle(ws, week, facts_of(week))
        choose(ws, week, now=NOW)

    def kg(ids, week):
        assert (ids == units).all()
        return np.bincount(inverse, kg_of(columns, week)) / np.bincount(inverse)

    weigh(ws, columns, [WEEK + offset for offset in range(weeks + 1)], kg)
    return ws


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Three closed turns: uniform, then a mixture, then one arm."""
    policies = ["uniform", "mix:control=0.2,norm_sms=0.5,caddy_email=0.3", "arm:caddy_email", "none"]
    ws = lived(
        tmp_path_factory.mktemp("turns"),
        before_turn=lambda ws, turn: card_says(ws, policies[turn], LONG.turn_starts(turn)),
    )
    yield ws
    ws.ledger.close()


@pytest.fixture(scope="module")
def found(town):
    return evidence_of(town, LONG, NOW_AT, COLUMNS)


@pytest.fixture(scope="module")
def expected(town):
    """First assignment of every unit and turn, by brute force."""
    weeks = [assignments(town, WEEK + offset, LONG).to_pandas() for offset in range(9)]
    every = pd.concat(weeks).sort_values(["week_no", "household_id"])
    every["turn"] = (every["week_no"] - WEEK.number) // 4
    every = every[every["lane"] != "holdout"]
    homes_of = every.groupby(["unit_id", "turn"])["household_id"].nunique().rename("homes")
    reach = every.groupby(["unit_id", "turn", "week_no"])["is_contactable"].max().groupby(["unit_id", "turn"]).first()
    first = every.groupby(["unit_id", "turn"]).first().join(homes_of)
    kept = ((first["lane"] != "control") | (first.index.get_level_values("turn") == 0)) & (reach == 1)
    return first[kept].reset_index()


def test_one_row_a_unit_and_turn_of_those_drawn_afresh(found, expected):
    data, unknown = found
    assert unknown == 0
    assert len(data.y) == len(expected) > 1_000
    counts = expected["turn"].value_counts()
    assert np.bincount(data.batch).tolist() == [counts[0], counts[1], counts[2]]
    per_unit = np.bincount(np.unique(data.groups, return_inverse=True)[1])
    assert sorted(per_unit) == sorted(expected.groupby("unit_id").size())
    assert data.arms == ("control", "norm_sms", "caddy_email")


def test_propensities_are_given_the_control_lane_in_the_first_turn_only(found, expected):
    """c = 0.25, l = 0.35, b = 0.40; outside the control lane l/(l+b) = 7/15 of it is learned from."""
    data, _ = found
    learn, best = 7 / 15, 8 / 15
    by_turn = {
        0: [0.25 + 0.35 / 3, 0.35 / 3 + 0.20, 0.35 / 3 + 0.20],
        1: [learn / 3 + best * 0.2, learn / 3 + best * 0.5, learn / 3 + best * 0.3],
        2: [learn / 3, learn / 3, learn / 3 + best],
    }
    np.testing.assert_allclose(data.propensity, [by_turn[turn] for turn in data.batch.tolist()])
    for turn, chance in by_turn.items():
        given = data.given[data.batch == turn]
        error = 4 * np.sqrt(np.array(chance) * (1 - np.array(chance)) / len(given))
        assert (np.abs(np.bincount(given, minlength=3) / len(given) - chance) < error).all()


def test_outcomes_are_of_the_weeks_after_the_draw_and_features_of_the_week_of_it(found, expected):
    data, _ = found
    assert (data.X[:, COLUMNS.index("residual_kg_mean_26w")] == WEEK.number + 4 * data.batch).all()
    columns = homes(N, stores=10)
    kg = pd.DataFrame({week: kg_of(columns, WEEK + week) for week in range(13)}).groupby(columns["unit_id"]).mean()
    values = {(unit, turn): kg.loc[unit, 4 * turn + 1 : 4 * turn + 4].mean() for unit in kg.index for turn in range(3)}
    brute = [values[unit, turn] for unit, turn in zip(expected["unit_id"], expected["turn"], strict=True)]
    for turn in range(3):
        mine = np.sort(data.y[data.batch == turn])
        np.testing.assert_allclose(mine, np.sort(np.array(brute)[expected["turn"] == turn]), atol=2e-3)


def test_homes_and_groups_are_those_of_the_week(found, expected):
    data, _ = found
    assert data.households.sum() == expected["homes"].sum()
    assert "everyone" not in data.segments  # no group: what a message does to all is the gate's question
    flats = expected["unit_id"].str.startswith("S").sum()
    assert data.segments["homes in flats"].sum() == flats > 10
    assert (data.households[data.segments["homes in flats"]] > 1).all()
    assert "homes that chose Welsh" not in data.segments  # nobody did


def test_rows_of_windows_that_are_not_closed_are_not_used(town):
    data, _ = evidence_of(town, LONG, WEEK + 11, COLUMNS)
    assert set(data.batch.tolist()) == {0, 1}
    assert len(evidence_of(town, LONG, WEEK + 3, COLUMNS)[0].y) == 0


def test_a_turn_longer_than_four_weeks_has_a_longer_window(tmp_path):
    campaign = replace(LONG, every_weeks=6)
    ws = lived(tmp_path, campaign, weeks=6)
    assert len(evidence_of(ws, campaign, WEEK + 5, COLUMNS)[0].y) == 0
    data, _ = evidence_of(ws, campaign, WEEK + 6, COLUMNS)
    columns = homes(N, stores=10)
    mean = np.mean([kg_of(columns, WEEK + week) for week in range(1, 7)], axis=0)
    brute = pd.Series(mean).groupby(np.array(columns["unit_id"])).mean().to_numpy()
    assert np.abs(data.y[:, None] - brute[None, :]).min(axis=1).max() < 1e-3
    ws.ledger.close()


def test_sampling_keeps_all_rows_of_as_many_units_as_there_is_room_for(town, found, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ROWS", 500)
    data, _ = evidence_of(town, LONG, NOW_AT, COLUMNS)
    assert 450 < len(data.y) <= 500
    counts = pd.Series(found[0].groups).value_counts()
    kept = pd.Series(data.groups).value_counts().sort_index()
    assert (kept == counts[kept.index]).all()


def test_units_that_an_arm_was_stopped_for_say_nothing_of_it_from_then_on(tmp_path):
    def stop(ws, turn):
        card_says(ws, "uniform", LONG.turn_starts(turn), stops=[("homes in flats", "norm_sms")] * (turn > 0))

    ws = lived(tmp_path, before_turn=stop, weeks=8)
    data, unknown = evidence_of(ws, LONG, WEEK + 8, COLUMNS)
    flats = data.segments["homes in flats"]
    assert unknown == 0
    assert set(data.batch[flats].tolist()) == {0}
    assert set(data.batch[~flats].tolist()) == {0, 1}
    ws.ledger.close()


def test_a_segment_made_again_since_leaves_rows_out_and_says_so(tmp_path):
    def stop(ws, turn):
        card_says(ws, "uniform", LONG.turn_starts(turn), stops=[("everyone", "norm_sms")])

    ws = lived(tmp_path, before_turn=stop, weeks=4)
    settle(ws, WEEK, facts_of(WEEK), segments=("others",))
    data, unknown = evidence_of(ws, LONG, WEEK + 4, COLUMNS)
    assert len(data.y) == 0
    assert unknown > 200
    learn(ws, WEEK + 4, now=NOW)
    ws.ledger.close()


def test_weeks_chosen_before_there_were_turns_are_one_draw(tmp_path):
    """An upgraded ledger: no turn, no first week. The first assignment of a unit counts, with its marginal chances."""
    ws = lived(tmp_path, weeks=4)
    table = assignments(ws, WEEK, LONG)
    old = replace(LONG, id="old_rubbish")
    for offset in range(2):
        ws.ledger.record(
            "choices", campaign=old.id, week_no=(WEEK + offset).number, arms=json.dumps(old.arm_ids),
            holdout_share=0.05, control_share=0.25, learn_share=0.35, best_share=0.40, policy="uniform",
            price_per_penny=0.0, chosen_at=NOW,
        )  # fmt: skip
        frame = table.to_pandas().assign(campaign=old.id, week_no=(WEEK + offset).number)
        ws.ledger.append("assignments", pa.Table.from_pandas(frame.drop(columns="first_week_no"), preserve_index=False))
    data, unknown = evidence_of(ws, old, WEEK + 8, COLUMNS)
    again, _ = evidence_of(ws, LONG, WEEK + 4, COLUMNS)
    assert unknown == 0
    assert len(data.y) == len(again.y) > 300
    np.testing.assert_array_equal(data.propensity, again.propensity)
    ws.ledger.close()


# --- when it is decided -----------------------------------------------------------------


def test_a_policy_is_decided_when_a_turn_begins_and_carried_on_through_it(tmp_path, monkeypatch):
    ws = lived(tmp_path)
    asked = []

    def watched(data, estimator, prices, **more):
        asked.append((len(data.y), more["looks"], more["earlier"], more["week"]))
        return decide(data, estimator, prices, **more)

    monkeypatch.setattr("nudges.steps.learn.step.decide", watched)
    for offset in range(9):
        said = learn(ws, WEEK + offset, now=NOW)
        begun = WEEK + 4 * (offset // 4)
        [card] = ws.ledger.select("SELECT * FROM cards WHERE week_no = :week", week=(WEEK + offset).number).to_pylist()
        assert json.loads(card["card"])["week"] == str(begun)
        assert ("is carried on" in said.notes[0]) == (offset % 4 > 0)
        assert card["policy"] == said.facts["less_rubbish policy"]
    assert [week for *_, week in asked] == [WEEK.number, WEEK.number + 4, WEEK.number + 8]
    sizes = [size for size, *_ in asked]
    assert sizes[0] == 0
    assert sizes[2] > sizes[1] > 300
    assert {looks for _, looks, *_ in asked} == {4}
    assert [earlier is None for _, _, earlier, _ in asked] == [True, True, False]  # nothing was learned from at first
    ws.ledger.close()


def test_learning_for_the_first_time_in_the_middle_of_a_turn_decides(tmp_path):
    ws = lived(tmp_path, weeks=6)
    assert "carried" not in learn(ws, WEEK + 5, now=NOW).notes[0]
    assert "carried" in learn(ws, WEEK + 6, now=NOW).notes[0]
    ws.ledger.close()


def test_windows_last_a_turn_but_at_least_four_and_at_most_twelve_weeks():
    lengths = [evidence.window_weeks(replace(CAMPAIGN, every_weeks=weeks)) for weeks in (1, 4, 6, 12, 20)]
    assert lengths == [4, 4, 6, 12, 12]


def test_the_floor_is_what_the_smallest_propensity_is(found):
    """l/(l+b) over the arms: what `floor_share` is checked against."""
    data, _ = found
    later = data.propensity[data.batch > 0]
    shares = Shares(0.25, 0.35, 0.40)
    assert later.min() == pytest.approx(shares.learn / (shares.learn + shares.best) / 3)
