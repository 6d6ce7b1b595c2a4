"""Turns a training part into causalml's learners, with the logged propensities where they take them.

causalml's meta-learners see K problems of one message against the control, so a propensity is that of the message
among the two. The uplift forest takes none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from causalml.inference.meta import BaseDRRegressor, BaseRClassifier, BaseTClassifier, BaseXClassifier
from causalml.inference.meta.base import BaseLearner
from causalml.inference.tree import UpliftRandomForestClassifier
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks._uplift_data import Part

Floats = NDArray[np.float64]

TREES = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 15, "early_stopping": False, "random_state": 0}
LIGHT = {"n_estimators": 100, "learning_rate": 0.05, "num_leaves": 15, "n_jobs": 1, "verbose": -1, "random_state": 0}
FOREST_TREES = 100
SLOW = frozenset({"causalml UpliftRF"})


def _among_two(part: Part, arms: tuple[str, ...]) -> dict[str, Floats]:
    own = part.propensity[:, 1:]
    share = own / (own + part.propensity[:, :1])
    return {arm: share[:, index] for index, arm in enumerate(arms[1:])}


def _fitted(
    learner: BaseLearner, train: Part, arms: tuple[str, ...], *, seeded: bool = False
) -> Callable[[Part], Floats]:
    seed = {"seed": 0} if seeded else {}
    learner.fit(train.X, np.asarray(arms)[train.given], train.y, p=_among_two(train, arms), **seed)
    if tuple(learner.t_groups) != arms[1:]:
        raise ValueError(f"causalml orders the arms {learner.t_groups}, not {arms[1:]}")
    return lambda part: np.asarray(learner.predict(part.X, p=_among_two(part, arms)))


def _x(train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    models = {"outcome_learner": LGBMClassifier(**LIGHT), "effect_learner": LGBMRegressor(**LIGHT)}
    return _fitted(BaseXClassifier(**models, control_name=arms[0]), train, arms)


def _t(train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    return _fitted(BaseTClassifier(HistGradientBoostingClassifier(**TREES), control_name=arms[0]), train, arms)


def _r(train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    models = {
        "outcome_learner": HistGradientBoostingClassifier(**TREES),
        "effect_learner": HistGradientBoostingRegressor(**TREES),
    }
    return _fitted(BaseRClassifier(**models, control_name=arms[0], random_state=0), train, arms)


def _dr(train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    learner = BaseDRRegressor(HistGradientBoostingRegressor(**TREES), control_name=arms[0])
    return _fitted(learner, train, arms, seeded=True)


def _forest(train: Part, arms: tuple[str, ...]) -> Callable[[Part], Floats]:
    forest = UpliftRandomForestClassifier(arms[0], n_estimators=FOREST_TREES, n_jobs=1, random_state=0)
    forest.fit(train.X, np.asarray(arms)[train.given], train.y.astype(int))
    if tuple(forest.classes_[1:]) != arms[1:]:
        raise ValueError(f"causalml orders the arms {forest.classes_}, not {arms}")
    return lambda part: np.asarray(forest.predict(part.X))


ENTRIES = {
    "causalml X, lgbm": lambda: _x,
    "causalml T, HistGB": lambda: _t,
    "causalml R, HistGB": lambda: _r,
    "causalml DR, HistGB": lambda: _dr,
    "causalml UpliftRF": lambda: _forest,
}
