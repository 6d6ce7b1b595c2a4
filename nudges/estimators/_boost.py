"""Noisy target columns → shallow boosted models whose rounds are chosen out of fold, 0 rounds being the constant.

Rows are read three times and never again: features become at most 16 bins, steps over the bins and products of two
coarse steps become one matrix of cross products a fold, and the boosting (forward stagewise fitting of one step or one
product a round, Friedman 2001) runs on those cross products alone, for every column and every fold side by side. A
held-out squared error is a quadratic form of the held-out cross products, so the choice of rounds costs no row either.
The model is a sum of lookup tables of one feature and of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Codes = NDArray[np.uint8]

_CHUNK = 8192
_N_COARSE = 3
_LEAST_SHARE = 1.0 / 60.0
_LEAST_ROWS = 200.0


@dataclass(frozen=True, slots=True)
class Boosted:
    """A sum of lookup tables, one set a target column.

    Attributes:
        cuts: of each feature, ascending; a value's bin is the number of cuts below it, unknown is a bin of its own.
        level: (K,) intercepts.
        main: of each feature a table (bins, K).
        pairs: features (f, g) and cuts (i, j) of each product of steps, (m, 4).
        pair_coef: (m, K) what both steps together add.
        rounds: (K,) rounds chosen, 0 = the constant.
        importance: (K, p) spread of what each feature moves, in the unit of the target.
        held_out: (n, K) predictions at the chosen rounds by models that never saw the row's fold.
    """

    cuts: tuple[Floats, ...]
    level: Floats
    main: tuple[Floats, ...]
    pairs: Indices
    pair_coef: Floats
    rounds: Indices
    importance: Floats
    held_out: Floats

    def predict(self, X: Floats) -> Floats:
        """Predicted targets, (n, K)."""
        out = np.empty((len(X), len(self.level)))
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            out[rows] = _summed(_codes(X[rows], self.cuts), self.level, self.main, self.pairs, self.pair_coef)
        return out


@dataclass(frozen=True, slots=True)
class _Atoms:
    """What a round may add: single steps 1{bin > cut}, then centred products of two.

    Attributes:
        step: (d, 2) feature and cut.
        pair: (m, 4) features and cuts.
        centre: per feature, the share above each cut.
    """

    step: Indices
    pair: Indices
    centre: tuple[Floats, ...]

    def columns(self, codes: Codes) -> NDArray[np.float32]:
        """(rows, 1 + d + m), the first all ones."""
        n = codes.shape[1]
        out = np.empty((1 + len(self.step) + len(self.pair), n), dtype=np.float32)
        out[0] = 1.0
        for place, (feature, cut) in enumerate(self.step.tolist(), 1):
            np.greater(codes[feature], cut, out=out[place])
        for place, (f, i, g, j) in enumerate(self.pair.tolist(), 1 + len(self.step)):
            left = (codes[f] > i) - np.float32(self.centre[f][i])
            np.multiply(left, (codes[g] > j) - np.float32(self.centre[g][j]), out=out[place])
        return out.T


def boosted(
    X: Floats,
    targets: Floats,
    *,
    weight: Floats,
    folds: Indices,
    seed: int,
    rate: float = 0.1,
    max_rounds: int = 1500,
    n_bins: int = 16,
    n_pairs: int = 4,
) -> Boosted:
    """Boost all target columns together; rounds by held-out squared error over `folds`.

    Give the contrasts of the arms to the control themselves, NOT rotated: a round moves one column alone or all columns
    alike, weighing what it sees by the inverse covariance of the columns (their shared noise is the control's).
    """
    order = np.argsort(folds, kind="stable")
    bounds = np.r_[0, np.cumsum(np.bincount(folds))]
    cuts = tuple(_cuts(column, weight, n_bins) for column in X.T)
    codes = _codes(X, cuts)[:, order]
    share = weight[order] / weight.sum()
    mean = weight @ targets / weight.sum()
    Z = (targets - mean)[order]
    centre = tuple(_shares_above(row, share, len(cut) + 1) for row, cut in zip(codes, cuts, strict=True))
    least = max(_LEAST_SHARE, min(_LEAST_ROWS / len(X), 0.25))
    atoms = _Atoms(_steps(centre, least), np.empty((0, 4), dtype=np.intp), centre)
    directions = _directions(Z.shape[1])
    covariance = (Z * share[:, None]).T @ Z
    inverse = np.linalg.inv(covariance + 1e-9 * (1.0 + np.trace(covariance)) * np.eye(len(covariance)))
    if n_pairs:
        candidates, allowed = _screened(codes, centre, share, Z @ inverse @ directions.T, bounds, n_pairs)
        atoms = _Atoms(atoms.step, candidates, centre)
    else:
        allowed = np.ones((len(bounds), len(directions), 0), dtype=bool)
    grams = _grams(codes, atoms, share, Z, bounds)
    masks = np.concatenate([np.ones((*allowed.shape[:2], len(atoms.step)), dtype=bool), allowed], axis=2)
    paths = _paths(grams, masks, directions, inverse, rate, max_rounds)
    rounds = np.full(Z.shape[1], paths.error.argmin())
    held = np.empty_like(Z)
    for fold in range(len(bounds) - 1):
        rows = slice(bounds[fold], bounds[fold + 1])
        held[rows] = _summed(codes[:, rows], *_tables(atoms, cuts, *paths.at(fold, rounds)))
    out = np.empty_like(held)
    out[order] = held + mean
    tables = _tables(atoms, cuts, *paths.at(len(bounds) - 1, rounds))
    level, main, pairs, coef = tables
    return Boosted(cuts, level + mean, main, pairs, coef, rounds, _importance(main, pairs, coef, codes, share), out)


def _cuts(column: Floats, weight: Floats, n_bins: int) -> Floats:
    kept = (weight > 0) & ~np.isnan(column)
    ordered = np.argsort(column[kept], kind="stable")
    values, mass = column[kept][ordered], np.cumsum(weight[kept][ordered])
    distinct = np.unique(values)
    if len(distinct) <= n_bins:
        return distinct[:-1]
    at = np.searchsorted(mass, mass[-1] * np.arange(1, n_bins) / n_bins)
    cuts = np.unique(values[np.minimum(at, len(values) - 1)])
    return np.asarray(cuts[cuts < distinct[-1]])


def _codes(X: Floats, cuts: tuple[Floats, ...]) -> Codes:
    out = np.empty((len(cuts), len(X)), dtype=np.uint8)
    for row, column, cut in zip(out, X.T, cuts, strict=True):
        row[:] = np.searchsorted(np.r_[cut, np.inf], column)
    return out


def _shares_above(row: Codes, share: Floats, n_steps: int) -> Floats:
    mass = np.bincount(row, weights=share, minlength=n_steps + 1)
    return np.asarray(mass[::-1].cumsum()[::-1][1:])


def _steps(centre: tuple[Floats, ...], least: float) -> Indices:
    found = [
        (f, cut) for f, above in enumerate(centre) for cut in np.flatnonzero((above >= least) & (above <= 1 - least))
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _coarse(centre: tuple[Floats, ...], least: float) -> Indices:
    """Feature and cut of at most three steps a feature, near the quartiles."""
    found = set()
    for feature, above in enumerate(centre):
        for quartile in (0.25, 0.5, 0.75):
            cut = int(np.argmin(np.abs(above - quartile)))
            if least <= above[cut] <= 1 - least:
                found.add((feature, cut))
    return np.array(sorted(found), dtype=np.intp).reshape(-1, 2)


def _screened(
    codes: Codes, centre: tuple[Floats, ...], share: Floats, Z: Floats, bounds: Indices, n_pairs: int
) -> tuple[Indices, NDArray[np.bool_]]:
    """Products of coarse steps worth a try: (m, 4), and by (fold or all, column) which of them that model may use."""
    coarse = _coarse(centre, 0.1)
    n_targets, size = Z.shape[1], len(coarse)
    atoms = _Atoms(coarse, np.empty((0, 4), dtype=np.intp), centre)
    above = np.array([centre[f][i] for f, i in coarse.tolist()], dtype=np.float32)
    moment = np.zeros((len(bounds) - 1, n_targets, size, size))
    square = np.zeros((len(bounds) - 1, size, size))
    for fold, rows in _chunks(bounds):
        S = atoms.columns(codes[:, rows])[:, 1:] - above
        w = share[rows].astype(np.float32)
        square[fold] += (S * S).T @ (S * S * w[:, None])
        for k in range(n_targets):
            moment[fold, k] += S.T @ (S * (w * Z[rows, k].astype(np.float32))[:, None])
    f, g = np.triu_indices(size, 1)
    apart = coarse[f, 0] != coarse[g, 0]
    f, g = f[apart], g[apart]
    total_m, total_s = moment.sum(axis=0), square.sum(axis=0)
    chosen = np.zeros((len(bounds), n_targets, len(f)), dtype=bool)
    for fold in range(len(bounds)):
        m = total_m - moment[fold] if fold < len(bounds) - 1 else total_m
        s = total_s - square[fold] if fold < len(bounds) - 1 else total_s
        strength = np.abs(m[:, f, g]) / np.sqrt(s[f, g] + 1e-12)
        top = np.argsort(-strength, axis=1, kind="stable")[:, :n_pairs]
        np.put_along_axis(chosen[fold], top, True, axis=1)
    used = np.flatnonzero(chosen.any(axis=(0, 1)))
    return np.hstack([coarse[f[used]], coarse[g[used]]]), chosen[:, :, used]


def _chunks(bounds: Indices) -> Iterator[tuple[int, slice]]:
    for fold, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        for start in range(low, high, _CHUNK):
            yield fold, slice(start, min(start + _CHUNK, high))


def _grams(codes: Codes, atoms: _Atoms, share: Floats, Z: Floats, bounds: Indices) -> Floats:
    size = 1 + len(atoms.step) + len(atoms.pair) + Z.shape[1]
    out = np.zeros((len(bounds) - 1, size, size))
    for fold, rows in _chunks(bounds):
        design = np.hstack([atoms.columns(codes[:, rows]), Z[rows].astype(np.float32)])
        design *= np.sqrt(share[rows]).astype(np.float32)[:, None]
        out[fold] += design.T @ design
    return out


@dataclass(frozen=True, slots=True)
class _Paths:
    """What every model added, round by round.

    Attributes:
        atom: (rounds, folds + 1) which atom.
        size: (rounds, folds + 1, K) by how much in each column.
        centre: (folds + 1, atoms) training means of the atoms.
        level: (folds + 1, K) training means of the targets.
        error: (rounds + 1,) held-out squared error.
    """

    atom: Indices
    size: Floats
    centre: Floats
    level: Floats
    error: Floats

    def at(self, model: int, rounds: Indices) -> tuple[Floats, Floats]:
        """Intercepts (K,) and coefficients (K, atoms) of one fold's model after `rounds` (K,)."""
        coef = np.zeros((self.level.shape[1], self.centre.shape[1]))
        for k, count in enumerate(rounds.tolist()):
            np.add.at(coef[k], self.atom[:count, model], self.size[:count, model, k])
        return self.level[model] - coef @ self.centre[model], coef


def _directions(n_targets: int) -> Floats:
    """(m, K) what a round may move: one column alone, or all alike."""
    alone = np.eye(n_targets)
    return alone if n_targets == 1 else np.vstack([alone, np.ones(n_targets)])


def _paths(
    grams: Floats, allowed: NDArray[np.bool_], directions: Floats, inverse: Floats, rate: float, max_rounds: int
) -> _Paths:
    n_folds, n_targets = len(grams), directions.shape[1]
    total = grams.sum(axis=0)
    n_atoms = grams.shape[1] - 1 - n_targets
    inner, last = slice(1, 1 + n_atoms), slice(1 + n_atoms, None)
    centred, held, centre, level = [], [], [], []
    for fold in range(n_folds + 1):
        training = total - grams[fold] if fold < n_folds else total
        mean = training[0] / training[0, 0]
        centred.append(training - np.outer(mean, training[0]))
        centre.append(mean[inner])
        level.append(mean[last])
        if fold < n_folds:
            own = grams[fold]
            held.append(own - np.outer(mean, own[0]) - np.outer(own[0], mean) + own[0, 0] * np.outer(mean, mean))
    G, H = np.array(centred), np.array(held)
    residual = G[:, inner, last].transpose(0, 2, 1).copy()  # (folds + 1, K, atoms)
    held_residual = H[:, inner, last].transpose(0, 2, 1).copy()
    error = float(np.sum(H[:, last, last] * inverse))
    power = np.maximum(np.diagonal(G, axis1=1, axis2=2)[:, inner], 1e-12)
    G, H = np.ascontiguousarray(G[:, inner, inner]), np.ascontiguousarray(H[:, inner, inner])
    seen = directions @ inverse
    stiff = np.einsum("dk,dk->d", seen, directions)
    scale = np.where(allowed, 1.0, 0.0) / np.sqrt(power[:, None, :] * stiff[:, None])
    models = np.arange(n_folds + 1)
    folds = models[:-1]
    atoms, sizes, errors = [], [], [error]
    for step in range(max_rounds):
        pull = np.einsum("dk,mka->mda", seen, residual)
        way, atom = np.divmod(np.abs(pull * scale).reshape(len(models), -1).argmax(axis=1), n_atoms)
        size = (rate * pull[models, way, atom] / (power[models, atom] * stiff[way]))[:, None] * directions[way]
        own = atom[:-1]
        missed = np.einsum("fk,kj,fj->f", size[:-1], inverse, held_residual[folds, :, own])
        extra = np.einsum("fk,kj,fj->f", size[:-1], inverse, size[:-1]) * H[folds, own, own]
        errors.append(errors[-1] + float(np.sum(extra - 2 * missed)))
        residual -= size[:, :, None] * G[models, atom][:, None, :]
        held_residual -= size[:-1, :, None] * H[folds, own][:, None, :]
        atoms.append(atom)
        sizes.append(size)
        if step + 1 - int(np.argmin(errors)) > 80:
            break
    return _Paths(np.array(atoms), np.array(sizes), np.array(centre), np.array(level), np.array(errors))


def _tables(
    atoms: _Atoms, cuts: tuple[Floats, ...], level: Floats, coef: Floats
) -> tuple[Floats, tuple[Floats, ...], Indices, Floats]:
    """Intercepts and coefficients of atoms as lookup tables."""
    jumps = [np.zeros((len(cut) + 2, len(level))) for cut in cuts]
    level = level.copy()
    n_steps = len(atoms.step)
    for (feature, cut), own in zip(atoms.step.tolist(), coef.T[:n_steps], strict=True):
        jumps[feature][cut + 1] += own
    for (f, i, g, j), own in zip(atoms.pair.tolist(), coef.T[n_steps:], strict=True):
        jumps[f][i + 1] -= atoms.centre[g][j] * own
        jumps[g][j + 1] -= atoms.centre[f][i] * own
        level += atoms.centre[f][i] * atoms.centre[g][j] * own
    used = np.flatnonzero(coef[:, n_steps:].any(axis=0))
    main = tuple(np.cumsum(jump, axis=0) for jump in jumps)
    return level, main, atoms.pair[used], coef.T[n_steps:][used]


def _summed(codes: Codes, level: Floats, main: tuple[Floats, ...], pairs: Indices, pair_coef: Floats) -> Floats:
    out = np.tile(level, (codes.shape[1], 1))
    for row, table in zip(codes, main, strict=True):
        if table.any():
            out += table.take(row, axis=0)
    for (f, i, g, j), own in zip(pairs.tolist(), pair_coef, strict=True):
        out += ((codes[f] > i) & (codes[g] > j))[:, None] * own
    return out


def _importance(main: tuple[Floats, ...], pairs: Indices, coef: Floats, codes: Codes, share: Floats) -> Floats:
    out = np.zeros((len(main), main[0].shape[1]))
    for feature, table in enumerate(main):
        mass = np.bincount(codes[feature], weights=share, minlength=len(table))
        out[feature] = np.sqrt(mass @ (table - mass @ table) ** 2)
    return out.T
