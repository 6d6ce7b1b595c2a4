"""Turns many seeds of a small borough into one number: how often the headline interval holds what was planted.

python -m benchmarks.coverage --seeds 50 --households 3000
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import binomtest

from benchmarks.meter import machine
from nudges.demo import run_demo
from nudges.sources.synthetic import Effects


@dataclass(frozen=True, slots=True)
class Trial:
    """The headline of one campaign and seed."""

    kind: str
    seed: int
    campaign: str
    verdict: str
    estimate: float
    low: float
    high: float
    truth: float


def trial(kind: str, seed: int, households: int, weeks: int) -> list[Trial]:
    """The whole loop once, in a folder that is thrown away."""
    effects = Effects.null() if kind == "null" else Effects()
    with tempfile.TemporaryDirectory(prefix="nudges-coverage-") as folder:
        result = run_demo(Path(folder) / "demo", households=households, weeks=weeks, seed=seed, effects=effects)
    return [
        Trial(kind, seed, h.campaign, h.verdict, h.estimate, h.ci_low, h.ci_high, h.truth)
        for h in result.headlines
        if h.truth is not None
    ]


def row(kind: str, campaign: str, trials: Sequence[Trial]) -> str:
    """One line of the table, with the simulation's own error."""
    n = len(trials)
    held = sum(t.low <= t.truth <= t.high for t in trials)
    share = held / n
    error = math.sqrt(share * (1 - share) / n)
    exact = binomtest(held, n).proportion_ci(0.95)
    misses = [t.estimate - t.truth for t in trials]
    bias, bias_error = mean(misses), (stdev(misses) / math.sqrt(n) if n > 1 else math.nan)
    truth = sum(t.truth for t in trials) / n
    width = sum(t.high - t.low for t in trials) / n
    nonzero = sum(not t.low <= 0 <= t.high for t in trials)
    return (
        f"| {campaign} | {kind} | {held} of {n} | {share:.1%} ± {error:.1%} | {exact.low:.0%} to {exact.high:.0%} "
        f"| {truth:+.3f} | {bias:+.3f} ± {bias_error:.3f} | {width:.3f} | {nonzero} |"
    )


def main() -> None:
    """Run the seeds and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--households", type=int, default=3_000)
    parser.add_argument("--weeks", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["planted", "null"], choices=["planted", "null"])
    wanted = parser.parse_args()
    begun = time.perf_counter()
    trials: list[Trial] = []
    with ProcessPoolExecutor(wanted.jobs) as pool:
        jobs = [
            pool.submit(trial, kind, seed, wanted.households, wanted.weeks)
            for kind in wanted.kinds
            for seed in range(1, wanted.seeds + 1)
        ]
        for number, job in enumerate(as_completed(jobs), 1):
            trials += job.result()
            sys.stderr.write(f"{number} of {len(jobs)} done, {time.perf_counter() - begun:.0f} s\n")
    print(f"{wanted.seeds} seeds, {wanted.households:,} households, {wanted.weeks} weeks. {machine()}\n")
    print("| campaign | effects | held the truth | share ± simulation error | exact 95 % | truth kg", end=" ")
    print("| bias kg | width kg | intervals without 0 |\n|---|---|---|---|---|---:|---:|---:|---:|")
    for kind in wanted.kinds:
        for campaign in sorted({t.campaign for t in trials}):
            print(row(kind, campaign, [t for t in trials if t.kind == kind and t.campaign == campaign]))
    verdicts = sorted({t.verdict for t in trials})
    for kind in wanted.kinds:
        counts = ", ".join(f"{v} {sum(t.kind == kind and t.verdict == v for t in trials)}" for v in verdicts)
        print(f"\nVerdicts, {kind}: {counts}.")


if __name__ == "__main__":
    main()
