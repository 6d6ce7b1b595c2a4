"""Household and round designs: coverage, and what the pre-period is worth against its formula."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from scipy.special import ndtri
from scipy.stats import t

from benchmarks._effects_data import (
    AUTOCORRELATION,
    EFFECT_KG,
    SD_BETWEEN,
    SD_WITHIN,
    Trial,
    household_trials,
    round_trials,
)
from benchmarks._effects_tally import Tally, head, lines, verdict
from nudges.measuring import (
    Effect,
    mean_variance,
    minimum_detectable,
    panel_ancova,
    randomisation_test,
    robustness_rows,
    round_effect,
    unit_ancova,
)

WEEKS = 12
N, SHARE = 1_000, 0.7


def household(scale: float) -> str:
    """N = 1,000, 70 % treated, 12 + 12 weeks, 5 % of weeks not read, own effects."""
    tallies: dict[str, Tally] = defaultdict(lambda: Tally(EFFECT_KG))
    trials, redrawn = round(10_000 * scale), round(500 * scale)
    for number, trial in enumerate(household_trials(101, trials, N, share=SHARE, weeks=WEEKS, unread=0.05)):
        given = trial.post, trial.pre, trial.treated
        tallies["unit_ancova"].add(unit_ancova(*given))
        tallies["panel_ancova (weeks, by unit)"].add(panel_ancova(trial.by_week, trial.pre, trial.treated))
        for name, effect in robustness_rows(*given):
            tallies[name].add(effect)
        if number < redrawn:
            tallies["randomisation_test, 999 draws"].add(randomisation_test(*given, draws=999, seed=number))
    (share, error), rows = tallies["unit_ancova"].coverage, [tally.row(name) for name, tally in tallies.items()]
    bar = verdict(
        f"household coverage, {trials:,} simulations",
        f"{share:.1%} ± {error:.1%}",
        "94-96 % in 3,000",
        is_met=0.94 <= share <= 0.96,
    )
    return lines(
        "Household design, N = 1,000, 70/30, 12 + 12 weeks",
        f"Mean effect {EFFECT_KG:.3f} kg; truth is its mean over all households, not over those drawn. The winsorised "
        "row estimates the effect on what lies between the quantiles, less than the whole.",
        [head("estimator"), *rows],
        bar,
    )


def rounds(scale: float) -> str:
    """Half of 8, 10, 20 and 40 rounds treated; even and uneven sizes; the exact or sampled test beside it."""
    rows, bars = [], []
    trials, redrawn = round(10_000 * scale), round(2_000 * scale)
    for sizes in ("even", "uneven"):
        for n in (8, 10, 20, 40):
            ours, naive, tests = Tally(EFFECT_KG), Tally(EFFECT_KG), Tally(EFFECT_KG)
            for number, trial in enumerate(round_trials(200 + n, trials, n, sizes=sizes)):
                given = trial.post, trial.pre, trial.treated, trial.weights
                effect = round_effect(*given)
                ours.add(effect)
                _put_plain(naive, effect, n - 3)
                if number < redrawn and (n < 40 or number < redrawn // 4):
                    tests.add(randomisation_test(*given, draws=999, seed=number))
            label = f"{n // 2} v {n // 2}"
            rows += [
                ours.row(sizes, label, "round_effect"),
                naive.row(sizes, label, "the same with t(n - 3)"),
                tests.row(sizes, label, "randomisation_test"),
            ]
            share, error = ours.coverage
            bars.append(
                verdict(f"rounds, {sizes} sizes, {label}, {trials:,} simulations", f"{share:.1%} ± {error:.1%}",
                        "94-96 % in 2,000", is_met=0.94 <= share <= 0.96)
            )  # fmt: skip
    return lines(
        "Round design, 12 + 12 weeks",
        "Even: 400 to 1,500 households a round; uneven: 150 to 3,000, most small. Truth is the mean effect. The exact "
        "test of 4 v 4 has 70 assignments, two of them always as extreme: 97.1 % is what it must cover.",
        [head("sizes", "rounds", "estimator"), *rows],
        bars,
    )


def _put_plain(tally: Tally, effect: Effect, df: int) -> None:
    reach = float(t.ppf(0.975, df)) * effect.se
    tally.put(effect.estimate, effect.se, effect.estimate - reach, effect.estimate + reach)


def explained_share(weeks: int) -> float:
    """R^2 of the pre-period mean in closed form, its noise carried over into the post-period included."""
    lags = np.arange(1, weeks + 1)[:, None] + np.arange(weeks)  # of post week j and pre week T - i
    carried = SD_WITHIN**2 * float((AUTOCORRELATION**lags).sum()) / weeks**2
    variance = mean_variance(SD_BETWEEN, SD_WITHIN, weeks, autocorrelation=AUTOCORRELATION)
    return ((SD_BETWEEN**2 + carried) / variance) ** 2


def covariate(scale: float) -> str:
    """Smallest detectable effect without and with the pre-period, formula beside simulation."""
    trials, n_treated = round(12_000 * scale), round(SHARE * N)
    rows, bars = [], []
    for weeks in (4, 12, 26):
        raw, adjusted = Tally(0.0), Tally(0.0)
        count = trials if weeks == WEEKS else trials // 4
        for trial in household_trials(300 + weeks, count, N, share=SHARE, weeks=weeks, effect=0.0):
            raw.add(_raw(trial))
            adjusted.add(unit_ancova(trial.post, trial.pre, trial.treated))
        variance = mean_variance(SD_BETWEEN, SD_WITHIN, weeks, autocorrelation=AUTOCORRELATION)
        formula = [
            minimum_detectable(variance, n_treated, N - n_treated, r_squared=explained)
            for explained in (0.0, explained_share(weeks))
        ]
        seen = [float(ndtri(0.975) + ndtri(0.8)) * tally.spread for tally in (raw, adjusted)]
        cut, off = 1 - seen[1] / seen[0], [ours / theirs - 1 for ours, theirs in zip(formula, seen, strict=True)]
        error = 1 / math.sqrt(2 * count)
        rows.append(
            f"| {weeks} + {weeks} | {count:,} | {formula[0]:.3f} | {seen[0]:.3f} | {off[0]:+.1%} ± {error:.1%} "
            f"| {formula[1]:.3f} | {seen[1]:.3f} | {off[1]:+.1%} ± {error:.1%} | {cut:.1%} ± {(1 - cut) * error:.1%} |"
        )
        if weeks == WEEKS:
            worst = max(map(abs, off))
            bars.append(
                verdict("pre-period cuts the detectable effect by", f"{cut:.1%}", ">= 45 %", is_met=cut >= 0.45)
            )
            bars.append(verdict("formula off by at most", f"{worst:.1%} ± {error:.1%}", "3 %", is_met=worst <= 0.03))
    return lines(
        "What the pre-period is worth: smallest detectable effect, kg (80 % power at 5 %)",
        [
            "| weeks | trials | raw, formula | simulated | off by | with pre, formula | simulated | off by | cut |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
        ],
        bars,
    )


def _raw(trial: Trial) -> Effect:
    return unit_ancova(trial.post, None, trial.treated)
