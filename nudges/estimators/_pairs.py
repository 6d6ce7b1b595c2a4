"""Many features → the pairs whose product may matter for which arm works, so that the rest need no column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._basis import Basis, blocks

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

MOST_PAIRS = 200
"""Products a model may use; with 20 features that is all of them."""

_SCREEN_ROWS = 60_000
_SCREEN_BLOCK = 1_024


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in use.

    Attributes:
        features: (m, 2).
        allowed: (n_folds + 1, m) which of them the model without a fold (the last: the model of all rows) may use.
        n_left_out: (n_folds + 1,) pairs that were looked at and found weak.
    """

    features: Indices
    allowed: Flags
    n_left_out: Floats


def screened(basis: Basis, X: Floats, contrasts: Floats, *, weight: Floats, folds: Indices) -> Pairs:
    """The strongest pairs by their correlation with any contrast, chosen for every fold without its rows."""
    n_models = int(folds.max()) + 2
    varied = np.flatnonzero(np.ptp(basis.standardised(X[:: max(len(X) // 5_000, 1)]), axis=0) > 0)
    left, right = np.triu_indices(len(varied), 1)
    every = np.column_stack([varied[left], varied[right]])
    if len(every) <= MOST_PAIRS:
        return Pairs(every, np.ones((n_models, len(every)), dtype=bool), np.zeros(n_models))
    strength = _strengths(basis, X, contrasts, every, weight=weight, folds=folds)
    ranked = np.argsort(-strength, axis=1, kind="stable")[:, :MOST_PAIRS]
    used = np.unique(ranked)
    allowed = np.zeros((n_models, len(used)), dtype=bool)
    np.put_along_axis(allowed, np.searchsorted(used, ranked), values=True, axis=1)
    return Pairs(every[used], allowed, np.full(n_models, float(len(every) - MOST_PAIRS)))


def _strengths(basis: Basis, X: Floats, contrasts: Floats, pairs: Indices, *, weight: Floats, folds: Indices) -> Floats:
    """Largest squared correlation with a contrast of each pair, (n_folds + 1, m), without each fold and of all."""
    n_folds = int(folds.max()) + 1
    sample = np.arange(0, len(X), -(-len(X) // _SCREEN_ROWS))
    centred = (contrasts - np.average(contrasts, axis=0, weights=weight)).astype(np.float32)
    cross = np.zeros((n_folds, len(pairs), contrasts.shape[1]))
    square = np.zeros((n_folds, len(pairs)))
    for fold in range(n_folds):
        inside = sample[folds[sample] == fold]
        for block in blocks(len(inside), _SCREEN_BLOCK):
            rows = inside[block]
            own = basis.standardised(X[rows])
            product = own[:, pairs[:, 0]] * own[:, pairs[:, 1]]
            w = weight[rows].astype(np.float32)
            cross[fold] += product.T @ (centred[rows] * w[:, None])
            square[fold] += w @ (product * product)
    cross = np.concatenate([cross.sum(axis=0) - cross, cross.sum(axis=0)[None]])
    square = np.concatenate([square.sum(axis=0) - square, square.sum(axis=0)[None]])
    spread = contrasts.std(axis=0) + 1e-300
    return np.asarray(((cross / spread) ** 2 / np.maximum(square, 1e-9)[:, :, None]).max(axis=2))
