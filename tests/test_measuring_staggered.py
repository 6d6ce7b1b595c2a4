"""Staggered roll-outs: literal regressions, contrasts by hand, planted effects, and what plain two-way gets wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import Comparison, Method, group_time_effect, staggered_effect, two_way_effect

ROUNDING = 1e-10  # normal equations against QR on dummies


def panel(seed=1, starts=(6, 9, 12, np.inf), rounds=5, weeks=16, missing=0.0, weighted=False, effect=-0.4):
    rng = np.random.default_rng(seed)
    first = rng.permutation(np.repeat(np.array(starts, dtype=float), rounds))
    n = len(first)
    age = np.arange(weeks) - first[:, None]
    y = rng.normal(9, 1, (n, 1)) + rng.normal(0, 0.4, weeks) + rng.normal(0, 0.3, (n, weeks))
    y = np.where(age >= 0, y + effect - 0.05 * np.maximum(age, 0), y)
    y[rng.random(y.shape) < missing] = np.nan
    weights = rng.integers(400, 1_600, n).astype(float) if weighted else None
    return y, first, weights


def dummies(shape):
    rows, columns = np.indices(shape).reshape(2, -1)
    return np.column_stack([np.eye(shape[0])[rows], np.eye(shape[1])[columns][:, 1:]])


@pytest.mark.parametrize(("missing", "weighted"), [(0.0, False), (0.1, False), (0.1, True)])
def test_imputation_is_a_literal_regression_on_untreated_cells(missing, weighted):
    y, first, weights = panel(missing=missing, weighted=weighted)
    w = np.ones(len(y)) if weights is None else weights
    treated = (np.arange(y.shape[1]) >= first[:, None]).ravel()
    known, flat, root = np.isfinite(y).ravel(), y.ravel(), np.sqrt(np.repeat(w, y.shape[1]))
    x = dummies(y.shape)
    clean = known & ~treated
    beta = np.linalg.lstsq(x[clean] * root[clean, None], flat[clean] * root[clean], rcond=None)[0]
    wanted = known & treated
    expected = np.average((flat - x @ beta)[wanted], weights=root[wanted] ** 2)
    found = staggered_effect(y, first, weights=weights)
    assert found.estimate == pytest.approx(expected, abs=ROUNDING)
    assert (found.n_units_treated, found.n_units_control, found.method) == (15, 5, Method.IMPUTATION)


def test_weeks_with_nobody_untreated_are_left_out():
    """All rounds start in the end: weeks after the last start cannot be compared, so cutting them changes nothing."""
    y, first, _ = panel(starts=(6, 9, 12))
    assert staggered_effect(y, first).estimate == pytest.approx(staggered_effect(y[:, :12], first).estimate)
    assert staggered_effect(y, first).n_units_treated == 10


def test_standard_error_is_welch_s_when_all_start_together():
    """One start week and a full panel: the difference in mean changes, whose scores are the rounds' own changes."""
    y, first, _ = panel(starts=(8, np.inf), rounds=6)
    change = y[:, 8:].mean(axis=1) - y[:, :8].mean(axis=1)
    inside = np.isfinite(first)
    welch = stats.ttest_ind(change[inside], change[~inside], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    found = staggered_effect(y, first)
    assert found.estimate == pytest.approx(change[inside].mean() - change[~inside].mean(), abs=ROUNDING)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=ROUNDING)
    assert (found.df, found.p_value) == pytest.approx((welch.df, welch.pvalue), abs=ROUNDING)


@pytest.mark.parametrize("comparison", list(Comparison))
def test_group_time_contrasts_by_hand(comparison):
    y, first, weights = panel(weighted=True)
    total = over = 0.0
    for start in (6, 9, 12):
        mine = first == start
        for week in range(start, y.shape[1]):
            others = np.isinf(first) if comparison is Comparison.NEVER else first > week
            change = y[:, week] - y[:, start - 1]
            contrast = np.average(change[mine], weights=weights[mine]) - np.average(
                change[others], weights=weights[others]
            )
            total += contrast * weights[mine].sum()
            over += weights[mine].sum()
    found = group_time_effect(y, first, weights=weights, comparison=comparison)
    assert found.estimate == pytest.approx(total / over, abs=ROUNDING)
    assert found.method is Method.GROUP_TIME


def test_group_time_without_comparison_weeks_drops_them():
    y, first, _ = panel(starts=(6, 9, 12))
    whole, cut = group_time_effect(y, first), group_time_effect(y[:, :12], first)
    assert whole.estimate == pytest.approx(cut.estimate)
    with pytest.raises(UnsupportedError, match="Stop at the last week"):
        group_time_effect(y, first, comparison=Comparison.NEVER)


