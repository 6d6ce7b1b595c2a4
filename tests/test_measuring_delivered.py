"""Effect on the delivered: the Wald ratio, statsmodels, brute force, and selective delivery."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import Method, delivered_effect, unit_ancova

ORACLE = 1e-9


def town(n=600, seed=1, share=0.45):
    rng = np.random.default_rng(seed)
    pre = rng.gamma(4, 2, n)
    treated = (rng.random(n) < 0.6).astype(float)
    reachable = rng.random(n) < share + 0.02 * (pre - 8)  # those who throw away more are reached more
    delivered = treated * reachable
    post = 1 + 0.7 * pre - 0.8 * delivered + 0.5 * reachable + rng.normal(0, 1.5, n)
    return post, pre, treated, delivered, rng.integers(1, 9, n).astype(float)


def test_without_covariates_it_is_the_wald_ratio():
    post, _, z, d, _ = town()
    wald = (post[z == 1].mean() - post[z == 0].mean()) / (d[z == 1].mean() - d[z == 0].mean())
    effect = delivered_effect(post, None, z, d)
    assert effect.estimate == pytest.approx(wald, abs=1e-12)
    assert effect.method is Method.DELIVERED_IV


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_statsmodels_two_stage_least_squares():
    gmm = pytest.importorskip("statsmodels.sandbox.regression.gmm", reason="statsmodels is a test oracle only")
    post, pre, z, d, w = town()
    root = np.sqrt(w)
    one = np.ones(len(z))
    fit = gmm.IV2SLS(
        post * root, np.column_stack([one, d, pre]) * root[:, None], np.column_stack([one, z, pre]) * root[:, None]
    ).fit()
    assert delivered_effect(post, pre, z, d, weights=w).estimate == pytest.approx(fit.params[1], abs=ORACLE)


def test_standard_error_equals_brute_force():
    """(Z'X)^-1 Z' diag(e^2 / (1 - h)) Z (X'Z)^-1, h the leverage in Z, from n x n matrices."""
    post, pre, z, d, w = town(n=80, share=0.6)
    root = np.sqrt(w)[:, None]
    Z = np.column_stack([np.ones(80), z, pre]) * root
    X = np.column_stack([np.ones(80), d, pre]) * root
    y = post * root[:, 0]
    inverse = np.linalg.inv(Z.T @ X)
    e = y - X @ (inverse @ Z.T @ y)
    hat = np.diag(Z @ np.linalg.inv(Z.T @ Z) @ Z.T)
    variance = inverse @ Z.T @ np.diag(e**2 / (1 - hat)) @ Z @ inverse.T
    effect = delivered_effect(post, pre, z, d, weights=w)
    assert (effect.estimate, effect.se) == pytest.approx(
        ((inverse @ Z.T @ y)[1], math.sqrt(variance[1, 1])), abs=ORACLE
    )


def test_delivered_to_all_is_the_effect_as_drawn():
    post, pre, z, _, w = town()
    strata = np.arange(len(z)) % 3
    one = delivered_effect(post, pre, z, z, weights=w, strata=strata)
    other = unit_ancova(post, pre, z, weights=w, strata=strata)
    assert (one.estimate, one.se, one.df) == pytest.approx((other.estimate, other.se, other.df), rel=1e-9)


def test_delivered_to_half_of_each_store_doubles_the_effect_as_drawn():
    post, pre, z, _, w = town()
    half, all_ = (delivered_effect(post, pre, z, share * z, weights=w) for share in (0.5, 1.0))
    assert (half.estimate, half.se) == pytest.approx((2 * all_.estimate, 2 * all_.se), rel=1e-9)
    assert half.p_value == pytest.approx(all_.p_value, rel=1e-9)


@pytest.mark.parametrize(
    ("delivered", "error", "words"),
    [
        (np.full(600, 0.3), UnsupportedError, "delivered shares differ by 0.000"),
        (np.arange(600) % 2, UnsupportedError, "too little to say what delivery does"),
        (np.full(600, 1.2), DataError, "delivered must be between 0 and 1"),
        (np.full(600, np.nan), DataError, "delivered must be between 0 and 1"),
        ([1.0], DataError, r"delivered.shape == \(1,\)"),
    ],
)
def test_bad_or_weak_delivery_is_refused(delivered, error, words):
    post, pre, z, _, _ = town()
    with pytest.raises(error, match=words):
        delivered_effect(post, pre, z, delivered)


def test_selective_delivery_biases_the_delivered_against_the_rest_but_not_the_instrument():
    repeats, held, found, naive = 400, 0, [], []
    for seed in range(repeats):
        post, pre, z, d, _ = town(seed=seed)
        effect = delivered_effect(post, pre, z, d)
        held += effect.ci_low <= -0.8 <= effect.ci_high
        found.append(effect.estimate)
        naive.append(unit_ancova(post, pre, d).estimate)
    error = math.sqrt(0.05 * 0.95 / repeats)
    spread = np.std(found) / math.sqrt(repeats)
    print(
        f"bias {np.mean(found) + 0.8:+.4f} (simulation error {spread:.4f}), coverage {held / repeats:.3f} ({error:.3f})"
    )
    assert abs(np.mean(found) + 0.8) <= 3 * spread
    assert abs(held / repeats - 0.95) <= 3 * error
    assert np.mean(naive) > -0.6  # the reachable throw away more to begin with
