"""Turns a training part into econml's estimators, with the logged propensities.

econml has no propensity argument: a classifier has to be passed. One that closes over an array would be wrong under
cross-fitting, where it sees other rows in another order; this one looks each row up by an identifier that travels as
the last column of W. The outcome model drops that column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from econml.dr import DRLearner, ForestDRLearner, LinearDRLearner
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks._uplift_data import Part

Floats = NDArray[np.float64]

TREES = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 15, "early_stopping": False, "random_state": 0}
FOLDS = 3
FOREST_TREES = 200
SLOW = frozenset({"econml ForestDR"})


class Logged(ClassifierMixin, BaseEstimator):
    """Gives the logged propensities by the row identifier in the last column; learns nothing."""

    def __init__(self, table: Floats | None = None) -> None:
        self.table = table

    def fit(self, X: Floats, y: NDArray[Any]) -> Self:
        """Note the arms."""
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """(n, n_arms) as logged."""
        table: Any = self.table
        return np.asarray(table[X[:, -1].astype(np.intp)])

    def predict(self, X: Floats) -> NDArray[Any]:
        """The likeliest arm."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _without(matrix: Floats, column: int) -> Floats:
    return np.delete(matrix, column, axis=1)


def _nuisances(train: Part) -> dict[str, Any]:
    drop = FunctionTransformer(_without, kw_args={"column": train.X.shape[1]})
    return {
        "model_propensity": Logged(train.propensity),
        "model_regression": make_pipeline(drop, HistGradientBoostingClassifier(**TREES)),
        "discrete_outcome": True,
        "cv": FOLDS,
        "random_state": 0,
    }


def _fitted(estimator: DRLearner, train: Part) -> Callable[[Part], Floats]:
    rows = np.arange(len(train.y), dtype=np.float64)[:, None]
    groups = {"groups": train.groups} if train.clustered else {}
    estimator.fit(train.y, train.given, X=train.X, W=rows, **groups)
    return lambda part: np.asarray(estimator.const_marginal_effect(part.X)).reshape(len(part.X), -1)


def _linear(train: Part, _arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    return _fitted(LinearDRLearner(**_nuisances(train)), train)


def _boosted(train: Part, _arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    final = HistGradientBoostingRegressor(**TREES)
    return _fitted(DRLearner(model_final=final, **_nuisances(train)), train)


def _ridge(train: Part, _arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    """What an expert would write: the final model shrunk by leave-one-out error."""
    final = make_pipeline(StandardScaler(), RidgeCV(alphas=len(train.y) * np.logspace(-3, 2, 11)))
    return _fitted(DRLearner(model_final=final, **_nuisances(train)), train)


def _forest(train: Part, _arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    return _fitted(ForestDRLearner(n_estimators=FOREST_TREES, n_jobs=1, **_nuisances(train)), train)


ENTRIES = {
    "econml LinearDR": lambda: _linear,
    "econml DR, ridge": lambda: _ridge,
    "econml DR, HistGB": lambda: _boosted,
    "econml ForestDR": lambda: _forest,
}
