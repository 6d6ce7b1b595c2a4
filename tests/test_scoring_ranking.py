"""Rankings, curves and calibration: trials worked by hand, brute force, and rules that hold for any rows."""

import itertools

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from nudges.errors import DataError
from nudges.scoring import (
    RateWeighting,
    aipw_scores,
    auuc,
    calibration,
    clustered_mean,
    qini,
    qini_curve,
    rate,
)

ROUNDING = 1e-12

finite = st.floats(-50, 50, allow_subnormal=False)
rows_with_ties = st.lists(st.tuples(finite, st.integers(-3, 3), st.integers(0, 6)), min_size=3, max_size=25)


def planted(n=2_000, seed=0, slope=0.5):
    """Contrasts whose effect rises with the priority, in units of 1 to 4 rows."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), rng.integers(1, 5, n))[:n]
    priority = rng.normal(size=n)
    return 0.2 + slope * priority + 2 * rng.normal(size=n) + rng.normal(size=n)[groups], priority, groups


def average_gain(contrast, priority, share):
    """Gain at a share of the rows from the top, over all orders of the tied ones."""
    orders = [
        order
        for order in itertools.permutations(range(len(contrast)))
        if all(priority[a] >= priority[b] for a, b in itertools.pairwise(order))
    ]
    at = np.linspace(0, 1, len(contrast) + 1)
    gains = [np.interp(share, at, np.r_[0, np.cumsum(np.array(contrast)[list(order)])]) for order in orders]
    return np.mean(gains) / len(contrast)


# --- a trial worked by hand -------------------------------------------------------------


def test_the_oracles_qini_on_a_noiseless_trial():
    """Effects 3, 1, -1, -3, ranked right: gains 0, 3/4, 1, 3/4, 0 at quarters; trapezia give 5/8, the mean is 0.

    Both arms are seen, outcomes have no noise and the regressions are right, so the scores are the outcomes.
    """
    base, effect = np.array([5.0, 2.0, 9.0, 4.0]), np.array([3.0, 1.0, -1.0, -3.0])
    arm, chance = np.array([1, 0, 1, 0]), np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    truth = np.column_stack([base, base + effect])
    scores = aipw_scores(truth[np.arange(4), arm], arm, chance, truth)
    contrast = scores[:, 1] - scores[:, 0]
    curve = qini_curve(contrast, effect)
    assert curve.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.gain.tolist() == [0, 0.75, 1, 0.75, 0]
    assert qini(contrast, effect).mean == pytest.approx(5 / 8)
    assert auuc(contrast, effect).mean == pytest.approx(5 / 8)
    assert qini(contrast, -effect).mean == pytest.approx(-5 / 8)
    assert rate(contrast, effect, weighting=RateWeighting.QINI, seed=0).estimate == pytest.approx(5 / 8)


def test_autoc_of_two_halves():
    """Effects 1 above and 0 below the median: TOC is 1/2 up to 1/2, then 1/(2q) - 1/2; its area is ln(2)/2."""
    found = rate([1.0, 0.0], [2.0, 1.0], seed=0)
    assert found.estimate == pytest.approx(np.log(2) / 2)


# --- brute force ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 2)), min_size=2, max_size=5))
def test_areas_by_all_orders_of_the_ties(rows):
    contrast, priority = [float(value) for value, _ in rows], [level for _, level in rows]
    n = len(rows)
    mean = np.mean(contrast)

    def above(share):
        return average_gain(contrast, priority, share) - share * mean

    kinks = (np.arange(1, n) / n).tolist()
    expected_qini = quad(above, 0, 1, points=kinks)[0]
    expected_autoc = quad(lambda share: above(share) / share, 1e-12, 1, points=kinks)[0]
    assert qini(contrast, priority).mean == pytest.approx(expected_qini, abs=1e-7)
    assert rate(contrast, priority, seed=0).estimate == pytest.approx(expected_autoc, abs=1e-6)


def test_the_curve_at_every_threshold_is_a_clustered_mean():
    """CR1 over units of one size, which is what clustered_mean gives there."""
    rng = np.random.default_rng(0)
    groups, priority = np.repeat(np.arange(50), 4), rng.integers(0, 9, 200)
    contrast = rng.normal(size=200) + 0.3 * priority
    curve = qini_curve(contrast, priority, groups=groups)
    for point, threshold in enumerate(np.unique(priority)[::-1], start=1):
        value = clustered_mean(np.where(priority >= threshold, contrast, 0.0), groups)
        assert curve.gain[point] == pytest.approx(value.mean)
        assert curve.se[point] == pytest.approx(value.se)
        assert curve.share[point] == pytest.approx((priority >= threshold).mean())
        assert (curve.low[point], curve.high[point]) == pytest.approx((value.low, value.high))
    assert (curve.n_rows, curve.n_units) == (200, 50)


def test_a_weight_of_two_is_the_row_twice():
    contrast, priority = np.array([1.0, 4.0, -2.0, 7.0, 3.0]), np.array([1, 3, 2, 3, 0])
    weight = np.array([2, 1, 1, 3, 0])
    twice = np.repeat(np.arange(5), weight)
    for figure in (
        lambda *rows, **more: rate(*rows, seed=0, **more).estimate,
        lambda *rows, **more: qini(*rows, **more).mean,
        lambda *rows, **more: auuc(*rows, **more).mean,
        lambda *rows, **more: qini_curve(*rows, **more).gain,
    ):
        weighted, repeated = figure(contrast, priority, weight=weight), figure(contrast[twice], priority[twice])
        assert weighted == pytest.approx(repeated, abs=ROUNDING)


# --- rules ------------------------------------------------------------------------------


@given(rows_with_ties, st.randoms())
@example([(0.1, 0, 1), (0.7, 0, 2), (-0.3, 0, 1)], None)
def test_a_constant_priority_is_worth_exactly_nothing(rows, shuffler):
    if shuffler:
        shuffler.shuffle(rows)
    contrast, groups = [value for value, _, _ in rows], [unit for _, _, unit in rows]
    for more in ({}, {"groups": groups}, {"weight": [0.1 + unit for unit in groups]}):
        for weighting in RateWeighting:
            found = rate(contrast, np.full(len(rows), 0.1), weighting=weighting, seed=0, n_boot=5, **more)
            assert (found.estimate, str(found.estimate)) == (0.0, "0.0")
            assert found.se in (0.0, np.inf)  # infinite where there is one unit only
            assert np.isnan(found.p_value)
        value = qini(contrast, np.full(len(rows), 0.1), **more)
        assert (value.mean, str(value.mean)) == (0.0, "0.0")
        assert value.se in (0.0, np.inf)


@given(rows_with_ties, st.randoms())
def test_the_order_of_rows_does_not_matter(rows, shuffler):
    other = rows[:]
    shuffler.shuffle(other)
    (a, p, g), (b, q, h) = (tuple(map(list, zip(*some, strict=True))) for some in (rows, other))
    for weighting in RateWeighting:
        one, two = (rate(c, o, groups=u, weighting=weighting, seed=3, n_boot=9) for c, o, u in ((a, p, g), (b, q, h)))
        assert (one.estimate, one.se) == (pytest.approx(two.estimate, abs=ROUNDING), pytest.approx(two.se))
        lone, lone_too = (rate(c, o, weighting=weighting, seed=3, n_boot=9) for c, o in ((a, p), (b, q)))
        assert (lone.estimate, lone.se) == (pytest.approx(lone_too.estimate, abs=ROUNDING), pytest.approx(lone_too.se))
    assert qini(a, p, groups=g).mean == pytest.approx(qini(b, q, groups=h).mean, abs=ROUNDING)
    assert auuc(a, p, groups=g).mean == pytest.approx(auuc(b, q, groups=h).mean, abs=ROUNDING)
    np.testing.assert_allclose(qini_curve(a, p).gain, qini_curve(b, q).gain, atol=ROUNDING)


def test_the_order_of_many_rows_does_not_matter():
    contrast, priority, groups = planted(50_000)
    priority = np.round(priority, 1)
    other = np.random.default_rng(1).permutation(len(contrast))
    for weighting in RateWeighting:
        one, two = (
            rate(contrast[rows], priority[rows], groups=groups[rows], weighting=weighting, seed=0, n_boot=4)
            for rows in (slice(None), other)
        )
        assert one.estimate == pytest.approx(two.estimate, abs=ROUNDING)


@given(rows_with_ties)
def test_only_the_ranking_counts(rows):
    contrast, priority = np.array([value for value, _, _ in rows]), np.array([level for _, level, _ in rows])
    assert qini(contrast, priority).mean == qini(contrast, np.exp(priority / 2.0)).mean
    assert qini(contrast, -priority).mean == pytest.approx(-qini(contrast, priority).mean, abs=1e-11)
    assert auuc(contrast, priority).mean == pytest.approx(
        qini(contrast, priority).mean + contrast.mean() / 2, abs=1e-11
    )
    assert qini(contrast + 7, priority).mean == pytest.approx(qini(contrast, priority).mean, abs=1e-11)


# --- errors of the areas ----------------------------------------------------------------


def test_the_bootstrap_agrees_with_the_closed_form():
    """Half-samples of units against Hájek's projection; 1,000 draws leave 2 % of noise."""
    contrast, priority, groups = planted()
    drawn = rate(contrast, priority, groups=groups, weighting=RateWeighting.QINI, n_boot=1_000, seed=0)
    formula = qini(contrast, priority, groups=groups)
    assert drawn.estimate == pytest.approx(formula.mean)
    assert drawn.se == pytest.approx(formula.se, rel=0.1)
    assert (drawn.n_rows, drawn.n_units) == (formula.n_rows, formula.n_units)


