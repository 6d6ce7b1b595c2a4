"""Choice: against brute force, against HiGHS, and the rules of a budget."""

import itertools
import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from nudges.choice import allocate, allocate_priced, at_price
from nudges.errors import DataError

ROUNDING = 1e-12  # of a sum of decimal prices
SPLIT = 1e-6  # of the objective: one unit in 20,000 cannot be cut in two, a linear program can


def total(benefit, arm):
    return float(np.take_along_axis(benefit, arm[:, None], axis=1).sum())


def highs(benefit, cost, budget, capacity=None, *, whole=False):
    """Best objective by HiGHS; fractional units unless `whole`."""
    n, k = benefit.shape
    rules = [
        LinearConstraint(sp.kron(sp.eye(n), np.ones((1, k)), format="csr"), 1, 1),
        LinearConstraint(sp.csr_matrix(np.broadcast_to(cost, benefit.shape).reshape(1, -1)), -np.inf, budget),
    ]
    if capacity is not None:
        rules.append(LinearConstraint(sp.kron(np.ones((1, n)), sp.eye(k), format="csr"), -np.inf, capacity))
    solved = milp(
        -benefit.ravel(), constraints=rules, bounds=Bounds(0, 1), integrality=np.full(n * k, 1 if whole else 0)
    )
    return -solved.fun


@st.composite
def problems(draw):
    n, k = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    whole = st.integers(-5, 20)
    benefit = np.array(draw(st.lists(st.lists(whole, min_size=k, max_size=k), min_size=n, max_size=n)), dtype=float)
    cost = np.array([0, *draw(st.lists(st.integers(0, 6), min_size=k - 1, max_size=k - 1))], dtype=float)
    benefit[:, 0] = 0
    return benefit, cost, float(draw(st.integers(0, 20)))


def brute_force(benefit, cost, budget):
    best = 0.0
    for arms in itertools.product(range(benefit.shape[1]), repeat=len(benefit)):
        arm = np.array(arms)
        if cost[arm].sum() <= budget:
            best = max(best, total(benefit, arm))
    return best


@settings(max_examples=300, deadline=None)
@given(problems())
def test_against_brute_force(problem):
    """Never over budget, never above the best, and short of it by less than the benefit of one unit."""
    benefit, cost, budget = problem
    found = allocate_priced(benefit, cost, budget_pence=budget)
    assert found.spent_pence == cost[found.arm].sum() <= budget
    best = brute_force(benefit, cost, budget)
    assert total(benefit, found.arm) <= best
    assert total(benefit, found.arm) >= best - benefit.max(initial=0)
    if len(set(cost[1:])) == 1:  # one price: the greedy answer is exact
        assert total(benefit, found.arm) == best


@settings(max_examples=100, deadline=None)
@given(problems())
def test_the_price_bounds_the_best(problem):
    """Weak duality: no allocation within budget beats the priced one by more than its slack."""
    benefit, cost, budget = problem
    found = allocate_priced(benefit, cost, budget_pence=budget)
    bound = (benefit - found.price_per_penny * cost).max(axis=1).sum() + found.price_per_penny * budget
    assert brute_force(benefit, cost, budget) <= bound + 1e-9


@pytest.mark.parametrize("budget", [500.0, 10_000.0, 22_000.0])
def test_against_highs_on_20000_units(budget):
    rng = np.random.default_rng(1)
    benefit = rng.normal(5, 10, (20_000, 4))
    benefit[:, 0] = 0
    cost = np.array([0, 2.4, 4.8, 0.1])
    found = allocate_priced(benefit, cost, budget_pence=budget)
    bound = highs(benefit, cost, budget)
    assert found.spent_pence <= budget * (1 + ROUNDING)
    assert bound * (1 - 2 * SPLIT) <= total(benefit, found.arm) <= bound * (1 + 1e-12)


def test_costs_of_each_unit_against_highs():
    """Flats that share bins cost as many messages as there are homes."""
    rng = np.random.default_rng(2)
    homes = rng.integers(1, 30, 3_000)[:, None]
    benefit = rng.normal(3, 6, (3_000, 3)) * homes
    benefit[:, 0] = 0
    cost = np.array([0, 2.4, 0.5]) * homes
    found = allocate_priced(benefit, cost, budget_pence=20_000)
    assert total(benefit, found.arm) >= highs(benefit, cost, 20_000) * (1 - 1e-4)


