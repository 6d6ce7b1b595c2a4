"""Turns a real city's monthly refuse into a test of round designs, and its organics roll-out into an estimate.

NUDGES_REAL_DATA=FOLDER python -m benchmarks.nyc   (FOLDER/nyc holds the two exports)

Placebo: districts stand for rounds. An imaginary campaign draws so many districts into two arms at random, starts in a
random month, has 12 months before and 6 after; the outcome is tons over the mean of the year before those, which stands
for a rate per household, weighted by that mean. Nothing happened, so every effect found is false. Then the treated
months are multiplied by 0.97 and the interval must hold what that took away.

Roll-out: borough by borough, collection of residents' organics began in October 2022 (Queens), October 2023 (Brooklyn)
and October 2024 (the rest), as the tons themselves show. Boroughs were not drawn by lot, so intervals say how much
districts differ, not that nothing else happened in a borough.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._nyc import Districts, read_districts
from benchmarks.meter import machine
from nudges.measuring import (
    Comparison,
    Effect,
    group_time_effect,
    round_effect,
    staggered_effect,
    two_way_effect,
)

Floats = NDArray[np.float64]

BASE, PRE, POST = 12, 12, 6  # months
DESIGNS = ((4, 4), (8, 8), (20, 20))
FALL = -0.03
STARTS = {"Queens": (2022, 10), "Brooklyn": (2023, 10)}


def windows(city: Districts) -> list[int]:
    """Months at which a campaign can start: every district known in all the months before and after."""
    known = np.isfinite(city.refuse).all(axis=0)
    return [
        month for month in range(BASE + PRE, len(known) - POST + 1) if known[month - BASE - PRE : month + POST].all()
    ]


def placebo(
    city: Districts, n_treated: int, n_control: int, runs: int, seed: int
) -> list[tuple[Effect, Effect, float]]:
    """Effects without anything done, with 3 % taken away, and what that was, in shares of the base year."""
    rng = np.random.default_rng(seed)
    starts = windows(city)
    found = []
    for _ in range(runs):
        start = starts[rng.integers(len(starts))]
        drawn = rng.permutation(len(city.names))[: n_treated + n_control]
        treated = np.arange(len(drawn)) < n_treated
        months = city.refuse[drawn, start - BASE - PRE : start + POST]
        base = months[:, :BASE].mean(axis=1)
        pre = months[:, BASE : BASE + PRE].mean(axis=1) / base
        post = months[:, BASE + PRE :].mean(axis=1) / base
        nothing = round_effect(post, pre, treated, base)
        fallen = round_effect(np.where(treated, post * (1 + FALL), post), pre, treated, base)
        found.append((nothing, fallen, FALL * float(np.average(post, weights=base))))
    return found


def placebo_row(city: Districts, design: tuple[int, int], runs: int) -> str:
    """One line of the placebo table."""
    found = placebo(city, *design, runs, seed=2_000 + design[0])
    false = [nothing.p_value < 0.05 for nothing, _, _ in found]
    held = [fallen.ci_low <= truth <= fallen.ci_high for _, fallen, truth in found]
    seen = [fallen.p_value < 0.05 for _, fallen, _ in found]
    width = float(np.median([(fallen.ci_high - fallen.ci_low) / 2 for _, fallen, _ in found]))
    miss = [fallen.estimate - truth for _, fallen, truth in found]
    error = float(np.std(miss)) / math.sqrt(runs)
    return (
        f"| {design[0]} + {design[1]} | {runs:,} | {share(false)} | {share(held)} | {np.mean(miss):+.2%} ± {error:.2%} "
        f"| {width:.1%} | {share(seen)} |"
    )


def share(flags: list[bool]) -> str:
    """A share with its simulation error."""
    p = float(np.mean(flags))
    return f"{p:.1%} ± {math.sqrt(p * (1 - p) / len(flags)):.1%}"


ESTIMATORS: dict[str, Callable[..., Effect]] = {
    "imputation (the default)": staggered_effect,
    "group-time, not yet treated": group_time_effect,
    "group-time, never treated": partial(group_time_effect, comparison=Comparison.NEVER),
    "plain two-way fixed effects": two_way_effect,
}


def rollout_table(city: Districts, until: tuple[int, int]) -> str:
    """The organics roll-out from January 2022 to the end of a month, estimator by estimator."""
    first, last = city.column(2022, 1), city.column(*until)
    begun = {name: city.column(*month) - first for name, month in STARTS.items()}
    rest = city.column(2024, 10) - first
    start = np.array([float(begun.get(borough, rest)) for borough in city.boroughs.tolist()])
    months = last - first + 1
    start[start >= months] = np.inf
    refuse, organics = city.refuse[:, first : last + 1], city.organics[:, first : last + 1]
    lines = ["| estimator | refuse | 95 % | organics, tons a district and month | 95 % |", "|---|---:|---|---:|---|"]
    for name, estimator in ESTIMATORS.items():
        if name.endswith("never treated") and np.isfinite(start).all():
            continue
        log, tons = estimator(np.log(refuse), start), estimator(organics, start)
        low, high = math.expm1(log.ci_low), math.expm1(log.ci_high)
        lines.append(
            f"| {name} | {math.expm1(log.estimate):+.1%} | {low:+.1%} to {high:+.1%} "
            f"| {tons.estimate:+.0f} | {tons.ci_low:+.0f} to {tons.ci_high:+.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run both studies and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2_000)
    runs = parser.parse_args().runs
    folder = Path(os.environ.get("NUDGES_REAL_DATA", "")) / "nyc"
    if not folder.is_dir():
        parser.exit(0, "skipped: NUDGES_REAL_DATA does not name a folder with nyc/ in it.\n")
    begun = time.process_time()
    city = read_districts(folder)
    print(f"{len(city.names)} districts, {len(city.months)} months, {len(windows(city))} possible starts.\n")
    print("| districts | runs | false positives at 5 % | holds the -3 % | bias | median half-width | sees the -3 % |")
    print("|---|---:|---|---|---|---:|---|")
    for design in DESIGNS:
        print(placebo_row(city, design, runs))
    print("\nJanuary 2022 to September 2024, the last month with boroughs that had not begun:\n")
    print(rollout_table(city, (2024, 9)))
    print("\nJanuary 2022 to October 2025, a year longer, when all had begun:\n")
    print(rollout_table(city, (2025, 10)))
    print(f"\n{time.process_time() - begun:.0f} CPU-s. {machine()}")


if __name__ == "__main__":
    main()
