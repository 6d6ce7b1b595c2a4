"""Choice under capacity, limits and coverage: against every assignment there is, against HiGHS, and their rules."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from nudges.choice import Coverage, Limit, allocate, allocate_priced
from nudges.errors import DataError

ROUNDING = 1e-12  # of a sum of decimal prices
NEAR = 1e-4  # of the objective on 2,000 units that HiGHS finds with whole units
SPLIT = 3e-4  # the same when units can be cut in two: with m rules, m of them are


def total(benefit, arm):
    return float(np.take_along_axis(benefit, arm[:, None], axis=1).sum())


def used(use, arm, shape):
    return float(np.take_along_axis(np.broadcast_to(use, shape), arm[:, None], axis=1).sum())


@st.composite
def small_problems(draw):
    n, k = draw(st.integers(1, 5)), draw(st.integers(2, 4))

    def table(low, high, columns):
        row = st.lists(st.integers(low, high), min_size=columns, max_size=columns)
        return np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=float).reshape(n, columns)

    benefit = np.column_stack([np.zeros(n), table(-5, 20, k - 1)])
    cost = np.column_stack([np.zeros(n), table(0, 6, k - 1)])
    if draw(st.booleans()):
        cost = cost[0]
    limits = [
        Limit(str(number), np.column_stack([np.zeros(n), table(0, 3, k - 1)]), draw(st.integers(0, 8)))
        for number in range(draw(st.integers(0, 2)))
    ]
    coverage = [
        Coverage(str(number), table(0, 1, 1)[:, 0] > 0, draw(st.sampled_from([0, 0.5, 1, 2, 3])))
        for number in range(draw(st.integers(0, 2)))
    ]
    return benefit, cost, float(draw(st.integers(0, 20))), limits, coverage


def brute_force(benefit, cost, budget, limits, coverage):
    """Least units short, and the best benefit with so few."""
    best = (np.inf, 0.0)
    for arms in itertools.product(range(benefit.shape[1]), repeat=len(benefit)):
        arm = np.array(arms)
        rules = [(cost, budget), *((limit.use, limit.at_most) for limit in limits)]
        if all(used(use, arm, benefit.shape) <= most for use, most in rules):
            short = sum(max(np.ceil(rule.at_least) - (arm[rule.rows] > 0).sum(), 0) for rule in coverage)
            best = min(best, (short, -total(benefit, arm)))
    return best[0], -best[1]


@settings(max_examples=150, deadline=None)
@given(small_problems())
def test_against_all_assignments(problem):
    """So few units are all tried: limits kept, coverage as good as it can be, and no better benefit with it."""
    benefit, cost, budget, limits, coverage = problem
    found = allocate_priced(benefit, cost, budget_pence=budget, limits=limits, coverage=coverage)
    assert used(cost, found.arm, benefit.shape) == found.spent_pence <= budget
    assert all(used(limit.use, found.arm, benefit.shape) <= limit.at_most for limit in limits)
    for rule in coverage:
        short = np.ceil(rule.at_least) - (found.arm[rule.rows] > 0).sum()
        assert found.unmet.get(rule.name, 0.0) == max(short, 0.0)
    if limits or coverage:
        short, best = brute_force(benefit, cost, budget, limits, coverage)
        assert sum(found.unmet.values()) == short
        assert total(benefit, found.arm) == best


@settings(max_examples=50, deadline=None)
@given(small_problems(), st.randoms(use_true_random=False))
def test_rows_may_stand_in_any_order_when_ties_are_given(problem, shuffler):
    benefit, cost, budget, limits, coverage = problem
    n = len(benefit)
    ties = np.array(shuffler.sample(range(100), n)) / 100
    order = np.array(shuffler.sample(range(n), n), dtype=int)
    found = allocate_priced(benefit, cost, budget_pence=budget, limits=limits, coverage=coverage, ties=ties)
    again = allocate_priced(
        benefit[order],
        cost[order] if cost.ndim == 2 else cost,
        budget_pence=budget,
        limits=[Limit(limit.name, limit.use[order], limit.at_most) for limit in limits],
        coverage=[Coverage(rule.name, rule.rows[order], rule.at_least) for rule in coverage],
        ties=ties[order],
    )
    assert again.arm.tolist() == found.arm[order].tolist()
    assert again.tolls == found.tolls


def highs(benefit, cost, budget, limits, coverage, *, whole=False):
    """Best objective by HiGHS; units can be cut in two unless `whole`, and then it may be 1e-5 from the best."""
    n, k = benefit.shape
    rules = [(cost, budget), *((limit.use, limit.at_most) for limit in limits)]
    rows = [np.broadcast_to(use, benefit.shape).ravel() for use, _ in rules]
    rows += [-np.outer(rule.rows, np.arange(k) > 0).astype(float).ravel() for rule in coverage]
    most = [most for _, most in rules] + [-np.ceil(rule.at_least) for rule in coverage]
    one_each = sp.kron(sp.eye(n), np.ones((1, k)), format="csr")
    rules = [LinearConstraint(np.array(rows), -np.inf, most), LinearConstraint(one_each, 1, 1)]
    solved = milp(
        -benefit.ravel(),
        constraints=rules,
        bounds=Bounds(0, 1),
        integrality=np.full(n * k, int(whole)),
        options={"mip_rel_gap": 1e-5},
    )
    assert solved.status == 0
    return -solved.fun


def borough(seed, n, *, wards=6):
    """Texts, emails and letters; channel and arm limits, every ward covered a little."""
    rng = np.random.default_rng(seed)
    benefit = np.column_stack([np.zeros(n), rng.normal(5, 10, (n, 3))])
    cost = np.array([0, 2.4, 0.1, 4.8])
    ward = rng.integers(0, wards, n)
    limits = [
        Limit("sms", np.array([0.0, 1, 0, 0]), np.floor(n * rng.uniform(0.1, 0.3))),
        Limit("print", np.outer(rng.integers(1, 4, n), [0, 0, 0, 1.0]), np.floor(n * rng.uniform(0.1, 0.4))),
    ]
    coverage = [Coverage(f"ward {w}", ward == w, (ward == w).sum() * rng.uniform(0.2, 0.75)) for w in range(wards)]
    return benefit, cost, n * rng.uniform(0.4, 1.0), limits, coverage


@pytest.mark.parametrize("seed", range(5))
def test_against_highs_on_2000_units(seed):
    benefit, cost, budget, limits, coverage = borough(seed, 2_000)
    found = allocate_priced(benefit, cost, budget_pence=budget, limits=limits, coverage=coverage)
    bound = highs(benefit, cost, budget, limits, coverage)
    assert found.unmet == {}
    assert found.spent_pence <= budget * (1 + ROUNDING)
    for limit in limits:
        assert used(limit.use, found.arm, benefit.shape) <= limit.at_most
    for rule in coverage:
        assert (found.arm[rule.rows] > 0).sum() >= rule.at_least
    assert bound * (1 - SPLIT) <= total(benefit, found.arm) <= bound * (1 + 1e-9)
    assert total(benefit, found.arm) + found.gap_pence == pytest.approx(bound, rel=1e-7)


@pytest.mark.parametrize("seed", [1, 3])
def test_against_highs_with_whole_units(seed):
    problem = borough(seed, 2_000)
    found = allocate_priced(*problem[:2], budget_pence=problem[2], limits=problem[3], coverage=problem[4])
    assert total(problem[0], found.arm) >= highs(*problem, whole=True) * (1 - NEAR)


def test_samples_and_sifting_reach_the_price_of_all():
    """20,000 units go by a sample and open units; HiGHS has them all at once."""
    benefit, cost, budget, limits, coverage = borough(1, 20_000)
    found = allocate_priced(benefit, cost, budget_pence=budget, limits=limits, coverage=coverage)
    bound = highs(benefit, cost, budget, limits, coverage)
    assert found.unmet == {}
    assert bound * (1 - 1e-5) <= total(benefit, found.arm) <= bound * (1 + 1e-9)
    assert total(benefit, found.arm) + found.gap_pence == pytest.approx(bound, rel=1e-7)


def test_capacity_against_highs():
    rng = np.random.default_rng(3)
    benefit = rng.normal(5, 10, (2_000, 4))
    benefit[:, 0] = 0
    cost, capacity = np.array([0, 2.4, 4.8, 0.1]), np.array([2_000, 300, 200, 400])
    caps = [Limit(str(arm), np.eye(4)[arm], float(capacity[arm])) for arm in (1, 2, 3)]
    for budget in (1e9, 500.0):
        found = allocate_priced(benefit, cost, budget_pence=budget, capacity=capacity)
        assert (np.bincount(found.arm, minlength=4)[1:] <= capacity[1:]).all()
        assert found.spent_pence <= budget
        assert total(benefit, found.arm) >= highs(benefit, cost, budget, caps, [], whole=True) * (1 - NEAR)
        assert set(found.tolls) == {"arm 1", "arm 2", "arm 3"}
    assert found.arm.tolist() == allocate(benefit, cost, budget_pence=500.0, capacity=capacity).tolist()


def test_coverage_that_cannot_be_met_says_how_much_it_is_short():
    """Ten texts are all the money there is; the ward wants 25 of its 20 units, the other 4 of 30."""
    benefit = np.column_stack([np.zeros(50), np.full(50, 3.0)])
    rows = np.arange(50) < 20
    found = allocate_priced(
        benefit,
        np.array([0.0, 2.0]),
        budget_pence=20,
        coverage=[Coverage("Abbey", rows, 25), Coverage("Mill", ~rows, 4)],
    )
    assert (found.arm > 0).sum() == 10
    assert sum(found.unmet.values()) == 25 + 4 - 10
    assert found.unmet["Abbey"] == 25 - (found.arm[rows] > 0).sum()
    assert np.isfinite([found.price_per_penny, *found.subsidies.values()]).all()


def test_a_ward_is_covered_at_the_price_of_its_last_unit():
    """Benefits are 1 to 10 with money for five: 10 to 6. Covering two of the ward {1, 2, 3} puts out 6 and 7."""
    benefit = np.column_stack([np.zeros(10), np.arange(1.0, 11)])
    ward = np.arange(10) < 3
    found = allocate_priced(benefit, np.array([0, 1.0]), budget_pence=5, coverage=[Coverage("Abbey", ward, 2)])
    assert np.flatnonzero(found.arm).tolist() == [1, 2, 7, 8, 9]
    assert 7 - 2 <= found.price_per_penny - 2 + 0 * found.gap_pence <= 8 - 2  # between the last in and the first out
    assert found.price_per_penny - 2 <= found.subsidies["Abbey"] <= found.price_per_penny - 1
    assert found.unmet == {}
    assert found.gap_pence == pytest.approx(0, abs=1e-9)


def test_equal_units_share_by_their_draw():
    """30,000 equal units and room for 7,000 texts and 9,000 emails: the first 7,000 draws, then the next 9,000."""
    n = 30_000
    benefit = np.tile([0.0, 5.0, 4.0], (n, 1))
    ties = np.random.default_rng(0).permutation(n) / n
    limits = [Limit("sms", np.array([0.0, 1, 0]), 7_000), Limit("email", np.array([0.0, 0, 1]), 9_000)]
    found = allocate_priced(benefit, np.zeros(3), budget_pence=0, limits=limits, ties=ties)
    in_order = found.arm[np.argsort(ties)]
    assert in_order.tolist() == [1] * 7_000 + [2] * 9_000 + [0] * 14_000
    assert found.tolls == pytest.approx({"sms": 5.0, "email": 4.0})


def test_an_arm_without_room_buys_nothing_more():
    benefit = np.column_stack([np.zeros(10), np.full(10, 9.0), np.full(10, 8.0)])
    found = allocate_priced(benefit, np.array([0, 50.0, 50.0]), budget_pence=300, capacity=[10, 4, 10])
    assert np.bincount(found.arm, minlength=3).tolist() == [4, 4, 2]
    assert found.pound_by_arm == pytest.approx([0, 0, 16])


def test_nobody_and_nothing_binding():
    nobody = allocate_priced(np.zeros((0, 2)), np.array([0.0, 1.0]), budget_pence=1, capacity=[0, 3])
    assert len(nobody.arm) == 0
    found = allocate_priced(np.array([[0, 5.0]]), np.array([0, 1.0]), budget_pence=np.inf, capacity=[np.inf, np.inf])
    assert found.arm.tolist() == [1]
    assert found.price_per_penny == 0
    assert found.tolls == {"arm 1": 0.0}


def ward(**changes):
    return Coverage(**{"name": "w", "rows": np.array([True]), "at_least": 1, **changes})


@pytest.mark.parametrize(
    ("limits", "coverage", "word"),
    [
        ([Limit("a", np.array([0, 1.0, 1]), 1)], [], "shape"),
        ([Limit("a", np.array([1, 1.0]), 1)], [], "column 0"),
        ([Limit("a", np.array([0, -1.0]), 1)], [], "0 or more"),
        ([Limit("a", np.array([0, 1.0]), float("nan"))], [], "at_most"),
        ([Limit("a", np.array([0, 1.0]), 1)] * 2, [], "different names"),
        ([], [ward(rows=np.array([1]))], "bool"),
        ([], [ward(rows=np.array([True, False]))], "bool"),
        ([], [ward(at_least=-1)], "at_least"),
        ([], [ward(), ward()], "different names"),
    ],
)
def test_bad_rules_are_named(limits, coverage, word):
    with pytest.raises(DataError, match=word):
        allocate_priced([[0, 5.0]], [0, 1.0], budget_pence=1, limits=limits, coverage=coverage)


def test_bad_ties_and_capacity_are_named():
    with pytest.raises(DataError, match="ties"):
        allocate_priced([[0, 5.0]], [0, 1.0], budget_pence=1, ties=[0.1, 0.2])
    with pytest.raises(DataError, match="capacity"):
        allocate([[0, 5.0]], [0, 1.0], budget_pence=1, capacity=[1])
