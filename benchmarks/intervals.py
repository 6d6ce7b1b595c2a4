"""Turns simulated trials with known truth into how often the reported 95 % intervals hold it.

python -m benchmarks.intervals --jobs 2

Four kinds of trial, 3,000 to 5,000 rows each, two messages and a control, propensities that follow the features,
outcomes with a long tail. households: a row each. stores: bin stores of one to some thirty homes, drawn together, with
a shock in common. turns: households drawn afresh in each of four turns. adaptive: five turns, in each of which the arm
that looked best so far in a household's half of town gets 80 %. Effects are linear in normal features, so truths are
closed forms; that of the budget path is found by bisection on a million rows.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean, stdev
from typing import Any, ClassVar, Self
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import binomtest, norm
from sklearn.base import BaseEstimator

from benchmarks.meter import machine
from nudges.scoring import (
    RateWeighting,
    Scale,
    Value,
    auuc,
    budget_path,
    calibration,
    clustered_mean,
    group_folds,
    paired_gain,
    policy_value,
    qini,
    rate,
    score_matrix,
    self_normalised_value,
    stabilised_mean,
    under,
)
from nudges.uplift import Detail, Evidence, Prices, decide
from nudges.uplift.held_out import HeldOut, held_out

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

KINDS = ("households", "stores", "turns")
ARMS = ("control", "a", "b")
N_FEATURES = 6
LEVEL = np.array([0.10, 0.15])  # mean effects of a and b
SLOPE = np.array([0.25, -0.15])  # a's on x0, b's on x1
COST = np.array([0.0, 0.10, 0.06])
BUDGETS = (0.3, 0.7)
HALF = float(norm.pdf(0))  # E[x 1{x > 0}] of a standard normal
AUTOC_OF_A_LINE = quad(lambda z: -z * norm.pdf(z) * norm.logsf(z), -12, 12)[0]
QINI_OF_A_LINE = 0.5 / math.sqrt(math.pi)
PER_RUN = 10  # simulations a job takes at a time


@dataclass(frozen=True, slots=True)
class Rows:
    """One simulated trial."""

    X: Floats
    y: Floats
    given: Indices
    chance: Floats
    units: Indices
    turn: Indices

    @property
    def rule(self) -> Indices:
        """The policy that is valued: a for the half of town with x0 above 0, b for the other."""
        return np.where(self.X[:, 0] > 0, 1, 2)

    def scores(self) -> Floats:
        """Γ with folds of units."""
        folds = group_folds(self.units, 5, seed=0)
        return score_matrix(self.X, self.y, treatment_index=self.given, propensity=self.chance, folds=folds)


@dataclass(frozen=True, slots=True)
class Check:
    """One interval against its truth."""

    figure: str
    kind: str
    estimate: float
    se: float
    low: float
    high: float
    truth: float


def check(figure: str, kind: str, value: Value, truth: float) -> Check:
    """An interval with the truth it should hold."""
    return Check(figure, kind, value.mean, value.se, value.low, value.high, truth)


# --- trials -----------------------------------------------------------------------------


def simulate(kind: str, rng: np.random.Generator, *, size: float = 1.0) -> Rows:
    """A trial of one kind; `size` scales the effects."""
    n_units = {"households": 3_000, "stores": 900}.get(kind, 1_000)
    n_turns = {"turns": 4, "adaptive": 5}.get(kind, 1)
    homes = np.minimum(rng.geometric(0.3, n_units), 30) if kind == "stores" else np.ones(n_units, dtype=np.intp)
    X, shock = rng.normal(size=(n_units, N_FEATURES)), 0.7 * rng.normal(size=n_units)
    units, turn = np.tile(np.arange(n_units), n_turns), np.repeat(np.arange(n_turns), n_units)
    chance = np.array([[0.3, 0.4, 0.3], [0.3, 0.2, 0.5]])[(X[units, 1] > 0).astype(np.intp)]
    given, y = np.zeros(len(units), dtype=np.intp), np.zeros(len(units))
    for number in range(n_turns):
        now = turn == number
        if kind == "adaptive":
            chance[now] = _favoured(X, given, y, chance, turn < number)
        draw = rng.random(n_units)
        given[now] = (chance[now].cumsum(axis=1)[:, :-1] <= draw[:, None]).sum(axis=1)
        y[now] = 1 + 0.5 * X[:, 2] + 0.3 * X[:, 0] + shock + size * _effect(X, given[now])
        y[now] += rng.exponential(size=n_units) - 1
    rows = np.repeat(np.arange(len(units)), homes[units])
    found = Rows(X[units][rows], y[rows], given[rows], chance[rows], units[rows], turn[rows])
    return replace(found, y=found.y + rng.exponential(size=len(rows)) - 1) if kind == "stores" else found


def _effect(X: Floats, arm: Indices) -> Floats:
    both = np.column_stack([np.zeros(len(X)), LEVEL + SLOPE * X[:, :2]])
    return np.take_along_axis(both, arm[:, None], axis=1)[:, 0]


def _favoured(X: Floats, given: Indices, y: Floats, chance: Floats, past: NDArray[np.bool_]) -> Floats:
    """10 % for each arm but the one whose weighted mean is highest so far in the row's half of town."""
    out = np.full((len(X), 3), 1 / 3)
    if past.any():
        half = np.tile(X[:, 0] > 0, len(y) // len(X))
        for side in (False, True):
            weight = [(past & (half == side) & (given == arm)) / chance[:, arm] for arm in range(3)]
            best = int(np.argmax([w @ y / max(w.sum(), 1e-9) for w in weight]))
            out[X[:, 0] > 0 if side else X[:, 0] <= 0] = np.where(np.arange(3) == best, 0.8, 0.1)
    return out


# --- what is checked --------------------------------------------------------------------


def values(kind: str, rng: np.random.Generator) -> list[Check]:
    """Value of the rule, its gain over b for everyone, and the self-normalised value."""
    rows = simulate(kind, rng)
    scores, rule = rows.scores(), rows.rule
    worth = 1 + LEVEL.mean() + SLOPE[0] * HALF
    gain = worth - 1 - LEVEL[1]
    if kind != "adaptive":
        snips = self_normalised_value(rows.y, rows.given, rows.chance, rule, groups=rows.units)
        return [
            check("policy value", kind, policy_value(scores, rule, groups=rows.units), worth),
            check("paired gain", kind, paired_gain(scores, rule, 2, groups=rows.units), gain),
            check("self-normalised value", kind, snips, worth),
        ]
    pair = np.column_stack([under(rows.chance, rule), rows.chance[:, 2]])
    value, alone = under(scores, rule), scores[:, 1]
    return [
        check("policy value", kind, stabilised_mean(value, rows.turn, pair[:, 0], rows.units), worth),
        check("paired gain", kind, stabilised_mean(value - scores[:, 2], rows.turn, pair, rows.units), gain),
        check("value of a", kind, stabilised_mean(alone, rows.turn, rows.chance[:, 1], rows.units), 1 + LEVEL[0]),
        check("value of a, not stabilised", kind, clustered_mean(alone, rows.units), 1 + LEVEL[0]),
    ]


def rankings(kind: str, rng: np.random.Generator) -> list[Check]:
    """RATE, Qini and AUUC of a priority that half knows who gains from a, and the slope of predictions."""
    rows = simulate(kind, rng)
    contrast = rows.scores() @ [-1.0, 1.0, 0.0]
    priority = rows.X[:, 0] + rows.X[:, 3]
    slope = SLOPE[0] / math.sqrt(2)
    found = []
    for weighting, area in ((RateWeighting.AUTOC, AUTOC_OF_A_LINE), (RateWeighting.QINI, QINI_OF_A_LINE)):
        drawn = rate(contrast, priority, groups=rows.units, weighting=weighting, seed=0)
        bounds = drawn.estimate, drawn.se, drawn.low, drawn.high
        found.append(Check(f"RATE {weighting.upper()}", kind, *bounds, truth=slope * area))
    area = slope * QINI_OF_A_LINE
    found.append(check("Qini", kind, qini(contrast, priority, groups=rows.units), area))
    found.append(check("AUUC", kind, auuc(contrast, priority, groups=rows.units), area + LEVEL[0] / 2))
    predicted = 0.1 * priority + LEVEL[0]
    true_slope = SLOPE[0] * 0.1 / (2 * 0.1**2)
    slopes = calibration(contrast, predicted, groups=rows.units).slope
    return [*found, check("calibration slope", kind, slopes, true_slope)]


def paths(kind: str, rng: np.random.Generator) -> list[Check]:
    """Gain of imperfect predictions at two budgets, over nothing and over b alone for the same money."""
    rows = simulate(kind, rng)
    scores, guess = rows.scores(), _guess(rows.X)
    b_alone = np.tile([0.0, 0.0, LEVEL[1]], (len(guess), 1))
    over_none = budget_path(scores, guess, COST, groups=rows.units, shares=BUDGETS)
    over_b = budget_path(scores, guess, COST, groups=rows.units, shares=BUDGETS, instead_of=b_alone)
    found = []
    for share, none, other in zip(BUDGETS, over_none, over_b, strict=True):
        gain, of_b = _true_gain_at(share)
        found.append(check(f"gain at {share:.0%} of the money", kind, none.gain, gain))
        found.append(check(f"... over b alone at {share:.0%}", kind, other.gain, gain - of_b))
    return found


def _guess(X: Floats) -> Floats:
    """Predictions with the right features, too small and with noise."""
    return np.column_stack([np.zeros(len(X)), 0.05 + 0.2 * X[:, 0] + 0.1 * X[:, 3], 0.1 - 0.1 * X[:, 1]])


@cache
def _true_gain_at(share: float) -> tuple[float, float]:
    """Mean true effect when every row takes the arm of most guess - price x cost, at the price that fits."""
    X = np.random.default_rng(2026).normal(size=(1_000_000, N_FEATURES))
    guess = _guess(X)
    money = share * COST[guess.argmax(axis=1)].mean()
    low, high = 0.0, 100.0
    for _ in range(60):
        price = 0.5 * (low + high)
        arm = (guess - price * COST).argmax(axis=1)
        low, high = (price, high) if COST[arm].mean() > money else (low, price)
    return float(_effect(X, arm).mean()), min(money / COST[2], 1.0) * float(LEVEL[1])


class _Ridge(BaseEstimator):  # type: ignore[misc]
    """A ridge on score contrasts, cheap enough for thousands of decisions; keeps its fits to be looked at."""

    fits: ClassVar[list[_Ridge]] = []

    def __init__(self, arms: tuple[str, ...] | None = None) -> None:
        self.arms = arms

    def fit(
        self, X: Floats, y: Floats, *, treatment: NDArray[np.str_], propensity: Floats, groups: Indices, **_: object
    ) -> Self:
        self.scale_ = Scale.of(X)
        Z, given = self.scale_(X), (np.asarray(treatment)[:, None] == np.array(ARMS)).argmax(axis=1)
        folds = group_folds(groups, 5, seed=0)
        scores = score_matrix(Z, y, treatment_index=given, propensity=propensity, folds=folds)
        contrasts = scores[:, 1:] - scores[:, :1]
        self.level_ = contrasts.mean(axis=0)
        shrunk = Z.T @ Z + 0.1 * len(Z) * np.eye(Z.shape[1])
        self.slopes_ = np.linalg.solve(shrunk, Z.T @ (contrasts - self.level_))
        self.arms_ = ARMS
        self.fits.append(self)
        return self

    def effect(self, X: Floats) -> Floats:
        return np.asarray(self.level_ + self.scale_(X) @ self.slopes_)


def selections(kind: str, rng: np.random.Generator) -> list[Check]:
    """The gain that decide() reports for what it chose, whatever that is, and its promise when the gate opened."""
    size = float(rng.choice([0.0, 0.5, 1.0, 2.0]))
    rows = simulate(kind, rng, size=size)
    homes = np.ones(len(rows.y))
    evidence = Evidence(rows.X, rows.y, rows.given, rows.chance, rows.units, homes, ARMS, batch=rows.turn)
    _Ridge.fits.clear()
    seen: list[HeldOut] = []

    def recorded(*given: Any, **named: Any) -> HeldOut:  # noqa: ANN401
        seen.append(held_out(*given, **named))
        return seen[0]

    with patch("nudges.uplift.deciding.held_out", recorded):
        decision = decide(evidence, _Ridge(), Prices(1.0, COST, 1e9), seed=0, detail=Detail.GATE)
    single = float((size * np.r_[0.0, LEVEL] - COST)[seen[0].single].mean())
    model = mean(_true_worth(fit, size, rng.normal(size=(10_000, N_FEATURES))) for fit in _Ridge.fits)
    truth = model - single if decision.policy == "model" else single
    opened = decision.policy == "model" or decision.policy.startswith("arm:")
    checks = [
        ("gain of what was chosen", decision.gain),
        ("... when the gate opened", decision.gain if opened else None),
    ]
    checks.append(("... its promise then", decision.promise))
    return [check(figure, kind, value, truth) for figure, value in checks if value is not None]


def _true_worth(fit: _Ridge, size: float, X: Floats) -> float:
    """What a fold's model truly earns over nothing, net of cost, on fresh rows."""
    none = np.zeros((len(X), 1))
    arm = (np.hstack([none, fit.effect(X)]) - COST).argmax(axis=1)
    return float(under(np.hstack([none, size * (LEVEL + SLOPE * X[:, :2])]) - COST, arm).mean())


# --- running ----------------------------------------------------------------------------

PARTS: dict[str, tuple[Callable[[str, np.random.Generator], list[Check]], tuple[str, ...], int]] = {
    "values": (values, (*KINDS, "adaptive"), 2_500),
    "rankings": (rankings, KINDS, 1_000),
    "paths": (paths, KINDS, 1_000),
    "selections": (selections, ("households", "turns"), 1_000),
}


def runs(part: str, kind: str, seeds: range) -> list[Check]:
    """Some simulations of one part and kind."""
    number = list(PARTS).index(part)
    made = PARTS[part][0]
    return [one for seed in seeds for one in made(kind, np.random.default_rng([seed, number]))]


def row(figure: str, kind: str, checks: Sequence[Check]) -> str:
    """One line of the table, with the simulation's own error."""
    n = len(checks)
    held = sum(one.low <= one.truth <= one.high for one in checks)
    share = held / n
    exact = binomtest(held, n).proportion_ci(0.95)
    misses = [one.estimate - one.truth for one in checks]
    spread = stdev(misses)
    return (
        f"| {figure} | {kind} | {held} of {n} | {share:.1%} ± {math.sqrt(share * (1 - share) / n):.1%} "
        f"| {exact.low:.1%} to {exact.high:.1%} | {mean(misses) / spread:+.2f} ± {1 / math.sqrt(n):.2f} "
        f"| {mean(one.se for one in checks) / spread:.2f} | {sum(one.low > one.truth for one in checks)} "
        f"/ {sum(one.high < one.truth for one in checks)} |"
    )


def main() -> None:
    """Simulate and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--runs", type=int, help="simulations of each part and kind instead of 2,500 and 1,000")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--jobs", type=int, default=2)
    wanted = parser.parse_args()
    begun, found = time.perf_counter(), defaultdict(list)
    with ProcessPoolExecutor(wanted.jobs) as pool:
        jobs = []
        for part in wanted.parts:
            last = wanted.first + (wanted.runs or PARTS[part][2])
            for kind in PARTS[part][1]:
                starts = range(wanted.first, last, PER_RUN)
                jobs += [pool.submit(runs, part, kind, range(at, min(at + PER_RUN, last))) for at in starts]
        for number, job in enumerate(jobs, 1):
            for one in job.result():
                found[one.figure, one.kind].append(one)
            if number % 50 == 0:
                sys.stderr.write(f"{number} of {len(jobs)} jobs, {time.perf_counter() - begun:.0f} s\n")
    print(f"Seeds from {wanted.first}. {machine()}\n")
    print("| figure | trial | held the truth | share ± simulation error | exact 95 % | bias / sd | se / sd ", end="")
    print("| too high / too low |\n|---|---|---|---|---|---|---|---|")
    for (figure, kind), checks in found.items():
        print(row(figure, kind, checks))


if __name__ == "__main__":
    main()
