"""Outcomes between 0 and 1 → how much room each row has to move: little where the outcome is all but certain.

A message moves few of those who would do it anyway and few of those who never would. An effect of the same size in
log odds is m(1 - m) times as large in outcome units, m the chance without knowing the arm: columns of a basis are
multiplied with it, so that such effects are short sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._basis import Basis, Columns32, blocks
from nudges.estimators._rows import Scored

Floats = NDArray[np.float64]

_FIT_ROWS = 100_000
_STEPS = 8
_LEAST, _MOST = 0.2, 4.0  # times the average room, beyond which a row counts as having no less or no more


@dataclass(frozen=True, slots=True)
class Room:
    """m(1 - m) / its mean, m a logistic regression of the outcome on a basis without products, whatever the arm.

    Attributes:
        coef: (q + 1,) level first; None where the outcome has no bounds and every row has the same room, 1.
        average: mean of m(1 - m).
    """

    coef: Floats | None
    average: float

    @classmethod
    def of(cls, basis: Basis, X: Floats, y: Floats | None, weight: Floats) -> Room:
        """Fit by Newton's method on at most 100,000 rows, a ridge of one row's information a column."""
        if y is None or y.min() < 0 or y.max() > 1 or y.min() == y.max():
            return cls(None, 1.0)
        step = -(-len(X) // _FIT_ROWS)
        columns = basis(X[::step])
        coef = _logistic(columns, y[::step], weight[::step])
        chance = _chance(columns, coef)
        return cls(coef, float(np.average(chance * (1.0 - chance), weights=weight[::step])))

    def __call__(self, columns: Columns32) -> Columns32 | None:
        """Room of rows given their single columns, (n,); None for 1 everywhere."""
        if self.coef is None:
            return None
        chance = _chance(columns, self.coef)
        return np.clip(chance * (1.0 - chance) / self.average, _LEAST, _MOST).astype(np.float32)

    def evened(self, basis: Basis, rows: Scored) -> Scored:
        """Rows of weights divided by their room: outcomes of 0 and 1 vary in proportion to it, and so do scores."""
        if self.coef is None:
            return rows
        weight = rows.weight.copy()
        for block in blocks(len(weight)):
            weight[block] /= np.asarray(self(basis(rows.X[block])))
        return replace(rows, weight=weight)


def _chance(columns: Columns32, coef: Floats) -> Floats:
    odds = (columns @ coef[1:].astype(np.float32)).astype(np.float64) + coef[0]
    return np.asarray(1.0 / (1.0 + np.exp(-odds.clip(-30.0, 30.0))))


def _logistic(columns: Columns32, y: Floats, weight: Floats) -> Floats:
    """Level and slopes, by Newton's method with steps that are not too long."""
    share = float(np.average(y, weights=weight))
    coef = np.zeros(columns.shape[1] + 1)
    coef[0] = np.log(share / (1.0 - share))
    penalty = np.r_[1e-6, np.ones(columns.shape[1])]
    design = np.hstack([np.ones((len(columns), 1), dtype=np.float32), columns])
    for _ in range(_STEPS):
        chance = _chance(columns, coef)
        slope = design.T @ (weight * (y - chance)) - np.r_[0.0, coef[1:]]
        information = (weight * chance * (1.0 - chance)).astype(np.float32)[:, None]
        curve = (design.T @ (design * information)).astype(np.float64)
        step = np.linalg.solve(curve + np.diag(penalty), slope).clip(-2.0, 2.0)
        coef += step
        if np.abs(step).max() < 1e-3:
            break
    return coef
