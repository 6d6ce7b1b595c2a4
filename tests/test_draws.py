"""Draws: published vectors, uniformity, independence; lanes, arms and propensities by brute force."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, kstest

from nudges.domain import Shares
from nudges.draws import (
    BEST,
    CONTROL_LANE,
    HOLDOUT,
    LEARN,
    UNIFORM,
    Salts,
    draw,
    draws,
    given_arms,
    place,
    propensities,
)

SHARES = Shares(control=0.25, learn=0.35, best=0.40)

# Origin: `printf 'salt:1' | sha256sum`, the first 53 bits of the digest over 2**53. They are what makes a draw
# reproducible outside this product: they never change.
VECTORS = [
    ("salt", "1"),
    ("campaign:less_rubbish:demo", "H000001"),
    ("demo:holdout", "STORE-7"),
    ("", ""),
    ("ŵ", "tŷ 12"),
]
PUBLISHED = [0.45166335299155125, 0.3891953704654024, 0.2838499597908978, 0.9049687102438427, 0.8867391580858588]
IDS = [f"H{number:06d}" for number in range(40_000)]


@pytest.mark.parametrize(("key", "value"), list(zip(VECTORS, PUBLISHED, strict=True)))
def test_published_vectors(key, value):
    assert draw(*key) == value


@given(st.text(max_size=20), st.text(max_size=20))
def test_first_53_bits_as_a_share(salt, unit):
    bits = int(sha256(f"{salt}:{unit}".encode()).hexdigest(), 16) >> (256 - 53)
    assert draw(salt, unit) == bits / 2**53
    assert 0 <= draw(salt, unit) < 1


@given(st.text(max_size=8), st.lists(st.text(max_size=12), max_size=20))
def test_many_are_each_one(salt, ids):
    assert draws(salt, ids).tolist() == [draw(salt, unit) for unit in ids]


def test_uniform():
    assert kstest(draws("a", IDS), "uniform").pvalue > 0.001


def test_salts_are_independent():
    first, second = (np.floor(draws(salt, IDS) * 5) for salt in ("campaign:a:council", "campaign:b:council"))
    table = np.histogram2d(first, second, bins=5)[0]
    assert chi2_contingency(table).pvalue > 0.001
    assert abs(np.corrcoef(draws("x", IDS), draws("x:arm", IDS))[0, 1]) < 0.02


def test_lanes_come_in_their_shares_and_never_move():
    salts = Salts.of("campaign:a", "council")
    placing = place(IDS, salts, SHARES, 0.05)
    shares = np.bincount(placing.lane, minlength=4) / len(IDS)
    # Four standard errors of a share over 40,000 units are below 0.01.
    assert shares == pytest.approx([0.05, 0.95 * 0.25, 0.95 * 0.35, 0.95 * 0.40], abs=0.01)
    assert (place(IDS[::-1], salts, SHARES, 0.05).lane[::-1] == placing.lane).all()


def test_the_holdout_is_the_same_in_every_campaign():
    lanes = [place(IDS, Salts.of(f"campaign:{name}", "council"), SHARES, 0.05).lane for name in "ab"]
    assert ((lanes[0] == HOLDOUT) == (lanes[1] == HOLDOUT)).all()


@pytest.mark.parametrize("policy", [UNIFORM, 0, 2])
def test_propensities_are_how_often_arms_are_given(policy):
    placing = place(IDS, Salts.of("campaign:a", "council"), SHARES, 0.05)
    policy_arm = np.full(len(IDS), policy)
    arm = given_arms(placing, policy_arm, 3)
    chance = propensities(policy_arm, 3, shares=SHARES, holdout_share=0.05)
    assert np.bincount(arm, minlength=3) / len(IDS) == pytest.approx(chance[0], abs=0.01)
    assert chance.sum(axis=1) == pytest.approx(1)
    assert (arm[(placing.lane == HOLDOUT) | (placing.lane == CONTROL_LANE)] == 0).all()
    if policy != UNIFORM:
        assert (arm[placing.lane == BEST] == policy).all()


def test_propensity_by_hand():
    """h = 0.05, c = 0.25, l = 0.35, b = 0.40, two messages: 0.95 (0.35/3 + 0.40) and so on."""
    chance = propensities(np.array([1, UNIFORM]), 3, shares=SHARES, holdout_share=0.05)
    assert chance[0] == pytest.approx([0.05 + 0.95 * (0.25 + 0.35 / 3), 0.95 * (0.35 / 3 + 0.40), 0.95 * 0.35 / 3])
    assert chance[1, 1:] == pytest.approx([0.95 * (0.35 / 3 + 0.20)] * 2)


def test_the_learn_lane_spreads_over_all_arms_control_included():
    placing = place(IDS, Salts.of("campaign:a", "council"), SHARES, 0.0)
    arm = given_arms(placing, np.zeros(len(IDS), dtype=int), 4)[placing.lane == LEARN]
    assert np.bincount(arm) / len(arm) == pytest.approx([0.25] * 4, abs=0.02)
