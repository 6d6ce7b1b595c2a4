"""Turns real monthly tonnage of 59 districts into false alarms, coverage of -3 %, and the effect of a public roll-out.

python -m benchmarks.nyc [--part placebo|rollout]        needs NUDGES_REAL_DATA, with New York's tonnage under it

Placebo: an imaginary campaign is n + n districts and one start month, all drawn at random; its post-period is 6 to 12
months, drawn too, its pre-period the 12 months before, and every district must be recorded in all of them. Nothing
happened, so 5 % of the campaigns should show an effect. Then the treated post-period is multiplied by 0.97.

Roll-out: kerbside collection of organics came to the boroughs in turn. A district starts in its first month with a
tonnage of organics from homes; a month after the start without one (Queens, January and February 2023) is neither
treated nor untreated and is left out. Districts with organics in the first month of the window have no month before:
the staggered estimators leave them out. The outcome is log refuse, every district of weight 1.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks._nyc import Districts, Floats, read
from benchmarks.meter import machine
from nudges.measuring import Effect, group_time_effect, round_effect, staggered_effect, two_way_effect

DESIGNS = (4, 8, 20)
RUNS = 2_000
SEED = 4_059
PRE_MONTHS, POST_MONTHS = 12, (6, 12)
KEPT = 0.97
BAR = (0.035, 0.065)

ROLLOUT = ("2022-01", "2024-09", "2025-10")
"""First month, last month with districts not yet treated, last month of the exports."""

NO_ORGANICS_BEFORE = "2013-05"
"""The first pilot of organics: calendars moved back end before it."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One imaginary campaign: pre and post (n,) mean tonnes a month of the drawn districts, treated (n,) 0 or 1."""

    pre: Floats
    post: Floats
    treated: Floats

    def with_effect(self) -> Draw:
        """The same with the treated post-period multiplied by 0.97."""
        return Draw(self.pre, self.post * np.where(self.treated > 0, KEPT, 1.0), self.treated)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a draw is given to `round_effect`: the log of tonnes or their ratio to the own pre-period, and weights."""

    name: str
    is_log: bool
    has_pre: bool
    by_tonnage: bool

    def effect(self, draw: Draw) -> Effect:
        """The estimate, on the log scale or in shares of the own pre-period."""
        outcome = np.log(draw.post) if self.is_log else draw.post / draw.pre
        if self.is_log and not self.has_pre:
            outcome = outcome - np.log(draw.pre)
        pre = np.log(draw.pre) if self.has_pre else None
        return round_effect(outcome, pre, draw.treated, self.weights(draw))

    def truth(self, draw: Draw) -> float:
        """What 0.97 is on the setting's scale, for an untouched draw."""
        if self.is_log:
            return math.log(KEPT)
        inside = draw.treated > 0
        ratio = (draw.post / draw.pre)[inside]
        return (KEPT - 1) * float(np.average(ratio, weights=self.weights(draw)[inside]))

    def weights(self, draw: Draw) -> Floats:
        """(n,) pre-period tonnes, or 1."""
        return draw.pre if self.by_tonnage else np.ones(len(draw.pre))


HEADLINE = Setting("log post on log pre, weights 1", is_log=True, has_pre=True, by_tonnage=False)
SETTINGS = (
    HEADLINE,
    Setting("log post on log pre, weights pre tonnes", is_log=True, has_pre=True, by_tonnage=True),
    Setting("log post - log pre, weights 1", is_log=True, has_pre=False, by_tonnage=False),
    Setting("post / own pre, weights 1", is_log=False, has_pre=False, by_tonnage=False),
    Setting("post / own pre, weights pre tonnes", is_log=False, has_pre=False, by_tonnage=True),
)


class Outcome(NamedTuple):
    """Of one draw and setting: a false alarm, -3 % held by the interval, miss and standard error with the effect."""

    alarm: bool
    held: bool
    miss: float
    se: float


