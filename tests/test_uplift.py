"""The gate on planted effects: what it decides, how often it is wrong, and that no figure profits from having won."""

from dataclasses import replace

import numpy as np
import pytest
from planted import ARMS, FREE, crossed, evidence, same

from nudges import estimators
from nudges.domain import Outcome
from nudges.errors import DataError
from nudges.scoring import Value
from nudges.uplift import (
    COLD_START_UNITS,
    GATE_FOLDS,
    NONE_CHANCE,
    Detail,
    Earlier,
    Prices,
    decide,
    net_benefit,
    pence_per_outcome,
)
from nudges.uplift.averaging import averaged
from nudges.uplift.gate import STAY_LEVEL
from nudges.uplift.held_out import held_out
from nudges.uplift.proof import MODEL_ERROR_SHARE, proof
from nudges.uplift.sampling import shares_of

FAST = estimators.load("dr_linear")


def gate(rows, prices=FREE, **options):
    return decide(rows, FAST, prices, seed=0, **{"detail": Detail.GATE, **options})


# --- what it decides --------------------------------------------------------------------


def test_a_cold_start_is_uniform():
    decision = gate(evidence(COLD_START_UNITS - 1))
    assert decision.policy == "uniform"
    assert decision.gain is None
    assert decision.words.startswith("Cold start: 999 units")


def test_on_null_data_the_model_is_not_used():
    """40 runs of a bold learner without any effect: by design at most 2 are expected, 7 are over 3 errors more."""
    bold = estimators.load("t_learner")
    policies = [decide(evidence(1_200, seed=seed), bold, FREE, seed=0, detail=Detail.GATE).policy for seed in range(40)]
    assert policies.count("model") <= 6
    assert sum(policy.startswith("mix:") for policy in policies) >= 32  # few rows: no proof is no verdict yet


def test_without_heterogeneity_the_best_arm_goes_to_everyone():
    bold = estimators.load("t_learner")
    policies = [
        decide(evidence(effect=same(-1.0, -0.2), seed=seed), bold, FREE, seed=0, detail=Detail.GATE).policy
        for seed in range(20)
    ]
    assert policies.count("arm:text") >= 17
    assert policies.count("model") <= 3


@pytest.mark.parametrize("name", ["dr_linear", "t_learner"])
def test_planted_heterogeneity_opens_the_gate(name):
    decisions = [
        decide(evidence(effect=crossed, seed=seed), estimators.load(name), FREE, seed=0, detail=Detail.GATE)
        for seed in range(5)
    ]
    assert [decision.policy for decision in decisions] == ["model"] * 5
    assert all(decision.model_over_arm.at_least(decision.level) > 0 for decision in decisions)


def test_no_effect_never_opens_the_gate():
    rows = evidence(effect=crossed)
    assert decide(rows, estimators.load("no_effect"), FREE, seed=0, detail=Detail.GATE).policy != "model"


def test_the_gain_is_near_the_planted_one():
    """Effects ±1.5 x: the oracle earns 60 E|1.5 x| = 60 x 1.5 x sqrt(2/pi) = 71.8p less 2.4p over nothing."""
    gains = [gate(evidence(8_000, effect=crossed, seed=seed)) for seed in range(4)]
    mean = np.mean([decision.model_over_none.mean for decision in gains])
    spread = np.mean([decision.model_over_none.se for decision in gains])
    assert abs(mean - (60 * 1.5 * np.sqrt(2 / np.pi) - 2.4)) < 3 * spread / 2 + 2


def test_a_message_dearer_than_it_is_worth_is_not_sent():
    """30p of benefit for 80p: sending nothing is best for sure, so the policy is none and not a mixture."""
    dear = Prices(pence_per_outcome=-60.0, cost_pence=np.array([0.0, 80.0, 80.0]), budget_pence_per_household=1e9)
    decision = gate(evidence(effect=same(-0.5, -0.5)), dear)
    assert decision.policy == "none"
    assert decision.chance_best["control"] > 0.99
    assert "gets no message" in decision.words


def test_many_rows_without_proof_are_no_proof_of_nothing():
    """120,000 rows of a message that brings 0.6p net, less than the standard error of 1.3p: it goes on being tried."""
    rows = evidence(120_000, effect=same(-0.05, -0.05))
    decision = gate(rows, looks=13)
    assert decision.arm_over_none.at_least(0.05 / 13) <= 0
    assert decision.chance_best["control"] < NONE_CHANCE
    assert decision.policy.startswith("mix:")
    assert gate(evidence(120_000, effect=same(0.05, 0.05)), looks=13).policy == "none"


def test_a_mixture_keeps_to_the_budget():
    """1.2p for messages of 2.4p: half of the homes, whatever the mixture; the rest gets nothing."""
    rich, poor = (
        shares_of(gate(evidence(), replace(FREE, budget_pence_per_household=money)).policy, ARMS)
        for money in (1e9, 1.2)
    )
    assert rich[1:].sum() > 0.5
    assert poor[1:].sum() <= 0.5
    assert 2.4 * poor[1:].sum() <= 1.2