@pytest.mark.parametrize(("missing", "weighted"), [(0.0, False), (0.1, True)])
def test_two_way_is_the_literal_regression(missing, weighted):
    y, first, weights = panel(missing=missing, weighted=weighted)
    w = np.repeat(np.ones(len(y)) if weights is None else weights, y.shape[1])
    treated = (np.arange(y.shape[1]) >= first[:, None]).ravel().astype(float)
    known, unit = np.isfinite(y).ravel(), np.repeat(np.arange(len(y)), y.shape[1])
    x = np.column_stack([treated, dummies(y.shape)])[known] * np.sqrt(w[known, None])
    target = y.ravel()[known] * np.sqrt(w[known])
    beta = np.linalg.lstsq(x, target, rcond=None)[0]
    bread = np.linalg.pinv(x.T @ x)
    scores = np.zeros((len(y), x.shape[1]))
    np.add.at(scores, unit[known], x * (target - x @ beta)[:, None])
    variance = (bread @ scores.T @ scores @ bread)[0, 0] * len(y) / (len(y) - 1)
    found = two_way_effect(y, first, weights=weights)
    assert (found.estimate, found.se) == pytest.approx((beta[0], math.sqrt(variance)), abs=1e-8)
    assert found.df == len(y) - 1


def test_effect_by_weeks_since_the_start():
    """Noiseless: -0.4 in the first week, 0.05 more in each after it."""
    y, first, _ = panel()
    age = np.arange(y.shape[1]) - first[:, None]
    exact = np.where(age >= 0, 5 - 0.4 - 0.05 * np.maximum(age, 0), 5.0) + np.arange(len(y))[:, None]
    exact += np.random.default_rng(0).normal(0, 1e-9, exact.shape)
    assert staggered_effect(exact, first, since=(1, 1)).estimate == pytest.approx(-0.4, abs=1e-7)
    assert staggered_effect(exact, first, since=(2, 3)).estimate == pytest.approx(-0.475, abs=1e-7)
    assert group_time_effect(exact, first, since=(2, 3)).estimate == pytest.approx(-0.475, abs=1e-7)


def test_growing_effects_are_recovered_and_two_way_is_not():
    """300 roll-outs; truth is the mean over treated cells, -0.4 - 0.05 x age. Bias within 3 simulation errors."""
    imputed, plain, truths, held = [], [], [], 0
    for seed in range(300):
        y, first, _ = panel(seed=seed)
        age = np.arange(y.shape[1]) - first[:, None]
        truth = -0.4 - 0.05 * age[age >= 0].mean()
        found = staggered_effect(y, first)
        imputed.append(found.estimate - truth)
        plain.append(two_way_effect(y, first).estimate - truth)
        truths.append(truth)
        held += found.ci_low <= truth <= found.ci_high
    error = np.std(imputed) / math.sqrt(300)
    assert abs(np.mean(imputed)) < 3 * error
    assert np.mean(plain) > 0.04
    assert held / 300 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 300))


def test_what_cannot_be_told_is_refused():
    y, first, _ = panel()
    lone = first.copy()
    lone[np.flatnonzero(first == 6)[1:]] = 9
    with pytest.raises(UnsupportedError, match="single round"):
        staggered_effect(y, lone)
    with pytest.raises(UnsupportedError, match="before and after"):
        staggered_effect(y, np.zeros(len(y)))
    with pytest.raises(UnsupportedError, match="before and after"):
        staggered_effect(y, np.full(len(y), np.inf))
    apart = y.copy()
    early = first == 6
    apart[early, :3], apart[~early, 3:9] = np.nan, np.nan
    apart[early, 9:] = np.nan
    assert np.isfinite(apart[early, 6:9]).all()
    with pytest.raises(UnsupportedError, match="last week in which"):
        staggered_effect(apart, np.where(early, 6, np.inf))
    with pytest.raises(DataError, match="rounds, weeks"):
        staggered_effect(y[0], first)
    with pytest.raises(DataError, match="columns of `weekly`"):
        staggered_effect(y, first - 10)
    with pytest.raises(DataError, match="weights"):
        staggered_effect(y, first, weights=np.zeros(len(y)))


def test_rounds_that_share_no_untreated_week_are_not_compared():
    """Two pairs of rounds weighed in different weeks before the start: nothing ties their levels together."""
    y, _, _ = panel(starts=(8, np.inf), rounds=4)
    first = np.array([8.0, 8.0, np.inf, np.inf, 8.0, 8.0, np.inf, np.inf])
    treated, control = np.isfinite(first), np.isinf(first)
    y[treated, :4], y[control, 4:8] = np.nan, np.nan
    with pytest.raises(UnsupportedError, match="share no untreated week"):
        staggered_effect(y, first)
