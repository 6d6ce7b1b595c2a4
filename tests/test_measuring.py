"""Measuring: agreement with statsmodels and brute force, coverage by simulation, checks and verdicts by closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nudges.domain import Outcome, Verdict
from nudges.errors import DataError, UnsupportedError
from nudges.measuring import (
    Drawn,
    Effect,
    Method,
    Outcomes,
    balance,
    by_segment,
    mean_variance,
    minimum_detectable,
    outage_gap,
    pooled,
    sample_ratio,
    unit_ancova,
    verdict,
    verdict_words,
)
from nudges.measuring.contrasts import contrast_effect
from nudges.measuring.units import Series

ORACLE = 1e-9  # two programs on the same least-squares problem differ by rounding only


def town(n=400, seed=1, missing=0.05):
    rng = np.random.default_rng(seed)
    pre = rng.gamma(4, 2, n)
    treated = (rng.random(n) < 0.3).astype(float)
    post = 1 + 0.7 * pre - 0.4 * treated + rng.normal(0, 1 + 0.2 * pre, n)
    pre = np.where(rng.random(n) < missing, np.nan, pre)
    weights = rng.integers(1, 9, n).astype(float)
    return post, pre, treated, weights, rng


def design(pre, treated):
    known = np.isfinite(pre)
    columns = [np.ones(len(pre)), treated, np.where(known, pre, np.nanmean(pre))]
    if not known.all():
        columns.append((~known).astype(float))
    return np.column_stack(columns)


def same(effect, estimate, se, tolerance=ORACLE):
    assert effect.estimate == pytest.approx(estimate, abs=tolerance)
    assert effect.se == pytest.approx(se, abs=tolerance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_agrees_with_statsmodels_hc2(weighted, missing):
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is a test oracle only; it is not installed")
    post, pre, treated, weights, _ = town(missing=missing)
    weights = weights if weighted else np.ones(len(post))
    fit = sm.WLS(post, design(pre, treated), weights=weights).fit(cov_type="HC2", use_t=True)
    effect = unit_ancova(post, pre, treated, weights=weights)
    same(effect, fit.params[1], fit.bse[1])
    df = brute_cr2(design(pre, treated) * np.sqrt(weights)[:, None], post, np.arange(len(post)))[1]
    assert effect.df == pytest.approx(df, rel=1e-7)
    ends = stats.t.interval(0.95, df, loc=fit.params[1], scale=fit.bse[1])
    assert (effect.ci_low, effect.ci_high) == pytest.approx(ends, abs=ORACLE)
    assert effect.p_value == pytest.approx(2 * stats.t.sf(abs(fit.tvalues[1]), df), abs=ORACLE)
    assert (effect.n_units_treated, effect.n_units_control) == (treated.sum(), (1 - treated).sum())


@pytest.mark.filterwarnings("ignore")  # warnings of the oracle's own making
def test_agrees_with_pyfixest_hc2_and_strata():
    pd = pytest.importorskip("pandas")
    try:
        import pyfixest as pf
    except Exception as reason:
        pytest.skip(f"pyfixest is a test oracle only; it is not installed ({reason})")
    post, pre, treated, _, rng = town(missing=0.0)
    frame = pd.DataFrame({"post": post, "pre": pre, "treated": treated, "week": rng.integers(0, 3, len(post))})
    plain = pf.ssc(k_adj=False, G_adj=False)  # HC2 as in the paper, without a further small-sample factor
    fit = pf.feols("post ~ treated + pre + C(week)", frame, vcov="HC2", ssc=plain)
    same(
        unit_ancova(post, pre, treated, strata=frame["week"].to_numpy()),
        float(fit.coef()["treated"]), float(fit.se()["treated"]),
    )  # fmt: skip


def test_hc2_equals_brute_force_with_a_dense_hat_matrix():
    post, pre, treated, weights, _ = town(n=60)
    x = design(pre, treated)
    root = np.sqrt(weights)
    rows, y = x * root[:, None], post * root
    bread = np.linalg.inv(rows.T @ rows)
    hat = rows @ bread @ rows.T
    e = y - hat @ y
    variance = bread @ (rows.T * (e**2 / (1 - np.diag(hat)))) @ rows @ bread
    same(unit_ancova(post, pre, treated, weights=weights), (bread @ rows.T @ y)[1], math.sqrt(variance[1, 1]))


def brute_cr2(rows, y, cluster):
    """CR2 and Bell-McCaffrey degrees of freedom from n x n matrices, straight from the papers."""
    bread = np.linalg.inv(rows.T @ rows)
    annihilator = np.eye(len(y)) - rows @ bread @ rows.T
    e = annihilator @ y
    variance, spread = 0.0, []
    for g in np.unique(cluster):
        inside = cluster == g
        values, vectors = np.linalg.eigh(annihilator[np.ix_(inside, inside)])
        root = (vectors * np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 1e-300)), 0)) @ vectors.T
        pull = root @ rows[inside] @ bread[:, 1]
        variance += float(pull @ e[inside]) ** 2
        spread.append(annihilator[:, inside] @ pull)
    inner = np.array(spread) @ np.array(spread).T
    return math.sqrt(variance), np.trace(inner) ** 2 / (inner**2).sum()


@pytest.mark.parametrize("by_cluster", [False, True])
def test_cr2_equals_brute_force(by_cluster):
    post, pre, treated, weights, rng = town(n=120)
    cluster = rng.integers(0, 9, len(post))
    if by_cluster:
        treated = (cluster % 3 == 0).astype(float)
    post = post + rng.normal(0, 1, 9)[cluster]
    root = np.sqrt(weights)
    se, df = brute_cr2(design(pre, treated) * root[:, None], post * root, cluster)
    effect = unit_ancova(post, pre, treated, weights=weights, cluster=cluster)
    assert effect.se == pytest.approx(se, abs=ORACLE)
    assert effect.df == pytest.approx(df, rel=1e-7)
    assert effect.df < 9


def test_cr2_of_single_units_is_hc2():
    post, pre, treated, weights, _ = town(n=80)
    plain = unit_ancova(post, pre, treated, weights=weights)
    single = unit_ancova(post, pre, treated, weights=weights, cluster=np.arange(80))
    same(single, plain.estimate, plain.se)
    assert single.df == pytest.approx(plain.df, rel=1e-7)


def test_without_covariate_it_is_the_welch_difference():
    # closed form: HC2 of a two-group mean difference is s1^2/n1 + s0^2/n0
    post, _, treated, _, _ = town()
    one, none = post[treated == 1], post[treated == 0]
    expected = math.sqrt(one.var(ddof=1) / len(one) + none.var(ddof=1) / len(none))
    same(unit_ancova(post, None, treated), one.mean() - none.mean(), expected, tolerance=1e-12)
    same(unit_ancova(post, np.full(len(post), 3.0), treated), one.mean() - none.mean(), expected, tolerance=1e-12)


@pytest.mark.parametrize(
    ("scale", "shift"), [(1000.0, 0.0), (1.0, 1e6)], ids=["grams for kg", "a constant added to the pre-period"]
)
def test_pre_units_do_not_matter(scale, shift):
    post, pre, treated, weights, _ = town()
    before = unit_ancova(post, pre, treated, weights=weights)
    after = unit_ancova(post, pre * scale + shift, treated, weights=weights)
    same(after, before.estimate, before.se)


def test_labels_swapped_flip_the_sign_only():
    post, pre, treated, weights, _ = town()
    one, other = (unit_ancova(post, pre, z, weights=weights) for z in (treated, 1 - treated))
    same(other, -one.estimate, one.se)
    assert other.p_value == pytest.approx(one.p_value, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"post": [1.0, np.nan, 2, 3, 4, 5]}, DataError, "1 units without an outcome"),
        ({"pre": [1.0, 2]}, DataError, r"pre.shape == \(2,\)"),
        ({"post": [[1.0, 2], [3, 4]]}, DataError, "one row per unit"),
        ({"treated": [0, 0, 0, 0, 0, 0]}, UnsupportedError, "0 treated units"),
        ({"treated": [1, 1, 1, 1, 1, 0]}, UnsupportedError, "1 control units"),
        ({"treated": [0, 1, 2, 0, 1, 0]}, DataError, "other than 0 and 1"),
        ({"weights": [1, 1, 1, 1, 1, 0.0]}, DataError, "weights must be above 0"),
        ({"cluster": [1, 1, 1, 2, 2, 2]}, UnsupportedError, "2 clusters"),
        ({"cluster": [1, 2]}, DataError, "cluster.shape"),
        ({"pre": [np.nan, 2, np.nan, 5, np.nan, 4]}, UnsupportedError, "cannot be told apart"),
        ({"alpha": 5}, DataError, "alpha == 5"),
    ],
)
def test_bad_input_is_refused(change, error, words):
    good = {"post": [1.0, 2, 3, 4, 5, 7], "pre": [1.0, 3, 2, 5, 4, 6], "treated": [1, 0, 1, 0, 1, 0]}
    with pytest.raises(error, match=words):
        unit_ancova(**(good | change))


def test_coverage_of_95_percent_intervals():
    # Planted truth: N = 1000, 70/30, heterogeneous effects with mean -0.457 kg over the units of each simulation.
    covered, errors, claimed, repeats = 0, [], [], 300
    rng = np.random.default_rng(20261123)
    for _ in range(repeats):
        home = rng.gamma(3.7, 2.1, 1000)
        pre = home + rng.normal(0, 1.6, 1000)
        own = -0.0593 * home
        treated = np.zeros(1000)
        treated[rng.permutation(1000)[:700]] = 1
        post = home + rng.normal(0, 1.6, 1000) + treated * own
        effect = unit_ancova(post, pre, treated)
        covered += effect.ci_low <= own.mean() <= effect.ci_high
        errors.append(effect.estimate - own.mean())
        claimed.append(effect.se)
    share, error = covered / repeats, math.sqrt(0.95 * 0.05 / repeats)
    print(f"coverage {share:.3f} (simulation error {error:.3f}), bias {np.mean(errors):+.4f} kg")
    assert abs(share - 0.95) <= 3 * error
    assert abs(np.mean(errors)) <= 3 * np.std(errors) / math.sqrt(repeats)
    assert np.mean(claimed) / np.std(errors) == pytest.approx(1, abs=3 / math.sqrt(2 * repeats))


def test_false_positives_with_clusters_of_unequal_size():
    rng = np.random.default_rng(5)
    sizes = np.array([5, 8, 10, 12, 15, 20, 25, 30, 40, 35])
    cluster, repeats, called = np.repeat(np.arange(10), sizes), 400, 0
    for _ in range(repeats):
        treated = np.zeros(10)
        treated[rng.permutation(10)[:5]] = 1
        post = rng.normal(0, 1, 10)[cluster] + rng.normal(0, 1, len(cluster))
        called += unit_ancova(post, None, treated[cluster], cluster=cluster).p_value < 0.05
    assert called / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


# --- checks


def test_sample_ratio_equals_scipy():
    check = sample_ratio("assigned", {"treated": 5100, "control": 4900}, {"treated": 0.5, "control": 0.5})
    oracle = stats.chisquare([5100, 4900])
    assert (check.statistic, check.p_value) == pytest.approx((oracle.statistic, oracle.pvalue), abs=1e-12)
    assert not check.is_alarm
    assert sample_ratio("analysed", {"a": 5200, "b": 4800}, {"a": 1.0, "b": 1.0}).is_alarm
    three = sample_ratio("assigned", {"a": 90, "b": 110, "c": 201}, {"a": 0.25, "b": 0.25, "c": 0.5})
    assert three.p_value == pytest.approx(stats.chisquare([90, 110, 201], [100.25, 100.25, 200.5]).pvalue, abs=1e-12)


def test_sample_ratio_edges():
    assert sample_ratio("x", {"a": 1, "b": 0}, {"a": 0.0, "b": 1.0}).is_alarm
    assert not sample_ratio("x", {"a": 0, "b": 9}, {"a": 0.0, "b": 1.0}).is_alarm
    assert sample_ratio("x", {"a": 0, "b": 0}, {"a": 0.5, "b": 0.5}).p_value == 1
    with pytest.raises(DataError, match="same groups"):
        sample_ratio("x", {"a": 1}, {"b": 1.0})


def lost(share_treated, share_control, n, seed=3):
    rng = np.random.default_rng(seed)
    treated = (np.arange(n) % 2).astype(float)
    planned = np.full(n, 6)
    return planned, planned - rng.binomial(6, np.where(treated == 1, share_treated, share_control)), treated


def test_outage_gap_alarms_on_six_against_two_percent_only():
    gap = outage_gap(*lost(0.06, 0.02, 20_000))
    assert gap.is_alarm
    assert gap.gap_share == pytest.approx(0.04, abs=0.003)
    assert not outage_gap(*lost(0.04, 0.04, 20_000)).is_alarm
    small = [outage_gap(*lost(0.04, 0.04, 200, seed)) for seed in range(100)]
    assert sum(abs(gap.gap_share) > 0.005 for gap in small) > 30  # noise alone passes half a point
    assert not any(gap.is_alarm for gap in small)
    assert not outage_gap(*lost(0.0, 0.0, 100)).is_alarm


def test_balance_by_hand():
    result = balance([1.0, 3.0, 2.0, 6.0, np.nan], [1, 1, 0, 0, 0], [1.0, 1, 1, 1, 1])
    assert result.treated_mean == 2
    assert result.control_mean == 4
    assert result.standardised == pytest.approx(-2 / math.sqrt((1 + 4) / 2))
    assert (result.treated_missing_share, result.control_missing_share) == pytest.approx((0, 1 / 3))
    assert result.is_notable


# Table 5.6 of the measurement notes: households, share held out, weeks each side, MDE raw and with the pre-period as
# covariate; standing SD 4.0 kg, weekly SD 4.6 kg, weekly autocorrelation 0.22 backed out of its lag-1 of 0.56.
@pytest.mark.parametrize(
    ("households", "held", "weeks", "raw", "adjusted"),
    [(2000, 0.5, 12, 0.541, 0.276), (5000, 0.2, 12, 0.428, 0.218), (20000, 0.1, 12, 0.285, 0.145),
     (60000, 0.1, 12, 0.165, 0.084), (20000, 0.2, 4, 0.239, 0.169), (20000, 0.2, 26, 0.206, 0.077)],
)  # fmt: skip
def test_minimum_detectable_matches_the_published_table(households, held, weeks, raw, adjusted):
    variance = mean_variance(4.0, 4.6, weeks, autocorrelation=0.22)
    treated, control = households * (1 - held), households * held
    assert minimum_detectable(variance, treated, control) == pytest.approx(raw, rel=0.01)
    explained = (4.0**2 / variance) ** 2
    assert minimum_detectable(variance, treated, control, r_squared=explained) == pytest.approx(adjusted, rel=0.03)


def test_minimum_detectable_is_seen_eight_times_in_ten():
    rng, repeats, seen = np.random.default_rng(11), 400, 0
    smallest = minimum_detectable(4.0, 150, 50)
    treated = np.repeat([1, 0], [150, 50])
    for _ in range(repeats):
        seen += unit_ancova(rng.normal(0, 2, 200) - smallest * treated, None, treated).p_value < 0.05
    assert seen / repeats == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / repeats))
    assert minimum_detectable(4.0, 0, 50) == math.inf


# --- verdicts


def effect(low, high, n=1000):
    middle = (low + high) / 2
    return Effect.of(
        middle,
        (high - middle) / stats.t.ppf(0.975, n),
        n,
        n_treated=n // 2,
        n_control=n // 2,
        method=Method.ANCOVA_HC2,
        alpha=0.05,
    )


@pytest.mark.parametrize(
    ("outcome", "low", "high", "stated", "alarms", "expected"),
    [
        (Outcome.RESIDUAL_KG, -0.43, -0.17, -0.15, (), Verdict.SHOWN),
        (Outcome.RESIDUAL_KG, 0.17, 0.43, -0.15, (), Verdict.HARM),
        (Outcome.RESIDUAL_KG, -0.05, 0.05, -0.15, (), Verdict.NOT_SHOWN),
        (Outcome.RESIDUAL_KG, -0.50, 0.20, -0.15, (), Verdict.INCONCLUSIVE),
        (Outcome.RESIDUAL_KG, -0.43, -0.17, -0.15, ("A check failed.",), Verdict.INVALID),
        (Outcome.FOOD_SET_OUT_RATE, 0.01, 0.03, 0.02, (), Verdict.SHOWN),
        (Outcome.FOOD_SET_OUT_RATE, -0.03, -0.01, 0.02, (), Verdict.HARM),
        (Outcome.TAG_RATE, 0.01, 0.03, 0.02, (), Verdict.HARM),
    ],
)
def test_verdicts(outcome, low, high, stated, alarms, expected):
    said = verdict(effect(low, high), outcome, stated=stated, alarms=alarms)
    assert said is expected
    words = verdict_words(said, effect(low, high), outcome, alarms=alarms)
    assert "significant" not in words
    if expected in {Verdict.NOT_SHOWN, Verdict.INCONCLUSIVE}:
        assert "could only have seen" in words or "sharp enough to see" in words
    if expected is Verdict.INVALID:
        assert "A check failed." in words
        assert "0.30" not in words


def test_outcomes_that_never_vary_are_inconclusive():
    flat = unit_ancova(np.zeros(50), np.zeros(50), np.arange(50) % 2)
    assert (flat.estimate, flat.se, flat.p_value) == (0, 0, 1)
    said = verdict(flat, Outcome.TAG_RATE, stated=0.0)
    assert said is Verdict.INCONCLUSIVE
    assert "same for every unit" in verdict_words(said, flat, Outcome.TAG_RATE)


@pytest.mark.parametrize("level", [1.0, 0.7, 1 / 3])
def test_rounding_is_neither_an_effect_nor_a_spread(level):
    """A rate that is the same for all leaves residuals of 1e-17: not an interval around nothing that is an effect."""
    rng = np.random.default_rng(3)
    for n in range(30, 60):
        flat = unit_ancova(np.full(n, level), rng.random(n), np.arange(n) % 2, weights=rng.integers(1, 9, n))
        assert (flat.estimate, flat.se, flat.p_value) == (0, 0, 1)
        assert verdict(flat, Outcome.RECYCLING_SET_OUT_RATE, stated=0.02) is Verdict.INCONCLUSIVE


def drawn_units(treated, households):
    n = len(treated)
    return Drawn(
        first_week_no=np.full(n, 1_000),
        is_treated=treated,
        is_control=~treated,
        is_holdout=np.zeros(n, bool),
        arm=np.where(treated, "a", "control"),
        is_arm_random=np.ones(n, bool),
        is_contactable=np.ones(n, bool),
        households=households,
        treated_share=np.full(n, 0.5),
        holdout_share=np.zeros(n),
        street=np.full(n, -1),
    )


def test_the_level_of_a_few_large_stores_is_not_an_effect():
    """Ten stores of 40 homes at 4 kg, seven of them treated by lot, beside houses at 9 kg: messages change nothing."""
    rng = np.random.default_rng(6)
    is_store = np.arange(400) < 10
    treated = np.where(is_store, np.arange(400) < 7, np.arange(400) % 2 == 1)
    post = np.where(is_store, 4.0, 9.0) + rng.normal(0, 0.5, 400)
    drawn = drawn_units(treated, np.where(is_store, 40.0, 1.0))
    found = contrast_effect(drawn, Series(post), Series(np.full(400, np.nan)), drawn.contrast)
    assert found.ci_low < 0 < found.ci_high
    assert found.ci_high - found.ci_low < 1.5


def test_a_segment_where_nothing_varies_has_no_effect_to_show_and_spoils_no_other():
    n = 400
    rng = np.random.default_rng(4)
    treated, few = np.arange(n) % 2 == 1, np.arange(n) < 40
    post = Series(np.where(few, 1 / 3, rng.random(n)))
    drawn = drawn_units(treated, np.ones(n))
    planned = np.ones(n)
    pre, segments = Series(rng.random(n)), {"few": few, "rest": ~few}
    outcomes = Outcomes(post, post, pre, post, post, planned, planned, {1_001: post}, segments, [post], {}, {})
    few_group, rest = by_segment(drawn, outcomes, {})
    assert few_group.effect is None
    assert "same outcome" in few_group.note
    assert rest.pooled == rest.effect


# --- pooling


def test_pooling_with_one_that_is_all_but_exact():
    exact = Effect.of(-0.2, 1e-12, 20, n_treated=2, n_control=2, method=Method.ANCOVA_HC2, alpha=0.05)
    assert [one.estimate for one in pooled([exact, effect(-0.5, 0.1)])] == pytest.approx([-0.2, -0.2])


def test_pooling_equal_effects_gives_their_mean_and_one_stays():
    same_ones = pooled([effect(-0.5, 0.1), effect(-0.5, 0.1)])
    assert [round(one.estimate, 12) for one in same_ones] == [-0.2, -0.2]
    assert same_ones[0].se == pytest.approx(effect(-0.5, 0.1).se / math.sqrt(2))
    assert pooled([effect(-0.5, 0.1)]) == (effect(-0.5, 0.1),)


def test_pooling_beats_raw_estimates_when_many_arms_do_nothing_special():
    rng = np.random.default_rng(2)
    raw, shrunk = 0.0, 0.0
    for _ in range(200):
        truth = rng.normal(-0.2, 0.05, 6)
        seen = [effect(m - 0.3, m + 0.3) for m in truth + rng.normal(0, 0.153, 6)]
        raw += sum((e.estimate - t) ** 2 for e, t in zip(seen, truth, strict=True))
        shrunk += sum((e.estimate - t) ** 2 for e, t in zip(pooled(seen), truth, strict=True))
    assert shrunk < 0.5 * raw
