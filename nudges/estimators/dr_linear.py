"""Doubly robust linear effects: score contrasts of all arms at once, shrunk jointly, to a constant if need be.

Scores with the logged propensities (Kennedy 2023, arXiv 2004.14497), contrasts to the control, slopes on features and
on bends at their medians with a sparse prior over columns and arms that is learned from the data (`_sparse`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators import _linear
from nudges.estimators._basis import Basis
from nudges.estimators._doubly_robust import DoublyRobust
from nudges.estimators._means import shrunk_means
from nudges.estimators._rows import Scored

Floats = NDArray[np.float64]


class Estimator(DoublyRobust):
    """Cross-fitted, shrunk linear effects of every arm against the control.

    Attributes:
        coef_: (n_arms - 1, q) slopes on the columns of the basis: standardised features, flags of gaps, bends.
        intercept_: (n_arms - 1,) mean effects.
    """

    def _learn_contrasts(self, rows: Scored) -> None:
        self.intercept_ = shrunk_means(rows.contrasts, groups=rows.groups, weight=rows.weight)
        self.linear_ = _linear.fitted(rows, Basis.of(rows.X, rows.weight))
        self.coef_ = self.linear_.coef

    def _predicted(self, X: Floats) -> Floats:
        return self.linear_.deviation(X) + self.intercept_
