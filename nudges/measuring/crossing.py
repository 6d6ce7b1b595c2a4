"""Turns the correlation of repeated looks into boundaries crossed with given small chances when nothing is going on.

The chance that look k is the first to cross is the integral, over values z of its statistic beyond the boundary, of
their density times P(no look before has crossed | z). The second factor is never rare, so a small fixed lattice is
enough for it (Genz 1992, https://doi.org/10.1080/10618600.1992.10477010, looks taken from the last back to the first;
generators are the square roots of primes, after Richtmyer): the same looks always get the same boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

POINTS = 256
_NODES = 25  # values of the look's own statistic, from its smallest possible boundary outwards
_JITTER = 1e-9  # of the correlation: two looks at the same data are told apart by this much
_NEGLIGIBLE = 1e-10  # chance of having crossed below which a look cannot move a later boundary
_FURTHEST = 37.0  # standard errors: the largest normal quantile a double can tell from infinity


def boundaries(correlation: Floats, spent: Sequence[float], *, points: int = POINTS) -> Floats:
    """(T,) the c_k for which P(some look up to k is beyond its c) = spent[k], for every k, statistics two-sided.

    `correlation` is (T, T) of the statistics; `spent` rises, each above 0.
    """
    mixed = (1 - _JITTER) * correlation + _JITTER * np.eye(len(correlation))
    lattice = _lattice(len(correlation), points)
    found = np.zeros(len(correlation))
    before = 0.0
    for look, total in enumerate(spent):
        first = next((early for early, chance in enumerate(spent[:look]) if chance > _NEGLIGIBLE), look)
        backwards = mixed[first : look + 1, first : look + 1][::-1, ::-1]
        found[look] = _boundary(backwards, found[first:look][::-1], (total - before, total), lattice)
        before = total
    return found


def _boundary(backwards: Floats, earlier: Floats, chances: tuple[float, float], lattice: Floats) -> float:
    """The boundary of a look; `chances` are of crossing first at it, and of crossing up to it.

    Whatever the correlation, it lies between the two-sided quantiles of these two chances.
    """
    nearest, furthest = _quantile(chances[1]), _quantile(chances[0])
    if not len(earlier) or furthest >= _FURTHEST:
        return furthest
    z = nearest + 12 / (nearest + 1) * np.linspace(0, 1, _NODES) ** 2  # dense where the look before draws the line
    density = np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2)
    beyond = CubicSpline(z, density / density[0] * _uncrossed(backwards, earlier, z, lattice)).antiderivative()
    wanted = float(chances[0] / density[0])

    def excess(c: float) -> float:
        chance = float(beyond(z[-1])) - float(beyond(c))
        return chance - wanted

    if excess(nearest) <= 0:
        return nearest
    return float(brentq(excess, nearest, z[-1], xtol=1e-7))


def _quantile(chance: float) -> float:
    return min(-float(ndtri(chance / 2)), _FURTHEST) if chance > 0 else _FURTHEST


def _uncrossed(backwards: Floats, earlier: Floats, z: Floats, lattice: Floats) -> Floats:
    """P(no earlier look has crossed | this look is z) for each z; looks in both arrays from the last to the first."""
    root = np.linalg.cholesky(backwards)
    points = lattice.shape[1]
    normal = np.empty((len(earlier) + 1, len(z) * points))
    normal[0] = np.repeat(z, points)
    weight = np.ones(len(z) * points)
    for step, limit in enumerate(earlier.tolist(), 1):
        mean, spread = root[step, :step] @ normal[:step], root[step, step]
        low, high = ndtr((-limit - mean) / spread), ndtr((limit - mean) / spread)
        weight *= high - low
        if step < len(earlier):
            uniform = np.tile(lattice[step - 1], len(z))
            normal[step] = ndtri(np.clip(low + uniform * (high - low), 1e-300, 1 - 1e-16))
    return np.asarray(weight.reshape(len(z), points).mean(axis=1))


def _lattice(dimensions: int, points: int) -> Floats:
    """(dimensions, points) in 0-1, folded (baker's transform) so that they integrate without a jump at the ends."""
    steps = np.arange(1, points + 1) - 0.5
    generators = np.sqrt(np.array(_primes(dimensions), dtype=np.float64))
    return np.asarray(np.abs(2 * np.modf(np.outer(generators, steps))[0] - 1), dtype=np.float64)


def _primes(n: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < n:
        if all(candidate % prime for prime in found if prime * prime <= candidate):
            found.append(candidate)
        candidate += 1
    return found
