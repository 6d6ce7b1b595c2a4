"""Chances to be best and top-two sampling: closed forms, brute force, and the text of a mixture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from nudges.uplift.sampling import (
    LEADER_SHARE,
    agreed,
    chance_best,
    mixture,
    posterior,
    shares_of,
    top_two,
    tried,
    within_budget,
)


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


def agreeing(rng, best, n):
    """Draw two best arms until they are the same."""
    first, second = rng.choice(len(best), n, p=best), rng.choice(len(best), n, p=best)
    while (other := second != first).any():
        first[other], second[other] = rng.choice(len(best), (2, int(other.sum())), p=best)
    return first


def test_top_two_by_brute_force():
    """Draw a leader that two draws agree on; one time in ten draw again until another arm comes (Russo 2020)."""
    best = np.array([0.6, 0.25, 0.1, 0.05])
    rng = np.random.default_rng(1)
    n = 200_000
    first = agreeing(rng, best, n)
    second = first.copy()
    while (same := second == first).any():
        second[same] = rng.choice(4, int(same.sum()), p=best)
    tried = np.where(rng.random(n) < 0.9, first, second)
    np.testing.assert_allclose(top_two(best), np.bincount(tried) / n, atol=4 * 0.5 / np.sqrt(n))


def test_a_leader_makes_way_one_time_in_ten():
    """As one arm gets sure its share goes to nine tenths, not to one: the others are still learned about."""
    shares = top_two(np.array([1 - 2e-9, 1e-9, 1e-9]))
    assert shares == pytest.approx([LEADER_SHARE, (1 - LEADER_SHARE) / 2, (1 - LEADER_SHARE) / 2])
    assert LEADER_SHARE == 0.9


def test_no_message_is_tried_as_often_as_two_draws_agree_on_it():
    """The rest goes to the messages by top-two among themselves: two alike share it evenly."""
    mean, covariance = np.array([1.0, 0.2, 0.2]), np.diag([1.0, 2.0, 2.0])
    shares = tried(mean, covariance)
    chance = chance_best(mean, covariance)[0]
    none = chance**2 / (chance**2 + (1 - chance) ** 2)
    assert shares == pytest.approx([none, (1 - none) / 2, (1 - none) / 2])
    one = ndtr(-0.8 / np.sqrt(3))
    assert tried(mean[:2], covariance[:2, :2]) == pytest.approx(agreed(np.array([1 - one, one])), abs=1e-4)


def test_a_mixture_spends_no_more_than_there_is():
    """Money for half of the homes at 4p and two thirds at 3p: each reaches its share of those, none gets the rest."""
    shares, reach, cost = np.array([0.1, 0.6, 0.3]), np.array([1.0, 0.5, 2 / 3]), np.array([0.0, 4.0, 3.0])
    paid = within_budget(shares, reach)
    assert paid == pytest.approx([0.5, 0.3, 0.2])
    assert paid @ cost <= 2.0
    assert within_budget(shares, np.ones(3)) == pytest.approx(shares)


def one_turn(n):
    return np.full((n, 3), 1 / 3), np.zeros(n, dtype=int)


def test_the_posterior_is_clustered():
    """Two rows a unit with the same worth: the covariance of 50 unit means, by hand with n - 1."""
    rng = np.random.default_rng(2)
    units = rng.normal(size=(50, 3))
    mean, covariance = posterior(np.repeat(units, 2, axis=0), *one_turn(100), np.repeat(np.arange(50), 2))
    np.testing.assert_allclose(mean, units.mean(axis=0))
    contrast = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    np.testing.assert_allclose(contrast @ covariance @ contrast.T, contrast @ np.cov(units.T) @ contrast.T / 50)


def test_turns_count_by_what_they_tell_of_an_arm():
    """Least squares of turn means on turn and arm, weighted by rows x propensity, as the textbook solves it."""
    rng = np.random.default_rng(3)
    worth = rng.normal(size=(60, 3)) + np.repeat([0.0, 50.0, -7.0], 20)[:, None]
    chance = np.repeat([[0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]], 20, axis=0)
    turns = np.repeat([4, 6, 9], 20)
    mean, _ = posterior(worth, chance, turns, np.arange(60))
    means = worth.reshape(3, 20, 3).mean(axis=1)
    design = np.hstack([np.repeat(np.eye(3), 3, axis=0), np.tile(np.eye(3), (3, 1))])
    root = np.sqrt(20 * chance[::20].ravel())
    fitted = np.linalg.lstsq(design * root[:, None], means.ravel() * root, rcond=None)[0][3:]
    np.testing.assert_allclose(mean - mean.mean(), fitted - fitted.mean(), atol=1e-9)
    assert mean.mean() == pytest.approx(worth.mean())


def test_the_posterior_holds_what_it_should_after_choosing_by_outcomes():
    """400 runs of three arms alike; from turn two on the arm that leads gets 90 %. The spread of an arm's contrast over
    runs is what the posterior says, and an arm that was dropped is known better than by turns that count alike."""
    rng = np.random.default_rng(4)
    errors, said, plain = [], [], []
    for _ in range(400):
        chance, worth, turns = np.full(3, 1 / 3), [], []
        for turn in range(4):
            p = np.tile(chance, (300, 1))
            given = rng.choice(3, 300, p=chance)
            worth.append(np.where(given[:, None] == np.arange(3), rng.normal(size=(300, 1)), 0.0) / p)
            turns.append(p)
            mean, covariance = posterior(
                np.concatenate(worth),
                np.concatenate(turns),
                np.repeat(np.arange(turn + 1), 300),
                np.arange(300 * (turn + 1)),
            )
            chance = np.where(np.arange(3) == mean.argmax(), 0.9, 0.05)
        contrast = np.array([1.0, -1.0, 0.0])
        errors.append(contrast @ mean)
        said.append(contrast @ covariance @ contrast)
        plain.append(contrast @ np.concatenate(worth).mean(axis=0))
    assert np.mean(np.square(errors) / np.array(said)) == pytest.approx(1.0, abs=3 * np.sqrt(2 / 400) + 0.1)
    assert np.mean(np.square(errors)) < 0.8 * np.mean(np.square(plain))


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
