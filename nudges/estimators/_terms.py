"""Binned rows → the steps, slopes and products a boosting round may add, and their cross products by fold.

Wide families of terms find more by chance. A term's claim to be next is therefore lowered by how large the largest of
its family is under pure noise, √(2 ln family) (Donoho & Johnstone 1994), relative to single steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._lookup import CHUNK, Bins
from nudges.estimators._stagewise import directions

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.intp]
Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_LEAST_SHARE = 1.0 / 60.0  # of the rows on either side of a step
_LEAST_ROWS = 200.0  # or so many rows, up to a quarter of them
_LEAST_COARSE = 0.1  # of the rows on either side of a step that is multiplied
_N_PRODUCTS = 4  # for each target, and as many for all alike
_SINGLES_A_FEATURE = 1.5  # steps at the cuts of one feature are alike; together they find what so many would by chance


@dataclass(frozen=True, slots=True)
class Terms:
    """What a round may add.

    Attributes:
        steps: (d, 2) feature and cut.
        slopes: (d, s) sums of a feature's steps: straight lines over its bins, unknown in the middle.
        products: (m, 4) features and cuts.
        ease: (folds + 1, ways, d + s + m) factor on a term's claim, 0 where that model may not use it.
    """

    steps: Indices
    slopes: Floats
    products: Indices
    ease: Floats

    def unblended(self, coef: Floats) -> Floats:
        """Coefficients (K, d + m) on steps and products from those on steps, slopes and products."""
        d, s = self.slopes.shape
        return np.hstack([coef[:, :d] + coef[:, d : d + s] @ self.slopes.T, coef[:, d + s :]])


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of their folds.

    Attributes:
        bins, codes: cuts and the (p, n) bins.
        share: (n,) weights, summing to 1.
        targets: (n, K) less their mean.
        ends: (folds + 1,) where folds begin and end.
    """

    bins: Bins
    codes: Codes
    share: Floats
    targets: Floats
    ends: Indices

    def chunks(self) -> Iterator[tuple[int, slice]]:
        """Fold and rows of every chunk."""
        for fold, (low, high) in enumerate(zip(self.ends[:-1].tolist(), self.ends[1:].tolist(), strict=True)):
            for start in range(low, high, CHUNK):
                yield fold, slice(start, min(start + CHUNK, high))

    def steps(self, steps: Indices, rows: slice) -> Singles:
        """Steps less their shares, (steps, rows)."""
        codes, out = self.codes[:, rows], np.empty((len(steps), rows.stop - rows.start), dtype=np.float32)
        for row, (feature, cut) in zip(out, steps.tolist(), strict=True):
            np.subtract(codes[feature] > cut, np.float32(self.bins.above[feature][cut]), out=row)
        return out


def terms_of(rows: Rows, inverse: Floats) -> Terms:
    """Steps and slopes of all features, and the products worth a try."""
    n_rows = len(rows.share)
    least = max(_LEAST_SHARE, min(_LEAST_ROWS / n_rows, 0.25))
    steps = np.array(
        [
            (f, cut)
            for f, above in enumerate(rows.bins.above)
            for cut in np.flatnonzero(np.minimum(above, 1 - above) >= least)
        ],
        dtype=np.intp,
    ).reshape(-1, 2)
    slopes = _slopes(steps, rows.bins)
    products, ease = _products(rows, inverse)
    ones = np.ones((*ease.shape[:2], len(steps) + slopes.shape[1]))
    return Terms(steps, slopes, products, np.concatenate([ones, ease], axis=2))


def _slopes(steps: Indices, bins: Bins) -> Floats:
    columns = []
    for feature, cuts in enumerate(bins.cuts):
        own = steps[:, 0] == feature
        known = own & (steps[:, 1] < len(cuts))
        if known.sum() > 2:
            columns.append(known - 0.5 * known.sum() * (own & ~known))
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(steps)).T


