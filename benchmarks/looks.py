"""Turns simulated campaigns without an effect into how often weekly looks raise a false alarm, by rule of reading.

python -m benchmarks.looks

A fixed cohort is read every week for 26 weeks. Kilograms a household and week have a long tail between homes (gamma),
weekly noise that grows with the home's level and carries over (autocorrelation 0.3), a common season, and 5 % of the
readings missing; the pre-period is 12 weeks of the same homes. Then the same with 4 % less in one arm, for power.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.meter import machine
from nudges.measuring import Cumulative, confidence_sequence, cumulative_effects, sequential

Floats = NDArray[np.float64]

WEEKS, PRE_WEEKS, KG = 26, 12, 7.7
CARRY, MISSING = 0.3, 0.05


@dataclass(frozen=True, slots=True)
class Setting:
    """A cohort: units, their spread between and within (shares of the level), and how many are treated."""

    name: str
    units: int
    between: float
    within: float
    treated_share: float
    simulations: int


HOUSEHOLDS = Setting("2,000 households, half treated", 2_000, 0.45, 0.55, 0.5, 1_500)
FEW = Setting("300 households, 30 % treated", 300, 0.45, 0.55, 0.3, 600)
ROUNDS = Setting("20 + 20 rounds", 40, 0.10, 0.06, 0.5, 600)


@dataclass(frozen=True, slots=True)
class Rule:
    """How a cohort's looks are read: half-widths (T,) in units of the outcome, from estimates so far and units."""

    name: str
    half_widths: Callable[[Cumulative, int], Floats]


def cohort(setting: Setting, seed: int, *, effect_share: float) -> tuple[Floats, Floats, Floats]:
    """Weekly (n, 26), pre (n,), treated (n,)."""
    rng = np.random.default_rng(seed)
    n, weeks = setting.units, PRE_WEEKS + WEEKS
    shape = 1 / setting.between**2
    level = KG * rng.gamma(shape, 1 / shape, n)
    noise = np.empty((n, weeks))
    noise[:, 0] = rng.standard_normal(n)
    fresh = rng.standard_normal((n, weeks)) * math.sqrt(1 - CARRY**2)
    for week in range(1, weeks):
        noise[:, week] = CARRY * noise[:, week - 1] + fresh[:, week]
    kg = level[:, None] * (1 + setting.within * noise) + 0.3 * np.sin(np.arange(weeks) / 8)
    treated = rng.permutation(np.arange(n) < round(n * setting.treated_share)).astype(float)
    kg[:, PRE_WEEKS:] *= 1 + effect_share * treated[:, None]
    kg[rng.random(kg.shape) < MISSING] = np.nan
    return kg[:, PRE_WEEKS:], np.nanmean(kg[:, :PRE_WEEKS], axis=1), treated


def plain(found: Cumulative, _: int) -> Floats:
    """Every week read as if it were the only one."""
    return float(norm.ppf(0.975)) * found.se


def error_spending(found: Cumulative, _: int) -> Floats:
    """O'Brien-Fleming error spending on the estimated joint covariance."""
    looks = sequential(found.estimates, found.covariance, horizon=WEEKS, df=found.df)
    return np.array([look.boundary * look.se for look in looks])


def open_horizon(found: Cumulative, units: int) -> Floats:
    """The confidence sequence of an undeclared horizon, units counted once."""
    ends = [confidence_sequence(0.0, float(se), units, tuned_for=units) for se in found.se]
    return np.array([high for _, high in ends])


RULES = (
    Rule("plain 95 % interval every week (not to be used)", plain),
    Rule("error spending, O'Brien-Fleming", error_spending),
    Rule("confidence sequence, open horizon", open_horizon),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one rule: runs with a false alarm (or a find), looks at the first, last half-width over the plain one."""

    alarms: Sequence[bool]
    first: Sequence[int]
    wider: Sequence[float]


def tally(setting: Setting, *, simulations: int, effect_share: float, seed: int) -> dict[str, Tally]:
    """Every rule on the same simulated cohorts."""
    rows: dict[str, list[tuple[bool, int, float]]] = {rule.name: [] for rule in RULES}
    for number in range(simulations):
        weekly, pre, treated = cohort(setting, seed + number, effect_share=effect_share)
        found = cumulative_effects(weekly, pre, treated)
        single = found.effect(-1)
        for rule in RULES:
            reach = rule.half_widths(found, setting.units)
            crossed = np.abs(found.estimates) > reach
            wider = float(reach[-1] / ((single.ci_high - single.ci_low) / 2))
            rows[rule.name].append((bool(crossed.any()), int(crossed.argmax()) + 1, wider))
    return {
        name: Tally([r[0] for r in found], [r[1] for r in found if r[0]], [r[2] for r in found])
        for name, found in rows.items()
    }


def share(flags: Sequence[bool]) -> str:
    """A share with its simulation error, in percent."""
    p = float(np.mean(flags))
    return f"{p:.1%} ± {math.sqrt(p * (1 - p) / len(flags)):.1%}"


def main() -> None:
    """Run the settings and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the simulations, for a quick look")
    scale = parser.parse_args().scale
    begun = time.process_time()
    print("| cohort | rule | A/A runs | false alarms in 26 looks | last half-width / single look |")
    print("|---|---|---:|---|---:|")
    for setting in (HOUSEHOLDS, FEW, ROUNDS):
        runs = max(int(setting.simulations * scale), 2)
        for name, found in tally(setting, simulations=runs, effect_share=0.0, seed=40_000).items():
            print(f"| {setting.name} | {name} | {runs:,} | {share(found.alarms)} | {np.mean(found.wider):.3f} |")
    runs = max(int(400 * scale), 2)
    print(f"\n{HOUSEHOLDS.name}, 4 % less in the treated arm, {runs} runs.\n")
    print("| rule | shown by week 26 | median week of those |\n|---|---|---:|")
    for name, found in tally(HOUSEHOLDS, simulations=runs, effect_share=-0.04, seed=80_000).items():
        print(f"| {name} | {share(found.alarms)} | {np.median(found.first) if found.first else math.nan:.0f} |")
    print(f"\n{time.process_time() - begun:.0f} CPU-s. {machine()}")


if __name__ == "__main__":
    main()
