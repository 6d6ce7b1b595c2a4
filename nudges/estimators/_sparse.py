"""Moments and their noise → slopes of all arms at once, most of them shrunk to 0, as empirical Bayes has it.

Every column's K slopes (one an arm) come from a mixture: nothing at all, the same for every arm, each arm its own, or
one arm alone, each at several sizes. How often each happens is learned from all columns of a kind together, so with
no heterogeneity all slopes go to 0, and where few columns matter those few are hardly shrunk. Coordinate ascent on
cross products: mr.mash (Morgante et al. 2023, doi 10.1371/journal.pgen.1010539) with the noise of each column known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

SIZES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 12.0, 20.0)
"""Standard deviations of a slope that are tried, in standard errors of a slope."""

NULL_COUNT = 3.0
"""Columns without any effect that are counted in advance, of each kind: what is learned starts from restraint."""

_SWEEPS = 40
_NEAR = 1e-3  # standard errors: a sweep that moves no slope further is the last


@dataclass(frozen=True, slots=True)
class Prior:
    """The mixture, worked out for the noise of every column.

    Attributes:
        inverse: (q, M, K, K) inverse of noise + component.
        gain: (q, M, K, K) what is kept of an estimate under each component.
        log_scale: (q, M) log of the density's constant.
        error: one standard error of a slope.
    """

    inverse: Floats
    gain: Floats
    log_scale: Floats
    error: float

    @classmethod
    def of(cls, noise: Floats) -> Prior:
        """From the noise of every column, (q, K, K)."""
        n_effects = noise.shape[1]
        size = np.trace(noise, axis1=1, axis2=2) / n_effects
        typical = float(np.median(size[size > 0])) if (size > 0).any() else 1.0
        components = typical * _components(n_effects)
        both = noise[:, None] + components + 1e-6 * (typical + size)[:, None, None, None] * np.eye(n_effects)
        inverse = np.linalg.inv(both)
        return cls(
            inverse=inverse,
            gain=components @ inverse,
            log_scale=-0.5 * np.linalg.slogdet(both)[1],
            error=float(np.sqrt(typical)),
        )


def shrunk(
    spread: Floats, cross: Floats, prior: Prior, *, more_noise: float, kind: Indices, allowed: Flags, unseen: Floats
) -> Floats:
    """Slopes on the columns as they are, (q, K).

    Args:
        spread: (q, q) covariance of the columns.
        cross: (q, K) covariance of columns and contrasts.
        prior: for the noise of all rows.
        more_noise: all rows / rows that these moments are of.
        kind: (q,) columns of one kind share what is learned about how often a slope is 0.
        allowed: (q,) columns that may have a slope.
        unseen: (kinds,) further columns of a kind that were left out for being weak: they count as without effect.
    """
    sd = np.sqrt(np.maximum(np.diag(spread), 0.0))
    used = np.flatnonzero(allowed & (sd > 1e-6 * max(float(sd.max(initial=0.0)), 1e-300)))
    out = np.zeros_like(cross)
    if len(used):
        R = spread[np.ix_(used, used)] / np.outer(sd[used], sd[used])
        slopes = _ascended(
            R, cross[used] / sd[used, None], prior, used, more_noise=more_noise, kind=kind, unseen=unseen
        )
        out[used] = slopes / sd[used, None]
    return out


def _ascended(
    R: Floats, target: Floats, prior: Prior, used: Indices, *, more_noise: float, kind: Indices, unseen: Floats
) -> Floats:
    """Slopes on standardised columns: one column at a time given the others, then the shares of the mixture."""
    gains = prior.gain[used]
    inverses, scales = prior.inverse[used] / more_noise, prior.log_scale[used]
    kinds, near = kind[used], _NEAR * prior.error
    n_components = scales.shape[1]
    shares = np.full((len(unseen), n_components), 0.1 / (n_components - 1))
    shares[:, 0] = 0.9
    slopes, left = np.zeros_like(target), target.copy()
    for _ in range(_SWEEPS):
        log_shares = np.log(np.maximum(shares, 1e-300))
        counts = np.zeros_like(shares)
        counts[:, 0] = NULL_COUNT + unseen
        furthest = 0.0
        for column, own in enumerate(kinds.tolist()):
            alone = left[column] + slopes[column]
            log_density = scales[column] - 0.5 * (inverses[column] @ alone) @ alone + log_shares[own]
            chance = np.exp(log_density - log_density.max())
            chance /= chance.sum()
            counts[own] += chance
            step = chance @ (gains[column] @ alone) - slopes[column]
            moved = float(np.abs(step).max())
            if moved > 0.1 * near:
                left -= np.multiply.outer(R[column], step)
                slopes[column] += step
                furthest = max(furthest, moved)
        shares = counts / counts.sum(axis=1, keepdims=True)
        if furthest < near:
            break
    return slopes


def _components(n_effects: int) -> Floats:
    """Covariances of a column's slopes in units of their noise, (M, K, K), the first all 0."""
    shapes = [np.eye(n_effects)]
    if n_effects > 1:
        shapes += [np.ones((n_effects, n_effects)), *(np.diag(row) for row in np.eye(n_effects))]
    sized = [size**2 * shape for shape in shapes for size in SIZES]
    return np.array([np.zeros((n_effects, n_effects)), *sized])
