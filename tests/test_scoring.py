"""Scores, nuisances and values: closed forms, brute force, planted truth and other people's code."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from nudges.errors import DataError
from nudges.scoring import (
    Scale,
    aipw_scores,
    clustered_mean,
    cross_fitted_means,
    effective_sample_size,
    group_folds,
    nuisance,
    overlap,
    paired_gain,
    policy_value,
    score_matrix,
    self_normalised_value,
    stabilised_mean,
    stabilising_weight,
)

ROUNDING = 1e-12  # sums in another order


def drawn(n=600, n_arms=3, n_features=4, seed=0):
    """Features, outcome, arm given, propensities that differ from row to row, folds."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, n_features))
    chance = rng.dirichlet(np.full(n_arms, 5.0), n) * 0.7 + 0.3 / n_arms
    chance /= chance.sum(axis=1, keepdims=True)
    arm = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1).clip(max=n_arms - 1)
    return Z, Z[:, 0] + rng.normal(size=n), arm, chance, group_folds(np.arange(n), 5, seed=1)


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
    arm = (rng.random(n) > chance[:, 0]).astype(int)
    y = x + np.where(arm == 1, 0.5, 0.0) + rng.normal(size=n)
    for wrong in (0.0, 3.0):
        scores = aipw_scores(y, arm, chance, np.full((n, 2), wrong))
        gain = paired_gain(scores, 1, 0)
        assert abs(gain.mean - 0.5) < 4 * gain.se


@pytest.mark.parametrize("chance", [[[1.0, 0.0]], [[0.6, 0.6]], [[0.5, 0.5], [0.5, 0.5]], [[np.nan, 1.0]]])
def test_propensities_that_cannot_carry_an_estimate_are_refused(chance):
    with pytest.raises(DataError, match="propensity"):
        aipw_scores([1.0], [0], chance, [[0.0, 0.0]])


def test_a_nuisance_of_another_shape_is_refused():
    with pytest.raises(DataError, match="nuisance"):
        aipw_scores([1.0], [0], [[0.5, 0.5]], [[0.0, 0.0, 0.0]])


def test_scores_leave_the_nuisance_as_it_was():
    guess = np.zeros((2, 2))
    aipw_scores([5.0, 2.0], [1, 0], np.full((2, 2), 0.5), guess)
    assert not guess.any()


def test_the_score_matrix_is_its_two_parts():
    Z, y, arm, chance, folds = drawn()
    weight = np.random.default_rng(2).random(len(y))
    means = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds, sample_weight=weight)
    scores = score_matrix(Z, y, treatment_index=arm, propensity=chance, folds=folds, sample_weight=weight)
    np.testing.assert_array_equal(scores, aipw_scores(y, arm, chance, means))


# --- nuisances --------------------------------------------------------------------------


def test_folds_keep_groups_together():
    groups = np.repeat(np.arange(500), 3)
    folds = group_folds(groups, 5, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in range(500))
    assert np.bincount(folds).tolist() == [300] * 5
    with pytest.raises(DataError, match="groups"):
        group_folds([1, 1, 2], 3, seed=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_nuisances_are_ridges_of_each_arm_without_the_fold(weighted):
    """scikit-learn's ridge, one arm and fold at a time, penalty one a feature."""
    Z, y, arm, _, folds = drawn()
    weight = np.random.default_rng(2).random(len(y)) if weighted else None
    means = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds, sample_weight=weight)
    expected = np.empty_like(means)
    for fold in range(5):
        for column in range(3):
            rows = (folds != fold) & (arm == column)
            ridge = Ridge(alpha=Z.shape[1]).fit(Z[rows], y[rows], None if weight is None else weight[rows])
            expected[folds == fold, column] = ridge.predict(Z[folds == fold])
    np.testing.assert_allclose(means, expected, atol=1e-9)  # the intercept's penalty of 1e-9


