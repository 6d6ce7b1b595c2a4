"""Turns a training part into scikit-uplift's models, one a message against the control: it knows two arms only.

It takes no propensities; class transformation assumes that half of the rows got the message, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklift.models import ClassTransformation, SoloModel, TwoModels

from benchmarks._uplift_data import Part

Floats = NDArray[np.float64]

TREES = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 15, "early_stopping": False, "random_state": 0}
SLOW: frozenset[str] = frozenset()


def _trees() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(**TREES)


def _fit(make: Callable[[], Any], train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    models = []
    for arm in range(1, len(arms)):
        rows = (train.given == 0) | (train.given == arm)
        got = (train.given[rows] == arm).astype(int)
        models.append(make().fit(train.X[rows], train.y[rows].astype(int), got))
    return lambda part: np.column_stack([model.predict(part.X) for model in models])


ENTRIES = {
    "sklift ClassTransf.": lambda: lambda train, arms: _fit(lambda: ClassTransformation(_trees()), train, arms),
    "sklift TwoModels": lambda: lambda train, arms: _fit(lambda: TwoModels(_trees(), _trees()), train, arms),
    "sklift SoloModel": lambda: lambda train, arms: _fit(lambda: SoloModel(_trees()), train, arms),
}
