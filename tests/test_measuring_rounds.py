"""Rounds as units: agreement with CR2 of single rows, refusal of too few, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import Method, round_effect, unit_ancova


def borough(rounds, rng, effect=0.0):
    homes = rng.integers(400, 1500, rounds).astype(float)
    level = rng.normal(8, 0.6, rounds)
    treated = np.zeros(rounds)
    treated[rng.permutation(rounds)[: rounds // 2]] = 1
    pre, post = level + rng.normal(0, 0.2, rounds), level + rng.normal(0, 0.2, rounds)
    return post + effect * treated, pre, treated, homes


@pytest.mark.parametrize("rounds", [8, 10, 20])
def test_it_is_cr2_with_every_round_its_own_cluster(rounds):
    post, pre, treated, homes = borough(rounds, np.random.default_rng(rounds))
    one, other = round_effect(post, pre, treated, homes), unit_ancova(
        post, pre, treated, weights=homes, cluster=np.arange(rounds)
    )  # fmt: skip
    assert (one.estimate, one.se, one.df) == pytest.approx((other.estimate, other.se, other.df), rel=1e-8)
    assert one.method is Method.ROUNDS_HC2
    assert one.df < rounds - 3


def test_it_estimates_the_mean_over_households_not_rounds():
    # Closed form without a covariate: the difference of household-weighted means
    post, _, treated, homes = borough(12, np.random.default_rng(3), effect=-1)
    means = [np.average(post[treated == arm], weights=homes[treated == arm]) for arm in (1, 0)]
    assert round_effect(post, None, treated, homes).estimate == pytest.approx(means[0] - means[1], abs=1e-12)


@pytest.mark.parametrize(("treated", "words"), [(3, "3 treated and 5 control"), (5, "5 treated and 3 control")])
def test_fewer_than_four_and_four_are_refused_with_the_reason(treated, words):
    rng = np.random.default_rng(1)
    with pytest.raises(UnsupportedError, match=f"{words} rounds, must be 4 or more of each: with fewer"):
        round_effect(rng.normal(size=8), rng.normal(size=8), np.arange(8) < treated, np.full(8, 900.0))


def test_bad_rows_are_refused_by_name():
    with pytest.raises(DataError, match=r"measuring.round_effect: post has 1 units without an outcome"):
        round_effect([np.nan, *range(7)], None, np.arange(8) % 2, np.ones(8))


def test_pairs_take_out_what_the_rounds_of_a_pair_share():
    rng = np.random.default_rng(8)
    pair = np.repeat(np.arange(6), 2)
    treated = np.tile([1.0, 0.0], 6)
    post = 10.0 * pair + rng.normal(0, 0.1, 12) - 0.5 * treated
    paired = round_effect(post, None, treated, np.full(12, 800.0), strata=pair)
    differences = post[treated == 1] - post[treated == 0]
    assert paired.estimate == pytest.approx(differences.mean(), abs=1e-10)
    assert paired.se == pytest.approx(differences.std(ddof=1) / math.sqrt(6), rel=1e-9)  # the paired t test
    assert paired.df == pytest.approx(5)


def test_coverage_of_five_against_five():
    rng, repeats = np.random.default_rng(20261123), 800
    held = 0
    for _ in range(repeats):
        effect = round_effect(*borough(10, rng, effect=-0.4))
        held += effect.ci_low <= -0.4 <= effect.ci_high
    error = math.sqrt(0.05 * 0.95 / repeats)
    print(f"coverage {held / repeats:.3f} (simulation error {error:.3f})")
    assert abs(held / repeats - 0.95) <= 3 * error
