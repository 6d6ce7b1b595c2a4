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
    Placing,
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


def test_words_of_one_hash():
    """`printf 'salt:1' | sha256sum`: bytes 8 to 15 and 16 to 23 are the arm's and the tie's draw."""
    digest = bytes.fromhex(sha256(b"salt:1").hexdigest())
    for word in range(3):
        bits = int.from_bytes(digest[8 * word : 8 * word + 8], "big") >> 11
        assert draw("salt", "1", word) == bits / 2**53


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


# --- turns ------------------------------------------------------------------------------


def placed(turn, ids=IDS, shares=SHARES):
    return place(ids, Salts.of("campaign:a", "council", turn), shares, 0.05)


def test_control_and_holdout_are_drawn_once_the_rest_anew_in_each_turn():
    first, second = placed(0), placed(1)
    for lane in (HOLDOUT, CONTROL_LANE):
        assert ((first.lane == lane) == (second.lane == lane)).all()
    outside = first.lane >= LEARN
    table = np.histogram2d(first.lane[outside], second.lane[outside], bins=2)[0]
    assert chi2_contingency(table).pvalue > 0.001
    assert (table > 0).all()
    learns = (first.lane == LEARN) & (second.lane == LEARN)
    arms = [given_arms(each, np.zeros(len(IDS), dtype=int), 4)[learns] for each in (first, second)]
    assert chi2_contingency(np.histogram2d(*arms, bins=4)[0]).pvalue > 0.001


def test_the_draw_in_the_ledger_has_the_same_cuts_in_every_turn():
    for turn in (0, 3):
        placing = placed(turn)
        inside = placing.lane != HOLDOUT
        lane = np.select([placing.draw < 0.25, placing.draw < 0.60], [CONTROL_LANE, LEARN], BEST)
        assert (placing.lane == lane)[inside].all()
        assert kstest(placing.draw, "uniform").pvalue > 0.001
    unit = IDS[int(np.flatnonzero(placed(3).lane == BEST)[0])]
    own = draw("campaign:a:council:turn3", unit)
    assert placed(3, [unit]).draw[0] == 0.25 + 0.75 * own
    assert placed(3, [unit]).arm_draw[0] == draw("campaign:a:council:turn3", unit, 1)
    assert placed(3, [unit]).tie[0] == draw("campaign:a:council:turn3", unit, 2)


def test_lane_arm_and_tie_of_a_turn_are_independent():
    placing = placed(2)
    outside = placing.lane >= LEARN
    columns = [values[outside] for values in (placing.draw, placing.arm_draw, placing.tie)]
    assert np.abs(np.corrcoef(columns) - np.eye(3)).max() < 0.03


MIXTURE = np.array([0.1, 0.6, 0.3])


def test_a_mixture_is_given_as_often_as_it_says():
    placing, drawn = placed(0), np.full(len(IDS), UNIFORM)
    arm = given_arms(placing, drawn, 3, mixture=MIXTURE)
    best = placing.lane == BEST
    assert np.bincount(arm[best], minlength=3) / best.sum() == pytest.approx(MIXTURE, abs=0.02)
    chance = propensities(drawn, 3, shares=SHARES, holdout_share=0.05, mixture=MIXTURE)
    assert np.bincount(arm, minlength=3) / len(IDS) == pytest.approx(chance[0], abs=0.01)
    assert chance[0, 1] == pytest.approx(0.95 * (0.35 / 3 + 0.40 * 0.6))


def test_an_arm_that_is_stopped_is_given_in_no_lane_and_the_others_share_its_chance():
    placing, drawn = placed(0), np.full(len(IDS), UNIFORM)
    allowed = np.ones((len(IDS), 3), dtype=bool)
    allowed[::2, 1] = False
    arm = given_arms(placing, drawn, 3, mixture=MIXTURE, allowed=allowed)
    chance = propensities(drawn, 3, shares=SHARES, holdout_share=0.05, mixture=MIXTURE, allowed=allowed)
    assert not (arm[::2] == 1).any()
    assert (chance[::2, 1] == 0).all()
    assert chance[0, 2] == pytest.approx(0.95 * (0.35 / 2 + 0.40 * 0.3 / 0.4))
    for half in (slice(0, None, 2), slice(1, None, 2)):
        found = np.bincount(arm[half], minlength=3) / len(arm[half])
        assert found == pytest.approx(chance[half][0], abs=0.015)


def test_where_the_mixture_has_no_arm_left_there_is_no_message():
    allowed = np.array([[True, False, False]] * 3)
    lanes = np.array([CONTROL_LANE, LEARN, BEST], dtype=np.int8)
    placing = Placing(lanes, np.zeros(3), np.full(3, 0.99), np.zeros(3))
    drawn = np.full(3, UNIFORM)
    assert (given_arms(placing, drawn, 3, allowed=allowed) == 0).all()
    chance = propensities(drawn, 3, shares=SHARES, holdout_share=0.05, allowed=allowed)
    assert chance.tolist() == [[1.0, 0.0, 0.0]] * 3


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda parts: sum(parts) > 0.01),
    st.floats(0, 1, exclude_max=True),
    st.data(),
)
def test_nothing_without_a_chance_is_ever_given(parts, share, data):
    mixture = np.array(parts) / sum(parts)
    n_arms = len(parts)
    allowed = np.array([[True, *(data.draw(st.booleans()) for _ in range(n_arms - 1))]])
    for lane in (LEARN, BEST):
        placing = Placing(np.array([lane], dtype=np.int8), np.zeros(1), np.array([share]), np.zeros(1))
        shares = Shares(0.0, 1.0, 0.0) if lane == LEARN else Shares(0.0, 0.0, 1.0)
        arm = given_arms(placing, np.array([UNIFORM]), n_arms, mixture=mixture, allowed=allowed)[0]
        chance = propensities(
            np.array([UNIFORM]), n_arms, shares=shares, holdout_share=0.0, mixture=mixture, allowed=allowed
        )
        assert chance[0, arm] > 0
        assert chance[0].sum() == pytest.approx(1)
        assert allowed[0, arm]