def test_nuisances_in_chunks_are_the_same(monkeypatch):
    Z, y, arm, _, folds = drawn()
    whole = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds)
    monkeypatch.setattr(nuisance, "_CHUNK_ROWS", 7)
    parts = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds)
    np.testing.assert_allclose(parts, whole, atol=ROUNDING)


def test_nuisances_never_saw_their_row():
    """Changing one row's outcome leaves the predictions of its own fold exactly as they were."""
    Z, y, arm, _, folds = drawn(90, n_arms=2)
    other = y.copy()
    other[4] += 100
    before, after = (cross_fitted_means(Z, values, treatment_index=arm, n_arms=2, folds=folds) for values in (y, other))
    same = folds == folds[4]
    np.testing.assert_allclose(after[same], before[same], atol=1e-9)  # sums of all folds less their own: rounding
    assert np.abs(after - before)[~same].max() > 1


def test_an_arm_without_rows_is_taken_to_bring_the_mean_of_the_other_folds():
    Z, y, arm, _, folds = drawn(n_arms=2)
    means = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds)
    assert means[folds == 0, 2] == pytest.approx(y[folds != 0].mean())


def test_rows_without_weight_teach_nothing():
    Z, y, arm, _, folds = drawn()
    weight = np.where(np.arange(len(y)) % 7 == 0, 0.0, 1.0)
    means = cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=folds, sample_weight=weight)
    spoilt = np.where(weight == 0, 1e6, y)
    again = cross_fitted_means(Z, spoilt, treatment_index=arm, n_arms=3, folds=folds, sample_weight=weight)
    np.testing.assert_array_equal(means, again)


def test_wrong_arms_and_lone_folds_are_refused():
    Z, y, arm, _, folds = drawn()
    with pytest.raises(DataError, match="treatment_index == 2"):
        cross_fitted_means(Z, y, treatment_index=arm, n_arms=2, folds=folds)
    with pytest.raises(DataError, match="folds"):
        cross_fitted_means(Z, y, treatment_index=arm, n_arms=3, folds=np.zeros(len(y), dtype=int))


def test_scale_puts_unknowns_at_the_mean_and_says_so():
    X = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0], [2.0, 5.0]])
    Z = Scale.of(X)(X)
    assert Z.shape == (4, 3)
    assert Z[2, 0] == 0
    assert (Z[:, 1] == 0).all()
    assert Z.mean(axis=0) == pytest.approx(0)


# --- the clustered mean -----------------------------------------------------------------


