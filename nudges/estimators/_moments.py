"""Columns and score contrasts → what shrinkage needs of them: cross products by fold, and the noise of each column.

Rows are read block by block; after that nothing depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._basis import Columns32, blocks
from nudges.scoring.units import unit_codes

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
MakeColumns = Callable[[Floats], Columns32]

NOISE_ROWS = 100_000
"""Rows (whole units) from which the noise of the columns is estimated; its own error is below 1 %."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Weighted means and covariances of columns and contrasts.

    Attributes:
        mass: sum of weights.
        mean: (q,) of the columns.
        level: (K,) mean contrasts.
        spread: (q, q) covariance of the columns.
        cross: (q, K) covariance of columns and contrasts.
    """

    mass: float
    mean: Floats
    level: Floats
    spread: Floats
    cross: Floats

    @classmethod
    def of(cls, products: Floats, n_columns: int) -> Moments:
        """From cross products of [1, columns, contrasts]."""
        mass = float(products[0, 0])
        means = products[0] / mass
        covariance = products / mass - np.outer(means, means)
        own, rest = slice(1, 1 + n_columns), slice(1 + n_columns, None)
        return cls(mass, means[own], means[rest], covariance[own, own], covariance[own, rest])


def fold_products(columns: MakeColumns, X: Floats, contrasts: Floats, *, weight: Floats, folds: Indices) -> Floats:
    """Cross products of [1, columns, contrasts] of each fold, (n_folds, 1 + q + K, 1 + q + K)."""
    order = np.argsort(folds, kind="stable")
    ends = np.cumsum(np.bincount(folds))
    out = []
    for low, high in zip(np.r_[0, ends[:-1]].tolist(), ends.tolist(), strict=True):
        inside = order[low:high]
        total: Floats | float = 0.0
        for block in blocks(len(inside)):
            rows = inside[block]
            design = _design(columns(X[rows]), contrasts[rows], weight[rows])
            total = total + (design @ design.T).astype(np.float64)
        out.append(np.asarray(total))
    return np.array(out)


def _design(columns: Columns32, contrasts: Floats, weight: Floats) -> Columns32:
    """[1, columns, contrasts] times the root of the weight, one row a column: (1 + q + K, n)."""
    q = columns.shape[1]
    out = np.empty((1 + q + contrasts.shape[1], len(columns)), dtype=np.float32)
    out[0] = 1.0
    out[1 : q + 1] = columns.T
    out[q + 1 :] = contrasts.T
    if not (weight == 1).all():
        out *= np.sqrt(weight).astype(np.float32)
    return out


def column_noise(
    columns: MakeColumns,
    X: Floats,
    contrasts: Floats,
    *,
    weight: Floats,
    groups: NDArray[Any],
    moments: Moments,
) -> Floats:
    """Covariance of the K mean products of each standardised column with the contrasts, (q, K, K).

    The sandwich Σ_units (Σ_rows w x e)(Σ_rows w x e)ᵀ / (Σ w)², x the column, e the contrasts less their means: right
    when noise differs between rows (a rare outcome) and when rows of a unit move together (Liang and Zeger 1986).
    """
    rows, starts = sampled_units(groups, NOISE_ROWS)
    alone = len(starts) == len(rows)
    left, right = np.triu_indices(contrasts.shape[1])
    out = np.zeros((len(moments.mean), len(left)))
    mean = moments.mean.astype(np.float32)
    for first, last in _unit_blocks(starts, len(rows)):
        part = rows[starts[first] : starts[last] if last < len(starts) else len(rows)]
        x = (columns(X[part]) - mean) * weight[part].astype(np.float32)[:, None]
        e = (contrasts[part] - moments.level).astype(np.float32)
        if alone:
            out += (x * x).T @ (e[:, left] * e[:, right])
            continue
        at = starts[first:last] - starts[first]
        sums = [np.add.reduceat(x * own[:, None], at, axis=0) for own in e.T]
        out += np.stack([(sums[a] * sums[b]).sum(axis=0) for a, b in zip(left, right, strict=True)], axis=1)
    noise = np.empty((len(out), contrasts.shape[1], contrasts.shape[1]))
    noise[:, left, right] = noise[:, right, left] = out
    variance = np.maximum(np.diag(moments.spread), 1e-12)
    return np.asarray(noise / (weight[rows].sum() * moments.mass * variance[:, None, None]))


def sampled_units(groups: NDArray[Any], most_rows: int) -> tuple[Indices, Indices]:
    """Rows of about every k-th unit, unit by unit, and where each unit begins among them."""
    codes, _ = unit_codes(groups, len(groups))
    step = -(-len(codes) // most_rows)
    rows = np.flatnonzero(codes % step == 0)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    units = codes[rows]
    return rows, np.flatnonzero(np.r_[True, units[1:] != units[:-1]])


def _unit_blocks(starts: Indices, n_rows: int) -> list[tuple[int, int]]:
    """First and last + 1 unit of blocks of whole units."""
    cuts = np.searchsorted(starts, [block.start for block in blocks(n_rows)])
    edges = np.unique(np.r_[cuts, len(starts)])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
