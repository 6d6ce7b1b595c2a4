"""Decay and persistence: exact on noiseless effects, intervals against planted half-lives and shares."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nudges.errors import DataError, UnsupportedError
from nudges.measuring import decay, kept_after_stopping, persistence, unit_ancova
from nudges.measuring.decay import WINDOWS, half_life, window_means

GRID = 0.01  # of a half-life: rates are tried on a grid of 4,001


def fading(half, level=-0.5, windows=WINDOWS):
    """Window means of an effect that starts at `level` and halves every `half` weeks."""
    return np.array([np.mean([level * 2 ** (-(week - 1) / half) for week in range(a, b + 1)]) for a, b in windows])


def town(n=4_000, weeks=26, half=6.0, level=-1.0, seed=5):
    rng = np.random.default_rng(seed)
    home = rng.normal(8, 2, n)
    treated = (rng.random(n) < 0.5).astype(float)
    effect = level * 2 ** (-np.arange(weeks) / half)
    since = home[:, None] + rng.normal(0, 2, (n, weeks)) + treated[:, None] * effect
    return since, home + rng.normal(0, 0.5, n), treated, rng


@pytest.mark.parametrize("half", [2.0, 6.0, 20.0])
def test_half_life_of_exact_windows(half):
    found = half_life(fading(half), np.diag([1e-8, 1e-8, 1e-8]), WINDOWS)
    assert found.weeks == pytest.approx(half, rel=GRID)
    assert found.low <= half * (1 + GRID)
    assert found.high >= half * (1 - GRID)
    assert found.first_week_effect == pytest.approx(-0.5, rel=GRID)


def test_an_effect_that_stays_has_no_upper_half_life():
    found = half_life([-0.5, -0.5, -0.5], np.diag([0.01, 0.01, 0.01]), WINDOWS)
    assert math.isinf(found.high)
    assert 0 < found.low < 26
    assert found.is_known


def test_no_effect_says_nothing_of_its_half_life():
    found = half_life([0.01, -0.02, 0.01], np.diag([0.01, 0.01, 0.01]), WINDOWS)
    assert (found.low, found.high) == (0, math.inf)
    assert not found.is_known


def test_half_life_interval_holds_the_planted_one():
    """2,000 draws of window effects around a planted half-life of 6 weeks, correlated: 95 % less at most 3 errors."""
    rng = np.random.default_rng(11)
    covariance = 0.003 * (0.6 + 0.4 * np.eye(3))
    draws = rng.multivariate_normal(fading(6.0), covariance, 2_000)
    held = 0
    for row in draws:
        found = half_life(row, covariance, WINDOWS)
        held += found.low <= 6.0 <= found.high
    assert held / 2_000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2_000))


def test_windows_are_unit_ancova_on_their_means():
    since, pre, treated, _ = town(n=500)
    since[::7, :5] = np.nan
    found = decay(since, pre, treated)
    assert [(window.first_week, window.last_week) for window in found.windows] == list(WINDOWS)
    for place, (first, last) in enumerate(WINDOWS):
        mean = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in since[:, first - 1 : last]])
        known = np.isfinite(mean)
        alone = unit_ancova(mean[known], pre[known], treated[known])
        assert found.windows[place].effect.estimate == pytest.approx(alone.estimate, abs=1e-12)
        assert found.covariance[place, place] == pytest.approx(alone.se**2, abs=1e-12)
    assert np.isfinite(found.covariance).all()


def test_decay_finds_a_planted_half_life():
    since, pre, treated, _ = town(n=20_000)
    found = decay(since, pre, treated).half_life
    assert found.low <= 6.0 <= found.high
    assert found.high - found.low < 3


def test_weeks_not_measured_yet_are_not_claimed():
    since, pre, treated, _ = town(n=300, weeks=9)
    found = decay(since, pre, treated)
    assert [(window.first_week, window.last_week) for window in found.windows] == [(1, 4), (5, 9)]
    assert decay(since[:, :3], pre, treated).half_life is None
    with pytest.raises(UnsupportedError, match="first window starts later"):
        decay(since, pre, treated, windows=[(14, 26)])
    with pytest.raises(DataError, match="must rise"):
        decay(since, pre, treated, windows=[(5, 13), (1, 4)])


def test_window_means_skip_weeks_not_read():
    since = np.array([[1.0, np.nan, 3.0, 5.0], [np.nan, np.nan, 2.0, np.nan]])
    assert window_means(since, [(1, 2), (3, 4)]).tolist()[0] == [1.0, 4.0]
    assert np.isnan(window_means(since, [(1, 2), (3, 4)])[1, 0])


def test_share_kept_covers_the_planted_share():
    """800 towns of 300 units in which 40 % of the effect stays: Fieller's interval, 95 % less at most 3 errors."""
    held = []
    for seed in range(800):
        rng = np.random.default_rng(70_000 + seed)
        home = rng.normal(8, 2, 300)
        treated = (rng.random(300) < 0.5).astype(float)
        during = home - 1.0 * treated + rng.normal(0, 0.8, 300)
        after = home - 0.4 * treated + rng.normal(0, 0.8, 300)
        found = persistence(during, after, home + rng.normal(0, 0.5, 300), treated)
        held.append(found.kept_low <= 0.4 <= found.kept_high)
    assert np.mean(held) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 800))


def test_persistence_without_an_effect_has_no_bounds():
    rng = np.random.default_rng(2)
    values = rng.normal(8, 2, (3, 60))
    found = persistence(values[0], values[1], values[2], np.arange(60) % 2)
    assert (found.kept_low, found.kept_high) == (-math.inf, math.inf)


def test_stopped_and_continued_share_those_never_messaged():
    """The covariance of the two contrasts is the variance of the control they share."""
    rng = np.random.default_rng(4)
    group = rng.permutation(np.repeat([0, 1, 2], 2_000))
    home = rng.normal(8, 2, 6_000)
    after = home - 1.0 * (group == 1) - 0.5 * (group == 2) + rng.normal(0, 1, 6_000)
    found = kept_after_stopping(after, home, continued=group == 1, stopped=group == 2)
    assert found.messaged.estimate == pytest.approx(-1.0, abs=4 * found.messaged.se)
    assert found.stopped.estimate == pytest.approx(-0.5, abs=4 * found.stopped.se)
    assert found.kept_low < 0.5 < found.kept_high
    # Delta method with a shared control: var(b - r a) / a^2, each arm's mean having variance 1 / 2,000.
    expected = math.sqrt((1 + 0.25 + 0.25) / 2_000)
    assert (found.kept_high - found.kept_low) / 2 / 1.96 == pytest.approx(expected, rel=0.1)
    with pytest.raises(DataError, match="both continued and stopped"):
        kept_after_stopping(after, home, continued=group == 1, stopped=group >= 1)
    with pytest.raises(UnsupportedError, match="fewer than two units"):
        kept_after_stopping(after, home, continued=group == 9, stopped=group == 2)