def test_clustered_error_by_hand():
    """Two clusters of sums +2 and -2 around the mean: sqrt((4 + 4) * 2 / 1) / 4 = 1."""
    value = clustered_mean([2.0, 2.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert (value.mean, value.se, value.n_rows, value.n_units) == (1.0, pytest.approx(1.0), 4, 2)
    assert clustered_mean([2.0, 2.0, 0.0, 0.0]).se == pytest.approx(np.std([2, 2, 0, 0], ddof=1) / 2)


def test_units_of_one_size_agree_with_statsmodels():
    """CR2 of a mean is then the usual cluster-robust error with G / (G - 1), and Student's G - 1 its freedom."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    values = rng.normal(size=200) + rng.normal(size=40)[groups]
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    value = clustered_mean(values, groups)
    assert (value.mean, value.se) == (pytest.approx(fit.params[0]), pytest.approx(fit.bse[0], rel=1e-10))
    assert (value.low, value.high) == pytest.approx(tuple(fit.conf_int()[0]))
    assert value.df == pytest.approx(39)


def test_weights_agree_with_statsmodels():
    """The same weights in every unit, so that shares stay equal."""
    rng = np.random.default_rng(1)
    groups, weight = np.repeat(np.arange(60), 4), np.tile([1.0, 2.0, 0.5, 3.0], 60)
    values = rng.normal(size=240) + rng.normal(size=60)[groups]
    fit = sm.WLS(values, np.ones(240), weights=weight).fit(cov_type="cluster", cov_kwds={"groups": groups})
    value = clustered_mean(values, groups, weight)
    assert (value.mean, value.se) == (pytest.approx(fit.params[0]), pytest.approx(fit.bse[0], rel=1e-10))


def test_many_uneven_units_are_near_statsmodels():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(500), rng.integers(1, 8, 500))
    values = rng.normal(size=len(groups)) + rng.normal(size=500)[groups]
    fit = sm.OLS(values, np.ones(len(groups))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert clustered_mean(values, groups).se == pytest.approx(fit.bse[0], rel=2e-3)  # CR2 and CR1 differ by O(1/G)


def test_uneven_units_by_the_matrices_of_the_papers():
    """CR2 (Bell & McCaffrey 2002) and its freedom under equal correlation (Imbens & Kolesár 2016), all n x n."""
    rng = np.random.default_rng(3)
    sizes = np.array([1, 2, 5, 9, 3, 1, 1, 4])
    groups, n = np.repeat(np.arange(8), sizes), int(sizes.sum())
    values = rng.normal(size=n) + 2 * rng.normal(size=8)[groups]
    left = np.eye(n) - np.full((n, n), 1 / n)
    residual = left @ values
    same = groups[:, None] == groups
    correlation = ((np.outer(residual, residual) * same).sum() - residual @ residual) / (same.sum() - n)
    correlation = np.clip(correlation / (residual @ residual / n), 0, 1)
    rows = []
    for unit in range(8):
        inside = groups == unit
        roots, vectors = np.linalg.eigh(left[np.ix_(inside, inside)])
        adjusted = vectors @ np.diag(roots**-0.5) @ vectors.T
        rows.append(adjusted.sum(axis=0) @ left[inside] / n)
    pulls = np.array(rows)  # one row a unit: its term of the variance is (row · y)²
    spread = pulls @ (np.eye(n) * (1 - correlation) + correlation * same) @ pulls.T
    value = clustered_mean(values, groups)
    assert value.se == pytest.approx(np.sqrt(((pulls @ values) ** 2).sum()), rel=1e-10)
    assert value.df == pytest.approx(np.trace(spread) ** 2 / np.trace(spread @ spread), rel=1e-10)


def test_a_weight_of_two_is_the_row_twice():
    values, groups = np.array([1.0, 4.0, 2.0, 7.0, 3.0]), np.array([1, 1, 2, 3, 4])
    twice = np.repeat(np.arange(5), [2, 1, 1, 2, 1])
    weighted, repeated = (
        clustered_mean(values, groups, [2, 1, 1, 2, 1]),
        clustered_mean(values[twice], groups[twice]),
    )
    assert (weighted.mean, weighted.se) == (pytest.approx(repeated.mean), pytest.approx(repeated.se))


def test_rows_without_weight_do_not_count():
    value = clustered_mean([1.0, 2.0, 99.0, 6.0], ["a", "b", "c", "d"], [1, 1, 0, 1])
    assert (value.mean, value.n_rows, value.n_units) == (3.0, 3, 3)
    assert value.se == pytest.approx(clustered_mean([1.0, 2.0, 6.0]).se)


def test_one_unit_proves_nothing():
    value = clustered_mean([1.0, 2.0], ["a", "a"])
    assert (value.se, value.low, value.high, value.lower_bound) == (np.inf, -np.inf, np.inf, -np.inf)
    assert value.at_least(0.05) == -np.inf
    assert np.isnan(clustered_mean([]).mean)


def test_equal_values_have_no_error_at_all():
    value = clustered_mean(np.full(1_001, 0.1), np.arange(1_001) // 3)
    assert (value.se, value.low, value.high) == (0.0, value.mean, value.mean)


def test_one_sided_bounds():
    value = clustered_mean(np.arange(30.0))
    assert value.at_least(0.05) == pytest.approx(value.lower_bound)
    assert value.at_least(0.025) == pytest.approx(value.low)
    assert value.at_least(0.05 / 12) < value.low
    with pytest.raises(DataError, match="alpha"):
        value.at_least(0.9)


@pytest.mark.parametrize(
    ("groups", "weight", "named"),
    [
        (["a"], None, "groups"),
        (["a", None], None, "groups"),
        (None, [1.0], "weight"),
        (None, [1.0, -1.0], "weight"),
        (None, [0.0, 0.0], "weight"),
    ],
)
def test_what_cannot_carry_a_mean_is_refused(groups, weight, named):
    with pytest.raises(DataError, match=named):
        clustered_mean([1.0, 2.0], groups, weight)


@given(st.lists(st.tuples(st.floats(-100, 100), st.integers(0, 5)), min_size=2, max_size=30), st.randoms())
def test_the_order_of_rows_and_the_kind_of_label_do_not_matter(rows, shuffler):
    shuffled = rows[:]
    shuffler.shuffle(shuffled)
    one = clustered_mean([value for value, _ in rows], [unit for _, unit in rows])
    other = clustered_mean([value for value, _ in shuffled], [f"home {unit}" for _, unit in shuffled])
    assert (one.mean, one.n_units) == (pytest.approx(other.mean, abs=1e-10), other.n_units)
    assert one.se == pytest.approx(other.se, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("sizes", [np.full(60, 10), np.r_[np.full(54, 1), np.full(6, 30)]], ids=["even", "uneven"])
def test_clustered_interval_covers(sizes):
    """95 % of 600 runs with 60 units that share a shock, also when six of them hold three quarters of the rows."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), sizes)
    hits = 0
    for _ in range(600):
        value = clustered_mean(rng.normal(size=60)[groups] + rng.normal(size=len(groups)), groups)
        hits += value.low <= 0 <= value.high
    assert 0.923 <= hits / 600 <= 0.977  # 0.95 +- 3 standard errors of a share


# --- policies ---------------------------------------------------------------------------


def test_policy_value_and_paired_gain():
    scores = np.array([[0.0, 2.0], [0.0, 4.0], [0.0, -3.0]])
    assert policy_value(scores, [1, 1, 0]).mean == 2.0
    assert paired_gain(scores, [1, 1, 0], 1).mean == 1.0
    assert paired_gain(scores, 1, 1).se == 0.0
    assert policy_value(scores, 1, weight=[1, 0, 1]).mean == -0.5


def test_self_normalised_value_by_hand():
    """Weights 1/0.5 and 1/0.25 on outcomes 1 and 4: (2 + 16) / 6 = 3; the third row got another arm."""
    chance = [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]]
    value = self_normalised_value([1.0, 4.0, 9.0], [1, 1, 0], chance, 1)
    assert (value.mean, value.n_rows) == (pytest.approx(3.0), 2)


def test_self_normalised_value_with_even_propensities_is_the_arms_mean():
    _, y, arm, _, _ = drawn()
    value = self_normalised_value(y, arm, np.full((len(y), 3), 1 / 3), 1)
    assert value.mean == pytest.approx(y[arm == 1].mean())
    assert value.se == pytest.approx(np.std(y[arm == 1], ddof=1) / np.sqrt((arm == 1).sum()))


def test_self_normalised_value_finds_what_was_planted():
    rng = np.random.default_rng(0)
    n = 20_000
    x = rng.normal(size=n)
    chance = np.where(x[:, None] > 0, [[0.2, 0.8]], [[0.7, 0.3]])
    arm = (rng.random(n) > chance[:, 0]).astype(int)
    y = 5 + x + 0.5 * arm + rng.normal(size=n)
    value = self_normalised_value(y, arm, chance, 1)
    assert abs(value.mean - 5.5) < 4 * value.se
    assert abs(y[arm == 1].mean() - 5.5) > 10 * value.se  # the plain mean is of another kind of household


def test_nobody_followed_the_policy():
    with pytest.raises(DataError, match="no row"):
        self_normalised_value([1.0], [0], [[0.5, 0.5]], 1)


def test_effective_sample_size_of_equal_weights_is_a_count():
    assert effective_sample_size([0, 1, 1, 0], np.full((4, 2), 0.5), 1) == 2.0
    assert effective_sample_size([0, 0], np.full((2, 2), 0.5), 1) == 0.0


def test_a_healthy_trial_raises_no_alarm():
    _, _, arm, chance, _ = drawn(3_000)
    found = overlap(arm, chance, 1)
    assert found.alarms == ()
    assert found.effective_rows == effective_sample_size(arm, chance, 1)
    assert found.largest_weight == pytest.approx((1 / chance[arm == 1, 1]).max())
    assert (found.followed_rows, found.n_rows) == ((arm == 1).sum(), 3_000)


@pytest.mark.parametrize(
    ("arm", "chance", "words"),
    [
        ([0] * 400, [[0.5, 0.5]] * 400, "No row"),
        ([0, 1] * 40, [[0.5, 0.5]] * 80, "Only 40 effective rows"),
        ([0] * 2_000 + [1] * 2_000, [[0.5, 0.5]] * 3_990 + [[0.995, 0.005]] * 10, "weigh like"),
        ([0] * 200 + [1] * 200, [[0.5, 0.5]] * 399 + [[0.97, 0.03]], "One row carries 8% of the weight"),
        ([0] * 2_000 + [1] * 2_000, [[0.5, 0.5]] * 3_999 + [[0.995, 0.005]], "propensity of 0.50%"),
        ([0] * 400 + [1] * 1_000, [[0.5, 0.5]] * 1_400, "1.43 times as often"),
    ],
    ids=["nobody", "few", "uneven", "heavy", "rare", "wrong log"],
)
def test_alarms(arm, chance, words):
    alarms = overlap(arm, chance, 1).alarms
    assert any(words in alarm for alarm in alarms), alarms


# --- adaptively collected data ----------------------------------------------------------


def test_stabilising_weights_by_hand():
    """Mean 1/e of 4 in one turn and 1 in the next: weights 1/2 and 1, scaled to average 1."""
    assert stabilising_weight([0, 0, 1, 1], [0.25, 0.25, 1, 1]) == pytest.approx([2 / 3, 2 / 3, 4 / 3, 4 / 3])
    assert stabilising_weight([0, 1], [[0.5, 0.5], [0.2, 0.8]]) == pytest.approx(
        np.array([1 / 2, 1 / 2.5]) / np.mean([1 / 2, 1 / 2.5])
    )
    value = stabilised_mean([1.0, 1.0, 4.0, 4.0], [0, 0, 1, 1], [0.25, 0.25, 1, 1])
    assert value.mean == pytest.approx(3.0)


def test_turns_alike_need_no_weights():
    values = np.arange(12.0)
    value = stabilised_mean(values, np.repeat([3, 7, 9], 4), np.full(12, 0.2), groups=np.arange(12) % 5)
    plain = clustered_mean(values, np.arange(12) % 5)
    assert (value.mean, value.se) == (pytest.approx(plain.mean), pytest.approx(plain.se))


@pytest.mark.parametrize("chance", [[0.0, 1.0], [0.5, 1.2], [0.5, np.nan]])
def test_propensities_of_turns_are_checked(chance):
    with pytest.raises(DataError, match="propensity_of_policy"):
        stabilised_mean([1.0, 2.0], [0, 1], chance)


@settings(max_examples=50)
@given(st.integers(0, 1_000))
def test_weights_use_propensities_only(seed):
    rng = np.random.default_rng(seed)
    chance, batch = rng.uniform(0.05, 1, 30), rng.integers(0, 4, 30)
    values = rng.normal(size=30)
    raised = stabilised_mean(values + 5, batch, chance).mean
    assert raised == pytest.approx(stabilised_mean(values, batch, chance).mean + 5)