def draws(city: Districts, arm: int, runs: int) -> Iterator[Draw]:
    """Imaginary campaigns of `arm` + `arm` districts, the same for every setting."""
    rng = np.random.default_rng([SEED, arm])
    recorded = city.recorded()
    for _ in range(runs):
        after = int(rng.integers(POST_MONTHS[0], POST_MONTHS[1] + 1))
        whole = np.lib.stride_tricks.sliding_window_view(recorded, PRE_MONTHS + after).all(axis=1)
        first = int(rng.choice(np.flatnonzero(whole)))
        drawn = rng.choice(len(city.names), 2 * arm, replace=False)
        tonnes = city.refuse[drawn, first : first + PRE_MONTHS + after]
        treated = (np.arange(2 * arm) < arm).astype(np.float64)
        yield Draw(tonnes[:, :PRE_MONTHS].mean(axis=1), tonnes[:, PRE_MONTHS:].mean(axis=1), treated)


def outcomes(campaigns: Sequence[Draw], setting: Setting) -> list[Outcome]:
    """Every campaign without and with the effect."""
    found = []
    for draw in campaigns:
        null, lower = setting.effect(draw), setting.effect(draw.with_effect())
        truth = setting.truth(draw)
        held = lower.ci_low <= truth <= lower.ci_high
        found.append(Outcome(null.p_value < 0.05, held, lower.estimate - truth, lower.se))
    return found


def share(flags: Sequence[bool]) -> str:
    """A share with its simulation error, in percent."""
    p = float(np.mean(flags))
    return f"{p:.2%} ± {math.sqrt(p * (1 - p) / len(flags)):.2%}"


def placebo(city: Districts, runs: int) -> None:
    """Print false alarms and coverage by design and setting."""
    print(f"\n**Placebo: {runs:,} imaginary campaigns a design, the same for every setting; seed {SEED}**\n")
    print(
        f"Effects are shares of refuse (log scale: exp(b) - 1). False alarms must lie in {BAR[0]:.1%} to {BAR[1]:.1%}."
    )
    print(f"The headline setting, named before the run: {HEADLINE.name}. On the log scale an effect of 0.97 moves the")
    print(
        "estimate by exactly its log, so coverage is 100 % less the false alarms; on the ratio scale it is not tied.\n"
    )
    print(
        "| districts | setting | p < 0.05, nothing done | inside | -3 % held by 95 % | bias (points) | SD | mean SE |"
    )
    print("|---|---|---|---|---|---|---:|---:|")
    for arm in DESIGNS:
        campaigns = list(draws(city, arm, runs))
        for setting in SETTINGS:
            found = outcomes(campaigns, setting)
            alarms, held = [one.alarm for one in found], [one.held for one in found]
            miss, se = np.array([one.miss for one in found]), np.array([one.se for one in found])
            inside = "yes" if BAR[0] <= np.mean(alarms) <= BAR[1] else "NO"
            spread = float(miss.std(ddof=1))
            bias = f"{100 * miss.mean():+.3f} ± {100 * spread / math.sqrt(runs):.3f}"
            print(
                f"| {arm} + {arm} | {setting.name} | {share(alarms)} | {inside} | {share(held)} | {bias} "
                f"| {spread:.2%} | {se.mean():.2%} |"
            )


def window(city: Districts, first: str, last: str) -> slice:
    """Columns of two months and all between."""
    return slice(city.column(first), city.column(last) + 1)


def first_months(organics: Floats) -> Floats:
    """(D,) first column with organics, inf where there is none."""
    has = np.isfinite(organics)
    return np.where(has.any(axis=1), has.argmax(axis=1), np.inf)


def log_refuse(city: Districts, months: slice, organics: Floats, first: Floats) -> Floats:
    """(D, T) log refuse of the months; NaN where organics paused after the start."""
    begun = np.arange(organics.shape[1]) >= first[:, None]
    return np.where(begun & np.isnan(organics), np.nan, np.log(city.refuse[:, months]))


def percent(effect: Effect) -> str:
    """An effect on the log scale as a change in percent, with its interval, and districts."""
    value, low, high = (f"{math.expm1(x):+.2%}" for x in (effect.estimate, effect.ci_low, effect.ci_high))
    return f"{value} | {low} to {high} | {effect.p_value:.3f} | {effect.n_units_treated} / {effect.n_units_control} |"


