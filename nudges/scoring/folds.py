"""Randomised units → folds that never part the rows of one unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.units import unit_codes

Indices = NDArray[np.intp]


def group_folds(groups: ArrayLike, n_folds: int, seed: int) -> Indices:
    """Fold of each row, (n,): rows of one group are never apart, folds hold about equally many groups."""
    codes, n_groups = unit_codes(groups, len(np.asarray(groups)))
    if n_groups < n_folds:
        raise DataError(f"groups: {n_groups} units, must be at least {n_folds} to hold some out. Wait for more rows.")
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    return np.asarray(shuffled[codes] % n_folds, dtype=np.intp)
