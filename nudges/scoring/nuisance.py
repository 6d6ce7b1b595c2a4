"""Features and outcomes → what every arm would bring each row, from regressions that never saw the row."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_CHUNK_ROWS = 16_384  # a chunk of rows and its copy sorted by cell stay in the processor's cache


def cross_fitted_means(
    Z: Floats,
    y: Floats,
    *,
    treatment_index: Indices,
    n_arms: int,
    folds: Indices,
    sample_weight: Floats | None = None,
) -> Floats:
    """Expected outcome of every arm for every row from a ridge that never saw the row's fold, (n, n_arms).

    Linear on purpose: with known propensities a better one buys a few per cent of the standard error. `Z` is
    centred and of sd 1 (`Scale`); the penalty is one unit of information per column, the intercept has none. The
    regressions of all arms and folds come from one pass over the rows: a row adds to the cross products of its arm
    and fold, and a fold's regression takes the sum of the others.

    Args:
        Z: (n, p) standardised features, floats of any width.
        y: (n,) outcome.
        treatment_index: (n,) arm given, 0 to n_arms - 1.
        n_arms: columns of the result; an arm without rows is taken to bring the overall mean.
        folds: (n,) fold of each row, 0 upwards, at least two of them.
        sample_weight: (n,) 0 or more; rows of weight 0 are predicted but not learned from.

    Raises:
        DataError: an arm index outside the arms, or a fold without which no weight is left to learn from.
    """
    cell = _cells(np.asarray(treatment_index), np.asarray(folds), n_arms)
    n_folds = int(np.max(folds, initial=0)) + 1
    grams = _cross_products(Z, np.asarray(y), cell, n_folds * n_arms, sample_weight)
    coefficients = _held_out_ridges(grams.reshape(n_folds, n_arms, *grams.shape[1:]))
    return _predictions(Z, np.asarray(folds), coefficients)


def _cells(given: Indices, folds: Indices, n_arms: int) -> Indices:
    """Number of each row's pair of fold and arm."""
    if given.min(initial=0) < 0 or given.max(initial=0) >= n_arms:
        outside = given.max() if given.max() >= n_arms else given.min()
        raise DataError(f"treatment_index == {outside} in some row, must be 0 to {n_arms - 1}, a column of the arms.")
    return np.asarray(folds * n_arms + given, dtype=np.intp)


def _cross_products(Z: Floats, y: Floats, cell: Indices, n_cells: int, weight: Floats | None) -> Floats:
    """Weighted cross products of [1, Z, y] in each cell, (n_cells, p + 2, p + 2)."""
    size = Z.shape[1] + 2
    grams = np.zeros((n_cells, size, size))
    for start in range(0, len(y), _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        order, ends = _by_cell(cell[chunk], n_cells)
        rows = np.empty((len(order), size))
        rows[:, 0] = 1.0
        rows[:, 1:-1] = Z[chunk][order]
        rows[:, -1] = y[chunk][order]
        mass = rows if weight is None else weighted(rows, weight[chunk][order])
        for number in np.flatnonzero(np.diff(ends)):
            part = slice(ends[number], ends[number + 1])
            grams[number] += mass[part].T @ rows[part]
    return grams


def _by_cell(cell: Indices, n_cells: int) -> tuple[Indices, Indices]:
    """Rows in the order of their cells, and where each cell begins and ends, (n_cells + 1,)."""
    order = np.argsort(cell, kind="stable")
    ends = np.concatenate([[0], np.bincount(cell, minlength=n_cells).cumsum()])
    return order, ends


def _held_out_ridges(grams: Floats) -> Floats:
    """Intercept and slopes of each arm learned without each fold, (p + 1, n_folds, n_arms).

    Shrunk towards the mean of all arms outside the fold.
    """
    n_folds, size = grams.shape[0], grams.shape[-1]
    n_features = size - 2
    penalty = np.diag(np.r_[1e-9, np.full(n_features, float(max(n_features, 1)))])
    others = grams.sum(axis=0) - grams
    mass, total = others[:, :, 0, 0].sum(axis=1), others[:, :, 0, -1].sum(axis=1)
    if not (mass > 0).all():
        raise DataError(f"folds: {n_folds} with all weight in one of them, must leave rows to learn from. Use two.")
    level = total / mass
    inner = others[:, :, :-1, :-1]
    moment = others[:, :, :-1, -1] - level[:, None, None] * inner[:, :, :, 0]
    coefficients = np.linalg.solve(inner + penalty, moment[..., None])[..., 0]
    coefficients[:, :, 0] += level[:, None]
    return np.moveaxis(coefficients, -1, 0).copy()


def _predictions(Z: Floats, folds: Indices, coefficients: Floats) -> Floats:
    """Every row under every arm by the regressions of its own fold, (n, n_arms)."""
    size, n_folds, n_arms = coefficients.shape
    slopes, levels = coefficients[1:].reshape(size - 1, n_folds * n_arms), coefficients[0]
    out = np.empty((len(folds), n_arms))
    for start in range(0, len(folds), _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        own = folds[chunk]
        every = (np.asarray(Z[chunk], dtype=np.float64) @ slopes).reshape(len(own), n_folds, n_arms)
        out[chunk] = every[np.arange(len(own)), own] + levels[own]
    return out


def weighted(rows: Floats, weight: ArrayLike) -> Floats:
    """Rows times their weights; the rows themselves, uncopied, when every weight is 1."""
    mass = np.asarray(weight, dtype=np.float64)
    return rows if (mass == 1).all() else rows * mass[:, None]