def rollout(city: Districts) -> None:
    """Print the roll-out's effect by estimator, what came before it, and the same calendar when nothing was done."""
    start, compared, last = ROLLOUT
    months, whole = window(city, start, compared), window(city, start, last)
    first = first_months(city.organics[:, whole])
    y, y_whole = (log_refuse(city, m, city.organics[:, m], first) for m in (months, whole))
    in_words = ", ".join(
        f"{city.months[whole.start + int(month)]}: {n}"
        for month, n in zip(*np.unique(first, return_counts=True), strict=True)
    )
    print("\n**Roll-out of organics collection, effect on refuse**\n")
    print(f"Districts by first month with organics: {in_words}.")
    print(f"After {compared} no district is untreated. {int(np.isnan(y).sum())} paused district-months are left out.\n")
    print("| estimator | months | effect on refuse | 95 % interval | p | districts treated / compared |")
    print("|---|---|---:|---|---:|---:|")
    tonnes = np.nanmean(city.refuse[:, months], axis=1)
    lines: tuple[tuple[str, str, Effect], ...] = (
        ("staggered, imputation", compared, staggered_effect(y, first)),
        ("plain two-way fixed effects", compared, two_way_effect(y, first)),
        ("plain two-way fixed effects", last, two_way_effect(y_whole, first)),
        ("staggered, weights tonnes", compared, staggered_effect(y, first, weights=tonnes)),
        ("two-way, weights tonnes", compared, two_way_effect(y, first, weights=tonnes)),
        ("staggered, group-time", compared, group_time_effect(y, first)),
        ("staggered, months 1 to 12", compared, staggered_effect(y, first, since=(1, 12))),
        ("staggered, months 13 to 24", compared, staggered_effect(y, first, since=(13, 24))),
    )
    for name, until, effect in lines:
        print(f"| {name} | {start} to {until} | {percent(effect)}")
    _moved_back(city, first, lines[0][2], lines[1][2])


def _moved_back(city: Districts, first: Floats, staggered: Effect, plain: Effect) -> None:
    """The same boroughs and calendar in years without organics: what the intervals above leave out."""
    length = city.column(ROLLOUT[1]) - city.column(ROLLOUT[0]) + 1
    end = city.column(NO_ORGANICS_BEFORE)
    begins = [m for m, name in enumerate(city.months[:end]) if name.endswith("-01") and m + length <= end]
    begins = [m for m in begins if city.recorded()[m : m + length].all()]
    since, until = city.months[begins[0]], city.months[begins[-1]]
    print(f"\nThe same boroughs and months, years earlier: {len(begins)} windows of {length} months, overlapping,")
    print(
        f"the first from {since}, the last from {until}, all before the first pilot of organics ({NO_ORGANICS_BEFORE})."
    )
    print("Nothing happened in them, but whole boroughs started, as in the roll-out.\n")
    print("| estimator | p < 0.05 in | root mean square | mean SE | largest | as large as the roll-out's or larger |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, estimator, real in (
        ("staggered, imputation", staggered_effect, staggered),
        ("plain two-way fixed effects", two_way_effect, plain),
    ):
        found = [estimator(np.log(city.refuse[:, m : m + length]), first) for m in begins]
        size = np.abs([one.estimate for one in found])
        alarms = sum(one.p_value < 0.05 for one in found)
        larger = int((size >= abs(real.estimate)).sum())
        print(
            f"| {name} | {alarms} of {len(found)} | {math.sqrt(float((size**2).mean())):.2%} "
            f"| {np.mean([one.se for one in found]):.2%} | {size.max():.2%} | {larger} of {len(found)} |"
        )


def main() -> None:
    """Run the parts and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("placebo", "rollout"), help="one part only")
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args()
    begun = time.process_time()
    city = read()
    months = np.flatnonzero(city.recorded())
    print(f"{len(city.names)} districts, {len(months)} months with refuse of all, {city.months[months[0]]} to", end=" ")
    print(f"{city.months[months[-1]]}; tonnes, not per head: the exports hold no population.")
    if asked.part != "rollout":
        placebo(city, asked.runs)
    if asked.part != "placebo":
        rollout(city)
    print(f"\n{time.process_time() - begun:.0f} CPU-s. {machine()}")


if __name__ == "__main__":
    main()