def test_the_budget_shrinks_what_a_policy_earns():
    poor = replace(FREE, budget_pence_per_household=1.2)
    rich_gain, poor_gain = (
        gate(evidence(effect=same(-1.0, -0.2)), prices).arm_over_none.mean for prices in (FREE, poor)
    )
    assert poor_gain == pytest.approx(rich_gain / 2)  # 1.2p of 2.4p: half the homes


def test_the_same_rows_give_the_same_decision():
    assert gate(evidence(effect=crossed)) == gate(evidence(effect=crossed))


@pytest.mark.parametrize("part", ["given", "households", "groups"])
def test_evidence_that_does_not_fit_is_refused(part):
    rows = evidence(50)
    with pytest.raises(DataError, match=part):
        gate(replace(rows, **{part: getattr(rows, part)[:-1]}))


def test_words_name_pounds_for_a_thousand_households():
    """23.4p a home is £234 for 1,000; the words carry the figure of the decision."""
    decision = gate(evidence(4_000, effect=same(-1.0, -0.2), homes=2.0))
    pounds = decision.arm_over_none.mean * 10 / 2
    assert decision.households_per_unit == 2
    assert f"£{pounds:,.2f}" in decision.words
    assert decision.words.startswith("text goes to everyone.")


# --- looks ------------------------------------------------------------------------------


def test_every_look_costs_confidence():
    """One look: 1.645 standard errors. Twenty: 5 % / 20 one-sided, 2.807 (normal quantile of 0.9975)."""
    value = Value.of(2.0, 1.0, np.inf, n_rows=9, n_units=9)
    assert proof(value, 1).bound == pytest.approx(2 - 1.6449, abs=1e-4)
    assert proof(value, 20).bound == pytest.approx(2 - 2.8070, abs=1e-4)
    assert not proof(value, 20).is_proven
    with pytest.raises(DataError, match="looks"):
        proof(value, 0)


def test_a_model_is_held_to_more_than_a_single_arm():
    """At one look 1.5 % instead of 5 %: a normal quantile of 2.170."""
    value = Value.of(2.0, 1.0, np.inf, n_rows=9, n_units=9)
    assert proof(value, 1, at_most=MODEL_ERROR_SHARE).bound == pytest.approx(2 - 2.1701, abs=1e-4)
    assert proof(value, 20, at_most=MODEL_ERROR_SHARE) == proof(value, 20)
    assert gate(evidence(effect=crossed)).level == MODEL_ERROR_SHARE


def test_more_looks_never_open_the_gate():
    rows = evidence(1_200, effect=lambda x: crossed(x) * 0.8)
    opened = [gate(rows, looks=looks).policy == "model" for looks in (1, 4, 52, 100_000)]
    assert opened == sorted(opened, reverse=True)
    assert opened[0]
    assert not opened[-1]


def test_over_none_a_model_is_held_to_the_plain_bound():
    """Messages 0.6 kg worse for all: the model beats the best arm by far, sending nothing by 2.1 standard errors."""
    decision = gate(evidence(1_200, effect=lambda x: crossed(x) + 0.6, seed=1), looks=52)
    assert decision.policy == "model"
    assert decision.model_over_none.at_least(0.05) > 0 > decision.model_over_none.at_least(0.05 / 52)
    assert decision.model_over_arm.at_least(0.05 / 52) > 0
    worse = gate(evidence(1_200, effect=lambda x: crossed(x) + 1.0, seed=1), looks=52)
    assert worse.model_over_arm.at_least(0.05 / 52) > 0 > worse.model_over_none.at_least(0.05)
    assert worse.policy != "model"


def remembering(policy):
    return Earlier(policy, "text", 0, 0, None, None, None)


@pytest.mark.parametrize(("policy", "effect"), [("model", lambda x: crossed(x) * 0.8), ("arm:text", same(-1.0, 0.0))])
def test_what_was_proven_stays_while_it_is_likely_a_gain(policy, effect):
    """So many looks that nothing opens the gate: what is in stays by its 75 % bound, what is out stays out."""
    rows = evidence(1_200, effect=effect)
    assert gate(rows, looks=10**12).policy.startswith("mix:")
    kept = gate(rows, looks=10**12, earlier=remembering(policy))
    assert kept.policy == policy
    assert kept.gain.at_least(STAY_LEVEL) > 0
    nothing = gate(evidence(1_200, seed=1), earlier=remembering(policy))
    assert nothing.policy != policy


