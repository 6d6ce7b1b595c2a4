"""Doubly robust boosting: score contrasts of all arms, shallow trees as lookup tables, rounds chosen out of fold.

Zero rounds are always a candidate: without heterogeneity what is left is the mean effect of every arm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators import _boosting
from nudges.estimators._doubly_robust import DoublyRobust
from nudges.estimators._means import shrunk_means
from nudges.estimators._moments import sampled_units
from nudges.estimators._rows import Scored

Floats = NDArray[np.float64]


class Estimator(DoublyRobust):
    """Mean effects plus boosted deviations.

    Attributes:
        intercept_: (n_arms - 1,) mean effects.
        rounds_: (n_arms - 1,) rounds of each arm, 0 = the constant.
    """

    def _learn_contrasts(self, rows: Scored) -> None:
        self.intercept_ = shrunk_means(rows.contrasts, groups=rows.groups, weight=rows.weight)
        seen, _ = sampled_units(rows.groups, _boosting.MOST_ROWS)
        self.boosting_, _ = _boosting.fitted(rows, seen)
        self.rounds_ = self.boosting_.model.rounds

    def _predicted(self, X: Floats) -> Floats:
        return self.boosting_.deviation(X) + self.intercept_
