"""Turns the name of an entry into something that learns from a training part and predicts every arm's effect.

Every entry gets the same rows, the same features and, where its interface takes them, the logged propensities.
Boosted trees have the same settings everywhere (100 rounds of rate 0.05, 15 leaves); nothing is tuned to a data set.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._uplift_data import Part
from nudges import estimators
from nudges.uplift import Decision, Detail, Evidence, Prices, decide

Floats = NDArray[np.float64]
Predict = Callable[[Part], Floats]
Fit = Callable[[Part, tuple[str, ...]], Predict]

OURS = "nudges"
PLAIN = "scikit-learn"
GATED = "causal_stack, gated"
DEPLOYED = "causal_stack"
YARDSTICK = "logistic T"
TUNED_YARDSTICK = "logistic T, tuned"
PEERS = {"econml": "econml", "causalml": "causalml", "scikit-uplift": "sklift"}
"""Package name by import name."""

_OWN = ("no_effect", "mean_effect", "t_learner", "dr_linear", "dr_boost", "causal_stack")
_FAST = {"dr_linear", "dr_boost", DEPLOYED, YARDSTICK, "econml LinearDR"}
_PENALTIES = tuple(10.0**power for power in range(-4, 2))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the tables.

    Attributes:
        name: as printed.
        library: package it comes from.
        load: imports what is needed and gives the function that fits; not timed.
        fast: also run on many rows and seeds.
        slow: only run on Hillstrom and one seed of the weak case.
    """

    name: str
    library: str
    load: Callable[[], Fit]
    fast: bool = False
    slow: bool = False


def entries() -> dict[str, Entry]:
    """Every entry by name, ours first; those of peers that are not installed are left out."""
    found = _without_peers()
    for library, module in PEERS.items():
        if importlib.util.find_spec(module):
            found += _of_peer(library)
    return {entry.name: entry for entry in found}


def find(name: str) -> Entry:
    """One entry; of the peers only its own library is imported, so that memory is its own."""
    library = next((library for library, module in PEERS.items() if name.startswith(module)), None)
    found = _of_peer(library) if library else _without_peers()
    return next(entry for entry in found if entry.name == name)


def missing() -> tuple[str, ...]:
    """What cannot be run here, in words."""
    absent = [f"estimator {name}" for name in _OWN if name not in estimators.names()]
    return (*absent, *(library for library, module in PEERS.items() if not importlib.util.find_spec(module)))


def version(library: str) -> str:
    """Installed version of a peer, for its stored results."""
    return importlib.metadata.version(library) if library in {*PEERS, PLAIN} else ""


def gate(train: Part, arms: tuple[str, ...], cost: Floats, budget: float) -> Decision:
    """What the engine would decide from the training part; prices in thousandths of an outcome.

    Args:
        train: the rows.
        arms: labels.
        cost: (n_arms,) of a message in outcome units.
        budget: outcome units a household.
    """
    evidence = Evidence(
        X=train.X,
        y=train.y,
        given=train.given,
        propensity=train.propensity,
        groups=train.groups,
        households=np.ones(len(train.y)),
        arms=arms,
    )
    prices = Prices(1000.0, 1000.0 * cost, 1000.0 * budget)
    return decide(evidence, estimators.load(DEPLOYED), prices, seed=0, detail=Detail.GATE)


def _without_peers() -> list[Entry]:
    own = [Entry(name, OURS, _own(name), fast=name in _FAST) for name in _OWN if name in estimators.names()]
    if DEPLOYED in estimators.names():
        own.append(Entry(GATED, OURS, _own(DEPLOYED)))
    yardstick = Entry(YARDSTICK, PLAIN, lambda: _logistic_t, fast=True)
    return [*own, yardstick, Entry(TUNED_YARDSTICK, PLAIN, lambda: _tuned_logistic_t)]


def _of_peer(library: str) -> list[Entry]:
    peer = importlib.import_module(f"benchmarks._peers_{PEERS[library]}")
    return [
        Entry(name, library, load, fast=name in _FAST, slow=name in peer.SLOW) for name, load in peer.ENTRIES.items()
    ]


def _own(name: str) -> Callable[[], Fit]:
    def load() -> Fit:
        estimators.load(name)
        return lambda train, arms: _fitted_own(name, train, arms)

    return load


def _fitted_own(name: str, train: Part, arms: tuple[str, ...]) -> Predict:
    estimator: Any = estimators.load(name)
    estimator.set_params(arms=arms)
    estimator.fit(
        train.X,
        train.y,
        treatment=np.asarray(arms)[train.given],
        propensity=train.propensity,
        groups=train.groups,
    )
    return lambda part: np.asarray(estimator.effect(part.X))


def _logistic_t(train: Part, arms: tuple[str, ...]) -> Predict:
    """One plain logistic regression an arm on standardised features, scikit-learn's defaults."""
    return _t_learner(lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)), train, len(arms))


def _tuned_logistic_t(train: Part, arms: tuple[str, ...]) -> Predict:
    """The same with the penalty of each arm chosen by cross-validation."""

    def tuned() -> GridSearchCV:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        grid = {"logisticregression__C": _PENALTIES}
        return GridSearchCV(model, grid, scoring="neg_log_loss", cv=3)

    return _t_learner(tuned, train, len(arms))


def _t_learner(make: Callable[[], Any], train: Part, n_arms: int) -> Predict:
    models = [make().fit(train.X[train.given == arm], train.y[train.given == arm]) for arm in range(n_arms)]

    def predict(part: Part) -> Floats:
        chance = np.column_stack([model.predict_proba(part.X)[:, 1] for model in models])
        return np.asarray(chance[:, 1:] - chance[:, :1])

    return predict
