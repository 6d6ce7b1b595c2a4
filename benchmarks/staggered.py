"""Turns simulated roll-outs with known effects into bias and coverage of the estimators, plain two-way beside them.

python -m benchmarks.staggered

24 rounds in four groups of six: messages begin in week 12, 20 or 28 of 40, or never. Rounds differ for good, weeks
have shocks in common, each round has weekly noise that carries over (autocorrelation 0.4). The effect grows by 0.03 kg
a week from 0.05 kg: the truth is its mean over the treated household-weeks, about -0.37 kg. Households differ by round
(600 to 1,800) and 3 % of the tickets are missing.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meter import machine
from nudges.measuring import Comparison, Effect, group_time_effect, staggered_effect, two_way_effect

Floats = NDArray[np.float64]

ROUNDS, WEEKS, CARRY, MISSING = 24, 40, 0.4, 0.03
STARTS = (12.0, 20.0, 28.0, math.inf)

ESTIMATORS: dict[str, Callable[..., Effect]] = {
    "imputation (the default)": staggered_effect,
    "group-time, not yet treated": group_time_effect,
    "group-time, never treated": partial(group_time_effect, comparison=Comparison.NEVER),
    "plain two-way fixed effects": two_way_effect,
}


def rollout(seed: int, *, is_null: bool = False) -> tuple[Floats, Floats, Floats, float]:
    """Weekly (G, T), first treated (G,), households (G,), and the true mean over the treated cells that are known."""
    rng = np.random.default_rng(seed)
    first = rng.permutation(np.repeat(STARTS, ROUNDS // len(STARTS)))
    households = rng.uniform(600, 1_800, ROUNDS).round()
    noise = np.empty((ROUNDS, WEEKS))
    noise[:, 0] = rng.standard_normal(ROUNDS)
    for week in range(1, WEEKS):
        noise[:, week] = CARRY * noise[:, week - 1] + math.sqrt(1 - CARRY**2) * rng.standard_normal(ROUNDS)
    age = np.arange(WEEKS) - first[:, None]
    effect = np.where(age >= 0, 0.0 if is_null else -0.05 - 0.03 * np.maximum(age, 0), 0.0)
    kg = rng.normal(8, 1, (ROUNDS, 1)) + rng.normal(0, 0.4, WEEKS) + 0.4 * noise + effect
    kg[rng.random(kg.shape) < MISSING] = np.nan
    cells = (age >= 0) & np.isfinite(kg)
    truth = float(np.average(effect[cells], weights=(cells * households[:, None])[cells]))
    return kg, first, households, truth


def row(estimator: Callable[..., Effect], simulations: int, *, is_null: bool) -> str:
    """One line of the table."""
    found = []
    for seed in range(simulations):
        kg, first, households, truth = rollout(60_000 + seed, is_null=is_null)
        effect = estimator(kg, first, weights=households)
        found.append(
            (effect.estimate - truth, effect.se, effect.ci_low <= truth <= effect.ci_high, effect.p_value < 0.05)
        )
    miss, se, held, rejected = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    bias_error = float(miss.std(ddof=1)) / math.sqrt(simulations)

    def percent(flags: Floats) -> str:
        p = float(flags.mean())
        return f"{p:.1%} ± {math.sqrt(p * (1 - p) / simulations):.1%}"

    last = percent(rejected) if is_null else percent(held)
    return f"{miss.mean():+.4f} ± {bias_error:.4f} | {miss.std(ddof=1):.3f} | {se.mean():.3f} | {last} |"


def main() -> None:
    """Run the estimators and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1_000)
    wanted = parser.parse_args().simulations
    begun = time.process_time()
    for is_null, title in ((False, "intervals that hold the truth"), (True, "null rejected at 5 %")):
        print(f"\n| estimator ({wanted:,} roll-outs) | bias kg | SD kg | mean SE | {title} |\n|---|---|---:|---:|---|")
        for name, estimator in ESTIMATORS.items():
            print(f"| {name} | {row(estimator, wanted, is_null=is_null)}")
    print(f"\n{time.process_time() - begun:.0f} CPU-s. {machine()}")


if __name__ == "__main__":
    main()
