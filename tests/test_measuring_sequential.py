"""Weekly looks: boundaries against published tables and brute force, joint covariance against definition and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nudges.errors import DataError
from nudges.measuring import Method, confidence_sequence, cumulative_effects, joint_effects, sequential, unit_ancova
from nudges.measuring.crossing import boundaries
from nudges.measuring.sequential import spent_alpha

ROUNDING = 1e-12  # the same least squares twice
BOUNDARY = 0.002  # stated error of a boundary


def independent_increments(looks):
    """Correlation of the statistics when every look adds as much new information: sqrt(i / j)."""
    t = np.arange(1, looks + 1) / looks
    return np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))


def cohort_correlation(looks, between=1.0, within=2.0, rho=0.3):
    """Correlation of running means of one cohort: standing differences, and weekly noise that carries over."""
    lag = np.abs(np.subtract.outer(np.arange(looks), np.arange(looks)))
    running = np.tril(np.ones((looks, looks))) / np.arange(1, looks + 1)[:, None]
    covariance = running @ (between**2 + within**2 * rho**lag) @ running.T
    sd = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sd, sd)


def obrien_fleming(correlation, horizon=None):
    looks = len(correlation)
    horizon = horizon or looks
    return boundaries(correlation, [spent_alpha(k / horizon) for k in range(1, looks + 1)])


# Lan & DeMets' O'Brien-Fleming type boundaries, two-sided 0.05, equally spaced looks: as printed by ld98/WinLD and
# gsDesign for 2 and for 5 looks.
@pytest.mark.parametrize(("looks", "published"), [(2, (2.963, 1.969)), (5, (4.877, 3.357, 2.680, 2.290, 2.031))])
def test_boundaries_are_the_published_ones(looks, published):
    assert obrien_fleming(independent_increments(looks)) == pytest.approx(published, abs=0.001)


@pytest.mark.parametrize("correlation", [independent_increments(26), cohort_correlation(26)], ids=["new", "cohort"])
def test_boundaries_spend_what_they_say_by_brute_force(correlation):
    c = obrien_fleming(correlation)
    paths = np.random.default_rng(8).standard_normal((400_000, 26)) @ np.linalg.cholesky(correlation).T
    crossed = np.maximum.accumulate(np.abs(paths) > c, axis=1).mean(axis=0)
    for look in (8, 13, 20, 26):
        spent = spent_alpha(look / 26)
        error = math.sqrt(spent * (1 - spent) / len(paths))
        assert crossed[look - 1] == pytest.approx(spent, abs=4 * error)


def test_boundaries_have_settled_in_the_number_of_points():
    correlation = independent_increments(26)
    spent = [spent_alpha(k / 26) for k in range(1, 27)]
    assert boundaries(correlation, spent) == pytest.approx(boundaries(correlation, spent, points=4_096), abs=BOUNDARY)


def test_one_look_at_the_horizon_is_the_plain_interval():
    (look,) = sequential([0.3], [[0.04]], horizon=1)
    assert look.boundary == pytest.approx(stats.norm.ppf(0.975), abs=ROUNDING)
    assert (look.ci_low, look.ci_high) == pytest.approx((0.3 - 0.2 * 1.959963984540054, 0.3 + 0.2 * 1.959963984540054))
    assert not look.is_crossed


def test_degrees_of_freedom_keep_the_tail_probability():
    (look,) = sequential([1.0], [[0.04]], horizon=1, df=7)
    assert look.boundary == pytest.approx(stats.t.ppf(0.975, 7))
    assert look.is_crossed


def test_a_boundary_does_not_depend_on_later_looks():
    sd = np.linspace(0.3, 0.1, 12)
    covariance = independent_increments(12) * np.outer(sd, sd)
    estimate = np.full(12, -0.2)
    whole = sequential(estimate, covariance, horizon=12)
    part = sequential(estimate[:7], covariance[:7, :7], horizon=12)
    assert part == whole[:7]
    assert [look.look for look in part] == list(range(1, 8))


def test_weeks_without_an_estimate_are_looks_not_made():
    sd = np.linspace(0.3, 0.1, 4)
    covariance = independent_increments(4) * np.outer(sd, sd)
    estimate = np.full(4, -0.2)
    estimate[1], covariance[1, :], covariance[:, 1] = np.nan, np.nan, np.nan
    looks = sequential(estimate, covariance, horizon=4)
    kept = [0, 2, 3]
    assert looks == sequential(estimate[kept], covariance[np.ix_(kept, kept)], horizon=4, looks_at=(1, 3, 4))
    assert looks[-1].spent_alpha == pytest.approx(0.05)


def test_two_looks_at_the_same_data_are_one():
    looks = sequential([0.5, 0.5], np.full((2, 2), 0.04), horizon=2)
    spent = spent_alpha(0.5)
    assert looks[0].boundary == pytest.approx(-stats.norm.ppf(spent / 2), abs=1e-6)
    assert looks[1].boundary == pytest.approx(stats.norm.ppf(0.975), abs=1e-3)  # alpha 0.05 at c2 alone: c1 is within


def test_wrong_looks_are_refused():
    with pytest.raises(DataError, match="horizon of 2"):
        sequential([0.1, 0.1, 0.1], np.eye(3), horizon=2)
    with pytest.raises(DataError, match="must rise"):
        sequential([0.1, 0.1], np.eye(2), horizon=5, looks_at=(3, 3))
    with pytest.raises(DataError, match="T x T"):
        sequential([0.1, 0.1], np.eye(3), horizon=5)
    with pytest.raises(DataError, match="alpha"):
        sequential([0.1], np.eye(1), horizon=5, alpha=5)


def cohort(n=600, weeks=8, seed=3, missing=0.1, effect=-0.5):
    rng = np.random.default_rng(seed)
    level = rng.normal(8, 2, n)
    treated = (rng.random(n) < 0.4).astype(float)
    weekly = level[:, None] + rng.normal(0, 2, (n, weeks)) + effect * treated[:, None]
    weekly[rng.random((n, weeks)) < missing] = np.nan
    pre = np.where(rng.random(n) < 0.05, np.nan, level + rng.normal(0, 0.6, n))
    return weekly, pre, treated, rng.integers(1, 5, n).astype(float), rng.integers(0, 3, n)


def test_each_look_is_unit_ancova_on_the_mean_so_far():
    weekly, pre, treated, weights, strata = cohort()
    found = cumulative_effects(weekly, pre, treated, weights=weights, strata=strata)
    for look in range(weekly.shape[1]):
        known = np.isfinite(weekly[:, : look + 1]).any(axis=1)
        alone = unit_ancova(
            np.nanmean(weekly[known, : look + 1], axis=1),
            pre[known],
            treated[known],
            weights=weights[known],
            strata=strata[known],
        )
        assert (found.estimates[look], found.se[look]) == pytest.approx((alone.estimate, alone.se), abs=ROUNDING)
    last = found.effect(-1)
    assert (last.n_units_treated, last.n_units_control, last.df, last.method) == (
        alone.n_units_treated,
        alone.n_units_control,
        alone.df,
        Method.ANCOVA_HC2,
    )
    assert (last.ci_low, last.p_value) == pytest.approx((alone.ci_low, alone.p_value))


def test_joint_covariance_is_that_of_the_estimates_over_draws():
    """2,000 fresh cohorts: the mean estimated correlation against the correlation of the estimates themselves."""
    estimates, correlations = [], []
    for seed in range(2_000):
        weekly, pre, treated, *_ = cohort(n=200, weeks=4, seed=seed)
        found = cumulative_effects(weekly, pre, treated)
        estimates.append(found.estimates)
        correlations.append(found.covariance / np.outer(found.se, found.se))
    truth = np.corrcoef(np.array(estimates), rowvar=False)
    assert np.mean(correlations, axis=0) == pytest.approx(truth, abs=4 / math.sqrt(2_000))
    assert np.array(estimates).mean(axis=0) == pytest.approx(np.full(4, -0.5), abs=0.03)


def test_a_look_before_both_arms_are_read_is_not_made():
    weekly, pre, treated, *_ = cohort()
    weekly[treated == 1, 0] = np.nan
    found = cumulative_effects(weekly, pre, treated)
    assert np.isnan(found.estimates[0])
    assert np.isnan(found.covariance[0]).all()
    assert np.isfinite(found.estimates[1:]).all()
    assert [look.look for look in sequential(found.estimates, found.covariance, horizon=8)] == list(range(2, 9))


def test_wrong_panels_are_refused():
    weekly, pre, treated, weights, _ = cohort()
    with pytest.raises(DataError, match="at least one look"):
        cumulative_effects(weekly[:, 0], pre, treated)
    with pytest.raises(DataError, match=r"pre\.shape"):
        joint_effects(weekly, pre[:5], treated)
    with pytest.raises(DataError, match="treated"):
        joint_effects(weekly, pre, treated * 2)
    with pytest.raises(DataError, match="weights"):
        joint_effects(weekly, pre, treated, weights=-weights)


def test_confidence_sequence_is_the_formula_and_counts_units():
    """By hand at n == tuned_for: r^2 n = 2 log 20 + log(2 log 20 + 1) = 7.9362, log(sqrt(8.9362) / 0.05) = 4.0908.

    Half-width sqrt(2 x 8.9362 / 7.9362 x 4.0908) = 3.0352 standard errors.
    """
    low, high = confidence_sequence(-0.2, 0.1, 2_000, tuned_for=2_000)
    assert (high - low) / 2 == pytest.approx(0.30352, abs=1e-5)
    assert (low + high) / 2 == pytest.approx(-0.2)
    tuned = [confidence_sequence(0, 1, n, tuned_for=2_000)[1] for n in (20, 2_000, 200_000)]
    assert tuned[1] < min(tuned[0], tuned[2])
    with pytest.raises(DataError, match="tuned_for"):
        confidence_sequence(0, 1, 0, tuned_for=10)


def test_a_null_cohort_looked_at_every_week_keeps_its_error():
    """300 A/A cohorts of 12 weeks: false alarms of the adjusted looks, and of the plain interval that is to be avoided.

    Binomial: 5 % of 300 has a standard error of 1.3 points; the plain interval is known to alarm in about 15 %.
    """
    adjusted = plain = 0
    for seed in range(300):
        rng = np.random.default_rng(90_000 + seed)
        level = rng.normal(8, 2, 300)
        weekly = level[:, None] + rng.normal(0, 3, (300, 12))
        treated = (rng.random(300) < 0.5).astype(float)
        found = cumulative_effects(weekly, level + rng.normal(0, 0.6, 300), treated)
        looks = sequential(found.estimates, found.covariance, horizon=12, df=found.df)
        adjusted += any(look.is_crossed for look in looks)
        plain += bool((np.abs(found.estimates) > 1.96 * found.se).any())
    assert adjusted / 300 <= 0.05 + 2 * 0.0126
    assert plain / 300 > 0.1