def test_none_stays_while_it_is_more_likely_best_than_not():
    prices = replace(FREE, cost_pence=np.array([0.0, 12.0, 12.0]))
    rows = evidence(1_200, seed=2)
    first = gate(rows, prices)
    assert first.policy.startswith("mix:")
    assert 0.5 < first.chance_best["control"] < 0.95
    assert gate(rows, prices, earlier=remembering("none")).policy == "none"
    assert gate(evidence(1_200, effect=same(-0.8, 0.0)), looks=10**12, earlier=remembering("none")).policy != "none"


# --- no row judges what it taught -------------------------------------------------------


def test_policies_never_saw_the_rows_they_are_judged_on():
    """New outcomes in one fold change neither the model's arms nor the best single arm of that fold."""
    rows = evidence(1_500, effect=crossed)
    before = held_out(rows, FAST, FREE, seed=0)
    own = before.folds == 2
    rng = np.random.default_rng(9)
    after = held_out(replace(rows, y=np.where(own, rng.normal(0, 50, 1_500), rows.y)), FAST, FREE, seed=0)
    np.testing.assert_allclose(after.effect[own], before.effect[own])
    np.testing.assert_array_equal(after.single[own], before.single[own])
    assert np.abs(after.effect - before.effect)[~own].max() > 0.1
    assert np.unique(before.folds).tolist() == list(range(GATE_FOLDS))


def test_the_best_single_arm_owes_nothing_to_having_won():
    """Eight messages that do nothing, 50 runs: the winner in hindsight looks good, out of fold it is worth nothing."""
    arms = ("control", *"abcdefgh")
    prices = Prices(-60.0, np.zeros(9), 1e9)
    honest, naive = [], []
    for seed in range(50):
        decision = decide(
            evidence(1_800, seed=seed, arms=arms), estimators.load("no_effect"), prices, seed=0, detail=Detail.GATE
        )
        honest.append(decision.arm_over_none.mean)
        naive.append(-60.0 * min(effect.mean for effect in decision.effects.values()))
    error = np.std(honest, ddof=1) / np.sqrt(50)
    assert abs(np.mean(honest)) < 3 * error
    assert np.mean(naive) > 4 * error


def test_rows_of_one_unit_bring_no_certainty_of_their_own():
    """Every row twice under the same unit: the same means and standard errors, up to the folds' nuisances."""
    rows = evidence(1_500, effect=same(-1.0, -0.2))
    twice = rows.only(np.repeat(np.arange(1_500), 2))
    once, doubled = gate(rows), gate(twice)
    assert (doubled.n_units, doubled.n_rows) == (1_500, 3_000)
    assert doubled.effects["text"].mean == pytest.approx(once.effects["text"].mean, rel=0.05)
    assert doubled.effects["text"].se == pytest.approx(once.effects["text"].se, rel=0.02)


def test_turns_count_by_their_propensities_alone():
    """Two turns with chances 0.1 and 0.4 of the arm: weights 1/sqrt(1/p + 1/q), Hadad et al. (2021), by hand."""
    rows = evidence(4)
    chance = np.array([[0.5, 0.1, 0.4], [0.5, 0.1, 0.4], [0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    rows = replace(rows, propensity=chance, batch=np.array([0, 0, 1, 1]))
    light, heavy = 1 / np.sqrt(1 / 0.1 + 1 / 0.5), 1 / np.sqrt(1 / 0.4 + 1 / 0.5)
    found = averaged(np.array([1.0, 3.0, 10.0, 12.0]), rows, 1, 0)
    assert found.mean == pytest.approx((light * 2 + heavy * 11) / (light + heavy))


# --- pence ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "pence"),
    [
        (Outcome.RESIDUAL_KG, -4 * 15.0),  # 4 weeks of a kg at 15p
        (Outcome.TAG_RATE, -2 * 250.0),  # two lifts in four weeks
        (Outcome.RECYCLING_SET_OUT_RATE, 2 * 2.0 * 15.0),
        (Outcome.FOOD_SET_OUT_RATE, 4 * 1.3 * 15.0),
    ],
)
def test_worth_of_an_effect(outcome, pence):
    prices = {"residual_pence_per_tonne": 15_000, "tag_cost_pence": 250}
    assert pence_per_outcome(outcome, **prices) == pytest.approx(pence)
    assert pence_per_outcome(outcome, **prices, weeks=1) == pytest.approx(pence)  # the shortest window is 4
    assert pence_per_outcome(outcome, **prices, weeks=8) == pytest.approx(2 * pence)
    assert pence_per_outcome(outcome, **prices, weeks=52) == pytest.approx(3 * pence)  # the longest is 12


def test_net_benefit_by_hand():
    """0.2 kg less at 60p a kg is 12p, less 2.4p a message, for three homes."""
    worth = net_benefit(np.array([[-0.2]]), np.array([3.0]), np.array([0.0, 2.4]), -60.0)
    assert worth == pytest.approx(np.array([[0.0, (12 - 2.4) * 3]]))


def test_arms_are_those_of_the_evidence():
    assert set(gate(evidence(effect=crossed)).effects) == set(ARMS[1:])
