"""Score contrasts of all arms → effects linear in a basis, shrunk by what all columns and arms together say.

A model without each fold besides the model of all rows: their mean predicts (a slope that appears in one of them only
is one that few rows decide), and what each says of the fold it never saw is what a stack may be judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._basis import Basis, Columns32, blocks
from nudges.estimators._dense import dense
from nudges.estimators._moments import Moments, column_noise, fold_products
from nudges.estimators._pairs import Pairs, screened
from nudges.estimators._room import Room
from nudges.estimators._rows import Scored
from nudges.estimators._sparse import Prior, shrunk

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_NEGLIGIBLE = 1e-5  # share of the effects' variance below which a product is not worth computing


@dataclass(frozen=True, slots=True)
class Linear:
    """Effects linear in columns, as deviations from their means over the training rows.

    Attributes:
        basis: turns features into columns.
        room: what the columns are multiplied with; None for plain columns.
        mean, variance: (q,) of the columns.
        coef: (K, q) slopes, the mean of the models.
        fold_mean, fold_coef: the same without each fold, (n_folds, q) and (n_folds, K, q).
    """

    basis: Basis
    room: Room | None
    mean: Floats
    variance: Floats
    coef: Floats
    fold_mean: Floats
    fold_coef: Floats

    def columns(self, X: Floats) -> Columns32:
        """Columns of rows, (n, q)."""
        return made_columns(self.basis, self.room, X)

    def deviation(self, X: Floats) -> Floats:
        """Effects less their mean, (n, K)."""
        out = np.zeros((len(X), len(self.coef)))
        singles = replace(self.basis, pairs=np.empty((0, 2), dtype=np.intp))
        for rows in blocks(len(X) if self.coef.any() else 0):
            out[rows] = self._of_singles(singles(X[rows]))
        return out

    def _of_singles(self, singles: Columns32) -> Columns32:
        """Deviations from the columns of `basis` without products, (n, K)."""
        first, kept = self._narrowed()
        slopes = self.coef.T.astype(np.float32)
        part = singles @ slopes[first - self.basis.n_single : first]
        pairs = self.basis.pairs[kept]
        part += (singles[:, pairs[:, 0]] * singles[:, pairs[:, 1]]) @ slopes[first + kept]
        space = None if self.room is None else self.room(singles)
        if space is not None:
            part = (part + slopes[0]) * space[:, None]
        return np.asarray(part - (self.coef @ self.mean).astype(np.float32))

    def _narrowed(self) -> tuple[int, Indices]:
        """Where products begin among the columns, and which of them move any effect worth the time."""
        first = self.coef.shape[1] - len(self.basis.pairs)
        moved = (self.coef**2 * self.variance).sum(axis=0)
        return first, np.flatnonzero(moved[first:] > _NEGLIGIBLE * moved.sum())

    def of_room(self, effects: Floats) -> Self:
        """Effects (K,) at average room that follow the room of each row, and nothing else."""
        coef = np.zeros_like(self.coef)
        coef[:, 0] = effects
        return replace(self, coef=coef, fold_coef=np.tile(coef, (len(self.fold_coef), 1, 1)))

    def plus(self, others: Sequence[Linear], weights: Sequence[float]) -> Self:
        """One model that predicts the weighted sum of this one and others without products, for use, not for judging.

        Args:
            others: of the same rows, basis and room, this one's products left out.
            weights: this model's first.
        """
        coef = weights[0] * self.coef
        for other, weight in zip(others, weights[1:], strict=True):
            coef[:, : other.coef.shape[1]] += weight * other.coef
        return replace(self, coef=coef, fold_mean=self.fold_mean[:0], fold_coef=self.fold_coef[:0])

    def held_out(self, X: Floats, folds: Indices) -> Floats:
        """The same for the training rows `X`, each from the model without its fold, (n, K)."""
        out = np.empty((len(X), len(self.coef)))
        for fold, (mean, coef) in enumerate(zip(self.fold_mean, self.fold_coef, strict=True)):
            inside = np.flatnonzero(folds == fold)
            for block in blocks(len(inside)):
                rows = inside[block]
                out[rows] = self.columns(X[rows]) @ coef.T.astype(np.float32) - coef @ mean
        return out


def fitted(
    rows: Scored, basis: Basis, *, room: Room | None = None, with_pairs: bool = False, small: bool = False
) -> Linear:
    """The effects, most columns without any; with `small` every column with a little.

    Args:
        rows: with `room`, of weights divided by the room of each row (`Room.evened`).
        basis: without products.
        room: effects are less where outcomes cannot move.
        with_pairs: also products of two features.
        small: `_dense` instead of `_sparse`.
    """
    pairs = _no_pairs(rows.folds)
    if with_pairs:
        pairs = screened(basis, rows.X, rows.contrasts, weight=rows.weight, folds=rows.folds)
        basis = basis.with_pairs(pairs.features)

    def columns(X: Floats) -> Columns32:
        return made_columns(basis, room, X)

    products = fold_products(columns, rows.X, rows.contrasts, weight=rows.weight, folds=rows.folds)
    total = products.sum(axis=0)
    q = products.shape[1] - 1 - rows.contrasts.shape[1]
    whole, parts = Moments.of(total, q), [Moments.of(total - own, q) for own in products]
    noise = column_noise(columns, rows.X, rows.contrasts, weight=rows.weight, groups=rows.groups, moments=whole)
    parts.append(whole)
    slopes = (
        np.array([dense(part, noise * (whole.mass / part.mass)) for part in parts])
        if small
        else _slopes(parts, whole, Prior.of(noise), pairs)
    )
    level = 0 if room is None or room.coef is None else 1
    return Linear(
        basis=basis,
        room=room,
        mean=_means(total, q, level),
        variance=np.diag(whole.spread).copy(),
        coef=slopes.mean(axis=0),
        fold_mean=np.array([_means(total - own, q, level) for own in products]),
        fold_coef=slopes[:-1],
    )


def _means(products: Floats, q: int, level: int) -> Floats:
    """Means of the columns over rows, (q,); the room, column `level`, undoes that weights were divided by it."""
    return np.asarray(products[level, 1 : 1 + q] / products[0, level])


def made_columns(basis: Basis, room: Room | None, X: Floats) -> Columns32:
    """Columns of the basis, times the room of each row and after the room itself where rows differ in it."""
    columns = basis(X)
    space = None if room is None else room(columns[:, : basis.n_single])
    if space is None:
        return columns
    out = np.empty((basis.n_columns + 1, len(X)), dtype=np.float32)
    out[0] = space
    np.multiply(columns.T, space, out=out[1:])
    return out.T


def _slopes(parts: Sequence[Moments], whole: Moments, prior: Prior, pairs: Pairs) -> Floats:
    """Slopes of every model, (models, K, q)."""
    m, n_models = len(pairs.features), len(parts)
    n_plain = len(whole.mean) - m
    slopes = shrunk(
        np.array([part.spread for part in parts]),
        np.array([part.cross for part in parts]),
        prior,
        more_noise=np.array([whole.mass / part.mass for part in parts]),
        kind=np.r_[np.zeros(n_plain, dtype=np.intp), np.ones(m, dtype=np.intp)],
        allowed=np.hstack([np.ones((n_models, n_plain), dtype=bool), pairs.allowed]),
        unseen=np.column_stack([np.zeros(n_models), pairs.n_left_out]),
    )
    return slopes.transpose(0, 2, 1)


def _no_pairs(folds: Indices) -> Pairs:
    n_models = int(folds.max()) + 2
    return Pairs(np.empty((0, 2), dtype=np.intp), np.ones((n_models, 0), dtype=bool), np.zeros(n_models))
