"""Causal stack: the mean effects, two linear models and boosting on one score matrix, as much of each as it has earned.

Every part may end up at a constant on its own, and held-out rows decide how much of what is left is believed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.estimators import _boosting, _linear
from nudges.estimators._basis import Basis
from nudges.estimators._doubly_robust import DoublyRobust
from nudges.estimators._means import design_effect, shrunk_means
from nudges.estimators._moments import sampled_units
from nudges.estimators._room import Room
from nudges.estimators._rows import Scored
from nudges.estimators._stack import stack_weights

Floats = NDArray[np.float64]


class Estimator(DoublyRobust):
    """Mean effects plus weighted deviations of several models.

    Attributes:
        intercept_: (n_arms - 1,) mean effects.
        weights_: weight of the plain linear model, of the one with products and room to move, and of boosting; 0 for
            one that held-out rows speak against.
    """

    def _learn_contrasts(self, rows: Scored) -> None:
        self.intercept_ = shrunk_means(rows.contrasts, groups=rows.groups, weight=rows.weight)
        basis = Basis.of(rows.X, rows.weight)
        room = Room.of(basis, rows.X, rows.y, rows.weight)
        seen, _ = sampled_units(rows.groups, _boosting.MOST_ROWS)
        self.boosting_, held_boosting = _boosting.fitted(rows, seen)
        self.linear_ = (_linear.fitted(rows, basis), _linear.fitted(rows, basis, room=room, with_pairs=True))
        X = rows.X[seen]
        held_out = [*(part.held_out(X, rows.folds[seen]) for part in self.linear_), held_boosting]
        self.weights_ = stack_weights(
            [part.deviation(X) for part in (*self.linear_, self.boosting_)],
            held_out,
            rows.contrasts[seen],
            weight=rows.weight[seen],
            design_effect=design_effect(rows.contrasts, groups=rows.groups, weight=rows.weight),
        )

    def _predicted(self, X: Floats) -> Floats:
        *linear, boosting = self.weights_.tolist()
        out = self.intercept_ + _linear.mixed(self.linear_, linear, X)
        if boosting > 0.0:
            out += boosting * self.boosting_.deviation(X)
        return out
