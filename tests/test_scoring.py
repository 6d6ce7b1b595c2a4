"""Scores, values and the gate: closed forms, planted truth, and how often the gate is wrong."""

import numpy as np
import pytest

from nudges import estimators
from nudges.cards import ModelCard, leading_features
from nudges.domain import Outcome
from nudges.errors import DataError
from nudges.scoring import (
    Scale,
    aipw_scores,
    clustered_mean,
    cross_fitted_means,
    effective_sample_size,
    group_folds,
    paired_gain,
    policy_value,
)
from nudges.uplift import COLD_START_UNITS, FEW_UNITS, Evidence, Prices, decide, net_benefit, pence_per_outcome

ARMS = ("control", "text", "email")
FREE = Prices(pence_per_outcome=-60.0, cost_pence=np.array([0.0, 2.4, 2.4]), budget_pence_per_household=1e9)


def evidence(n=2_000, *, effect=None, seed=0, homes=1.0):
    """kg a week with a planted effect (n, 2) of x; lower is better."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    chance = np.tile([0.4, 0.3, 0.3], (n, 1))
    given = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    planted = np.zeros((n, 2)) if effect is None else effect(x)
    y = 9 + 3 * x[:, 0] + rng.normal(0, 3, n) + np.column_stack([np.zeros(n), planted])[np.arange(n), given]
    return Evidence(x, y, given, chance, np.arange(n), np.full(n, homes), ARMS)


# --- scores -----------------------------------------------------------------------------


def test_scores_by_hand():
    scores = aipw_scores([5.0, 2.0], [1, 0], [[0.5, 0.5], [0.8, 0.2]], [[1.0, 3.0], [1.0, 4.0]])
    assert scores.tolist() == [[1.0, 3.0 + (5 - 3) / 0.5], [1.0 + (2 - 1) / 0.8, 4.0]]


def test_scores_are_right_on_average_whatever_the_nuisance():
    """Known propensities alone make the scores unbiased (Robins et al. 1994): here with a nuisance that is wrong."""
    rng = np.random.default_rng(0)
    n = 40_000
    x = rng.normal(size=n)
    chance = np.where(x[:, None] > 0, [[0.2, 0.8]], [[0.7, 0.3]])
    given = (rng.random(n) > chance[:, 0]).astype(int)
    y = x + np.where(given == 1, 0.5, 0.0) + rng.normal(size=n)
    for wrong in (0.0, 3.0):
        scores = aipw_scores(y, given, chance, np.full((n, 2), wrong))
        gain = paired_gain(scores, 1, 0)
        assert abs(gain.mean - 0.5) < 4 * gain.se


@pytest.mark.parametrize("chance", [[[1.0, 0.0]], [[0.6, 0.6]], [[0.5, 0.5], [0.5, 0.5]]])
def test_propensities_that_cannot_carry_an_estimate_are_refused(chance):
    with pytest.raises(DataError, match="propensity"):
        aipw_scores([1.0], [0], chance, [[0.0, 0.0]])


def test_clustered_error_by_hand():
    """Two clusters of sums +2 and -2 around the mean: sqrt((4 + 4) * 2 / 1) / 4 = 1."""
    value = clustered_mean([2.0, 2.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert (value.mean, value.se, value.n_rows, value.n_units) == (1.0, 1.0, 4, 2)
    assert clustered_mean([2.0, 2.0, 0.0, 0.0]).se == pytest.approx(np.std([2, 2, 0, 0], ddof=1) / 2)


def test_clustered_interval_covers():
    """95 % of 400 runs with 60 flats that share a shock: 0.95 +- 3 standard errors of a share, less a little for z."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 10)
    hits = 0
    for _ in range(400):
        value = clustered_mean(rng.normal(size=60)[groups] + rng.normal(size=600), groups)
        hits += value.low <= 0 <= value.high
    assert 0.91 <= hits / 400 <= 0.985


def test_policy_value_and_paired_gain():
    scores = np.array([[0.0, 2.0], [0.0, 4.0], [0.0, -3.0]])
    assert policy_value(scores, [1, 1, 0]).mean == 2.0
    assert paired_gain(scores, [1, 1, 0], 1).mean == 1.0
    assert paired_gain(scores, 1, 1).se == 0.0


def test_effective_sample_size_of_equal_weights_is_a_count():
    assert effective_sample_size([0, 1, 1, 0], np.full((4, 2), 0.5), 1) == 2.0
    assert effective_sample_size([0, 0], np.full((2, 2), 0.5), 1) == 0.0


def test_folds_keep_groups_together():
    groups = np.repeat(np.arange(500), 3)
    folds = group_folds(groups, 5, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in range(500))
    assert np.bincount(folds).tolist() == [300] * 5
    with pytest.raises(DataError, match="groups"):
        group_folds([1, 1, 2], 3, seed=0)


def test_nuisances_never_saw_their_row():
    """Changing one row's outcome leaves the predictions of its own fold exactly as they were."""
    rng = np.random.default_rng(0)
    Z, y, given = rng.normal(size=(90, 2)), rng.normal(size=90), rng.integers(0, 2, 90)
    folds = group_folds(np.arange(90), 3, seed=0)
    other = y.copy()
    other[4] += 100
    before, after = (
        cross_fitted_means(Z, values, treatment_index=given, n_arms=2, folds=folds) for values in (y, other)
    )
    same = folds == folds[4]
    np.testing.assert_allclose(after[same], before[same], atol=1e-9)  # sums of all folds less their own: rounding
    assert np.abs(after - before)[~same].max() > 1