@settings(max_examples=100, deadline=None)
@given(problems(), st.floats(0, 10))
def test_more_budget_never_brings_less_beyond_the_stated_gap(problem, more):
    benefit, cost, budget = problem
    small = allocate_priced(benefit, cost, budget_pence=budget)
    large = allocate_priced(benefit, cost, budget_pence=budget + more)
    assert total(benefit, large.arm) + large.gap_pence >= total(benefit, small.arm) - 1e-9
    assert large.price_per_penny <= small.price_per_penny * (1 + 1e-12) + 1e-9


@settings(max_examples=100, deadline=None)
@given(problems())
def test_the_gap_is_no_smaller_than_what_is_missing(problem):
    benefit, cost, budget = problem
    found = allocate_priced(benefit, cost, budget_pence=budget)
    assert brute_force(benefit, cost, budget) <= total(benefit, found.arm) + found.gap_pence + 1e-9


@settings(max_examples=100, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_rows_may_stand_in_any_order_when_ties_are_given(problem, shuffler):
    benefit, cost, budget = problem
    ties = np.array(shuffler.sample(range(100), len(benefit))) / 100
    order = np.array(shuffler.sample(range(len(benefit)), len(benefit)), dtype=int)
    found = allocate_priced(benefit, cost, budget_pence=budget, ties=ties)
    again = allocate_priced(benefit[order], cost, budget_pence=budget, ties=ties[order])
    assert again.arm.tolist() == found.arm[order].tolist()
    assert again.price_per_penny == found.price_per_penny


def test_a_sample_brackets_the_price_of_many_units_exactly():
    """40,000 units take the way over a sample; its price and arms are those of looking at all at once."""
    rng = np.random.default_rng(6)
    benefit = rng.normal(5, 10, (40_000, 4))
    benefit[:, 0] = 0
    homes = rng.integers(1, 20, 40_000)[:, None]
    for cost in (np.array([0, 2.4, 4.8, 0.1]), np.array([0, 2.4, 4.8, 0.1]) * homes):
        full = np.broadcast_to(cost, benefit.shape)
        for budget in (0.0, 1_000.0, 30_000.0, 60_000.0, 1e9):
            found = allocate_priced(benefit, cost, budget_pence=budget)
            price = found.price_per_penny
            bound = (benefit - price * full).max(axis=1).sum() + (price * budget if price else 0.0)
            assert np.take_along_axis(full, found.arm[:, None], 1).sum() <= budget * (1 + ROUNDING)
            assert total(benefit, found.arm) <= bound * (1 + 1e-12)
            assert total(benefit, found.arm) >= bound * (1 - SPLIT)
            assert found.gap_pence == pytest.approx(bound - total(benefit, found.arm), abs=1e-6 * max(bound, 1))


def test_a_sorted_city_misleads_the_sample_but_not_the_choice():
    """The few units that would pay most are those a sample of every other row never sees."""
    benefit = np.zeros((40_000, 2))
    benefit[:, 1] = np.where(np.arange(40_000) % 2 == 1, 9.0, -1.0)
    arm = allocate(benefit, np.array([0.0, 1.0]), budget_pence=5_000)
    assert arm.sum() == 5_000
    assert arm[benefit[:, 1] < 0].sum() == 0


def test_units_that_are_all_alike_have_the_price_of_the_last_step():
    """Arm 3 pays 10 a penny, the step from 3 to 2 pays 3/0.9: with 500 for 1,000 units the last penny buys that."""
    benefit = np.tile([0.0, 5.0, 4.0, 1.0], (1_000, 1))
    found = allocate_priced(benefit, np.array([0, 2.4, 1, 0.1]), budget_pence=500)
    assert found.price_per_penny == pytest.approx(3 / 0.9)
    assert np.bincount(found.arm, minlength=4).tolist() == [0, 0, 444, 556]
    assert found.pound_by_arm == pytest.approx([0, 100 * 4 / 2.3, 100 * 3 / 0.9, 0])


def test_ties_go_by_their_draw():
    benefit = np.tile([0.0, 5.0], (6, 1))
    ties = np.array([0.9, 0.1, 0.5, 0.3, 0.7, 0.2])
    found = allocate_priced(benefit, np.array([0.0, 2.0]), budget_pence=6, ties=ties)
    assert found.arm.tolist() == [0, 1, 0, 1, 0, 1]


def test_an_arm_that_a_unit_cannot_have_is_never_given():
    benefit = np.array([[0.0, -np.inf, 1.0], [0.0, 9.0, -np.inf], [-5.0, -np.inf, -np.inf]])
    for budget in (0.0, 1.0, 9.0):
        arm = allocate(benefit, np.array([0.0, 1.0, 1.0]), budget_pence=budget)
        assert np.isfinite(benefit[np.arange(3), arm]).all()
    assert allocate(benefit, np.array([0.0, 1.0, 1.0]), budget_pence=9).tolist() == [2, 1, 0]


def test_one_more_pound_on_each_arm_alone():
    """Letters of 80p: a pound buys one and a quarter; texts of 10p are all sent; visits buy nothing."""
    benefit = np.array([[0.0, 160.0, 30.0, -1.0]] * 4 + [[0.0, 40.0, 30.0, -1.0]] * 4)
    found = allocate_priced(benefit, np.array([0.0, 80.0, 10.0, 500.0]), budget_pence=150)
    assert np.bincount(found.arm, minlength=4).tolist() == [0, 1, 7, 0]
    assert found.pound_by_arm == pytest.approx([0, 130 * 100 / 70, 0, 0])


def test_ties_go_in_row_order():
    benefit = np.tile([0.0, 5.0], (10, 1))
    arm = allocate(benefit, np.array([0.0, 2.0]), budget_pence=9)
    assert arm.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_no_budget_sends_only_what_is_free():
    benefit = np.array([[0.0, 5.0, 3.0], [0.0, 5.0, -1.0]])
    assert allocate(benefit, np.array([0.0, 2.0, 0.0]), budget_pence=0).tolist() == [2, 0]


def test_what_does_not_pay_is_not_sent():
    assert allocate(np.array([[0.0, -0.1], [0.0, 0.0]]), np.array([0.0, 1.0]), budget_pence=99).tolist() == [0, 0]


def test_the_rule_at_the_price_is_the_allocation_but_for_the_margin():
    rng = np.random.default_rng(4)
    benefit = rng.normal(2, 5, (5_000, 3))
    benefit[:, 0] = 0
    cost = np.array([0, 2.4, 1.0])
    found = allocate_priced(benefit, cost, budget_pence=2_000)
    rule = at_price(benefit, cost, found.price_per_penny)
    moved = np.flatnonzero(rule != found.arm)
    assert len(moved) <= 20  # a few units at the margin use up the last pennies
    value = benefit - found.price_per_penny * cost
    assert (value[moved, rule[moved]] - value[moved, found.arm[moved]]).sum() <= found.gap_pence + 1e-9


def test_a_city_in_a_second():
    rng = np.random.default_rng(5)
    benefit = rng.normal(5, 10, (400_000, 4))
    benefit[:, 0] = 0
    started = time.process_time()
    allocate(benefit, np.array([0, 2.4, 4.8, 0.1]), budget_pence=200_000)
    assert time.process_time() - started < 0.5  # about 0.05 on a quiet machine


def test_nobody_to_choose_for():
    assert len(allocate(np.zeros((0, 3)), np.array([0.0, 1, 1]), budget_pence=10)) == 0


@pytest.mark.parametrize(
    ("benefit", "cost", "budget", "word"),
    [
        ([[0, np.nan]], [0, 1], 1, "NaN"),
        ([[0, 1]], [0, 1, 2], 1, "shape"),
        ([[0, 1]], [1, 1], 1, "column 0"),
        ([[0, 1]], [0, -1], 1, "negative"),
        ([[0, 1]], [0, 1], -1, "budget_pence"),
        ([0, 1], [0, 1], 1, "shape"),
        ([[0, np.inf]], [0, 1], 1, "infinite"),
        ([[-np.inf, 1]], [0, 1], 1, "infinite"),
        ([[0, -np.inf], [0, np.nan]], [0, 1], 1, "NaN"),
    ],
)
def test_bad_input_is_named(benefit, cost, budget, word):
    with pytest.raises(DataError, match=word):
        allocate(benefit, cost, budget_pence=budget)
