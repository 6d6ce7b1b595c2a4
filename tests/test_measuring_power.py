"""Power before the start: parts of variance from planted ones, closed form against tables and simulation, words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import (
    Trial,
    Variation,
    mean_variance,
    minimum_detectable,
    power,
    power_words,
    round_effect,
    simulated_power,
    variation,
)

FORMULA = 0.03  # the bar: closed form within 3 % of simulation


def past(n=3_000, weeks=52, standing=4.0, fading=1.5, noise=3.0, carry=0.6, mean=8.0, missing=0.05, seed=1):
    """A town whose parts of variance are known."""
    rng = np.random.default_rng(seed)
    fade = np.empty((n, weeks))
    fade[:, 0] = rng.normal(0, math.sqrt(fading), n)
    for week in range(1, weeks):
        fade[:, week] = carry * fade[:, week - 1] + rng.normal(0, math.sqrt(fading * (1 - carry**2)), n)
    level = rng.normal(mean, math.sqrt(standing), (n, 1))
    y = level + fade + rng.normal(0, math.sqrt(noise), (n, weeks)) + np.sin(np.arange(weeks))
    y[rng.random(y.shape) < missing] = np.nan
    return y


def known(standing=4.0, fading=0.0, noise=3.0, carry=0.0, read=1.0, mean=8.0, echo=0.0):
    return Variation(mean, standing, fading, noise, echo, carry, read, 1_000, 52)


def test_parts_of_variance_are_those_planted():
    found = variation(past(n=20_000))
    assert found.standing == pytest.approx(4.0, rel=0.03)
    assert found.fading == pytest.approx(1.5, rel=0.05)
    assert found.noise == pytest.approx(3.0, rel=0.03)
    assert found.carry == pytest.approx(0.6, abs=0.04)
    assert found.read_share == pytest.approx(0.95, abs=0.001)
    assert found.icc == pytest.approx(4.0 / 8.5, rel=0.02)
    assert found.mean == pytest.approx(8.0, abs=0.05)


def test_variance_of_a_mean_is_the_printed_formula():
    """Standing plus noise / T, and with carry 1 + 2 sum (1 - k/T) rho^k: `mean_variance`."""
    assert known().of_means(12, 12, apart=0) == pytest.approx(mean_variance(2.0, math.sqrt(3.0), 12))
    assert known(noise=0.0, fading=3.0, carry=0.4).of_means(9, 9, apart=0) == pytest.approx(
        mean_variance(2.0, math.sqrt(3.0), 9, autocorrelation=0.4)
    )
    assert known(read=0.5).of_means(12, 12, apart=0) == pytest.approx(4.0 + 3.0 / 6)
    assert known().of_means(26, 12, apart=26) == pytest.approx(4.0)


def test_variance_of_means_by_brute_force():
    y = past(n=40_000, weeks=39, missing=0.0)
    y -= y.mean(axis=0)
    pre, post = y[:, :26].mean(axis=1), y[:, 26:].mean(axis=1)
    found = known(4.0, 1.5, 3.0, 0.6)
    variance, r_squared = found.adjusted(13, 26)
    assert variance == pytest.approx(post.var(), rel=0.03)
    assert r_squared == pytest.approx(np.corrcoef(pre, post)[0, 1] ** 2, rel=0.01)
    left = post - pre * (pre @ post) / (pre @ pre)
    halfway = y[:, 26:32].mean(axis=1)
    halfway = halfway - pre * (pre @ halfway) / (pre @ pre)
    running = found.running([6, 13], 26)
    assert running[1, 1] == pytest.approx(left.var(), rel=0.03)
    assert running[0, 1] == pytest.approx(np.mean(left * halfway), rel=0.05)


def test_fortnightly_readings_are_half_of_them():
    y = past(n=4_000, missing=0.0, fading=0.0)
    half = np.where((np.arange(52) + np.arange(4_000)[:, None] % 2) % 2 == 0, y, np.nan)
    found = variation(half)
    assert found.read_share == pytest.approx(0.5)
    expected = np.nanmean(half[:, :12], axis=1).var()
    assert found.of_means(12, 12, apart=0) == pytest.approx(expected, rel=0.06)


def test_a_bin_left_in_is_fuller_the_next_time():
    """Readings whose noise comes back with half its size and the other sign: e_t - e_{t-1} / 2."""
    rng = np.random.default_rng(6)
    fresh = rng.normal(0, 2, (20_000, 41))
    y = rng.normal(8, 2, (20_000, 1)) + fresh[:, 1:] - 0.5 * fresh[:, :-1]
    fortnightly = np.full((20_000, 80), np.nan)
    fortnightly[:, ::2] = y
    for past_weeks, step in ((y, 1), (fortnightly, 2)):
        found = variation(past_weeks)
        assert found.noise == pytest.approx(5.0, rel=0.05)
        assert found.echo == pytest.approx(-2.0, rel=0.05)
        pre, post = y[:, :13].mean(axis=1), y[:, 13:26].mean(axis=1)
        variance, r_squared = found.adjusted(13 * step, 13 * step)
        assert variance == pytest.approx(post.var(), rel=0.03)
        assert r_squared == pytest.approx(np.corrcoef(pre, post)[0, 1] ** 2, rel=0.02)
        running = found.running([6 * step, 13 * step], 0)
        assert running[0, 1] == pytest.approx(np.cov(y[:, 13:19].mean(axis=1), post)[0, 1], rel=0.04)


def test_heavy_units_count_by_their_weight():
    """Of houses and stores: var(sum w y / sum w) x n, which a plain spread understates."""
    rng = np.random.default_rng(3)
    n = 4_000
    stores = np.arange(n) < 200
    weights = np.where(stores, 30.0, 1.0)
    y = rng.normal(8, np.where(stores, 1.5, 2.5)[:, None], (n, 1)) + rng.normal(0, 1, (n, 20))
    spread = np.where(stores, 1.5**2 + 1 / 20, 2.5**2 + 1 / 20)
    expected = float(np.mean(weights**2 * spread)) / weights.mean() ** 2
    found = variation(y, weights=weights, strata=stores)
    assert found.of_means(20, 20, apart=0) == pytest.approx(expected, rel=0.1)


def test_detectable_effect_of_many_units_is_the_normal_formula():
    """Read once, 20,000 units: (1.96 + 0.84) sqrt(V (1 - R^2) (1/n1 + 1/n0)), as `minimum_detectable` has it."""
    found = power(known(), Trial(15_000, 5_000, 12, 26, is_read_weekly=False), stated_share=-0.02)
    variance, r_squared = known().adjusted(12, 26)
    assert found.detectable == pytest.approx(
        minimum_detectable(variance, 15_000, 5_000, r_squared=r_squared), rel=0.001
    )
    assert found.boundary == pytest.approx(1.96, abs=0.001)
    assert found.detectable_share == pytest.approx(found.detectable / 8.0)


def test_detectable_effect_of_few_units_is_on_t():
    """12 rounds: (t_.975,9 + t_.8,9) sqrt(V (1 - R^2) (1/6 + 1/6) 9/8)."""
    found = power(known(), Trial(6, 6, 13, 26, is_read_weekly=False), stated_share=-0.02)
    variance, r_squared = known().adjusted(13, 26)
    se = math.sqrt(variance * (1 - r_squared) / 3 * 9 / 8)
    assert found.detectable == pytest.approx((stats.t.ppf(0.975, 9) + stats.t.ppf(0.8, 9)) * se, rel=1e-9)


def test_reading_every_week_costs_a_few_percent():
    once = power(known(), Trial(3_000, 3_000, 26, 26, is_read_weekly=False), stated_share=-0.02)
    weekly = power(known(), Trial(3_000, 3_000, 26, 26), stated_share=-0.02)
    assert 1.0 < weekly.detectable / once.detectable < 1.05
    assert weekly.boundary > once.boundary


def test_chance_at_the_detectable_effect_is_four_in_five():
    for trial in (Trial(2_000, 1_000, 12), Trial(12, 12, 12)):
        found = power(known(), trial, stated_share=-0.02)
        again = power(known(), trial, stated_share=-found.detectable_share)
        assert again.chance == pytest.approx(0.8, abs=0.005)
        assert again.is_enough


def test_what_is_needed_is_the_fewest_that_is_enough():
    found = power(known(), Trial(12, 12, 13), stated_share=-0.05)
    assert not found.is_enough
    half = found.units_needed // 2
    assert power(known(), Trial(half, found.units_needed - half, 13), stated_share=-0.05).is_enough
    fewer = found.units_needed - 2
    assert not power(known(), Trial(fewer // 2, fewer - fewer // 2, 13), stated_share=-0.05).is_enough
    long = power(known(), Trial(400, 400, 13), stated_share=-0.02)
    assert power(known(), Trial(400, 400, long.weeks_needed), stated_share=-0.02).is_enough
    assert not power(known(), Trial(400, 400, long.weeks_needed - 1), stated_share=-0.02).is_enough
    assert power(known(), Trial(9_000, 9_000, 13, fewest_units=8), stated_share=-0.9).units_needed == 8


@pytest.mark.parametrize("units", [(1_000, 500), (20, 20)])
def test_formula_against_simulation_on_the_same_past(units):
    """Spread of the estimates within 3 %, and four in five seen: 2,000 imaginary campaigns, its error 1.6 %.

    Units come from a past of 6,000, so that drawing them again and again adds what differs between draws. The mean is
    high, so that the effect is a small share of it and does not itself shrink the spread of the treated.
    """
    y = past(n=6_000, weeks=44, mean=80.0)
    trial = Trial(*units, 13, 26)
    found = power(variation(y), trial, stated_share=-0.02)
    seen = simulated_power(y, trial, effect_share=-found.detectable_share, boundary=found.boundary, runs=2_000, seed=5)
    n = trial.units
    se = math.sqrt(found.variance * (1 - found.r_squared) * (1 / units[0] + 1 / units[1]) * (n - 3) / (n - 4))
    assert se == pytest.approx(seen.sd, rel=FORMULA)
    assert seen.chance == pytest.approx(0.8, abs=3 * seen.chance_error + 0.01)
    assert seen.false_share == pytest.approx(2 * stats.t.sf(found.boundary, n - 3), abs=3 * seen.false_error + 0.003)


def test_simulation_takes_the_estimator_of_rounds():
    y = past(n=16, weeks=44)
    seen = simulated_power(
        y, Trial(8, 8, 13, 26), effect_share=-0.5, boundary=2.16, runs=50, seed=1, estimator=round_effect
    )
    assert seen.chance > 0.5
    assert seen.runs == 50
    assert seen == simulated_power(
        y, Trial(8, 8, 13, 26), effect_share=-0.5, boundary=2.16, runs=50, seed=1, estimator=round_effect
    )


def test_words_say_what_is_seen_and_what_is_needed():
    found = power(known(), Trial(6, 6, 13), stated_share=-0.02)
    said = power_words(found, "rounds")
    assert said.startswith("With these 12 rounds and 13 weeks you can see a fall of ")
    assert f"; a 2 % fall needs {found.units_needed:,} rounds" in said
    rise = power_words(power(known(), Trial(9_000, 9_000, 13), stated_share=0.1), "households")
    assert rise.endswith(" enough for the 10 % rise this campaign is meant to bring.")
    assert "18,000 households" in rise


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UnsupportedError, match="5 together"):
        power(known(), Trial(2, 2, 13), stated_share=-0.02)
    with pytest.raises(DataError, match="stated_share == 0"):
        power(known(), Trial(20, 20, 13), stated_share=0.0)
    with pytest.raises(UnsupportedError, match="two readings or more"):
        variation(np.full((50, 10), np.nan))
    with pytest.raises(DataError, match="one weight"):
        variation(past(n=50), weights=np.ones(3))
    with pytest.raises(UnsupportedError, match="must be 39 or more"):
        simulated_power(past(n=50, weeks=20), Trial(20, 20, 13, 26), effect_share=-0.1, boundary=2)
