"""Allocates up to a million units, and checks the answers against HiGHS: CPU seconds, memory and gap, as Markdown.

Run: `python -m benchmarks.allocation`. CPU seconds are of one process with one thread for linear algebra
(`OMP_NUM_THREADS=1`), the least of `--repeats`; memory is the highest resident size beyond what the data need.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from benchmarks.meter import Meter, machine
from nudges.choice import Allocation, Coverage, Limit, allocate, allocate_priced, policy_tree

Floats = NDArray[np.float64]

_MIP_GAP = 1e-5  # at which HiGHS stops with whole units
_MIP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Town:
    """Units, what messages bring and cost them, and what there is of everything."""

    benefit: Floats
    cost: Floats
    budget: float
    limits: tuple[Limit, ...] = ()
    coverage: tuple[Coverage, ...] = ()


def town(n: int, arms: int, seed: int, *, per_unit: bool = False) -> Town:
    """Benefits of 5 pence and a spread of 10; a text 2.4, a letter 4.8, an email 0.1 pence; money for about a third."""
    rng = np.random.default_rng(seed)
    benefit = rng.normal(5, 10, (n, arms))
    benefit[:, 0] = 0
    cost = np.resize([2.4, 4.8, 0.1], arms) * (np.arange(arms) > 0)
    homes = rng.integers(1, 30, n)[:, None].astype(np.float64) if per_unit else np.ones((1, 1))
    if per_unit:
        return Town(benefit * homes, cost * homes, 0.5 * float(homes.sum()))
    return Town(benefit, cost, 0.5 * n)


def ruled(n: int, seed: int, wards: int = 6) -> Town:
    """The same with room for few texts and little print, and a part of every ward to be covered."""
    rng = np.random.default_rng(seed)
    plain = town(n, 4, seed)
    ward = rng.integers(0, wards, n)
    return Town(
        plain.benefit,
        plain.cost,
        n * rng.uniform(0.4, 1.0),
        (
            Limit("sms", np.array([0.0, 1, 0, 0]), np.floor(n * rng.uniform(0.1, 0.3))),
            Limit("print", np.outer(rng.integers(1, 4, n), [0, 0, 1.0, 0]), np.floor(n * rng.uniform(0.1, 0.4))),
        ),
        tuple(Coverage(f"ward {w}", ward == w, (ward == w).sum() * rng.uniform(0.2, 0.75)) for w in range(wards)),
    )


def answer(given: Town) -> Allocation:
    """Ours."""
    return allocate_priced(
        given.benefit, given.cost, budget_pence=given.budget, limits=given.limits, coverage=given.coverage
    )


def won(given: Town, found: Allocation) -> float:
    """Benefit of an answer."""
    return float(np.take_along_axis(given.benefit, found.arm[:, None], axis=1).sum())


def highs(given: Town, *, whole: bool) -> tuple[float, float]:
    """Best benefit by HiGHS, in whole units or in parts (NaN: none found in time), and the CPU seconds that took."""
    n, k = given.benefit.shape
    shape = given.benefit.shape
    rows = [np.broadcast_to(given.cost, shape).ravel()]
    rows += [np.broadcast_to(limit.use, shape).ravel() for limit in given.limits]
    rows += [-np.outer(rule.rows, np.arange(k) > 0).astype(np.float64).ravel() for rule in given.coverage]
    most = np.array(
        [given.budget, *(limit.at_most for limit in given.limits), *(-np.ceil(r.at_least) for r in given.coverage)]
    )
    matrix = sp.csr_matrix(np.array(rows))
    one_each = sp.kron(sp.eye(n), np.ones((1, k)), format="csr")
    started = time.process_time()
    if whole:
        solved = milp(
            -given.benefit.ravel(),
            integrality=np.ones(n * k),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(matrix, -np.inf, most), LinearConstraint(one_each, 1, 1)],
            options={"mip_rel_gap": _MIP_GAP, "time_limit": _MIP_SECONDS},
        )
    else:
        solved = linprog(-given.benefit.ravel(), matrix, most, one_each, np.ones(n), bounds=(0, 1))
    return float("nan") if solved.fun is None else -float(solved.fun), time.process_time() - started


def least_cpu(repeats: int, call: Callable[[], object]) -> float:
    """Least CPU seconds of some calls."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


