"""Simulated households, rounds, bin stores and tags with planted effects, many trials at a time.

kg a household and week: a standing level with a long tail (gamma, mean 7.7, SD 4.0) times weekly noise with a long tail
and first-order autocorrelation 0.22, SD 4.6 kg within households. Every variance is known in closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEAN_KG, SD_BETWEEN, SD_WITHIN, AUTOCORRELATION = 7.7, 4.0, 4.6, 0.22
EFFECT_SHARE = -0.0593
EFFECT_KG = EFFECT_SHARE * MEAN_KG
ROUND_SHOCK, ROUND_AUTOCORRELATION = 0.05, 0.3
_NOISE = SD_WITHIN**2 / (MEAN_KG**2 + SD_BETWEEN**2)  # variance of the noise by which a level is multiplied


@dataclass(frozen=True, slots=True)
class Trial:
    """One simulated experiment, a row a unit; `by_week` (n, weeks) is the post-period in full where there is one."""

    post: Floats
    pre: Floats
    treated: Floats
    weights: Floats
    by_week: Floats | None = None


def levels(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Standing kg a week of households."""
    k = (MEAN_KG / SD_BETWEEN) ** 2
    return rng.gamma(k, MEAN_KG / k, shape)


def weekly(rng: np.random.Generator, home: Floats, weeks: int) -> Floats:
    """Kilograms of each household and week, (*home.shape, weeks), before any effect."""
    shocks = rng.gamma(1 / _NOISE, _NOISE, (*home.shape, weeks)) - 1
    spread = np.sqrt(1 - AUTOCORRELATION**2)
    for week in range(1, weeks):
        shocks[..., week] = AUTOCORRELATION * shocks[..., week - 1] + spread * shocks[..., week]
    return home[..., None] * (1 + shocks)


def drawn(rng: np.random.Generator, trials: int, n: int, n_treated: int) -> Floats:
    """0 or 1, (trials, n), `n_treated` of each trial by complete randomisation."""
    keys = rng.random((trials, n))
    return (keys <= np.partition(keys, n_treated - 1, axis=1)[:, n_treated - 1 : n_treated]).astype(np.float64)


def household_trials(
    seed: int, trials: int, n: int, *, share: float, weeks: int, effect: float = EFFECT_SHARE, unread: float = 0.0
) -> Iterator[Trial]:
    """Means of `weeks` weeks before and after; own effects with a long tail, mean `effect` of the household's level."""
    rng, batch = np.random.default_rng(seed), max(1, 1_000_000 // (n * 2 * weeks))
    for start in range(0, trials, batch):
        b = min(batch, trials - start)
        home, treated = levels(rng, (b, n)), drawn(rng, b, n, round(share * n))
        kg = weekly(rng, home, 2 * weeks)
        kg[..., weeks:] += (treated * effect * home * rng.gamma(1.0, 1.0, (b, n)))[..., None]
        if unread:
            kg[rng.random(kg.shape) < unread] = np.nan
        pre, post = (np.nanmean(part, axis=-1) for part in (kg[..., :weeks], kg[..., weeks:]))
        for row in range(b):
            yield Trial(post[row], pre[row], treated[row], np.ones(n), kg[row, :, weeks:])


def round_trials(
    seed: int, trials: int, rounds: int, *, weeks: int = 12, effect: float = EFFECT_SHARE, sizes: str = "even"
) -> Iterator[Trial]:
    """Half of the rounds treated. Rounds differ by 8 % for good and by 5 % (autocorrelation 0.3) from week to week.

    A round's households are drawn anew: the mean of n gamma levels is gamma, and so is that of their noise nearly.
    `sizes`: even (400 to 1,500 households) or uneven (150 to 3,000, most of them small).
    """
    rng, batch = np.random.default_rng(seed), 500
    spread = np.sqrt(1 - ROUND_AUTOCORRELATION**2)
    for start in range(0, trials, batch):
        shape = (min(batch, trials - start), rounds)
        homes = rng.integers(400, 1501, shape) if sizes == "even" else np.exp(rng.uniform(5, 8, shape)).round()
        k = (MEAN_KG / SD_BETWEEN) ** 2 * homes
        level = rng.gamma(k, MEAN_KG / k) * (1 + 0.08 * rng.normal(size=shape))
        shocks = ROUND_SHOCK * rng.normal(size=(*shape, 2 * weeks))
        for week in range(1, 2 * weeks):
            shocks[..., week] = ROUND_AUTOCORRELATION * shocks[..., week - 1] + spread * shocks[..., week]
        noise = SD_WITHIN / np.sqrt(homes)[..., None] * rng.normal(size=shocks.shape)
        kg = level[..., None] * (1 + shocks) + noise
        treated = drawn(rng, *shape, rounds // 2)
        post = kg[..., weeks:].mean(axis=-1) + treated * effect * MEAN_KG * (1 + 0.2 * rng.normal(size=shape))
        pre = kg[..., :weeks].mean(axis=-1)
        for row in range(shape[0]):
            yield Trial(post[row], pre[row], treated[row], homes[row].astype(np.float64))
