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


def test_capacity_against_highs():
    rng = np.random.default_rng(3)
    benefit = rng.normal(5, 10, (2_000, 4))
    benefit[:, 0] = 0
    cost, capacity = np.array([0, 2.4, 4.8, 0.1]), np.array([2_000, 300, 200, 400])
    for budget, gap in ((1e9, 1e-6), (500.0, 5e-3)):
        found = allocate_priced(benefit, cost, budget_pence=budget, capacity=capacity)
        assert (np.bincount(found.arm, minlength=4)[1:] <= capacity[1:]).all()
        assert found.spent_pence <= budget
        assert total(benefit, found.arm) >= highs(benefit, cost, budget, capacity) * (1 - gap)


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(0, 3))
def test_capacity_is_never_exceeded(problem, room):
    benefit, cost, budget = problem
    capacity = np.full(len(cost), room)
    found = allocate_priced(benefit, cost, budget_pence=budget, capacity=capacity)
    assert (np.bincount(found.arm, minlength=len(cost))[1:] <= room).all()
    assert found.spent_pence <= budget


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
    assert (at_price(benefit, cost, found.price_per_penny) != found.arm).sum() <= 3


def test_a_city_in_a_second():
    rng = np.random.default_rng(5)
    benefit = rng.normal(5, 10, (400_000, 4))
    benefit[:, 0] = 0
    started = time.process_time()
    allocate(benefit, np.array([0, 2.4, 4.8, 0.1]), budget_pence=200_000)
    assert time.process_time() - started < 2.0  # about 0.4 on a quiet machine


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
    ],
)
def test_bad_input_is_named(benefit, cost, budget, word):
    with pytest.raises(DataError, match=word):
        allocate(benefit, cost, budget_pence=budget)
