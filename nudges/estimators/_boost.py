"""Noisy contrasts of all messages → boosted effects as lookup tables, 0 rounds = the constant always a candidate.

Features become at most 16 bins. A round adds a small step at a cut of one feature, or a small product of two steps, to
one message's effect or to all alike, so a model has the span of trees of depth two and is a sum of tables of one and
two features. Rows are read only to bin them, to find the products worth a try, and for the cross products by fold;
the rounds of every fold's model then run on those (`_stagewise`), and so does the choice of their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._lookup import Bins, Tables
from nudges.estimators._stagewise import Paths, paths
from nudges.estimators._terms import Rows, Terms, grams, terms_of

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_MOST_ROUNDS = 1500
_STRETCHES = (1.0, 1.25, 1.5)  # factors on the departure from the constant, tried with every number of rounds
_CLEAR = 2.0  # standard errors of the held-out gain that a model must show to replace the constant


@dataclass(frozen=True, slots=True)
class Boosted:
    """Boosted predictions of K targets.

    Attributes:
        bins: of the features.
        tables: the model of all rows.
        rounds: (K,) rounds chosen, the same for all targets; 0 = the constant.
        importance: (K, p) sd of the part of the prediction that depends on a feature, in the unit of the target; the
            features taken as independent.
        held_out: (n, K) predictions at the chosen rounds of the model that never saw the targets of the row's fold.
    """

    bins: Bins
    tables: Tables
    rounds: Indices
    importance: Floats
    held_out: Floats

    def predict(self, X: Floats) -> Floats:
        """Predicted targets, (n, K)."""
        return self.tables.of_rows(X, self.bins)


def boosted(
    X: Floats,
    targets: Floats,
    *,
    weight: Floats,
    folds: Indices,
    n_bins: int = 16,
    rate: float = 0.1,
) -> Boosted:
    """Boost all targets together; the number of rounds is the one with the least held-out squared error.

    Give the contrasts of the messages to the control themselves, not rotated: each message's effect depends on few
    features, and rotating smears them over all columns. That their noise is shared (the control's) is allowed for by
    weighing with the inverse of their covariance. Features are binned on all rows, targets never cross folds.

    Args:
        X: (n, p) features, NaN where unknown.
        targets: (n, K) score contrasts.
        weight: (n,) of the rows.
        folds: (n,) 0, 1, …; no unit in two of them.
        n_bins: most bins of a feature, unknown not counted; at most 254.
        rate: share of a term's best size taken in one round.
    """
    order = np.argsort(folds, kind="stable")
    bins, codes = Bins.of(X, weight, n_bins)
    share = weight / weight.sum()
    mean = share @ targets
    ends = np.concatenate([[0], np.cumsum(np.bincount(folds))])
    rows = Rows(bins, codes[:, order], share[order], (targets - mean)[order], ends)
    covariance = (rows.targets * rows.share[:, None]).T @ rows.targets
    inverse = np.asarray(np.linalg.pinv(covariance, rcond=1e-9, hermitian=True), dtype=np.float64)
    terms = terms_of(rows, inverse)
    found = paths(grams(rows, terms), terms.ease, inverse, rate=rate, most_rounds=_MOST_ROUNDS)
    rounds, stretch = _chosen(found, float(np.sum(share**2)))
    models = [_tables(rows, terms, *found.at(model, rounds, stretch)) for model in range(len(ends))]
    held_out = np.empty_like(targets)
    for fold, model in enumerate(models[:-1]):
        own = slice(ends[fold], ends[fold + 1])
        held_out[order[own]] = model.of_codes(rows.codes[:, own]) + mean
    final = models[-1]
    return Boosted(
        bins=bins,
        tables=Tables(final.level + mean, final.main, final.products, final.joint),
        rounds=np.full(targets.shape[1], rounds),
        importance=_importance(bins, terms, terms.unblended(found.at(-1, rounds, stretch)[1])),
        held_out=held_out,
    )


def _chosen(found: Paths, one_row: float) -> tuple[int, float]:
    """Rounds and stretch with the least held-out error; 0 rounds unless the gain is clear of its own standard error.

    Small steps stopped early leave even strong terms short, which the stretch makes good. With residuals of covariance
    1 after weighing, a gain Σ share (2 r f - f²) has variance 4 Σ share² f².
    """
    stretch = np.array(_STRETCHES)[:, None]
    gains = 2.0 * stretch * found.agreed - stretch**2 * found.moved()
    at, rounds = np.unravel_index(int(gains.argmax()), gains.shape)
    best = float(stretch[at, 0])
    error = 2.0 * best * np.sqrt(max(found.moved()[rounds], 0.0) * one_row)
    return (int(rounds), best) if gains[at, rounds] > _CLEAR * error else (0, 1.0)


def _tables(rows: Rows, terms: Terms, level: Floats, coef: Floats) -> Tables:
    return Tables.of(rows.bins, terms.steps, terms.products, level, terms.unblended(coef))


def _importance(bins: Bins, terms: Terms, coef: Floats) -> Floats:
    """(K, p): sd of all that a feature takes part in, from the covariances of steps at the cuts of one feature."""
    own, both = coef[:, : len(terms.steps)], coef[:, len(terms.steps) :]
    left, right = terms.products[:, :2], terms.products[:, 2:]
    alone = bins.covariance(terms.steps)
    joint = bins.covariance(left) * bins.covariance(right)
    out = np.empty((len(coef), len(bins.cuts)))
    for feature in range(len(bins.cuts)):
        step = own * (terms.steps[:, 0] == feature)
        product = both * ((left[:, 0] == feature) | (right[:, 0] == feature))
        out[:, feature] = np.sum((step @ alone) * step, axis=1) + np.sum((product @ joint) * product, axis=1)
    return np.asarray(np.sqrt(np.maximum(out, 0.0)))
