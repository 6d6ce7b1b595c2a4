"""A fitted prediction → how much each feature moves it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_ROWS = 1_000
_SHIFT = 379  # rows a feature is moved on by; a prime, so that no period of the rows undoes it


def moved_by(predicted: Callable[[Floats], Floats], X: Floats, source: Indices, n_features: int) -> Floats:
    """Standard deviation of each feature's part of a prediction, (K, n_features), in the prediction's unit.

    Root mean square change when the feature alone is exchanged between rows, over √2: exactly the standard deviation of
    the feature's part where features add up, and with products the part that they share besides.

    Args:
        predicted: matrix (n, p) → (n, K).
        X: (n, p) training rows; at most 1,000 of them are used.
        source: (p,) feature each column of the matrix is made of.
        n_features: how many features there are.
    """
    sample = X[:: max(len(X) // _ROWS, 1)][:_ROWS]
    before = predicted(sample)
    others = np.roll(sample, _SHIFT % max(len(sample), 1) or 1, axis=0)
    out = np.zeros((before.shape[1], n_features))
    if not np.ptp(before, axis=0).any():
        return out
    for feature in range(n_features):
        own = np.flatnonzero(source == feature)
        changed = sample.copy()
        changed[:, own] = others[:, own]
        out[:, feature] = np.sqrt(((predicted(changed) - before) ** 2).mean(axis=0) / 2.0)
    return out
