"""What a decision leaves to the next, and what closes the gate on a model that proved itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import FREE, crossed, evidence

from nudges import estimators
from nudges.cards import ModelCard
from nudges.scoring import Value
from nudges.uplift import Detail, Earlier, Evidence, decide
from nudges.uplift.memory import DRIFT_SDS, STALE_WEEKS, drifted, fallen_short, layout_of

FAST = estimators.load("dr_linear")


def gate(rows, **options):
    return decide(rows, FAST, FREE, seed=0, detail=Detail.GATE, **options)


def turns(*effects, n=2_000, shift=0.0, column=1):
    """One turn of the same units for each effect; a feature of the last turn moved by `shift`."""
    parts = [evidence(n, effect=effect, seed=number) for number, effect in enumerate(effects)]
    x = np.concatenate([part.X for part in parts])
    x[-n:, column] += shift
    return Evidence(
        X=x,
        y=np.concatenate([part.y for part in parts]),
        given=np.concatenate([part.given for part in parts]),
        propensity=np.concatenate([part.propensity for part in parts]),
        groups=np.tile(np.arange(n), len(parts)),
        households=np.ones(n * len(parts)),
        arms=parts[0].arms,
        batch=np.repeat(np.arange(len(parts)), n),
        columns=("age", "kg", "lifts", "d", "e", "f"),
    )


def first(rows):
    return rows.only(rows.turns < rows.turns.max())


def reversed_effect(x):
    return -crossed(x)


def test_a_model_that_keeps_its_promise_stays():
    rows = turns(crossed, crossed, crossed)
    before = gate(first(rows), week=10)
    assert before.policy == "model"
    assert (before.memory.turn, before.memory.week, before.memory.gain) == (1, 10, before.promise.mean)
    after = gate(rows, week=14, earlier=before.memory)
    assert after.policy == "model"
    assert after.closed == ""
    assert after.realised.low < before.promise.mean < after.realised.high * 1.5
    assert (after.memory.turn, after.memory.week) == (2, 14)


def test_a_model_that_loses_on_what_came_after_is_not_used():
    """Two turns of the planted effect, one of its reverse: all turns together still look good, the last does not."""
    rows = turns(crossed, crossed, crossed, reversed_effect)
    before = gate(first(rows), week=10)
    assert gate(rows, week=14).model_over_arm.lower_bound > 0
    after = gate(rows, week=14, earlier=before.memory)
    assert after.policy != "model"
    assert "did worse than the best single arm" in after.closed
    assert after.closed in after.words
    again = gate(rows, week=15, earlier=after.memory)
    assert again.policy != "model"  # nothing new has closed: what closed the gate stands
    assert again.closed == after.closed


def test_a_gate_that_was_closed_opens_when_turns_come_good_again():
    rows = turns(crossed, crossed, reversed_effect, crossed, crossed)
    shut = gate(rows.only(rows.turns <= 2), earlier=gate(rows.only(rows.turns <= 1)).memory)
    assert shut.closed
    open_again = gate(rows.only(rows.turns <= 3), earlier=shut.memory)
    assert open_again.closed == ""
    assert open_again.policy == "model"


def promised(gain, se, *, closed=""):
    return Earlier("model", "text", 0, 0, gain, se, None, closed=closed)


def realised(mean, se):
    return Value.of(mean, se, np.inf, n_rows=9, n_units=9)


@pytest.mark.parametrize(
    ("promise", "seen", "says"),
    [
        ((10, 2), (9, 2), ""),
        ((10, 2), (1, 2), "less than it had promised"),  # 9 below, standard error 2.8; 1 is no proven gain
        ((10, 0.1), (7, 1), ""),  # below the promise with confidence, and yet a gain with confidence
        ((10, 2), (-5, 2), "worse than the best single arm"),
        ((0, 2), (-1, 2), ""),
    ],
)
def test_what_counts_as_falling_short(promise, seen, says):
    found = fallen_short(promised(*promise), realised(*seen), 1)
    assert says in found
    assert bool(says) == bool(found)


def test_more_looks_close_the_gate_less_easily():
    assert fallen_short(promised(10, 2), realised(-4, 2), 1)
    assert not fallen_short(promised(4, 2), realised(-4, 2), 200)


def test_a_closed_gate_wants_a_gain_since():
    assert "no more than the best arm" in fallen_short(promised(None, None, closed="x"), realised(-0.1, 2), 1)
    assert fallen_short(promised(None, None, closed="x"), realised(0.1, 2), 1) == ""


# --- drift ------------------------------------------------------------------------------


def test_features_that_moved_close_the_gate():
    rows = turns(crossed, crossed, shift=DRIFT_SDS + 0.2)
    still = turns(crossed, crossed, shift=DRIFT_SDS - 0.1)
    before = gate(first(rows)).memory
    assert gate(still, earlier=before).policy == "model"
    moved = gate(rows, earlier=before)
    assert moved.policy != "model"
    assert [phrase[:14] for phrase in moved.drift] == ["kg moved by +0"]
    assert moved.drift[0] in moved.words
    assert gate(rows).closed == moved.closed  # the turns before the newest say the same without a memory


def test_a_feature_that_decides_nothing_may_move():
    """The third feature says nothing of the effect: its drift is told, the model stays."""
    rows = turns(crossed, crossed, shift=2.0, column=2)
    decision = gate(rows, earlier=gate(first(rows)).memory)
    assert decision.policy == "model"
    assert decision.closed == ""
    assert [phrase[:16] for phrase in decision.drift] == ["lifts moved by +"]


def test_a_feature_that_went_missing_is_a_drift():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(500, 2))
    gone = known.copy()
    gone[:250, 1] = np.nan
    assert drifted(layout_of(known), gone, ("a", "b")) == {1: "b is unknown in 50% of rows, 0% before"}
    assert drifted(layout_of(known), known, ("a", "b")) == {}


def test_few_rows_are_no_drift():
    """A mean of 8 rows is 0.35 standard deviations uncertain, so 0.6 is within the bound of 0.5 + 3 x 0.35."""
    before = layout_of(np.random.default_rng(0).normal(size=(5_000, 1)))
    rows = np.linspace(-1, 1, 8)[:, None] + 0.6
    assert drifted(before, rows, ("a",)) == {}


# --- age --------------------------------------------------------------------------------


def test_a_model_without_fresh_turns_grows_stale():
    rows = turns(crossed, crossed)
    memory = gate(rows, week=10).memory
    for week in (20, 10 + STALE_WEEKS):
        young = gate(rows, week=week, earlier=memory)
        assert young.policy == "model"
        memory = young.memory
    old = gate(rows, week=11 + STALE_WEEKS, earlier=memory)
    assert old.policy != "model"
    assert f"{STALE_WEEKS + 1} weeks" in old.closed
    fresh = gate(turns(crossed, crossed, crossed), week=12 + STALE_WEEKS, earlier=old.memory)
    assert fresh.policy == "model"


def test_an_empty_start_leaves_nothing_to_drift_from():
    """Before any outcome has closed there are no features to remember; later gaps are not news."""
    rows = turns(crossed, crossed)
    x = rows.X.copy()
    x[::2, 4] = np.nan
    rows = replace(rows, X=x)
    cold = gate(rows.only(np.zeros(0, dtype=int)), week=1).memory
    assert (cold.turn, cold.layout) == (-1, None)
    decision = gate(rows, week=9, earlier=cold)
    assert decision.drift == ()
    assert decision.policy == "model"


# --- memory -----------------------------------------------------------------------------


def test_the_memory_lives_in_the_card():
    rows = turns(crossed, crossed)
    hurt = np.ones(len(rows.y), dtype=bool)
    decision = gate(replace(rows, segments={"all": hurt}, y=rows.y + 2 * (rows.given == 2)), week=10)
    assert decision.stops
    card = ModelCard("c", "2026-W10", "model:1", "residual_kg", "dr_linear", decision, (), {}, -60.0, {}, 0)
    for kept in (card.to_json(), json.loads(card.to_json())):
        assert Earlier.from_card(kept) == decision.memory


@pytest.mark.parametrize("kept", ["{}", '{"decision": {"policy": "none"}}'])
def test_a_card_from_before_has_no_memory(kept):
    assert Earlier.from_card(kept) is None
