"""Policy trees: against every tree there is, planted ones found again, what is not known, and the sentences."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudges.choice import Leaf, Split, policy_tree
from nudges.choice.cuts import quantile_cuts, roundest
from nudges.errors import DataError

ARMS = ("none", "texts", "letters")


@st.composite
def small_data(draw):
    n, p = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    value = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan])
    X = np.array(draw(st.lists(st.lists(value, min_size=p, max_size=p), min_size=n, max_size=n)))
    whole = st.lists(st.integers(-9, 9), min_size=3, max_size=3)
    payoff = np.array(draw(st.lists(whole, min_size=n, max_size=n)), dtype=float)
    return X, payoff


def all_splits(X):
    """Rows that go below, for every feature, every value, and either way for what is not known."""
    for column in X.T:
        for cut in np.unique(column[~np.isnan(column)]):
            for unknown_below in (False, True):
                yield np.where(np.isnan(column), unknown_below, column <= cut)
        yield ~np.isnan(column)


def best_leaf(payoff, rows):
    return payoff[rows].sum(axis=0).max() if rows.any() else 0.0


def brute_force(X, payoff, depth, price=0.0, smallest=1):
    """Largest payoff of all trees, less the price of each split."""

    def grown(rows, left):
        best = best_leaf(payoff, rows)
        if left:
            for below in all_splits(X):
                sides = rows & below, rows & ~below
                if min(side.sum() for side in sides) >= smallest:
                    best = max(best, sum(grown(side, left - 1) for side in sides) - price)
        return best

    return grown(np.ones(len(X), dtype=bool), depth)


def splits(node):
    return 0 if isinstance(node, Leaf) else 1 + splits(node.below) + splits(node.above)


@settings(max_examples=200, deadline=None)
@given(small_data(), st.sampled_from([0, 1, 2]), st.sampled_from([0.0, 1.5]), st.sampled_from([1, 2]))
def test_no_tree_is_better(data, depth, price, smallest):
    X, payoff = data
    names = [f"x{column}" for column in range(X.shape[1])]
    tree = policy_tree(X, payoff, names=names, depth=depth, least_gain=price / len(X), smallest_leaf=smallest)
    arms = tree.arms(X)
    found = payoff[np.arange(len(X)), arms].sum()
    assert tree.value == pytest.approx(found / len(X))
    assert found - price * splits(tree.root) == pytest.approx(brute_force(X, payoff, depth, price, smallest), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(small_data())
def test_every_question_gains_something(data):
    """No shallower tree is as good, and no two leaves of a question have the same arm."""
    X, payoff = data
    tree = policy_tree(X, payoff, names=[f"x{column}" for column in range(X.shape[1])])

    def check(node):
        if isinstance(node, Split):
            leaves = isinstance(node.below, Leaf) and isinstance(node.above, Leaf)
            assert not leaves or node.below.arm != node.above.arm
            check(node.below)
            check(node.above)

    check(tree.root)


def planted(n, seed, noise):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    X[:, 2] = rng.integers(0, 2, n)
    X[rng.random(n) < 0.1, 1] = np.nan
    arm = np.where(X[:, 0] > 0.5, np.where(X[:, 2] > 0, 1, 2), np.where(X[:, 1] <= -0.2, 2, 0))
    payoff = noise * rng.normal(size=(n, 3))
    payoff[np.arange(n), arm] += 1.0
    return X, payoff, arm


def test_a_planted_tree_is_found_through_noise():
    """Payoffs spread 3 times what the right arm is worth; 40,000 rows; cuts on a grid of 16."""
    X, payoff, arm = planted(40_000, 1, 3.0)
    tree = policy_tree(X, payoff, names=["rate", "kg", "flat", "a", "b", "c"])
    assert (tree.root.name, tree.root.above.name, tree.root.below.name) == ("rate", "flat", "kg")
    assert tree.root.cut == pytest.approx(0.5, abs=0.1)
    assert tree.root.below.unknown_above
    assert (tree.arms(X) == arm).mean() > 0.95


def test_the_sentences_say_what_is_done():
    X, payoff, arm = planted(5_000, 2, 0.0)
    names = ["rate", "kg", "flat", "a", "b", "c"]
    tree = policy_tree(X, payoff, names=names, n_cuts=40)
    first, second, third, fourth = tree.sentences(ARMS)
    assert first == f"Homes with rate above {tree.root.cut:g}, and flat above 0 get texts."
    assert second == f"Homes with rate above {tree.root.cut:g}, and flat at most 0 get letters."
    kg = tree.root.below.cut
    assert third == f"Homes with rate at most {tree.root.cut:g}, and kg above {kg:g} or not known get no message."
    assert fourth == f"Homes with rate at most {tree.root.cut:g}, and kg at most {kg:g} get letters."
    assert (tree.arms(X) == arm).mean() > 0.97


def test_one_arm_for_all_is_one_sentence():
    payoff = np.array([[0.0, 1.0]] * 5)
    assert policy_tree(np.arange(5.0)[:, None], payoff, names=["x"]).sentences(("none", "texts")) == (
        "All homes get texts.",
    )
    assert policy_tree(np.zeros((5, 0)), payoff, names=[]).root == Leaf(1, 1.0, 1.0)


def test_whether_it_is_known_is_a_question():
    X = np.array([[1.0], [2.0], [np.nan], [3.0]])
    payoff = np.array([[0.0, -1], [0, -1], [0, 5], [0, -1]])
    tree = policy_tree(X, payoff, names=["rate"])
    assert tree.sentences(("none", "texts")) == (
        "Homes with rate not known get texts.",
        "Homes with rate known get no message.",
    )
    assert tree.arms([[np.nan], [-9.0], [9.0]]).tolist() == [1, 0, 0]


def test_one_feature_asked_twice_is_one_range():
    X = np.arange(30.0)[:, None]
    payoff = np.zeros((30, 2))
    payoff[:, 1] = np.where((X[:, 0] > 9) & (X[:, 0] <= 19), 1.0, -1.0)
    tree = policy_tree(X, payoff, names=["kg"], n_cuts=29)
    assert "Homes with kg above 9 and at most 19 get texts." in tree.sentences(("none", "texts"))
    assert tree.value == pytest.approx(1 / 3)


def test_the_unknown_nobody_saw_go_with_the_larger_side():
    X = np.arange(10.0)[:, None]
    payoff = np.column_stack([np.zeros(10), np.where(X[:, 0] > 2, 1.0, -1.0)])
    assert policy_tree(X, payoff, names=["x"]).arms([[np.nan]]).tolist() == [1]


def test_cuts_are_round_and_few():
    rng = np.random.default_rng(0)
    cuts = quantile_cuts(np.sort(rng.gamma(2, 3, 10_000)), 16)
    assert len(cuts) == 16
    assert max(len(f"{cut:g}") for cut in cuts) <= 4
    assert quantile_cuts(np.array([0.0, 0, 1, 1]), 16).tolist() == [0]
    assert quantile_cuts(np.array([3.0, 3]), 16).tolist() == []
    assert quantile_cuts(np.zeros(0), 16).tolist() == []
    skewed = np.sort(np.append(np.zeros(9_000), rng.random(1_000)))
    assert quantile_cuts(skewed, 4)[0] == 0


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_the_roundest_number_lies_between(low, width):
    high = low + width
    if high > low:
        assert low <= roundest(low, high) < high


def test_twenty_features_in_seconds():
    """20 features of 16 cuts, 5 arms, 30,000 rows: about 0.25 CPU-seconds on a quiet machine."""
    rng = np.random.default_rng(3)
    X, payoff = rng.normal(size=(30_000, 20)), rng.normal(size=(30_000, 5))
    started = time.process_time()
    policy_tree(X, payoff, names=[f"x{column}" for column in range(20)])
    assert time.process_time() - started < 3.0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"payoff": [[0, np.nan]]}, "payoff"),
        ({"payoff": np.zeros((0, 2)), "X": np.zeros((0, 1))}, "payoff"),
        ({"X": [[1.0, 2.0]]}, "X"),
        ({"X": [[np.inf]]}, "infinite"),
        ({"depth": 3}, "depth"),
    ],
)
def test_bad_input_is_named(changes, word):
    with pytest.raises(DataError, match=word):
        policy_tree(**{"X": [[1.0]], "payoff": [[0, 1.0]], "names": ["x"], **changes})


def test_other_features_than_learned_are_refused():
    tree = policy_tree([[1.0], [2.0]], [[0, 1.0], [0, -1.0]], names=["x"])
    with pytest.raises(DataError, match="x"):
        tree.arms([[1.0, 2.0]])


def test_all_pairs_of_features_are_tried():
    """An exclusive or of any two features: no single cut gains anything, two levels gain all."""
    grid = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    for one, other in itertools.combinations(range(4), 2):
        payoff = np.column_stack([np.zeros(16), np.where(grid[:, one] != grid[:, other], 1.0, -1.0)])
        tree = policy_tree(grid, payoff, names=["a", "b", "c", "d"])
        assert tree.value == 0.5
        assert {tree.root.feature, tree.root.below.feature} == {one, other}
        assert policy_tree(grid, payoff, names=["a", "b", "c", "d"], depth=1).value == 0.0
