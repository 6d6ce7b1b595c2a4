"""Rounds drawn by complete randomisation: exact counts, every round alike, nothing but ids and salt matters."""

import re
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nudges.domain import Shares
from nudges.draws import BEST, CONTROL_LANE, FEWEST_ROUNDS, HOLDOUT, LEARN, RoundDraw, Salts, draw, draw_rounds, place
from nudges.errors import UnsupportedError

SHARES = Shares(control=0.5, learn=0.2, best=0.3)
WHERE = "campaigns/right_day.toml"
names = st.lists(st.text(min_size=1, max_size=6), min_size=8, max_size=30, unique=True)


def drawn(rounds, share=0.5, salt="s"):
    return draw_rounds(rounds, salt, share, where=WHERE)


@given(names, st.randoms(use_true_random=False), st.text(max_size=5))
def test_exact_counts_whatever_the_order_and_however_often_a_round_is_named(rounds, random, salt):
    first = drawn(rounds, salt=salt)
    assert len(first.control) == int(len(rounds) / 2 + 0.5)
    assert sorted(first.rounds) == sorted(rounds)
    again = rounds * 3
    random.shuffle(again)
    assert drawn(again, salt=salt) == first


def test_the_lowest_hashes_are_the_control():
    rounds = [f"RES{number:03d}" for number in range(12)]
    by_hash = sorted(rounds, key=lambda name: draw("s", name))
    assert drawn(rounds, 0.34).rounds == tuple(by_hash)
    assert drawn(rounds, 0.34).control == tuple(by_hash[:4])


def test_every_set_of_rounds_is_control_equally_often():
    """All C(8, 4) = 70 sets over 7,000 salts: the assignment mechanism that the randomisation test re-draws."""
    rounds = [f"R{number}" for number in range(8)]
    found = Counter(frozenset(drawn(rounds, salt=str(salt)).control) for salt in range(7_000))
    counts = [found[frozenset(some)] for some in combinations(rounds, 4)]
    assert sum(counts) == 7_000
    assert chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("n", [*range(8, 40), 137])
def test_a_refusal_names_a_range_that_works_to_its_ends(n):
    rounds = [f"R{number}" for number in range(n)]
    with pytest.raises(UnsupportedError) as refused:
        drawn(rounds, 0.001)
    assert str(refused.value).startswith(f"{WHERE}: shares.control == 0.001 of {n} rounds are 0 without messages")
    low, high = (float(each) for each in re.search(r"between ([\d.]+) and ([\d.]+);", str(refused.value)).groups())
    for share in (low, high):
        found = drawn(rounds, share)
        assert min(len(found.control), len(found.treated)) >= FEWEST_ROUNDS
    for share in (low - 0.001, high + 0.001):
        with pytest.raises(UnsupportedError):
            drawn(rounds, share)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_fewer_than_eight_rounds_are_refused_whatever_the_share(n):
    with pytest.raises(UnsupportedError, match=rf"with {n} rounds in its segments, must be 8 or more"):
        drawn([f"R{number}" for number in range(n)])


def test_a_draw_is_kept_as_it_was():
    found = drawn(["tŷ 1", *"abcdefghi"])
    assert RoundDraw.from_json(found.to_json()) == found


def test_places_cut_by_the_control_share():
    found = drawn([f"R{number}" for number in range(13)], 0.4)
    places = found.places([*found.control, *found.treated, "new", None])
    assert (places[:5] < found.control_share).all()
    assert (places[5:13] >= found.control_share).all()
    assert np.isnan(places[13:]).all()


@given(st.integers(8, 200), st.floats(0.05, 0.95))
def test_no_rounding_moves_a_round_over_the_cut(n, share):
    n_control = int(share * n + 0.5)
    found = RoundDraw(tuple(map(str, range(n_control))), tuple(map(str, range(n_control, n))))
    if n_control and n_control < n:
        assert ((found.places(found.rounds) < found.control_share).sum()) == n_control


def test_lanes_keep_learn_and_best_in_proportion():
    found = drawn([f"R{number}" for number in range(10)], 0.4)
    lanes = found.lanes(SHARES)
    assert lanes.control == 0.4
    assert (lanes.learn, lanes.best) == pytest.approx((0.6 * 0.4, 0.6 * 0.6))


def test_households_follow_their_round_and_the_holdout_stays_out():
    ids = [f"H{number:05d}" for number in range(20_000)]
    found = drawn([f"R{number}" for number in range(10)], 0.5)
    of_home = [f"R{number % 10}" for number in range(len(ids))]
    lanes = found.lanes(SHARES)
    placing = place(ids, Salts.of("campaign:a", "council"), lanes, 0.05, control_draw=found.places(of_home))
    held = placing.lane == HOLDOUT
    is_control = np.isin(of_home, found.control)
    assert held.mean() == pytest.approx(0.05, abs=0.01)
    assert (placing.lane[~held & is_control] == CONTROL_LANE).all()
    assert set(placing.lane[~held & ~is_control].tolist()) == {LEARN, BEST}
    assert (placing.lane[~held & ~is_control] == LEARN).mean() == pytest.approx(0.4, abs=0.02)
    assert ((placing.draw < lanes.control) == is_control).all()
    household = place(ids, Salts.of("campaign:a", "council"), lanes, 0.05)
    assert (household.arm_draw == placing.arm_draw).all()
