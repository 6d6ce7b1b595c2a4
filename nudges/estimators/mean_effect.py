"""Mean effect: the best constant of every arm, and the same for everyone. What a model has to beat.

The doubly robust mean of every arm's score contrast, shrunk towards the mean over arms by how far the arms differ
beyond their standard errors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._doubly_robust import DoublyRobust
from nudges.estimators._means import shrunk_means
from nudges.estimators._rows import Scored

Floats = NDArray[np.float64]


class Estimator(DoublyRobust):
    """One effect an arm.

    Attributes:
        intercept_: (n_arms - 1,) the effects.
    """

    def _learn_contrasts(self, rows: Scored) -> None:
        self.intercept_ = shrunk_means(rows.contrasts, groups=rows.groups, weight=rows.weight)

    def _predicted(self, X: Floats) -> Floats:
        return np.tile(self.intercept_, (len(X), 1))
