"""The budget path: small knapsacks by linear programming, lines by hand, and rules that hold for any rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from nudges.errors import DataError
from nudges.scoring import budget_path, paired_gain, qini_curve

ROUNDING = 1e-12
COST = np.array([0.0, 1.2, 0.8, 2.0])


def drawn(n=400, seed=0, noise=1.0):
    """Predicted benefits and noisy scores around them, none in column 0."""
    rng = np.random.default_rng(seed)
    benefit = np.column_stack([np.zeros(n), rng.normal(0.3, 1, size=(n, 3))])
    return benefit + noise * rng.normal(size=benefit.shape), benefit


def best_by_linear_programming(benefit, cost, money):
    """Largest total benefit when rows may be split over arms."""
    n, n_arms = benefit.shape
    one_each = np.kron(np.eye(n), np.ones(n_arms))
    found = linprog(
        -benefit.ravel(), A_ub=np.tile(cost, n)[None], b_ub=[money], A_eq=one_each, b_eq=np.ones(n), bounds=(0, 1)
    )
    return -found.fun


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_every_budget_is_spent_as_well_as_can_be(seed, n):
    _, benefit = drawn(n, seed)
    for point in budget_path(benefit, benefit, COST):
        assert point.gain.mean * n == pytest.approx(
            best_by_linear_programming(benefit, COST, point.spend * n + 1e-9), abs=1e-6
        )


def test_the_end_of_the_path_is_the_policy_without_a_budget():
    scores, benefit = drawn()
    last = budget_path(scores, benefit, COST, shares=(1.0,))[0]
    arm = benefit.argmax(axis=1)
    free = paired_gain(scores, arm, 0)
    assert last.spend == pytest.approx(COST[arm].mean())
    assert (last.gain.mean, last.gain.se) == (pytest.approx(free.mean), pytest.approx(free.se))


def test_money_is_spent_to_the_penny():
    scores, benefit = drawn()
    points = budget_path(scores, benefit, COST)
    full = points[-1].spend
    assert [point.spend for point in points] == pytest.approx([share * full for share in np.arange(1, 11) / 10])


def test_one_arm_at_one_price_is_the_qini_curve():
    scores, benefit = drawn()
    scores, benefit = scores[:, :2], np.exp(benefit[:, :2]) * [0, 1]
    curve = qini_curve(scores[:, 1] - scores[:, 0], benefit[:, 1])
    for point in budget_path(scores, benefit, [0.0, 3.0], shares=(0.25, 0.5, 1.0)):
        assert point.gain.mean == pytest.approx(np.interp(point.spend / 3.0, curve.share, curve.gain))


def test_a_policy_that_knows_nothing_draws_a_straight_line():
    scores, _ = drawn()
    constant = np.tile([0.0, 0.5, 0.0, 0.0], (len(scores), 1))
    points = budget_path(scores, constant, COST, shares=(0.0, 0.25, 0.5, 1.0))
    whole = paired_gain(scores, 1, 0)
    assert [point.gain.mean for point in points] == pytest.approx([0, whole.mean / 4, whole.mean / 2, whole.mean])
    assert points[0].gain.se == 0.0
    assert points[1].gain.se == pytest.approx(whole.se / 4)


def test_arms_that_cost_nothing_come_first():
    scores, benefit = drawn()
    free = budget_path(scores, benefit, np.zeros(4), shares=(0.0, 1.0))
    best = paired_gain(scores, benefit.argmax(axis=1), 0)
    assert [(point.spend, point.gain.mean) for point in free] == [(0.0, pytest.approx(best.mean))] * 2


def test_no_arm_worth_its_money_buys_nothing():
    scores, benefit = drawn()
    points = budget_path(scores, -np.abs(benefit), COST, shares=(0.5, 1.0))
    assert [(point.spend, point.gain.mean, point.gain.se) for point in points] == [(0.0, 0.0, 0.0)] * 2


def test_a_path_against_itself_is_worth_nothing_for_certain():
    scores, benefit = drawn()
    for point in budget_path(scores, benefit, COST, instead_of=benefit):
        assert (point.gain.mean, point.gain.se) == (0.0, 0.0)


def test_pairing_is_the_difference_of_two_paths():
    scores, benefit = drawn()
    rival = np.tile([0.0, 0.2, 0.9, 0.1], (len(scores), 1))
    ours = budget_path(scores, benefit, COST)
    theirs = budget_path(scores, rival, COST, shares=[min(p.spend / 0.8, 1.0) for p in ours])
    both = budget_path(scores, benefit, COST, instead_of=rival)
    for one, other, pair in zip(ours, theirs, both, strict=True):
        assert pair.gain.mean == pytest.approx(one.gain.mean - other.gain.mean)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3), st.floats(-9, 9), st.integers(0, 4)), min_size=3),
    st.randoms(),
)
def test_the_order_of_rows_does_not_matter(rows, shuffler):
    """Whole-number benefits: many ties in slope."""
    other = rows[:]
    shuffler.shuffle(other)
    paths = []
    for some in (rows, other):
        benefit = np.array([[0.0, a, b] for a, b, _, _ in some])
        scores = np.array([[0.0, score, -score / 2] for _, _, score, _ in some])
        paths.append(budget_path(scores, benefit, [0.0, 1.0, 2.0], groups=[unit for *_, unit in some]))
    for one, two in zip(*paths, strict=True):
        assert (one.spend, one.gain.mean) == (pytest.approx(two.spend), pytest.approx(two.gain.mean, abs=ROUNDING))
        assert one.gain.se == pytest.approx(two.gain.se, rel=1e-6, abs=1e-7)


def test_copies_of_a_unit_prove_no_more():
    scores, benefit = drawn()
    copies = np.repeat(np.arange(len(scores)), 3)
    one = budget_path(scores, benefit, COST)
    three = budget_path(scores[copies], benefit[copies], COST, groups=copies)
    for alone, thrice in zip(one, three, strict=True):
        assert (alone.gain.mean, alone.gain.se) == (
            pytest.approx(thrice.gain.mean),
            pytest.approx(thrice.gain.se, rel=1e-6),
        )


def test_the_error_allows_for_the_price_of_the_sample():
    """Scores without noise: what is left of the error is that of which rows were drawn, found by drawing afresh."""
    gains, errors = [], []
    for seed in range(300):
        _, benefit = drawn(400, seed)
        point = budget_path(benefit, benefit, COST, shares=(0.3,))[0]
        gains.append(point.gain.mean)
        errors.append(point.gain.se)
    assert np.mean(errors) == pytest.approx(np.std(gains), rel=0.15)  # the spread of 300 is known to 4 %


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"benefit": np.zeros((2, 3))}, "benefit"),
        ({"benefit": np.full((2, 2), np.nan)}, "benefit"),
        ({"scores": np.zeros(2)}, "scores"),
        ({"cost": [0.0, 1.0, 2.0]}, "cost"),
        ({"cost": [0.5, 1.0]}, "cost"),
        ({"cost": [0.0, -1.0]}, "cost"),
        ({"shares": (1.5,)}, "shares"),
        ({"instead_of": np.zeros((1, 2))}, "instead_of"),
    ],
)
def test_what_is_no_path_is_refused(change, named):
    arguments = {"scores": np.zeros((2, 2)), "benefit": np.ones((2, 2)), "cost": [0.0, 1.0]} | change
    with pytest.raises(DataError, match=named):
        budget_path(**arguments)