@pytest.mark.parametrize("noise", [1.0, 0.0], ids=["noisy", "all ranking"])
def test_the_closed_form_is_the_jackknife(noise):
    """Leaving out one unit at a time and ranking the rest afresh, 80 units: equal up to O(1/G).

    Without noise a row matters as much by the ranks it pushes down as by its own contrast.
    """
    contrast, priority, groups = (part[:160] for part in planted())
    contrast = noise * contrast + (1 - noise) * priority
    units = np.unique(groups)
    left_out = [qini(contrast[groups != u], priority[groups != u]).mean for u in units]
    jackknife = np.sqrt((len(units) - 1) / len(units) * ((left_out - np.mean(left_out)) ** 2).sum())
    assert qini(contrast, priority, groups=groups).se == pytest.approx(jackknife, rel=0.08)


def test_units_widen_the_interval():
    contrast, priority, _ = planted(600)
    copies = np.repeat(np.arange(600), 5)
    alone = rate(contrast, priority, seed=0).se
    together = rate(contrast[copies], priority[copies], groups=copies, seed=0).se
    assert together == pytest.approx(alone, rel=0.2)
    assert rate(contrast[copies], priority[copies], seed=0).se < 0.6 * alone


def test_an_informative_ranking_is_found_and_noise_is_not():
    contrast, priority, groups = planted()
    found = rate(contrast, priority, groups=groups, seed=0)
    assert found.low > 0
    assert found.p_value < 1e-6
    noise = rate(contrast, np.random.default_rng(9).normal(size=len(contrast)), groups=groups, seed=0)
    assert abs(noise.estimate) < 4 * noise.se


