"""Raw features with gaps → centred columns of sd 1 for a linear model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_CHUNK_ROWS = 16_384
_FLAT_SHARE = 0.01  # a column this rarely missing needs no column of its own to say so


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns raw features with gaps into centred columns of sd 1, gaps at the mean and flagged where common.

    Attributes:
        mean: (p,) of what is known.
        sd: (p,) of what is known; 1 where constant.
        gaps: (q,) columns whose being unknown gets a column of its own.
        gap_mean: (q,) share unknown.
    """

    mean: Floats
    sd: Floats
    gaps: Indices
    gap_mean: Floats

    @classmethod
    def of(cls, X: ArrayLike) -> Scale:
        """Learn means and spreads; every statistic is of features only, never of the outcome."""
        matrix = np.asarray(X)
        n_rows, size = matrix.shape
        count, total, squares = np.zeros(size), np.zeros(size), np.zeros(size)
        for rows in _chunks(matrix):
            known = np.isfinite(rows)
            count += known.sum(axis=0)
            total += np.where(known, rows, 0.0).sum(axis=0)
        mean = total / np.maximum(count, 1)
        for rows in _chunks(matrix):
            away = np.where(np.isfinite(rows), rows - mean, 0.0)
            squares += (away**2).sum(axis=0)
        sd = np.sqrt(squares / np.maximum(count, 1))
        unknown = 1.0 - count / n_rows if n_rows else np.zeros(size)
        gaps = np.flatnonzero((unknown > _FLAT_SHARE) & (unknown < 1.0 - _FLAT_SHARE))
        flat = sd <= 1e-9 * np.maximum(np.abs(mean), 1.0)
        return cls(mean, np.where(flat, 1.0, sd), gaps, unknown[gaps])

    def __call__(self, X: ArrayLike) -> Floats:
        """Columns for a linear model, (n, p + q)."""
        matrix = np.asarray(X)
        size = len(self.mean)
        out = np.empty((len(matrix), size + len(self.gaps)))
        spread = np.sqrt(self.gap_mean * (1.0 - self.gap_mean))
        start = 0
        for rows in _chunks(matrix):
            unknown = ~np.isfinite(rows)
            part = out[start : start + len(rows)]
            part[:, :size] = np.where(unknown, 0.0, (rows - self.mean) / self.sd)
            part[:, size:] = (unknown[:, self.gaps] - self.gap_mean) / spread
            start += len(rows)
        return out


def _chunks(matrix: NDArray[Any]) -> Iterator[Floats]:
    """Rows as floats, some at a time: a million households need no second copy."""
    for start in range(0, len(matrix), _CHUNK_ROWS):
        yield np.asarray(matrix[start : start + _CHUNK_ROWS], dtype=np.float64)
