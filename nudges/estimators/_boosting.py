"""Scored rows → boosted effects as deviations from their mean, learned from at most a quarter of a million rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._boost import Boosted, boosted
from nudges.estimators._rows import Scored

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

MOST_ROWS = 250_000
"""Rows (whole units) that boosting learns from: its time grows with them, its gain hardly."""


@dataclass(frozen=True, slots=True)
class Boosting:
    """Shallow boosted effects.

    Attributes:
        model: lookup tables of single features and of pairs.
        mean: (K,) mean prediction of the rows learned from.
    """

    model: Boosted
    mean: Floats

    def deviation(self, X: Floats) -> Floats:
        """Effects less their mean, (n, K)."""
        return self.model.predict(X) - self.mean


def fitted(rows: Scored, seen: Indices) -> tuple[Boosting, Floats]:
    """The model of the rows `seen` and its out-of-fold deviations for them, (len(seen), K)."""
    weight, contrasts = rows.weight[seen], rows.contrasts[seen]
    mean = weight @ contrasts / weight.sum()
    model = boosted(rows.X[seen], contrasts, weight=weight, folds=rows.folds[seen])
    return Boosting(_light(model), mean), model.held_out - mean


def _light(model: Boosted) -> Boosted:
    """The model without its out-of-fold predictions, which are as long as the trial."""
    return replace(model, held_out=np.empty((0, len(model.rounds))))
