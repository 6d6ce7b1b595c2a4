"""Chances to be best and top-two sampling: closed forms, brute force, and the text of a mixture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from nudges.uplift.sampling import chance_best, mixture, posterior, shares_of, top_two, tried


def test_two_arms_by_closed_form():
    """P(a > b) = Φ((1 - 0) / sqrt(1² + 2² - 2·0.5)), correlation included."""
    chance = chance_best(np.array([1.0, 0.0]), np.array([[1.0, 0.5], [0.5, 4.0]]))
    assert chance[0] == pytest.approx(ndtr(1 / np.sqrt(1 + 4 - 2 * 0.5)), abs=1e-4)


def test_five_arms_by_brute_force():
    """A million draws from the posterior: standard error of a share below 0.0005."""
    mean, own, common = np.array([0.0, 0.3, -0.2, 0.5, 0.45]), np.array([1.0, 0.5, 2.0, 0.8, 0.1]), 0.7
    rng = np.random.default_rng(0)
    draws = mean + rng.normal(size=(1_000_000, 5)) * own + common * rng.normal(size=(1_000_000, 1))
    brute = np.bincount(draws.argmax(axis=1), minlength=5) / 1_000_000
    found = chance_best(mean, np.diag(own**2) + common**2)
    np.testing.assert_allclose(found, brute, atol=0.002)


def test_arms_alike_have_equal_chances():
    assert chance_best(np.zeros(4), np.eye(4)) == pytest.approx([0.25] * 4)


def test_an_arm_that_is_surely_best_stays_so():
    assert chance_best(np.array([0.0, 900.0, 0.0]), np.eye(3)) == pytest.approx([0, 1, 0])
    assert top_two(np.array([0.0, 1.0, 0.0])) == pytest.approx([0, 1, 0])


def test_top_two_by_brute_force():
    """Draw a best arm; half of the time draw again until another one comes (Russo 2020, top-two Thompson sampling)."""
    best = np.array([0.6, 0.25, 0.1, 0.05])
    rng = np.random.default_rng(1)
    n = 200_000
    first = rng.choice(4, n, p=best)
    second = first.copy()
    while (same := second == first).any():
        second[same] = rng.choice(4, int(same.sum()), p=best)
    tried = np.where(rng.random(n) < 0.5, first, second)
    np.testing.assert_allclose(top_two(best), np.bincount(tried) / n, atol=4 * 0.5 / np.sqrt(n))


def test_a_leader_is_tried_half_of_the_time():
    """As one arm gets sure its share goes to one half, not to one: the others are still learned about."""
    shares = top_two(np.array([1 - 2e-9, 1e-9, 1e-9]))
    assert shares == pytest.approx([0.5, 0.25, 0.25])


def test_no_message_is_tried_as_often_as_it_may_be_best():
    """The rest goes to the messages by top-two among themselves: two alike share it evenly."""
    mean, covariance = np.array([1.0, 0.2, 0.2]), np.diag([1.0, 2.0, 2.0])
    shares = tried(mean, covariance)
    none = chance_best(mean, covariance)[0]
    assert shares == pytest.approx([none, (1 - none) / 2, (1 - none) / 2])
    assert tried(mean[:2], covariance[:2, :2])[1] == pytest.approx(ndtr(-0.8 / np.sqrt(3)), abs=1e-4)


def test_the_posterior_is_clustered():
    """Two rows a unit with the same worth: the covariance of 50 unit means, by hand with n - 1."""
    rng = np.random.default_rng(2)
    units = rng.normal(size=(50, 3))
    mean, covariance = posterior(np.repeat(units, 2, axis=0), np.repeat(np.arange(50), 2))
    np.testing.assert_allclose(mean, units.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(units.T) / 50)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-9, 1.0), min_size=2, max_size=9))
def test_a_mixture_sums_to_one_and_names_no_arm_without_a_share(weights):
    arms = [f"arm_{number}" for number in range(len(weights))]
    text = mixture(arms, top_two(np.array(weights) / sum(weights)))
    kind, _, parts = text.partition(":")
    shares = dict(part.split("=") for part in parts.split(","))
    assert kind == "mix"
    assert set(shares) <= set(arms)
    assert sum(round(1_000 * float(share)) for share in shares.values()) == 1_000
    assert all(float(share) > 0 for share in shares.values())
    assert shares_of(text, arms) == pytest.approx(top_two(np.array(weights) / sum(weights)), abs=0.0011)


def test_the_text_of_a_mixture():
    assert mixture(("control", "text"), np.array([0.25, 0.75])) == "mix:control=0.250,text=0.750"
    assert mixture(("control", "a", "b"), np.full(3, 1 / 3)) == "mix:control=0.334,a=0.333,b=0.333"
