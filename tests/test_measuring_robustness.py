"""Robustness rows: each against statsmodels or a closed form."""

from __future__ import annotations

import numpy as np
import pytest

from nudges.errors import DataError
from nudges.measuring import Method, robustness_rows, unit_ancova

ORACLE = 1e-9  # two programs on the same least-squares problem differ by rounding only
NAMES = ["Difference in means", "CUPED", "Lin", "Difference in differences", "Winsorised at 1 % and 99 %"]


def town(n=300, seed=1, missing=0.0):
    rng = np.random.default_rng(seed)
    pre = rng.gamma(4, 2, n)
    treated = (rng.random(n) < 0.3).astype(float)
    strata = rng.integers(0, 3, n)
    post = 1 + 0.7 * pre - 0.4 * treated + 0.5 * strata + rng.standard_t(3, n)
    pre = np.where(rng.random(n) < missing, np.nan, pre)
    return post, pre, treated, rng.integers(1, 9, n).astype(float), strata


def oracle(y, columns, w):
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is a test oracle only; it is not installed")
    fit = sm.WLS(y, np.column_stack(columns), weights=w).fit(cov_type="HC2", use_t=True)
    return fit.params[1], fit.bse[1]


def same(effect, expected):
    assert (effect.estimate, effect.se) == pytest.approx(expected, abs=ORACLE)


@pytest.mark.filterwarnings("ignore")
def test_each_row_agrees_with_statsmodels():
    post, pre, z, w, strata = town()
    found = dict(robustness_rows(post, pre, z, w, strata))
    assert list(found) == NAMES
    levels = [(strata == level).astype(float) for level in (1, 2)]
    one, x = np.ones(len(post)), pre - np.average(pre, weights=w)
    same(found["Difference in means"], oracle(post, [one, z, *levels], w))
    theta, _ = oracle(post, [one, x, *levels], w)
    same(found["CUPED"], oracle(post - theta * x, [one, z, *levels], w))
    same(found["Lin"], oracle(post, [one, z, x, z * x, *levels], w))
    same(found["Difference in differences"], oracle(post - pre, [one, z, *levels], w))
    y, cut = (np.clip(values, *np.quantile(values, (0.01, 0.99))) for values in (post, pre))
    same(found["Winsorised at 1 % and 99 %"], oracle(y, [one, z, cut, *levels], w))


@pytest.mark.filterwarnings("ignore")
def test_missing_pre_periods_stay_in_but_for_the_differences():
    post, pre, z, w, _ = town(missing=0.1)
    known = np.isfinite(pre)
    found = dict(robustness_rows(post, pre, z, w))
    x = np.where(known, pre - np.average(pre[known], weights=w[known]), 0.0)
    m = ~known - np.average(~known, weights=w)
    same(found["Lin"], oracle(post, [np.ones(len(x)), z, x, m, z * x, z * m], w))
    assert found["CUPED"].n_units_treated == z.sum()
    did = found["Difference in differences"]
    assert (did.n_units_treated, did.n_units_control) == (z[known].sum(), (1 - z)[known].sum())
    same(did, oracle((post - pre)[known], [np.ones(known.sum()), z[known]], w[known]))


def test_without_a_pre_period_only_what_needs_none_is_left():
    post, _, z, w, strata = town()
    for pre in (None, np.full(len(post), np.nan)):
        found = robustness_rows(post, pre, z, w, strata)
        assert [name for name, _ in found] == [NAMES[0], NAMES[4]]
    assert found[0][1].estimate == unit_ancova(post, None, z, weights=w, strata=strata).estimate
    assert [effect.method for _, effect in found] == [Method.DIFFERENCE, Method.WINSORISED]


def test_a_pre_period_that_never_varies_predicts_nothing():
    post, _, z, w, _ = town()
    found = dict(robustness_rows(post, np.full(len(post), 3.0), z, w))
    assert "CUPED" not in found
    assert found["Lin"].estimate == pytest.approx(found["Difference in means"].estimate, abs=1e-12)


def test_one_household_with_a_skip_moves_all_rows_but_the_winsorised():
    post, pre, z, _, _ = town(n=1000)
    post = post.copy()
    post[np.flatnonzero(z == 1)[0]] += 3000
    found = dict(robustness_rows(post, pre, z))
    assert abs(found["Winsorised at 1 % and 99 %"].estimate) < 1.5
    assert min(found[name].estimate for name in NAMES[:4]) > 5


def test_rare_tags_have_nothing_between_the_quantiles():
    z = np.arange(1000) % 2
    names = [name for name, _ in robustness_rows((np.arange(1000) < 5) / 4, np.arange(1000) % 7, z)]
    assert names == NAMES[:4]


def test_bad_input_is_refused_by_name():
    with pytest.raises(DataError, match=r"measuring.robustness_rows: weights.shape"):
        robustness_rows(np.arange(6.0), None, np.arange(6) % 2, [1.0])