def test_propensities_that_vary_do_not_make_a_ranking_look_good():
    """A constant effect, but rows of high baseline get the arm more often: raw outcomes rank, scores do not."""
    rng = np.random.default_rng(0)
    n = 20_000
    x = rng.normal(size=n)
    treated = 1 / (1 + np.exp(-x))
    arm = (rng.random(n) < treated).astype(int)
    y = 2 * x + 0.5 * arm + rng.normal(size=n)
    chance = np.column_stack([1 - treated, treated])
    scores = aipw_scores(y, arm, chance, np.column_stack([1.5 * x, 1.5 * x]))
    good = qini(scores[:, 1] - scores[:, 0], x)
    assert abs(good.mean) < 4 * good.se
    raw = np.where(arm == 1, y / arm.mean(), -y / (1 - arm.mean()))
    naive = qini(raw, x**2)
    assert naive.mean > 6 * naive.se  # x² says nothing of a constant effect


@pytest.mark.parametrize(
    ("contrast", "priority", "more", "named"),
    [
        ([], [], {}, "priority"),
        ([1.0, 2.0], [1.0], {}, "priority"),
        ([1.0, np.nan], [1.0, 2.0], {}, "scores_contrast"),
        ([1.0, 2.0], [1.0, np.inf], {}, "priority"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": ["a"]}, "groups"),
        ([1.0, 2.0], [1.0, 2.0], {"weight": [-1.0, 1.0]}, "weight"),
        ([1.0, 2.0], [1.0, 2.0], {"n_boot": 1}, "n_boot"),
    ],
)
def test_what_cannot_be_ranked_is_refused(contrast, priority, more, named):
    with pytest.raises(DataError, match=named):
        rate(contrast, priority, seed=0, **more)


def test_one_unit_ranks_nothing():
    found = rate([1.0, 2.0], [2.0, 1.0], groups=[1, 1], seed=0)
    assert found.se == np.inf
    assert np.isnan(found.p_value)


# --- calibration ------------------------------------------------------------------------


def test_a_straight_line_is_read_off():
    predicted = np.arange(20.0)
    found = calibration(1 + 2 * predicted, predicted, n_bins=4)
    assert (found.slope.mean, found.slope.se) == (pytest.approx(2), 0.0)
    assert found.intercept.mean == pytest.approx(1)
    assert [(part.low, part.high, part.predicted) for part in found.bins] == [
        (0, 4, 2), (5, 9, 7), (10, 14, 12), (15, 19, 17),
    ]  # fmt: skip
    assert [part.observed.mean for part in found.bins] == pytest.approx([5, 15, 25, 35])


def test_slopes_agree_with_statsmodels():
    """Leverage corrections differ by O(1/G): 2,000 rows in about 800 units."""
    contrast, predicted, groups = planted()
    fit = sm.OLS(contrast, sm.add_constant(predicted)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    found = calibration(contrast, predicted, groups=groups)
    assert (found.intercept.mean, found.slope.mean) == (pytest.approx(fit.params[0]), pytest.approx(fit.params[1]))
    assert (found.intercept.se, found.slope.se) == (
        pytest.approx(fit.bse[0], rel=0.01),
        pytest.approx(fit.bse[1], rel=0.01),
    )


def test_weighted_slopes_agree_with_statsmodels():
    contrast, predicted, groups = planted()
    weight = np.random.default_rng(5).uniform(0.5, 3, len(contrast))
    fit = sm.WLS(contrast, sm.add_constant(predicted), weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    found = calibration(contrast, predicted, groups=groups, weight=weight)
    assert (found.slope.mean, found.slope.se) == (pytest.approx(fit.params[1]), pytest.approx(fit.bse[1], rel=0.01))


def test_predictions_too_bold_have_a_slope_below_one():
    contrast, priority, groups = planted(20_000, slope=0.5)
    found = calibration(contrast, 2.0 * priority, groups=groups)
    assert found.slope.low < 0.25 < found.slope.high
    assert found.slope.high < 0.5


def test_constant_predictions_have_no_slope():
    found = calibration([1.0, 2.0, 6.0], [0.1, 0.1, 0.1])
    assert np.isnan(found.slope.mean)
    assert found.intercept.mean == 3.0
    assert [(part.predicted, part.observed.mean) for part in found.bins] == [(pytest.approx(0.1), 3.0)]


@given(rows_with_ties, st.integers(1, 12))
def test_bins_hold_every_row_once_and_never_part_ties(rows, n_bins):
    contrast, predicted = [value for value, _, _ in rows], [float(level) for _, level, _ in rows]
    bins = calibration(contrast, predicted, n_bins=n_bins).bins
    assert sum(part.observed.n_rows for part in bins) == len(rows)
    assert len(bins) <= n_bins
    assert all(below.high < above.low for below, above in itertools.pairwise(bins))
    total = sum(part.observed.mean * part.observed.n_rows for part in bins)
    assert total == pytest.approx(sum(contrast), abs=1e-9)


@pytest.mark.parametrize(
    ("predicted", "n_bins", "named"), [([1.0], 10, "predicted"), ([1.0, np.nan], 10, "finite"), ([1.0, 2.0], 0, "n_b")]
)
def test_what_cannot_be_calibrated_is_refused(predicted, n_bins, named):
    with pytest.raises(DataError, match=named):
        calibration([1.0, 2.0], predicted, n_bins=n_bins)
