"""Features → bins → sums of lookup tables: how a boosted model is stored and how it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Codes = NDArray[np.uint8]

CHUNK = 8192
"""Rows handled at once, so that what is made of them stays in cache."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Cuts of every feature; the bin of a value is the number of cuts below it.

    Attributes:
        cuts: of each feature, ascending.
        unknown: (p,) bin of NaN: one of its own above all others, or the middle one if training had none.
        above: of each feature, the weighted share of rows above each cut, then the share unknown.
    """

    cuts: tuple[Floats, ...]
    unknown: Indices
    above: tuple[Floats, ...]

    @classmethod
    def of(cls, X: Floats, weight: Floats, n_bins: int) -> tuple[Self, Codes]:
        """Bins of about equal weight, or one a value where there are few; and the bin of every row, (p, n)."""
        cuts = tuple(_cuts(column, weight, n_bins) for column in X.T)
        own = np.array([len(cut) + 1 for cut in cuts], dtype=np.intp)
        codes = cls(cuts, own, ()).codes(X)
        above = tuple(_above(row, weight, len(cut) + 1) for row, cut in zip(codes, cuts, strict=True))
        middle = [int(np.searchsorted(-share[:-1], -0.5)) for share in above]
        unknown = np.where([share[-1] > 0 for share in above], own, middle)
        return cls(cuts, unknown, above), codes

    def codes(self, X: Floats) -> Codes:
        """Bin of every value, (p, n)."""
        out = np.empty((len(self.cuts), len(X)), dtype=np.uint8)
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            for feature in range(len(self.cuts)):
                out[feature, rows] = self.column(feature, X[rows, feature])
        return out

    def column(self, feature: int, values: Floats) -> Codes:
        """Bin of every value of one feature, (n,)."""
        own = np.ascontiguousarray(values)
        out = np.zeros(len(own), dtype=np.uint8)
        for cut in self.cuts[feature].tolist():  # faster than a search for a dozen cuts
            out += (own > cut).view(np.uint8)
        out[np.isnan(own)] = self.unknown[feature]
        return out

    def covariance(self, steps: Indices) -> Floats:
        """Covariances of steps (m, 2) at the cuts of one feature, (m, m); 0 between features."""
        above = np.array([self.above[feature][cut] for feature, cut in steps.tolist()])
        same = steps[:, :1] == steps[:, 0]
        return np.asarray(same * (np.minimum.outer(above, above) - np.outer(above, above)))


def _cuts(column: Floats, weight: Floats, n_bins: int) -> Floats:
    """Values to cut behind; the largest is none of them."""
    kept = (weight > 0) & ~np.isnan(column)
    values, mass = column[kept], weight[kept]
    if len(values) == 0:
        return np.empty(0)
    if mass.min() == mass.max():
        values = np.sort(values)
        at = np.ceil(len(values) * np.arange(1, n_bins) / n_bins).astype(np.intp) - 1
    else:
        order = np.argsort(values, kind="stable")
        values, mass = values[order], np.cumsum(mass[order])
        at = np.searchsorted(mass, mass[-1] * np.arange(1, n_bins) / n_bins)
    ends = np.flatnonzero(values[1:] > values[:-1])
    if len(ends) < n_bins:
        return np.asarray(values[ends])
    cuts = np.unique(values[np.minimum(at, len(values) - 1)])
    return np.asarray(cuts[cuts < values[-1]])


def _above(row: Codes, weight: Floats, n_steps: int) -> Floats:
    mass = np.bincount(row, weights=weight, minlength=n_steps + 1)
    return np.asarray(mass[::-1].cumsum()[::-1][1:] / mass.sum())


@dataclass(frozen=True, slots=True)
class Tables:
    """Level, one table a feature, and what two steps together add; one column a target.

    Attributes:
        level: (K,).
        main: of each feature (bins, K), unknown included.
        products: (m, 4) features and cuts (f, i, g, j): rows above cut i of f and above cut j of g.
        joint: (m, K) what such rows get.
    """

    level: Floats
    main: tuple[Floats, ...]
    products: Indices
    joint: Floats

    @classmethod
    def of(cls, bins: Bins, steps: Indices, products: Indices, level: Floats, coef: Floats) -> Self:
        """Tables of coefficients (K, d + m) on d steps and m products of two, each step less its share."""
        jumps = [np.zeros((len(cut) + 2, len(level))) for cut in bins.cuts]
        own = coef.T[len(steps) :]
        level = level.copy()
        for (feature, cut), size in zip(steps.tolist(), coef.T, strict=False):
            jumps[feature][cut + 1] += size
            level -= bins.above[feature][cut] * size
        for (f, i, g, j), size in zip(products.tolist(), own, strict=True):
            jumps[f][i + 1] -= bins.above[g][j] * size
            jumps[g][j + 1] -= bins.above[f][i] * size
            level += bins.above[f][i] * bins.above[g][j] * size
        used = own.any(axis=1)
        return cls(level, tuple(np.cumsum(jump, axis=0) for jump in jumps), products[used], own[used])

    def of_codes(self, codes: Codes) -> Floats:
        """Predictions (n, K) from the bins of all features, (p, n)."""
        out, used = np.empty((codes.shape[1], len(self.level))), self.features()
        for start in range(0, len(out), CHUNK):
            rows = slice(start, start + CHUNK)
            out[rows] = self._chunk({f: codes[f, rows] for f in used}, len(out[rows]))
        return out

    def of_rows(self, X: Floats, bins: Bins) -> Floats:
        """Predictions (n, K) from features, (n, p); features without a part are not looked at."""
        out, used = np.empty((len(X), len(self.level))), self.features()
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            out[rows] = self._chunk({f: bins.column(f, X[rows, f]) for f in used}, len(out[rows]))
        return out

    def features(self) -> Sequence[int]:
        """Features that take part."""
        moving = {feature for feature, table in enumerate(self.main) if table.any()}
        return sorted(moving | set(self.products[:, [0, 2]].ravel().tolist()))

    def _chunk(self, codes: dict[int, Codes], n: int) -> Floats:
        out = np.tile(self.level, (n, 1))
        for feature, row in codes.items():
            out += self.main[feature].take(row, axis=0)
        if len(self.products):
            both = np.empty((len(self.products), n))
            for held, (f, i, g, j) in zip(both, self.products.tolist(), strict=True):
                np.logical_and(codes[f] > i, codes[g] > j, out=held, casting="unsafe")
            out += both.T @ self.joint
        return out
