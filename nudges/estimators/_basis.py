"""Features → columns in which a smooth effect is a short sum: the feature, a flag of gaps, a bend, products of two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Columns32 = NDArray[np.float32]

BLOCK_ROWS = 8_192
"""Rows turned into columns at a time, so that a million never stand side by side."""

SAMPLE_ROWS = 50_000
"""Medians need no more rows than these."""

_REACH = 4.0  # standard deviations after which a feature counts as no further out
_GAP_SHARE = 0.01  # a feature unknown more often than this says so in a column of its own


@dataclass(frozen=True, slots=True)
class Basis:
    """Turns features into columns, in the order feature, flags of gaps, bends at the median, products of pairs.

    Features are centred and of sd 1, a gap is at the mean, and what lies further out than four sd counts as four.
    Statistics are of the features and the weights only, never of the outcome.

    Attributes:
        mean: (p,) of what is known.
        sd: (p,) of what is known; 1 where constant.
        gaps: (g,) features with a flag.
        bent: (b,) features with a bend, those of more than three values.
        knot: (b,) the median of each, standardised.
        pairs: (m, 2) features whose product is a column.
    """

    mean: Floats
    sd: Floats
    gaps: Indices
    bent: Indices
    knot: Floats
    pairs: Indices

    @classmethod
    def of(cls, X: Floats, weight: Floats) -> Basis:
        """Learn means, spreads and medians; without products."""
        mean, sd, unknown = spreads(X, weight)
        step = max(len(X) // SAMPLE_ROWS, 1)
        bent, knot = _bends(X[::step], weight[::step])
        return cls(
            mean=mean,
            sd=sd,
            gaps=np.flatnonzero((unknown > _GAP_SHARE) & (unknown < 1.0 - _GAP_SHARE)),
            bent=bent,
            knot=(knot - mean[bent]) / sd[bent],
            pairs=np.empty((0, 2), dtype=np.intp),
        )

    def with_pairs(self, pairs: Indices) -> Basis:
        """The same with products."""
        return replace(self, pairs=pairs)

    @property
    def n_single(self) -> int:
        """Columns made of one feature."""
        return len(self.mean) + len(self.gaps) + len(self.bent)

    @property
    def n_columns(self) -> int:
        """Columns in all."""
        return self.n_single + len(self.pairs)

    def standardised(self, X: Floats) -> Columns32:
        """Features alone, (n, p), column by column in memory as all columns here are."""
        return standardised(X, self.mean, self.sd)

    def __call__(self, X: Floats) -> Columns32:
        """Columns, (n, q)."""
        out = np.empty((self.n_columns, len(X)), dtype=np.float32)
        p, single = len(self.mean), self.n_single
        out[:p] = own = self.standardised(X).T
        out[p : p + len(self.gaps)] = np.isnan(X.T[self.gaps])
        np.maximum(own[self.bent] - self.knot.astype(np.float32)[:, None], 0.0, out=out[p + len(self.gaps) : single])
        for product, (left, right) in zip(out[single:], self.pairs.tolist(), strict=True):
            np.multiply(own[left], own[right], out=product)
        return out.T


def standardised(X: Floats, mean: Floats, sd: Floats) -> Columns32:
    """Features centred and of sd 1, gaps at the mean, at most four sd out, (n, p)."""
    out = ((X - mean) / sd).T.astype(np.float32, order="C")
    np.nan_to_num(out, copy=False, nan=0.0)
    return np.asarray(np.clip(out, -_REACH, _REACH, out=out)).T


def blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover the rows."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def spreads(X: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, sd and share unknown of every feature, (p,) each, block by block."""
    mass, first, second = np.zeros((3, X.shape[1]))
    middle = np.nan_to_num(X[:1].astype(np.float64))[0]  # near enough to the mean that squares keep their digits
    for rows in blocks(len(X)):
        part, w = X[rows] - middle, weight[rows]
        known = ~np.isnan(part)
        part = np.where(known, part, 0.0)
        mass += w @ known
        first += w @ part
        second += w @ (part * part)
    count = np.maximum(mass, 1e-300)
    mean = first / count
    sd = np.sqrt(np.maximum(second / count - mean**2, 0.0))
    flat = sd <= 1e-7 * np.maximum(np.abs(mean + middle), 1e-300)
    return mean + middle, np.where(flat, 1.0, sd), 1.0 - mass / weight.sum()


def _bends(sample: Floats, weight: Floats) -> tuple[Indices, Floats]:
    """Features of more than three values, and their weighted medians."""
    bent, knots = [], []
    for feature, column in enumerate(sample.T):
        known = ~np.isnan(column)
        values, at = np.unique(column[known], return_inverse=True)
        if len(values) > 3:
            mass = np.bincount(at, weights=weight[known]).cumsum()
            bent.append(feature)
            knots.append(values[np.searchsorted(mass, 0.5 * mass[-1])])
    return np.array(bent, dtype=np.intp), np.array(knots, dtype=np.float64)
