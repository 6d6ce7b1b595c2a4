"""Labels of the randomised units → codes 0, 1, 2 ... and sums by unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def unit_codes(groups: ArrayLike | None, n_rows: int) -> tuple[Indices, int]:
    """Code of each row's unit in the order of the labels, (n_rows,), and how many there are.

    Without groups every row is a unit.

    Raises:
        DataError: not one label a row, or a row without one.
    """
    if groups is None:
        return np.arange(n_rows, dtype=np.intp), n_rows
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise DataError(f"groups: shape {labels.shape}, must be ({n_rows},), the randomised unit of each row.")
    if _countable(labels):
        present = np.bincount(labels) > 0
        return np.asarray((present.cumsum() - 1)[labels], dtype=np.intp), int(present.sum())
    codes, known = pd.factorize(labels, sort=True)
    if (codes < 0).any():
        raise DataError("groups: no label in some row, must name the randomised unit. Leave out rows without one.")
    return np.asarray(codes, dtype=np.intp), len(known)


def _countable(labels: NDArray[np.generic]) -> bool:
    """Whole numbers that a table of counts has room for."""
    if labels.dtype.kind not in "iu" or labels.size == 0:
        return False
    return int(labels.min()) >= 0 and int(labels.max()) <= 4 * labels.size


def sums_by_unit(values: Floats, codes: Indices, n_units: int) -> Floats:
    """Sum of the values of each unit, (n_units,)."""
    return np.asarray(np.bincount(codes, weights=values, minlength=n_units), dtype=np.float64)
