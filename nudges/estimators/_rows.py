"""Rows with their scores: what the estimators on doubly robust scores learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with their score contrasts, what the estimators of this folder learn from.

    Attributes:
        X: (n, p) features as numbers, NaN where unknown.
        contrasts: (n, K) Γ of every arm minus Γ of the control.
        y: (n,) outcome, None where only scores are known.
        groups: (n,) randomised unit.
        weight: (n,) sample weights, all above 0.
        folds: (n,) fold of each row, the same that the scores were cross-fitted over.
    """

    X: Floats
    contrasts: Floats
    y: Floats | None
    groups: NDArray[Any]
    weight: Floats
    folds: Indices
