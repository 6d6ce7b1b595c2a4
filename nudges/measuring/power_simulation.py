"""Turns a council's own past into what campaigns would have seen there, drawn at random with a known effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import UnsupportedError
from nudges.measuring.ancova import unit_ancova
from nudges.measuring.effect import Effect
from nudges.measuring.power import Trial

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimator = Callable[[Floats, Floats, Flags, Floats], Effect]
"""From outcome, pre-period, treatment and households of n units, (n,) each, to the effect."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Imaginary campaigns on a real past.

    Attributes:
        chance: share of them that saw the planted effect.
        chance_error: its simulation error.
        false_share: share that saw an effect when none was planted.
        false_error: its simulation error.
        sd: spread of the estimates without an effect, in units of the outcome.
        runs: campaigns drawn.
    """

    chance: float
    chance_error: float
    false_share: float
    false_error: float
    sd: float
    runs: int


def simulated_power(
    weekly: ArrayLike,
    trial: Trial,
    *,
    effect_share: float,
    boundary: float,
    weights: ArrayLike | None = None,
    runs: int = 400,
    seed: int = 0,
    estimator: Estimator | None = None,
) -> Simulated:
    """Draw units, a start and the treated at random, plant the effect, and estimate as a campaign would.

    Units are drawn with replacement when more are wanted than there are. An effect counts as seen when the estimate is
    beyond `boundary` standard errors: that of `power` for the last weekly look.

    Args:
        weekly: (n, W) outcome of each unit and week, NaN where nothing was read; no campaign in it.
        trial: how many units, and for how long.
        effect_share: planted in the weeks after the start, -0.02 for 2 % less.
        boundary: standard errors.
        weights: (n,) households in the unit; all 1 when None.
        runs: imaginary campaigns.
        seed: of the drawing.
        estimator: `unit_ancova` when None.

    Raises:
        UnsupportedError: fewer weeks in the past than a campaign and its pre-period take.
    """
    y = np.asarray(weekly, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    spare = y.shape[1] - trial.weeks - trial.pre_weeks
    if spare < 0:
        raise UnsupportedError(
            f"measuring.simulated_power: {y.shape[1]} weeks of the past, must be {trial.weeks + trial.pre_weeks} or "
            f"more to try a campaign of {trial.weeks} weeks with {trial.pre_weeks} before it. Load more of the past, "
            "or ask for fewer weeks."
        )
    estimate_of = estimator or _ancova
    rng = np.random.default_rng(seed)
    treated = np.arange(trial.units) < trial.n_treated
    seen, false, estimates = 0, 0, []
    for _ in range(runs):
        start = trial.pre_weeks + int(rng.integers(0, spare + 1))
        units = rng.choice(len(y), trial.units, replace=trial.units > len(y))
        pre, post = _mean(y[units, start - trial.pre_weeks : start]), _mean(y[units, start : start + trial.weeks])
        known = np.isfinite(post)
        z, households = treated[known], w[units][known]
        none = estimate_of(post[known], pre[known], z, households)
        planted = estimate_of(np.where(z, post[known] * (1 + effect_share), post[known]), pre[known], z, households)
        seen += abs(planted.estimate) > boundary * planted.se
        false += abs(none.estimate) > boundary * none.se
        estimates.append(none.estimate)
    chance, wrong = seen / runs, false / runs
    return Simulated(
        chance,
        math.sqrt(chance * (1 - chance) / runs),
        wrong,
        math.sqrt(wrong * (1 - wrong) / runs),
        float(np.std(estimates, ddof=min(1, runs - 1))),
        runs,
    )


def _ancova(post: Floats, pre: Floats, treated: Flags, households: Floats) -> Effect:
    return unit_ancova(post, pre, treated, weights=households)


def _mean(weeks: Floats) -> Floats:
    """Mean of the weeks that were read, (n,); NaN where none was."""
    read = np.isfinite(weeks)
    count = read.sum(axis=1)
    return np.where(count > 0, np.where(read, weeks, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