def speed(sizes: Sequence[int], repeats: int, seed: int) -> list[str]:
    """Rows of CPU seconds and memory by size, arms and kind of cost."""
    lines = ["| units | arms | cost | CPU s | memory, MiB beyond the data |", "|---:|---:|---|---:|---:|"]
    cases = [(n, arms, per_unit) for n in sizes for arms in (4, 10) for per_unit in (False, True)]
    for n, arms, per_unit in cases:
        given = town(n, arms, seed, per_unit=per_unit)
        meter = Meter()
        with meter.step("nothing"):
            time.sleep(0.05)
        with meter.step("allocate"):
            allocate(given.benefit, given.cost, budget_pence=given.budget)
        more = meter.readings[1].peak_mib - meter.readings[0].peak_mib
        cpu = least_cpu(repeats, lambda given=given: allocate(given.benefit, given.cost, budget_pence=given.budget))
        lines.append(f"| {n:,} | {arms} | {'by unit' if per_unit else 'by arm'} | {cpu:.3f} | {more:.0f} |")
    return lines


def gaps(n: int, seeds: Sequence[int]) -> list[str]:
    """Rows of what is missing of HiGHS's best when units can be cut in two, with a budget alone."""
    lines = ["| seed | cost | missing, share | CPU s | HiGHS CPU s |", "|---:|---|---:|---:|---:|"]
    for seed in seeds:
        for per_unit in (False, True):
            given = town(n, 4, seed, per_unit=per_unit)
            bound, seconds = highs(given, whole=False)
            missing = 1.0 - won(given, answer(given)) / bound
            cpu = least_cpu(1, lambda given=given: answer(given))
            cost = "by unit" if per_unit else "by arm"
            lines.append(f"| {seed} | {cost} | {missing:.1e} | {cpu:.3f} | {seconds:.1f} |")
    return lines


def rules(n: int, seeds: Sequence[int]) -> list[str]:
    """Rows of the same with limits and coverage, against HiGHS with whole units and with parts."""
    lines = [
        "| seed | missing of HiGHS, whole units | of HiGHS, parts | stated gap | short | CPU s | HiGHS CPU s |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for seed in seeds:
        given = ruled(n, seed)
        started = time.process_time()
        found = answer(given)
        cpu = time.process_time() - started
        benefit = won(given, found)
        whole, seconds = highs(given, whole=True)
        parts, _ = highs(given, whole=False)
        lines.append(
            f"| {seed} | {1 - benefit / whole:.1e} | {1 - benefit / parts:.1e} | {found.gap_pence / benefit:.1e} "
            f"| {sum(found.unmet.values()):.0f} | {cpu:.2f} | {seconds:.1f} |"
        )
    return lines


def ruled_speed(sizes: Sequence[int], seed: int) -> list[str]:
    """Rows of CPU seconds and stated gap with limits and coverage, by size."""
    lines = ["| units | CPU s | stated gap, share | short |", "|---:|---:|---:|---:|"]
    for n in sizes:
        given = ruled(n, seed)
        started = time.process_time()
        found = answer(given)
        cpu = time.process_time() - started
        lines.append(f"| {n:,} | {cpu:.2f} | {found.gap_pence / won(given, found):.1e} | {len(found.unmet)} |")
    return lines


def tree_speed(seed: int) -> list[str]:
    """Rows of CPU seconds of the exact tree of depth 2 over 20 features of 16 cuts and 5 arms."""
    lines = ["| rows | CPU s |", "|---:|---:|"]
    names = [f"x{column}" for column in range(20)]
    for n in (120_000, 1_000_000):
        rng = np.random.default_rng(seed)
        features, payoff = rng.normal(size=(n, 20)), rng.normal(size=(n, 5))
        lines.append(f"| {n:,} | {least_cpu(1, lambda f=features, p=payoff: policy_tree(f, p, names=names)):.2f} |")
    return lines


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 100_000, 1_000_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print("## Allocation\n\nBudget alone, CPU seconds of `allocate`:\n", flush=True)
    print("\n".join(speed(args.sizes, args.repeats, args.seeds[0])), flush=True)
    print("\nBudget alone, 20,000 units x 4 arms, missing of the linear programme's bound:\n", flush=True)
    print("\n".join(gaps(20_000, args.seeds[:3])), flush=True)
    print("\nBudget, two limits and six wards, 2,000 units x 4 arms:\n", flush=True)
    print("\n".join(rules(2_000, args.seeds)), flush=True)
    print("\nThe same by size:\n", flush=True)
    print("\n".join(ruled_speed(args.sizes, args.seeds[0])), flush=True)
    print("\nExact policy tree of depth 2, 20 features x 16 cuts x 5 arms:\n", flush=True)
    print("\n".join(tree_speed(args.seeds[0])), flush=True)
    print(f"\nSeeds {args.seeds}. {machine()}")


if __name__ == "__main__":
    main()
