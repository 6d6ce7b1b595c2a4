"""Rates: closed forms, the treatment that changes its own denominator, strata, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import Method, ratio_effect, unit_ancova


def ratio(over, under, w=None):
    w = np.ones(len(over)) if w is None else w
    return (w @ over) / (w @ under)


def town(n, rng, *, tag=0.0, lift=0.0, share=0.5):
    """Lifts out of 12 collections and tags out of lifts; who sets out often is tagged more. `tag`, `lift`: effects."""
    habit = rng.beta(3, 2, n)
    treated = (rng.random(n) < share).astype(float)
    chance = 0.02 + 0.15 * habit

    def period(z):
        lifts = rng.binomial(12, np.clip(habit * (1 + lift * z * (habit < 0.6)), 0, 1))
        return rng.binomial(lifts, chance * (1 + tag * z)).astype(float), lifts.astype(float)

    return (*period(treated), treated, *period(0 * treated))


def test_without_a_pre_period_it_is_the_delta_method():
    # Closed form: var(R_z) = s^2(n_i - R_z d_i) / (n_z dbar_z^2), with n_z - 1 in s^2 (HC2 of a two-group mean)
    tags, lifts, z, _, _ = town(400, np.random.default_rng(1), tag=-0.3)
    rates, variance = [], 0.0
    for arm in (1, 0):
        over, under = tags[z == arm], lifts[z == arm]
        rates.append(ratio(over, under))
        variance += (over - rates[-1] * under).var(ddof=1) / len(over) / under.mean() ** 2
    effect = ratio_effect(tags, lifts, z)
    assert (effect.estimate, effect.se) == pytest.approx((rates[0] - rates[1], math.sqrt(variance)), abs=1e-12)
    assert effect.method is Method.RATIO


def test_the_same_denominator_for_all_is_unit_ancova_of_the_rates():
    rng = np.random.default_rng(2)
    z, own, w = np.arange(300) % 3 == 0, rng.beta(2, 8, 300), rng.integers(1, 9, 300)
    post, pre = rng.binomial(10, own), rng.binomial(8, own)
    ten, eight = np.full(300, 10), np.full(300, 8)
    one = ratio_effect(post, ten, z, pre_numerator=pre, pre_denominator=eight, weights=w)
    other = unit_ancova(post / 10, pre / 8, z, weights=w)
    assert (one.estimate, one.se, one.df) == pytest.approx((other.estimate, other.se, other.df), rel=1e-9)


def test_the_pre_period_narrows_the_interval():
    # Each household's own tag chance lasts: the ratio before tells much of the ratio after
    rng = np.random.default_rng(3)
    own, z = rng.beta(0.5, 4, 2000), np.arange(2000) % 2
    lifts, before = rng.integers(6, 13, 2000), rng.integers(6, 13, 2000)
    tags, tags_before = rng.binomial(lifts, own), rng.binomial(before, own)
    raw = ratio_effect(tags, lifts, z)
    adjusted = ratio_effect(tags, lifts, z, pre_numerator=tags_before, pre_denominator=before)
    rest = [over - ratio(over, under) * under for over, under in ((tags, lifts), (tags_before, before))]
    explained = np.corrcoef(*rest)[0, 1] ** 2
    assert explained > 0.3
    assert adjusted.se / raw.se == pytest.approx(math.sqrt(1 - explained), rel=0.02)


def test_the_rate_of_all_lifts_is_held_where_the_mean_of_rates_is_not():
    """The message makes those who set out seldom set out more, and tags nobody more or less for a lift."""
    rng = np.random.default_rng(4)
    n = 400_000
    tags, lifts, z, _, _ = town(n, rng, lift=0.5)
    habit_rate = np.where(lifts > 0, tags / np.maximum(lifts, 1), 0.0)
    truth = ratio(tags[z == 1], lifts[z == 1]) - ratio(tags[z == 0], lifts[z == 0])
    assert ratio_effect(tags, lifts, z).estimate == pytest.approx(truth, abs=1e-12)
    assert truth < -0.002  # more lifts come from those who are tagged less
    assert abs(unit_ancova(habit_rate, None, z).estimate) < -truth / 2


def test_arms_are_compared_at_the_same_mix_of_strata():
    """Nothing was done; strata differ in rate, in lifts and in the share treated."""
    rng = np.random.default_rng(5)
    n = 30_000
    strata = rng.integers(0, 3, n)
    z = rng.random(n) < np.array([0.8, 0.5, 0.2])[strata]
    lifts = rng.binomial(np.array([4, 12, 24])[strata], 0.7)
    tags = rng.binomial(lifts, np.array([0.02, 0.10, 0.25])[strata])
    assert abs(ratio_effect(tags, lifts, z).estimate) > 0.05
    within = ratio_effect(tags, lifts, z, strata=strata)
    assert abs(within.estimate) < 3 * within.se < 0.01


def test_a_stratum_with_one_arm_is_left_out():
    tags, lifts, z, before, lifts_before = town(500, np.random.default_rng(6), tag=-0.2)
    strata = np.repeat([0, 1], [450, 50])
    z[450:] = 1
    one = ratio_effect(tags, lifts, z, pre_numerator=before, pre_denominator=lifts_before, strata=strata)
    other = ratio_effect(
        tags[:450], lifts[:450], z[:450], pre_numerator=before[:450], pre_denominator=lifts_before[:450]
    )
    assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)
    assert one.n_units_treated == other.n_units_treated
    with pytest.raises(UnsupportedError, match="no stratum holds both arms"):
        ratio_effect(tags, lifts, z, strata=z)


def test_units_without_a_lift_stay_as_assigned_and_change_nothing():
    tags, lifts, z, before, lifts_before = town(500, np.random.default_rng(7))
    more = [np.append(values, [0.0, 0.0]) for values in (tags, lifts, before, lifts_before)]
    one = ratio_effect(tags, lifts, z)
    other = ratio_effect(more[0], more[1], np.append(z, [1, 0]))
    assert other.estimate == pytest.approx(one.estimate, abs=1e-12)
    assert other.n_units_treated == one.n_units_treated + 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"denominator": [1, 2, 3, -1, 4, 4]}, DataError, "denominator must be 0 or more"),
        ({"denominator": [1, 2, 3, np.nan, 4, 4]}, DataError, "denominator must be 0 or more"),
        ({"denominator": [0, 2, 3, 1, 4, 4]}, DataError, "numerator above 0 where denominator == 0"),
        ({"numerator": [0, 0, 0, 1, 0, 1], "denominator": [0, 2, 0, 1, 0, 4]}, UnsupportedError, "0 for all treated"),
        ({"pre_numerator": [1.0]}, DataError, r"pre_numerator.shape == \(1,\)"),
    ],
)
def test_bad_counts_are_refused(change, error, words):
    good = {"numerator": [1, 0, 1, 1, 0, 1], "denominator": [4, 2, 3, 5, 4, 4], "treated": [1, 0, 1, 0, 1, 0]}
    with pytest.raises(error, match=words):
        ratio_effect(**(good | change))


def test_coverage_where_the_treatment_changes_both_counts():
    rng, repeats, held = np.random.default_rng(20261123), 500, 0
    tags, lifts, z, _, _ = town(3_000_000, rng, tag=-0.3, lift=0.3)
    truth = ratio(tags[z == 1], lifts[z == 1]) - ratio(tags[z == 0], lifts[z == 0])  # its error is 0.0001
    for _ in range(repeats):
        tags, lifts, z, before, lifts_before = town(1000, rng, tag=-0.3, lift=0.3, share=0.7)
        effect = ratio_effect(tags, lifts, z, pre_numerator=before, pre_denominator=lifts_before)
        held += effect.ci_low <= truth <= effect.ci_high
    error = math.sqrt(0.05 * 0.95 / repeats)
    print(f"coverage {held / repeats:.3f} (simulation error {error:.3f})")
    assert abs(held / repeats - 0.95) <= 3 * error
