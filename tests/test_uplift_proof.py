"""What remains of a gain that was reported because it passed the gate."""

import numpy as np
import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from nudges.scoring import Value
from nudges.uplift.proof import after_selection, proof


def passed(truth, n, seed):
    """Draws of sd 1 around the truth (a number or one each) that exceed 1.645, and their corrected gains."""
    rng = np.random.default_rng(seed)
    draws = truth - ndtri(rng.random(n) * ndtr(truth - 1.6449))
    return draws, [after_selection(proof(Value.of(draw, 1.0, np.inf, n_rows=9, n_units=9), 1)) for draw in draws]


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.5, 3.0])
def test_the_interval_of_a_gain_that_passed_the_gate_holds(truth):
    """Of draws above 1.645 the corrected interval holds the truth 95 %; the plain one, at no gain, half the time."""
    draws, fixed = passed(truth, 1_500, seed=3)
    held = np.mean([value.low <= truth <= value.high for value in fixed])
    assert held >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 1_500)
    if truth == 0.0:
        assert np.mean(draws - 1.96 <= truth) < 0.6


def test_a_gain_that_passed_the_gate_is_not_oversold():
    """True gains anywhere from 0 to 8 standard errors: right on average by what was seen, unlike the plain one."""
    truth = np.random.default_rng(4).uniform(0, 8, 3_000)
    draws, fixed = passed(truth, 3_000, seed=5)
    seen = draws < 5  # by what was seen, and far from where the truths of this test end
    assert abs(np.mean(np.array([value.mean for value in fixed])[seen] - truth[seen])) < 3 / np.sqrt(seen.sum())
    assert np.mean((draws - truth)[seen]) > 0.3


def test_a_gain_far_above_the_gate_is_left_alone():
    value = Value.of(30.0, 1.0, np.inf, n_rows=9, n_units=9)
    fixed = after_selection(proof(value, 1))
    assert (fixed.mean, fixed.low, fixed.high) == pytest.approx((30.0, value.low, value.high), abs=1e-3)


@settings(max_examples=60, deadline=None)
@generated(st.floats(0.0, 20.0), st.floats(1e-3, 1e3), st.integers(1, 52))
def test_the_correction_only_ever_lowers(spare, se, looks):
    bar = Value.of(0.0, se, np.inf, n_rows=9, n_units=9)
    value = Value.of(-bar.at_least(0.05 / looks) + spare * se, se, np.inf, n_rows=9, n_units=9)
    fixed = after_selection(proof(value, looks))
    assert 0 <= fixed.mean <= value.mean
    assert 0 <= fixed.low <= fixed.mean * (1 + 1e-9)
    assert fixed.high <= value.high