def _coarse(bins: Bins) -> tuple[Indices, Flags]:
    """Steps near the quartiles, (c, 2), and which of them is the one nearest its feature's median."""
    found, middle = [], []
    for feature, above in enumerate(bins.above):
        near = {int(np.argmin(np.abs(above - quartile))) for quartile in (0.25, 0.5, 0.75)}
        kept = [cut for cut in sorted(near) if _LEAST_COARSE <= above[cut] <= 1 - _LEAST_COARSE]
        found += [(feature, cut) for cut in kept]
        middle += [cut == min(kept, key=lambda cut: abs(above[cut] - 0.5)) for cut in kept]
    return np.array(found, dtype=np.intp).reshape(-1, 2), np.array(middle, dtype=bool)


def _products(rows: Rows, inverse: Floats) -> tuple[Indices, Floats]:
    """The products of coarse steps that some model finds strongest, (m, 4), and each model's ease with them.

    A model left without a fold chooses without that fold.
    """
    coarse, middle = _coarse(rows.bins)
    ways = directions(len(inverse))
    first, second = np.triu_indices(len(coarse), 1)
    apart = coarse[first, 0] != coarse[second, 0]
    first, second = first[apart], second[apart]
    n_models = len(rows.ends)
    ease = np.zeros((n_models, len(ways), len(first)))
    if len(first):
        family = _family_ease(middle[first] & middle[second], rows.codes.shape[0])
        pull, power = _product_moments(rows, coarse, ways @ inverse)
        for model in range(n_models):
            others = np.arange(n_models - 1) != model
            claim = np.abs(pull[others].sum(axis=0)) / np.sqrt(power[others].sum(axis=0) + 1e-12)
            claim = claim[:, first, second] * family
            best = np.argsort(-claim, axis=1, kind="stable")[:, :_N_PRODUCTS]
            np.put_along_axis(ease[model], best, family[best], axis=1)
    used = np.flatnonzero(ease.any(axis=(0, 1)))
    return np.hstack([coarse[first[used]], coarse[second[used]]]), ease[:, :, used]


def _family_ease(middle: Flags, n_features: int) -> Floats:
    """Factor on the claim of products of two median steps, and of the many others."""
    singles = np.log1p(_SINGLES_A_FEATURE * n_features)
    sizes = np.where(middle, middle.sum(), len(middle))
    return np.asarray(np.minimum(np.sqrt(singles / np.log1p(sizes)), 1.0))


def _product_moments(rows: Rows, coarse: Indices, seen: Floats) -> tuple[Floats, Floats]:
    """By fold: products with the weighed targets (folds, ways, c, c), and products squared (folds, c, c)."""
    n_folds, size = len(rows.ends) - 1, len(coarse)
    pull, power = np.zeros((n_folds, len(seen), size, size)), np.zeros((n_folds, size, size))
    for fold, own in rows.chunks():
        steps, share = rows.steps(coarse, own), rows.share[own].astype(np.float32)
        squares = steps * steps
        power[fold] += (squares * share) @ squares.T
        for way, target in enumerate((rows.targets[own] @ seen.T).T.astype(np.float32)):
            pull[fold, way] += (steps * (share * target)) @ steps.T
    return pull, power


def grams(rows: Rows, terms: Terms) -> Floats:
    """Cross products of [1, steps, slopes, products, targets] by fold."""
    d, m, n_targets = len(terms.steps), len(terms.products), rows.targets.shape[1]
    left, right = terms.products[:, :2], terms.products[:, 2:]
    out = np.zeros((len(rows.ends) - 1, 1 + d + m + n_targets, 1 + d + m + n_targets))
    for fold, own in rows.chunks():
        design = np.empty((out.shape[1], own.stop - own.start), dtype=np.float32)
        design[0] = 1.0
        design[1 : 1 + d] = rows.steps(terms.steps, own)
        np.multiply(rows.steps(left, own), rows.steps(right, own), out=design[1 + d : 1 + d + m])
        design[1 + d + m :] = rows.targets[own].T
        design *= np.sqrt(rows.share[own]).astype(np.float32)
        out[fold] += design @ design.T
    blend = np.zeros((out.shape[1], out.shape[1] + terms.slopes.shape[1]))
    blend[: 1 + d, : 1 + d] = np.eye(1 + d)
    blend[1 : 1 + d, 1 + d : 1 + d + terms.slopes.shape[1]] = terms.slopes
    blend[1 + d :, 1 + d + terms.slopes.shape[1] :] = np.eye(m + n_targets)
    return np.asarray(blend.T @ out @ blend)
