"""Unit ANCOVA where few rows carry the estimate: Bell-McCaffrey degrees of freedom against a few heavy bin stores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nudges.measuring import unit_ancova
from nudges.measuring.least_squares import hc2_df, weighted_fit


def brute_df(rows):
    """(tr Q)^2 / tr(Q^2), Q = M diag(a) M, a_i = (A x_i)_1^2 / (1 - h_i), from n x n matrices."""
    bread = np.linalg.inv(rows.T @ rows)
    annihilator = np.eye(len(rows)) - rows @ bread @ rows.T
    shares = (rows @ bread)[:, 1] ** 2 / np.diag(annihilator)
    quadratic = annihilator @ np.diag(shares) @ annihilator
    return np.trace(quadratic) ** 2 / np.trace(quadratic @ quadratic)


@pytest.mark.parametrize("n", [12, 60])
def test_degrees_of_freedom_equal_brute_force(n):
    rng = np.random.default_rng(n)
    design = np.column_stack([np.ones(n), np.arange(n) % 3 == 0, rng.normal(size=n)]).astype(float)
    weights = rng.gamma(1, 20, n) + 1
    fit = weighted_fit("test", design, rng.normal(size=n), weights)
    assert hc2_df(fit) == pytest.approx(brute_df(design * np.sqrt(weights)[:, None]), rel=1e-9)


def test_two_groups_of_the_same_size_have_n_less_2():
    # Closed form: homoskedastic, no covariate, as many in each group: the pooled t test
    assert unit_ancova(np.random.default_rng(1).normal(size=20), None, np.arange(20) % 2).df == pytest.approx(18)


def test_a_row_fitted_exactly_adds_no_degrees_of_freedom():
    strata = np.repeat([0, 1], [10, 1])
    y, z = np.random.default_rng(1).normal(size=11), np.arange(11) % 2
    alone, without = unit_ancova(y, None, z, strata=strata), unit_ancova(y[:10], None, z[:10])
    assert (alone.se, alone.df) == pytest.approx((without.se, without.df))


def test_heavy_stores_with_a_skewed_rate_are_not_over_rejected():
    """300 houses and 40 stores of 5 to 80 homes, a tenth in control, tag rates near 0: nothing was done to anybody."""
    rng, repeats = np.random.default_rng(20261123), 600
    called = {"here": 0, "n - k": 0}
    is_store = np.arange(340) >= 300
    for _ in range(repeats):
        homes = np.where(is_store, np.exp(rng.uniform(math.log(5), math.log(80), 340)).round(), 1.0)
        own = rng.beta(0.3, 5.7, 340)
        pre, post = rng.binomial(12, own) / 12, rng.binomial(12, own) / 12
        treated = np.ones(340)
        treated[rng.permutation(300)[:30]] = 0
        treated[300 + rng.permutation(40)[:4]] = 0
        effect = unit_ancova(post, pre, treated, weights=homes, strata=is_store)
        called["here"] += effect.p_value < 0.05
        called["n - k"] += 2 * stats.t.sf(abs(effect.estimate) / effect.se, 336) < 0.05
    error = math.sqrt(0.05 * 0.95 / repeats)
    print({name: count / repeats for name, count in called.items()}, f"simulation error {error:.3f}")
    assert called["here"] / repeats <= 0.05 + 3 * error
    assert called["n - k"] / repeats > 0.05 + 3 * error  # what this replaced
