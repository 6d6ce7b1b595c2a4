"""A policy tree → the arm of each unit, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudges.choice.allocation import Arms, Floats
from nudges.errors import DataError


@dataclass(frozen=True, slots=True)
class Leaf:
    """Units that all get one arm.

    Attributes:
        arm: index, 0 for none.
        share: of the rows the tree was learned on.
        value: mean payoff of those rows under the arm; optimistic, since the tree was chosen on them.
    """

    arm: int
    share: float
    value: float


@dataclass(frozen=True, slots=True)
class Split:
    """A question with two answers.

    Attributes:
        feature: column of X.
        name: of the feature.
        cut: units above it go one way, those at or below it the other; inf when the question is whether it is known.
        unknown_above: whether units whose value is not known go with those above.
        had_unknown: whether there were any when the tree was learned.
        below: answer for values at most `cut`.
        above: answer for values above it.
    """

    feature: int
    name: str
    cut: float
    unknown_above: bool
    had_unknown: bool
    below: Split | Leaf
    above: Split | Leaf


@dataclass(frozen=True, slots=True)
class Tree:
    """A policy people can read.

    Attributes:
        root: first question, or the one arm for all.
        names: of the features, in the order of X's columns.
        value: mean payoff of the rows the tree was learned on; optimistic, since the tree was chosen on them.
    """

    root: Split | Leaf
    names: tuple[str, ...]
    value: float

    def arms(self, X: ArrayLike) -> Arms:
        """(n,) arm index from features (n, n_features), NaN where not known."""
        features = np.asarray(X, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise DataError(f"X: shape {features.shape}, must be (units, {len(self.names)}). Give {self.names}.")
        return _arms(self.root, features)

    def sentences(self, arms: Sequence[str], *, who: str = "Homes") -> tuple[str, ...]:
        """One sentence a leaf, in the order of the questions.

        Args:
            arms: labels, none first.
            who: what a unit is called, in the plural.
        """
        return tuple(_sentence(path, leaf, arms, who) for path, leaf in _leaves(self.root, {}))


@dataclass(frozen=True, slots=True)
class _Range:
    """What the questions so far leave of one feature."""

    above: float
    at_most: float
    unknown: bool
    had_unknown: bool


def _arms(node: Split | Leaf, features: Floats) -> Arms:
    if isinstance(node, Leaf):
        return np.full(len(features), node.arm, dtype=np.intp)
    values = features[:, node.feature]
    above = np.where(np.isnan(values), node.unknown_above, values > node.cut)
    return np.where(above, _arms(node.above, features), _arms(node.below, features))


def _leaves(node: Split | Leaf, path: Mapping[str, _Range]) -> list[tuple[Mapping[str, _Range], Leaf]]:
    if isinstance(node, Leaf):
        return [(path, node)]
    seen = path.get(node.name, _Range(-np.inf, np.inf, unknown=True, had_unknown=node.had_unknown))
    below = _Range(seen.above, min(seen.at_most, node.cut), seen.unknown and not node.unknown_above, node.had_unknown)
    above = _Range(max(seen.above, node.cut), seen.at_most, seen.unknown and node.unknown_above, node.had_unknown)
    first = _leaves(node.above, {**path, node.name: above})
    return first + _leaves(node.below, {**path, node.name: below})


def _sentence(path: Mapping[str, _Range], leaf: Leaf, arms: Sequence[str], who: str) -> str:
    gets = f"get {arms[leaf.arm]}" if leaf.arm else "get no message"
    if not path:
        return f"All {who.lower()} {gets}."
    where = ", and ".join(_words(name, left) for name, left in path.items())
    return f"{who} with {where} {gets}."


def _words(name: str, left: _Range) -> str:
    bounds = []
    if np.isfinite(left.above):
        bounds.append(f"above {left.above:,.12g}")
    if np.isfinite(left.at_most):
        bounds.append(f"at most {left.at_most:,.12g}")
    if left.above == np.inf:
        return f"{name} not known"
    if not bounds:
        return f"{name} known" if not left.unknown else f"any {name}"
    known = " and ".join(bounds)
    return f"{name} {known} or not known" if left.unknown and left.had_unknown else f"{name} {known}"