def test_scale_puts_unknowns_at_the_mean_and_says_so():
    X = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0], [2.0, 5.0]])
    Z = Scale.of(X)(X)
    assert Z.shape == (4, 3)
    assert Z[2, 0] == 0
    assert (Z[:, 1] == 0).all()
    assert Z.mean(axis=0) == pytest.approx(0)


# --- the gate ---------------------------------------------------------------------------


def test_a_cold_start_is_uniform():
    decision = decide(evidence(COLD_START_UNITS - 1), estimators.load("dr_learner"), FREE, seed=0)
    assert decision.policy == "uniform"
    assert decision.gain is None


def test_on_null_data_the_model_is_not_used():
    """At least 95 of 100 runs without any effect keep the model out, and most find no arm either."""
    policies = [decide(evidence(seed=seed), estimators.load("dr_learner"), FREE, seed=0).policy for seed in range(100)]
    assert policies.count("model") <= 5
    assert policies.count("uniform") >= 90  # few units: no proof is no verdict yet


def test_without_proof_many_units_lead_to_none():
    decision = decide(evidence(FEW_UNITS), estimators.load("dr_learner"), FREE, seed=0)
    assert decision.policy == "none"
    assert "no gain is proven" in decision.words


def test_without_heterogeneity_the_best_arm_goes_to_everyone():
    def same(x):
        return np.tile([-1.0, -0.2], (len(x), 1))

    policies = [
        decide(evidence(effect=same, seed=seed), estimators.load("dr_learner"), FREE, seed=0).policy
        for seed in range(40)
    ]
    assert policies.count("arm:text") >= 36
    assert policies.count("model") <= 4


@pytest.mark.parametrize("name", ["dr_learner", "t_learner"])
def test_planted_heterogeneity_opens_the_gate(name):
    def crossed(x):
        return np.column_stack([-1.5 * x[:, 1], 1.5 * x[:, 1]])

    decisions = [decide(evidence(effect=crossed, seed=seed), estimators.load(name), FREE, seed=0) for seed in range(10)]
    assert [decision.policy for decision in decisions] == ["model"] * 10
    assert all(decision.gain.lower_bound > 0 for decision in decisions)


def test_no_effect_never_opens_the_gate():
    def crossed(x):
        return np.column_stack([-1.5 * x[:, 1], 1.5 * x[:, 1]])

    assert decide(evidence(effect=crossed), estimators.load("no_effect"), FREE, seed=0).policy != "model"


def test_the_gain_is_near_the_planted_one():
    """Effects ±1.5 x: the oracle earns 60 E|1.5 x| = 60 x 1.5 x sqrt(2/pi) = 71.8p less 2.4p over nothing."""

    def crossed(x):
        return np.column_stack([-1.5 * x[:, 1], 1.5 * x[:, 1]])

    gains = [
        decide(evidence(8_000, effect=crossed, seed=seed), estimators.load("dr_learner"), FREE, seed=0)
        for seed in range(4)
    ]
    mean = np.mean([decision.model_over_none.mean for decision in gains])
    spread = np.mean([decision.model_over_none.se for decision in gains])
    assert abs(mean - (60 * 1.5 * np.sqrt(2 / np.pi) - 2.4)) < 3 * spread / 2 + 2


def test_a_message_dearer_than_it_is_worth_is_not_sent():
    def small(x):
        return np.tile([-0.5, -0.5], (len(x), 1))

    dear = Prices(pence_per_outcome=-60.0, cost_pence=np.array([0.0, 80.0, 80.0]), budget_pence_per_household=1e9)
    assert decide(evidence(FEW_UNITS, effect=small), estimators.load("dr_learner"), dear, seed=0).policy == "none"


def test_the_budget_shrinks_what_a_policy_earns():
    def same(x):
        return np.tile([-1.0, -0.2], (len(x), 1))

    poor = Prices(FREE.pence_per_outcome, FREE.cost_pence, budget_pence_per_household=1.2)
    rich_gain, poor_gain = (
        decide(evidence(effect=same), estimators.load("dr_learner"), prices, seed=0).arm_over_none.mean
        for prices in (FREE, poor)
    )
    assert poor_gain == pytest.approx(rich_gain / 2)  # 1.2p of 2.4p: half the homes


def test_same_rows_same_card():
    cards = []
    for _ in range(2):
        decision = decide(evidence(), estimators.load("dr_learner"), FREE, seed=0)
        cards.append(
            ModelCard("a", "2026-W10", "none", "residual_kg", "dr_learner", decision, (), {}, -60.0, {}, 0).to_json()
        )
    assert cards[0] == cards[1]
    assert '"words"' in cards[0]


def test_leading_features_by_size_of_slope():
    slopes = np.array([[0.1, -0.5, 0.0, 9.0], [0.0, 0.0, 0.0, 9.0]])  # the last column flags gaps
    assert leading_features(slopes, ("a", "b", "c"), ARMS) == {"text": ("b", "a"), "email": ()}


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
    assert pence_per_outcome(outcome, residual_pence_per_tonne=15_000, tag_cost_pence=250) == pytest.approx(pence)


def test_net_benefit_by_hand():
    """0.2 kg less at 60p a kg is 12p, less 2.4p a message, for three homes."""
    worth = net_benefit(np.array([[-0.2]]), np.array([3.0]), np.array([0.0, 2.4]), -60.0)
    assert worth == pytest.approx(np.array([[0.0, (12 - 2.4) * 3]]))
