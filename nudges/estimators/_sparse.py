"""Moments and their noise → slopes of all arms at once, most of them shrunk to 0, as empirical Bayes has it.

Every column's K slopes (one an arm) come from a mixture: nothing at all, the same for every arm, each arm its own, or
one arm alone, each at several sizes. How often each happens is learned from all columns of a kind together, so with
no heterogeneity all slopes go to 0, and where few columns matter those few are hardly shrunk. Coordinate ascent on
cross products: mr.mash (Morgante et al. 2023, doi 10.1371/journal.pgen.1010539) with the noise of each column known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    spread: Floats,
    cross: Floats,
    prior: Prior,
    *,
    more_noise: Floats,
    kind: Indices,
    allowed: Flags,
    unseen: Floats,
) -> Floats:
    """Slopes on the columns as they are, (models, q, K); the models are worked out side by side.

    Args:
        spread: (models, q, q) covariance of the columns.
        cross: (models, q, K) covariance of columns and contrasts.
        prior: for the noise of all rows.
        more_noise: (models,) all rows / rows that a model's moments are of.
        kind: (q,) columns of one kind share what is learned about how often a slope is 0.
        allowed: (models, q) columns that may have a slope.
        unseen: (models, kinds) further columns of a kind that were left out for being weak: they count as without
            effect.
    """
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0))
    usable = allowed & (sd > 1e-6 * np.maximum(sd.max(axis=1, keepdims=True), 1e-300))
    used = np.flatnonzero(usable.any(axis=0))
    out = np.zeros_like(cross)
    if len(used):
        scale = np.where(usable, sd, np.inf)[:, used]
        R = spread[:, used[:, None], used] / (scale[:, :, None] * scale[:, None, :])
        target = cross[:, used] / scale[:, :, None]
        state = _State(R, target, np.zeros_like(target), usable[:, used], more_noise, unseen)
        out[:, used] = _ascended(state, prior, used, kind[used]) / scale[:, :, None]
    return out


@dataclass(slots=True)
class _State:
    """Models on the way; columns a model may not use have correlations and targets of 0.

    Attributes:
        R: (models, q, q) correlations of the columns.
        left: (models, q, K) what the slopes so far leave of the targets.
        slopes: (models, q, K) on standardised columns.
        usable: (models, q).
        more_noise: (models,).
        unseen: (models, kinds).
    """

    R: Floats
    left: Floats
    slopes: Floats
    usable: Flags
    more_noise: Floats
    unseen: Floats

    def of(self, models: Indices) -> _State:
        """Some of the models."""
        return _State(*(part[models] for part in self._parts()))

    def put(self, models: Indices, some: _State) -> None:
        """Take back how far some models have come."""
        self.left[models], self.slopes[models] = some.left, some.slopes

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.R, self.left, self.slopes, self.usable, self.more_noise, self.unseen


def _ascended(state: _State, prior: Prior, used: Indices, kinds: Indices) -> Floats:
    """Slopes on standardised columns: one column at a time given the others, then the shares of the mixture."""
    shape = (len(used), -1, state.left.shape[2])
    both = np.concatenate([prior.inverse[used].reshape(shape), prior.gain[used].reshape(shape)], axis=1)
    n_components = prior.log_scale.shape[1]
    shares = np.full((*state.unseen.shape, n_components), 0.1 / (n_components - 1))
    shares[..., 0] = 0.9
    near, going = _NEAR * prior.error, np.arange(len(state.left))
    for _ in range(_SWEEPS):
        some = state.of(going)
        counts, furthest = _swept(some, both, prior.log_scale[used], shares[going], kinds, near=near)
        state.put(going, some)
        shares[going] = counts / counts.sum(axis=2, keepdims=True)
        going = going[furthest >= near]
        if not len(going):
            break
    return state.slopes


def _swept(
    some: _State, both: Floats, scales: Floats, shares: Floats, kinds: Indices, *, near: float
) -> tuple[Floats, Floats]:
    """Every column once, in place; how often each component was met, (models, kinds, M), and the longest step."""
    n_models, _, n_effects = some.left.shape
    log_shares = np.log(np.maximum(shares, 1e-300)).transpose(1, 2, 0)
    counts = np.zeros(log_shares.shape)
    counts[:, 0] = (NULL_COUNT + some.unseen).T
    furthest = np.zeros(n_models)
    for column, own in enumerate(kinds.tolist()):
        alone = (some.left[:, column] + some.slopes[:, column]).T
        pulled, kept = (both[column] @ alone).reshape(2, -1, n_effects, n_models)
        log_density = scales[column][:, None] - 0.5 * (pulled * alone).sum(axis=1) / some.more_noise + log_shares[own]
        chance = np.exp(log_density - log_density.max(axis=0))
        chance *= some.usable[:, column] / chance.sum(axis=0)
        counts[own] += chance
        step = (kept * chance[:, None]).sum(axis=0).T - some.slopes[:, column]
        moved = np.abs(step).max(axis=1)
        step[moved <= 0.1 * near] = 0.0
        some.left -= some.R[:, column, :, None] * step[:, None]
        some.slopes[:, column] += step
        np.maximum(furthest, moved, out=furthest)
    return counts.transpose(2, 0, 1), furthest


def _components(n_effects: int) -> Floats:
    """Covariances of a column's slopes in units of their noise, (M, K, K), the first all 0."""
    shapes = [np.eye(n_effects)]
    if n_effects > 1:
        shapes += [np.ones((n_effects, n_effects)), *(np.diag(row) for row in np.eye(n_effects))]
    sized = [size**2 * shape for shape in shapes for size in SIZES]
    return np.array([np.zeros((n_effects, n_effects)), *sized])
