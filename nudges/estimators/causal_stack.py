"""Causal stack: mean effects, two linear models and boosting on one score matrix, as much of each as it has earned.

One linear model holds that few columns matter, the other that all do a little; boosting may end up at a constant; and
held-out rows decide how much of each is believed.
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

SHARE = 1.25 / 3
"""Weight of a model beforehand. Together more than 1: models that each predict at the right size differ in what they
see, so that their mean is too careful (Ranjan and Gneiting 2010, doi 10.1111/j.1467-9868.2009.00726.x)."""

LEVEL_SHARE = 0.5
"""The same of mean effects that follow the room of each row: as likely equal in log odds as equal in points."""


class Estimator(DoublyRobust):
    """Mean effects plus weighted deviations of several models.

    Attributes:
        intercept_: (n_arms - 1,) mean effects.
        weights_: weight of boosting, of the linear model with products, of the one of small effects and, where the
            outcome has bounds, of mean effects that follow the room to move; 0 for one that held-out rows speak
            against.
    """

    def _learn_contrasts(self, rows: Scored) -> None:
        self.intercept_ = shrunk_means(rows.contrasts, groups=rows.groups, weight=rows.weight)
        basis = Basis.of(rows.X, rows.weight)
        room = Room.of(basis, rows.X, rows.y, rows.weight)
        evened = room.evened(basis, rows)
        few = _linear.fitted(evened, basis, room=room, with_pairs=True)
        small = _linear.fitted(evened, basis, room=room, small=True)
        others = [small] if room.coef is None else [small, small.of_room(self.intercept_)]
        seen, _ = sampled_units(rows.groups, _boosting.MOST_ROWS)
        self.boosting_, held_boosting = _boosting.fitted(rows, seen)
        X, linear = rows.X[seen], [few, *others]
        self.weights_ = stack_weights(
            [self.boosting_.deviation(X), *(part.deviation(X) for part in linear)],
            [held_boosting, *(part.held_out(X, rows.folds[seen]) for part in linear)],
            rows.contrasts[seen],
            shares=[SHARE, SHARE, SHARE, LEVEL_SHARE][: 1 + len(linear)],
            weight=rows.weight[seen],
            design_effect=design_effect(rows.contrasts, groups=rows.groups, weight=rows.weight),
        )
        self.linear_ = few.plus(others, self.weights_[1:].tolist())

    def _predicted(self, X: Floats) -> Floats:
        out = self.linear_.deviation(X) + self.intercept_
        if self.weights_[0] > 0.0:
            out += self.weights_[0] * self.boosting_.deviation(X)
        return out
