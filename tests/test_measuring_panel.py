"""Panels: statsmodels and pyfixest as oracles, matrix against long table, missing cells, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import Method, panel_ancova, panel_ancova_long, unit_ancova

ORACLE = 1e-9


def town(n=120, weeks=7, seed=1, missing=0.1, pre_missing=0.0):
    rng = np.random.default_rng(seed)
    home = rng.gamma(4, 2, n)
    z = (rng.random(n) < 0.4).astype(float)
    post = home[:, None] + rng.normal(0, 2, weeks) - 0.5 * z[:, None] + rng.normal(0, 1.5, (n, weeks))
    post[rng.random((n, weeks)) < missing] = np.nan
    pre = home + rng.normal(0, 1, n)
    pre[rng.random(n) < pre_missing] = np.nan
    return post, pre, z, rng.integers(1, 9, n).astype(float)


def long(post, *by_unit):
    """Rows of the cells that were read, shuffled, with week numbers that do not begin at 0."""
    unit, week = np.nonzero(np.isfinite(post))
    order = np.random.default_rng(9).permutation(len(unit))
    unit, week = unit[order], week[order]
    return unit, week + 2900, post[unit, week], *(values[unit] for values in by_unit)


def oracle(post, pre, z, w=None):
    """WLS with a column for each week, clustered by unit."""
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is a test oracle only; it is not installed")
    unit, week, y, x, treated = long(post, pre, z)
    known = np.isfinite(x)
    columns = [treated, np.where(known, x, 0.0), *((week == level).astype(float) for level in np.unique(week))]
    columns += [] if known.all() else [(~known).astype(float)]
    weights = np.ones(len(y)) if w is None else w[unit]
    fit = sm.WLS(y, np.column_stack(columns), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": unit})
    return fit.params[0], fit.bse[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("pre_missing", [0.0, 0.1])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_agrees_with_statsmodels(missing, pre_missing, is_weighted):
    post, pre, z, w = town(missing=missing, pre_missing=pre_missing)
    w = w if is_weighted else None
    effect = panel_ancova(post, pre, z, weights=w)
    assert (effect.estimate, effect.se) == pytest.approx(oracle(post, pre, z, w), abs=ORACLE)
    assert (effect.df, effect.method) == (119, Method.PANEL_CR1)


@pytest.mark.filterwarnings("ignore")  # warnings of the oracle's own making
def test_agrees_with_pyfixest():
    pd = pytest.importorskip("pandas")
    try:
        import pyfixest as pf
    except Exception as reason:
        pytest.skip(f"pyfixest is a test oracle only; it is not installed ({reason})")
    post, pre, z, _ = town()
    unit, week, y, x, treated = long(post, pre, z)
    frame = pd.DataFrame({"unit": unit, "week": week, "y": y, "x": x, "z": treated})
    fit = pf.feols("y ~ z + x | week", frame, vcov={"CRV1": "unit"})
    effect = panel_ancova_long(unit, week, y, x, treated)
    assert (effect.estimate, effect.se) == pytest.approx((fit.coef()["z"], fit.se()["z"]), abs=ORACLE)
    assert effect.p_value == pytest.approx(fit.pvalue()["z"], abs=ORACLE)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_long_table_in_any_order_is_the_matrix(is_weighted):
    post, pre, z, w = town(pre_missing=0.1)
    unit, week, y, x, treated, homes = long(post, pre, z, w)
    one = panel_ancova(post, pre, z, weights=w if is_weighted else None)
    other = panel_ancova_long(unit, week, y, x, treated, weights=homes if is_weighted else None)
    assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-12)


def test_slices_do_not_matter(monkeypatch):
    post, pre, z, w = town(pre_missing=0.1)
    whole = panel_ancova(post, pre, z, weights=w)
    monkeypatch.setattr("nudges.measuring.panel._CELLS", 50)
    assert panel_ancova(post, pre, z, weights=w).se == pytest.approx(whole.se, rel=1e-12)


def test_all_weeks_read_is_the_ancova_of_unit_means():
    # Closed form: in a balanced panel week levels fall out, and the coefficients are those of the means
    post, pre, z, w = town(missing=0.0)
    one, other = panel_ancova(post, pre, z, weights=w), unit_ancova(post.mean(axis=1), pre, z, weights=w)
    assert one.estimate == pytest.approx(other.estimate, abs=1e-12)
    assert one.se == pytest.approx(other.se, rel=0.05)  # CR1 against HC2


def test_units_and_weeks_never_read_count_for_nothing():
    post, pre, z, _ = town(missing=0.0)
    wider = np.full((len(post) + 5, post.shape[1] + 2), np.nan)
    wider[: len(post), 1:-1] = post
    more = panel_ancova(wider, np.append(pre, np.ones(5)), np.append(z, np.ones(5)))
    plain = panel_ancova(post, pre, z)
    assert (more.estimate, more.se) == pytest.approx((plain.estimate, plain.se), rel=1e-10)
    assert (more.n_units_treated, more.df) == (plain.n_units_treated, plain.df)


def test_no_pre_period_is_the_difference_within_weeks():
    post, _, z, _ = town()
    same = panel_ancova(post, np.full(len(post), np.nan), z)
    assert panel_ancova(post, None, z) == same
    assert panel_ancova(post, np.full(len(post), 4.0), z).estimate == pytest.approx(same.estimate, abs=1e-12)


def test_few_units_and_weeks_of_one_arm_are_refused():
    post, pre, z, _ = town(n=30)
    with pytest.raises(UnsupportedError, match="must be 20 or more of each"):
        panel_ancova(post, pre, z)
    post, pre, z, _ = town()
    post[z == 1, 3:] = np.nan
    post[z == 0, :3] = np.nan
    with pytest.raises(UnsupportedError, match="from the weeks"):
        panel_ancova(post, pre, z)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": np.array([0, 0, 1])}, "two rows in the same week"),
        ({"unit": np.array([0, -1, 1])}, "numbers from 0"),
        ({"unit": np.array([0.0, 1.0, 2.0])}, "whole numbers"),
        ({"week": np.array([1, 1])}, "whole numbers"),
        ({"unit": np.array([0, 0, 1]), "week": np.array([1, 2, 1])}, "treated differs between rows of one unit"),
        ({"pre": np.array([1.0])}, r"pre.shape == \(1,\)"),
    ],
)
def test_bad_long_tables_are_refused(change, words):
    good = {"unit": np.arange(3), "week": np.ones(3, int), "post": np.arange(3.0), "pre": None,
            "treated": np.array([1, 0, 1])}  # fmt: skip
    if "two rows" in words:
        good["treated"] = np.ones(3)
    with pytest.raises(DataError, match=words):
        panel_ancova_long(**(good | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"post": np.ones(5)}, "must be \\(units, weeks\\)"),
        ({"treated": np.full(120, 2)}, "other than 0 and 1"),
        ({"weights": np.zeros(120)}, "weights must be above 0"),
        ({"pre": np.ones(3)}, r"pre.shape == \(3,\)"),
    ],
)
def test_bad_matrices_are_refused(change, words):
    post, pre, z, _ = town()
    with pytest.raises(DataError, match=words):
        panel_ancova(**({"post": post, "pre": pre, "treated": z} | change))


def test_an_infinite_outcome_is_refused():
    post, pre, z, _ = town()
    post[3, 2] = np.inf
    with pytest.raises(DataError, match="post has infinite values"):
        panel_ancova(post, pre, z)
