"""Turns years lived through into Markdown tables, every mean with its simulation error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks._loop_borough import TURN_WEEKS
from benchmarks._loop_play import ENGINE, Lived

Floats = NDArray[np.float64]
BEST, ORACLE = "best-single-arm", "oracle"
POUNDS = 10.0
"""Pence a home to pounds a thousand homes."""


def earned(lived: Sequence[Lived], choosers: Iterable[str]) -> str:
    """Pounds a year and thousand homes by chooser, and what each loses to the oracle."""
    lines = ["| chooser | £ a year and 1,000 homes | regret to the oracle | of it for messages | least to most |"]
    lines.append("|---|---:|---:|---:|---:|")
    best = {run.seed: run.pence.sum() for run in lived if run.chooser == ORACLE}
    for chooser in choosers:
        own = [run for run in lived if run.chooser == chooser]
        if not own:
            continue
        pounds = np.array([run.pence.sum() for run in own]) * POUNDS
        regret = np.array([best[run.seed] - run.pence.sum() for run in own if run.seed in best]) * POUNDS
        cost = np.mean([run.cost.sum() for run in own]) * POUNDS
        lines.append(
            f"| {chooser} | {_mean(pounds)} | {_mean(regret) if len(regret) else '-'} | {cost:.0f} "
            f"| {pounds.min():+.0f} to {pounds.max():+.0f} |"
        )
    return "\n".join(lines)


def by_seed(lived: Sequence[Lived], choosers: Sequence[str]) -> str:
    """Pounds of every chooser, and when the gate of the engine first opened for a model, one line a seed."""
    lines = [f"| seed | {' | '.join(choosers)} | arm / model first used in week | last policy |"]
    lines.append(f"|---|{'---:|' * len(choosers)}---:|---|")
    for seed in sorted({run.seed for run in lived}):
        runs = {run.chooser: run for run in lived if run.seed == seed}
        pounds = " | ".join(f"{runs[c].pence.sum() * POUNDS:+.0f}" if c in runs else "-" for c in choosers)
        engine = runs.get(ENGINE)
        arm, model = (_opened(engine, word) for word in ("arm:", "model")) if engine else ("-", "-")
        lines.append(
            f"| {seed} | {pounds} | {arm} / {model} | {engine.policies[-1].split(',')[0] if engine else '-'} |"
        )
    return "\n".join(lines)


def over_time(lived: Sequence[Lived], other: str = BEST) -> str:
    """What the engine earns more than another chooser: so far, and from each turn to the end of the year."""
    ahead = differences(lived, other)
    n = len(ahead)
    lines = [f"| to the end of week | £ more than {other} so far | seeds ahead | £ more in this turn | seeds ahead "]
    lines[0] += "| £ more from the next week to the end | seeds ahead |"
    lines.append("|---:|---:|---:|---:|---:|---:|---:|")
    for end in range(TURN_WEEKS, ahead.shape[1] + 1, TURN_WEEKS):
        so_far, turn, rest = (
            part.sum(axis=1) * POUNDS for part in (ahead[:, :end], ahead[:, end - TURN_WEEKS : end], ahead[:, end:])
        )
        later = f"{_mean(rest)} | {(rest > 0).sum()} of {n}" if end < ahead.shape[1] else "- | -"
        lines.append(
            f"| {end} | {_mean(so_far)} | {(so_far > 0).sum()} of {n} | {_mean(turn)} | {(turn > 0).sum()} of {n} "
            f"| {later} |"
        )
    return "\n".join(lines)


def sentence(lived: Sequence[Lived], other: str = BEST) -> str:
    """From which week on the engine earns more than another chooser on at least nine of ten seeds; paired total.

    Once from that week to the end of the year, and once all that was earned since the first week.
    """
    ahead = differences(lived, other)
    n, weeks = ahead.shape
    starts = [
        start for start in range(0, weeks, TURN_WEEKS) if (ahead[:, start:].sum(axis=1) > 0).sum() >= math.ceil(0.9 * n)
    ]
    total = ahead.sum(axis=1) * POUNDS
    won = int((total > 0).sum())
    whole = f"Over the whole year it earns {_mean(total)} £ more, and more on {won} of {n} seeds."
    passed = _passed(ahead)
    so_far = (
        f"What it has earned since the first week is more on nine of ten seeds from the end of week {passed} on."
        if passed
        else "At the end of the year what it has earned is not more on nine of ten seeds."
    )
    if not starts:
        return f"From no week on does the engine earn more than {other} on nine of ten seeds. {so_far} {whole}"
    first = starts[0]
    count = int((ahead[:, first:].sum(axis=1) > 0).sum())
    return (
        f"From week {first + 1} to the end the engine earns more than {other} on {count} of {n} seeds. {so_far} {whole}"
    )


def _passed(ahead: Floats) -> int:
    """End of the first turn from which on the sum so far is ahead on nine of ten seeds for good; 0 for never."""
    n, weeks = ahead.shape
    ends = np.arange(TURN_WEEKS, weeks + 1, TURN_WEEKS)
    is_ahead = (np.cumsum(ahead, axis=1)[:, ends - 1] > 0).sum(axis=0) >= math.ceil(0.9 * n)
    behind = np.flatnonzero(~is_ahead)
    first = int(behind[-1]) + 1 if len(behind) else 0
    return int(ends[first]) if first < len(ends) else 0


def differences(lived: Sequence[Lived], other: str) -> Floats:
    """Pence a home by seed and week that the engine earns more than another chooser, (seeds, weeks)."""
    pence = {(run.seed, run.chooser): run.pence for run in lived}
    seeds = sorted(seed for seed, chooser in pence if chooser == ENGINE and (seed, other) in pence)
    return np.array([pence[seed, ENGINE] - pence[seed, other] for seed in seeds])


def covered(lived: Sequence[Lived]) -> str:
    """How often the interval of campaign against control lane holds what was planted, by kind and chooser."""
    lines = [
        "| borough | chooser | homes | held the truth | share ± simulation error | exact 95 % | truth kg | bias kg"
    ]
    lines[0] += " | sd of the error / mean standard error |"
    lines.append("|---|---|---:|---|---|---|---:|---:|---:|")
    for kind, chooser in sorted({(run.kind, run.chooser) for run in lived}):
        own = [run for run in lived if (run.kind, run.chooser) == (kind, chooser)]
        n, held = len(own), sum(run.covers for run in own)
        share = held / n
        exact = binomtest(held, n).proportion_ci(0.95)
        miss = np.array([run.estimate - run.truth for run in own])
        spread = miss.std(ddof=1) / np.mean([(run.high - run.low) / 3.92 for run in own]) if n > 1 else math.nan
        homes, truth = np.mean([run.homes for run in own]), np.mean([run.truth for run in own])
        error = math.sqrt(share * (1 - share) / n)
        lines.append(
            f"| {kind} | {chooser} | {homes:,.0f} | {held} of {n} | {share:.1%} ± {error:.1%} "
            f"| {exact.low:.1%} to {exact.high:.1%} | {truth:+.3f} | {_mean(miss, 4)} | {spread:.2f} |"
        )
    return "\n".join(lines)


def _opened(run: Lived, word: str) -> str:
    """First week in which the best lane followed a policy of this kind."""
    turns = [turn for turn, policy in enumerate(run.policies) if policy.startswith(word)]
    return str(turns[0] * TURN_WEEKS + 1) if turns else "never"


def _mean(values: Floats, digits: int = 0) -> str:
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{values.mean():+.{digits}f} ± {error:.{digits}f}"
