"""Randomisation test: against re-fitting every assignment, scipy's permutation test, and its own interval."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import randomisation_test, unit_ancova


def rounds(n=8, seed=1, effect=0.0, treated=None):
    rng = np.random.default_rng(seed)
    homes = rng.integers(300, 1500, n).astype(float)
    z = np.zeros(n)
    z[rng.permutation(n)[: treated or n // 2]] = 1
    pre = rng.normal(8, 0.6, n)
    return pre + rng.normal(0, 0.3, n) + effect * z, pre, z, homes


def every(n, treated):
    for chosen in combinations(range(n), treated):
        z = np.zeros(n)
        z[list(chosen)] = 1
        yield z


def brute_p(post, pre, z, homes, tested, assignments):
    """Share of assignments whose |tau / se|, for the outcome less `tested` on the treated, is no smaller."""
    shifted = post - tested * z

    def statistic(redrawn):
        effect = unit_ancova(shifted, pre, redrawn, weights=homes)
        return abs(effect.estimate) / effect.se

    own = statistic(z)
    return np.mean([statistic(redrawn) >= own * (1 - 1e-9) for redrawn in assignments])


@pytest.mark.parametrize("seed", range(4))
def test_exact_p_and_interval_equal_refitting_every_assignment(seed):
    post, pre, z, homes = rounds(8, seed, effect=-0.5)
    found, assignments = randomisation_test(post, pre, z, homes), list(every(8, 4))
    effect = unit_ancova(post, pre, z, weights=homes)
    assert found.estimate == pytest.approx(effect.estimate, abs=1e-12)
    assert (found.is_exact, found.n_assignments) == (True, 70)
    assert found.smallest_p == pytest.approx(2 / 70)  # itself and its mirror image
    assert found.p_value == pytest.approx(brute_p(post, pre, z, homes, 0.0, assignments))
    width = found.ci_high - found.ci_low
    for end, outward in ((found.ci_low, -1), (found.ci_high, 1)):
        assert brute_p(post, pre, z, homes, end - outward * 1e-6 * width, assignments) > 0.05
        for step in (1e-6, 0.1, 0.5, 2.0, 20.0):
            assert brute_p(post, pre, z, homes, end + outward * step * width, assignments) <= 0.05


def test_balanced_without_covariate_it_is_the_permutation_test_of_means():
    # With as many in each arm |t| rises with the difference in means, so the two statistics order draws alike
    rng = np.random.default_rng(5)
    one, none = rng.normal(0.8, 1, 6), rng.normal(0, 1, 6)
    oracle = stats.permutation_test(
        (one, none), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), vectorized=True, n_resamples=np.inf
    )
    found = randomisation_test(np.concatenate([one, none]), None, np.repeat([1, 0], 6))
    assert found.n_assignments == 924
    assert found.p_value == pytest.approx(oracle.pvalue, abs=1e-12)


def test_pairs_are_redrawn_within_pairs_only():
    rng = np.random.default_rng(2)
    pair, z = np.repeat(np.arange(7), 2), np.tile([1.0, 0.0], 7)
    post = 20.0 * pair + rng.normal(0, 1, 14) + 1.2 * z
    found = randomisation_test(post, None, z, strata=pair)
    differences = post[z == 1] - post[z == 0]
    flips = np.array(np.meshgrid(*[[1, -1]] * 7)).reshape(7, -1)
    means = np.abs((flips * differences[:, None]).mean(axis=0))
    assert found.n_assignments == 128
    assert found.p_value == pytest.approx(np.mean(means >= abs(differences.mean()) * (1 - 1e-9)))


@pytest.mark.parametrize("seed", range(30))
def test_p_value_and_interval_never_contradict(seed):
    post, pre, z, homes = rounds(9, seed, effect=-0.3, treated=4)
    found = randomisation_test(post, pre, z, homes)
    assert (found.p_value <= 0.05) == (not found.ci_low <= 0 <= found.ci_high)


def test_too_few_rounds_can_reject_nothing():
    post, pre, z, homes = rounds(6, 1, effect=-9.0)
    found = randomisation_test(post, pre, z, homes)
    assert found.smallest_p == pytest.approx(0.1)
    assert found.p_value >= 0.1
    assert (found.ci_low, found.ci_high) == (-math.inf, math.inf)


def test_sampled_agrees_with_the_t_interval_for_many_units_and_is_the_same_again():
    rng = np.random.default_rng(3)
    z = (rng.permutation(400) < 150).astype(float)
    pre = rng.gamma(4, 2, 400)
    post = 0.6 * pre + rng.normal(0, 2, 400) - 0.6 * z
    found, effect = randomisation_test(post, pre, z, draws=1999, seed=4), unit_ancova(post, pre, z)
    assert not found.is_exact
    assert found.n_assignments == 2000
    assert found.smallest_p == pytest.approx(1 / 2000)
    # 2000 draws: the 5 % point of |t| has a standard error of about 0.05 standard errors of the effect
    assert found.ci_low == pytest.approx(effect.ci_low, abs=0.2 * effect.se)
    assert found.ci_high == pytest.approx(effect.ci_high, abs=0.2 * effect.se)
    assert found == randomisation_test(post, pre, z, draws=1999, seed=4)
    assert found != randomisation_test(post, pre, z, draws=1999, seed=5)


def test_sampled_draws_keep_the_counts_of_each_stratum():
    rng = np.random.default_rng(6)
    strata = np.repeat([0, 1, 2], [10, 20, 30])
    z = np.concatenate([rng.permutation(n) < share for n, share in ((10, 8), (20, 10), (30, 3))]).astype(float)
    level = np.array([0.0, 50.0, 100.0])[strata]
    found = randomisation_test(level + rng.normal(0, 1, 60), None, z, strata=strata)
    assert found.ci_high - found.ci_low < 3  # the strata's levels would make it some tens


def test_swapped_labels_flip_the_sign_only():
    post, pre, z, homes = rounds(10, 2, effect=-0.4)
    one, other = randomisation_test(post, pre, z, homes), randomisation_test(post, pre, 1 - z, homes)
    assert (other.estimate, other.p_value) == pytest.approx((-one.estimate, one.p_value))
    assert (other.ci_low, other.ci_high) == pytest.approx((-one.ci_high, -one.ci_low))


def test_an_outcome_without_spread_is_no_effect():
    found = randomisation_test(np.full(10, 0.7), None, np.arange(10) % 2)
    assert (found.estimate, found.p_value, found.ci_low, found.ci_high) == (0, 1, 0, 0)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="draws == 0"):
        randomisation_test(np.arange(8.0), None, np.arange(8) % 2, draws=0)
    with pytest.raises(UnsupportedError, match="cannot be told apart"):
        randomisation_test(np.arange(8.0), None, np.arange(8) % 2, strata=np.arange(8) % 2)


def test_false_positives_of_four_against_four_and_coverage():
    rng, repeats = np.random.default_rng(20261123), 500
    called = held = 0
    for _ in range(repeats):
        post, pre, z, homes = rounds(8, rng.integers(1 << 40), effect=-0.4)
        found = randomisation_test(post, pre, z, homes)
        held += found.ci_low <= -0.4 <= found.ci_high
        called += randomisation_test(post + 0.4 * z, pre, z, homes).p_value <= 0.05
    # Exact: 5 % of 70 is 3.5, and 2 at a time (a draw and its mirror) can be as extreme: the true level is 2 / 70
    error = math.sqrt(2 / 70 * 68 / 70 / repeats)
    print(f"false positives {called / repeats:.3f}, coverage {held / repeats:.3f} (simulation error {error:.3f})")
    assert called / repeats == pytest.approx(2 / 70, abs=3 * error)
    assert held / repeats == pytest.approx(68 / 70, abs=3 * error)
