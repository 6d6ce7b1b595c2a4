"""The loop simulation reads drops as a council would, and pays out exactly what was planted."""

from collections import defaultdict

import numpy as np
import pytest

from benchmarks._loop_borough import FEATURES, FIRST, HISTORY, TURN_WEEKS, World
from benchmarks._loop_choosers import (
    Oracle,
    Setting,
    Turn,
    Uniform,
    any_message,
    constant,
    drawn,
    net_pence,
    true_pence,
)
from benchmarks._loop_effects import ARMS, COST_PENCE, TEMPLATES
from benchmarks._loop_engine import SHARES, Engine, control_lane
from benchmarks._loop_play import live
from benchmarks._loop_report import differences, sentence
from nudges.domain import LiftStatus, Stream
from nudges.sources.synthetic import Borough, Effects

HOMES = 900


@pytest.fixture(scope="module")
def world():
    return World.make("mixed", households=HOMES, seed=5, weeks=8)


def setting_of(world, turns=2):
    return Setting(is_control=control_lane(world, 5), pence_per_kg=9.5, turns=turns, seed=5)


def lived_turn(world, choice):
    for week in range(TURN_WEEKS):
        world.live(choice.arm if week == 0 else np.zeros_like(choice.arm), TEMPLATES)


def test_kg_and_rates_are_those_counted_home_by_home_from_the_drops(world):
    start = FIRST + (-HISTORY)
    borough = Borough.make(
        households=HOMES, seed=5, start=start, weeks=HISTORY + 8, effects=Effects.null(), bad_rows=False
    )
    grams, outs, voids = defaultdict(float), defaultdict(int), defaultdict(int)
    for week in range(HISTORY):
        for row in borough.week(start + week).lifts.to_pylist():
            key = row["unit_id"], row["stream"]
            outs[key] += row["status"] == LiftStatus.LIFTED
            voids[key] += row["status"] in (LiftStatus.MISSED, LiftStatus.NOT_READ)
            grams[key] += row["weight_g"] or 0
    planned = defaultdict(int)
    for row in borough.calendar.to_pylist():
        planned[row["round_id"]] += start.monday <= row["collection_on"] < FIRST.monday
    fresh = World.make("none", households=HOMES, seed=5, weeks=8)
    rounds = {row["household_id"]: row for row in borough.households.to_pylist()}
    X, kg = fresh.features(), fresh.outcome(0, HISTORY)
    for place, home in enumerate(fresh.ids.to_pylist()):
        due = planned[rounds[home]["residual_round_id"]]
        known = due - voids[home, "residual"]
        assert kg[place] == pytest.approx(grams[home, "residual"] / 1000 / (HISTORY * known / due))
        due = planned[rounds[home]["food_round_id"]]
        rate = outs[home, "food"] / (due - voids[home, "food"])
        assert X[place, FEATURES.index("food_set_out_rate_26w")] == pytest.approx(rate)
    assert X[:, FEATURES.index("residual_kg_mean_26w")] == pytest.approx(kg)


def test_nothing_planted_means_that_messages_only_cost():
    run = live("none", 3, "uniform", households=HOMES, weeks=8)
    assert run.pence == pytest.approx(-run.cost)
    assert run.truth == 0
    assert run.cost.sum() > 0


def test_the_same_kg_for_every_home_leaves_nothing_to_personalise():
    world = World.make("same", households=HOMES, seed=5, weeks=8)
    setting = setting_of(world)
    worth = true_pence(world, setting)
    reads = worth[:, 1] > -COST_PENCE[1]
    kg = world.borough._people.kg[Stream.RESIDUAL][world.rows]
    usual = reads & (kg > kg.mean() / 5)
    assert worth[usual].std(axis=0) == pytest.approx(0, abs=1e-9)


def test_the_oracle_earns_more_than_a_message_by_lot_and_the_control_lane_gets_nothing(world):
    setting = setting_of(world)
    X = world.features()
    by_lot, oracle = (chooser.choose(0, world, X, setting) for chooser in (Uniform(), Oracle()))
    worth, rows = true_pence(world, setting), np.arange(world.size)
    assert worth[rows, oracle.arm].mean() > worth[rows, by_lot.arm].mean() + 1
    for choice in (by_lot, oracle):
        assert not choice.arm[setting.is_control].any()
    assert 0.05 < setting.is_control.mean() < 0.16
    assert set(by_lot.arm[~setting.is_control]) == {1, 2, 3}


def test_estimated_pence_are_those_planted_in_the_outcome():
    rng = np.random.default_rng(1)
    n, planted = 20_000, np.array([0.0, -0.5, 0.2, -0.3])
    setting = Setting(is_control=rng.random(n) < 0.1, pence_per_kg=10.0, turns=3, seed=1)
    for turn in range(3):
        choice = drawn(constant(setting, any_message()), setting, turn, "uniform")
        level = rng.normal(7, 2, n)
        X = np.tile(level[:, None], len(FEATURES))
        y = level + turn + planted[choice.arm] + rng.normal(0, 0.1, n)
        setting.past.append(Turn(X, choice.arm, choice.propensity, y))
    mean, covariance = net_pence(setting)
    assert mean == pytest.approx(-planted * TURN_WEEKS * 10 - COST_PENCE, abs=0.2)
    assert np.sqrt(np.diag(covariance)) == pytest.approx(np.full(3, 0.05), rel=0.5)


def test_the_engine_draws_every_arm_by_the_chances_it_reports():
    world = World.make("mixed", households=4_000, seed=5, weeks=8)
    engine, setting = Engine("dr_linear"), setting_of(world)
    for turn in range(2):
        X = world.features()
        choice = engine.choose(turn, world, X, setting)
        outside = ~setting.is_control
        assert not choice.arm[setting.is_control].any()
        assert choice.propensity.sum(axis=1) == pytest.approx(1)
        assert choice.propensity.min() >= SHARES.learn / len(ARMS) - 1e-12
        drawn_now = outside if turn else np.ones(world.size, dtype=bool)
        expected = choice.propensity[drawn_now].sum(axis=0)
        error = np.sqrt((choice.propensity * (1 - choice.propensity))[drawn_now].sum(axis=0))
        found = np.bincount(choice.arm[drawn_now], minlength=len(ARMS))
        assert (np.abs(found - expected) < 4.5 * error).all()
        lived_turn(world, choice)
        setting.past.append(Turn(X, choice.arm, choice.propensity, world.outcome(HISTORY + turn * 4, 4)))
    assert len(engine.decisions) == 1


def test_choosers_share_noise_and_control_lane():
    one, other = (live("mixed", 3, name, households=HOMES, weeks=8) for name in ("uniform", "oracle"))
    moved = (one.estimate - one.truth) - (other.estimate - other.truth)
    assert abs(moved) < 0.05
    assert one.homes == other.homes
    assert one.low < one.estimate < one.high


def test_the_week_from_which_the_engine_is_ahead_is_read_off_every_seed():
    uniform = live("none", 3, "uniform", households=HOMES, weeks=8)
    from dataclasses import replace

    runs = []
    for seed in range(10):
        late = np.r_[np.full(4, -1.0), np.full(4, 2.0)]
        runs.append(replace(uniform, seed=seed, chooser="best-single-arm", pence=np.zeros(8)))
        runs.append(replace(uniform, seed=seed, chooser="this engine", pence=late if seed else -late))
    assert differences(runs, "best-single-arm").shape == (10, 8)
    assert sentence(runs).startswith("From week 1 to the end the engine earns more than best-single-arm on 9 of 10")
