"""Features and payoffs of every arm → the policy tree of depth 1 or 2 with the largest payoff, found exactly.

The payoff of a leaf is a sum over its rows, so all trees of depth 2 over a grid of cuts are known from two-way tables
of payoff sums, one for each pair of features; cumulating a table gives the four leaves of every pair of cuts (Athey &
Wager 2021, https://doi.org/10.3982/ECTA15732; Zhou, Athey & Wager 2023, https://doi.org/10.1287/opre.2022.2271).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from nudges.choice.allocation import Arms, Floats
from nudges.choice.cuts import Binned, binned
from nudges.choice.tree import Leaf, Split, Tree
from nudges.errors import DataError

_ROUNDING = 1e-9  # of the sum of payoffs: what a split gains beyond that is no rounding


@dataclass(frozen=True, slots=True)
class _Grid:
    """Binned features and what tables are made of.

    Attributes:
        features: one a column of X.
        sums: (n_arms + 1, n) payoff over that of arm 0, and 1 to count rows.
        smallest: fewest rows of a leaf.
        price: payoff a split must gain.
    """

    features: tuple[Binned, ...]
    sums: Floats
    smallest: int
    price: float


@dataclass(frozen=True, slots=True)
class _Way:
    """A feature and the number of its way to split."""

    feature: int
    number: int


def policy_tree(
    X: ArrayLike,
    payoff: ArrayLike,
    *,
    names: Sequence[str],
    depth: int = 2,
    n_cuts: int = 16,
    smallest_leaf: int = 1,
    least_gain: float = 0.0,
) -> Tree:
    """The tree with the largest mean payoff less `least_gain` a split; of equals the one with fewer questions.

    Args:
        X: (n, n_features) numbers, NaN where not known: those go where they are worth most; where none was seen, with
            the larger side.
        payoff: (n, n_arms) what each row would bring under each arm, a doubly robust score less the cost, say.
        names: of the features.
        depth: 0, 1 or 2 questions at most.
        n_cuts: of each feature, at quantiles.
        smallest_leaf: fewest rows.
        least_gain: mean payoff over all rows that a split must add.

    Raises:
        DataError: shapes that do not fit, no rows, NaN or infinite payoffs, infinite features, a depth beyond 2.
    """
    features, payoffs = _checked(X, payoff, names)
    if depth not in {0, 1, 2}:
        raise DataError(f"depth == {depth}, must be 0, 1 or 2. Deeper trees cannot be searched exactly.")
    over_none = (payoffs - payoffs[:, :1]).T
    noise = _ROUNDING * float(np.abs(over_none).sum())
    grid = _Grid(
        features=tuple(binned(column, n_cuts) for column in features.T),
        sums=np.concatenate([over_none, np.ones((1, len(payoffs)))]),
        smallest=max(int(smallest_leaf), 1),
        price=max(least_gain * len(payoffs), noise),
    )
    root = _planted(grid, payoffs, tuple(names), depth)
    tree = Tree(root, tuple(names), 0.0)
    return replace(tree, value=float(np.take_along_axis(payoffs, tree.arms(features)[:, None], axis=1).mean()))


def _checked(X: ArrayLike, payoff: ArrayLike, names: Sequence[str]) -> tuple[Floats, Floats]:
    features, payoffs = np.asarray(X, dtype=np.float64), np.asarray(payoff, dtype=np.float64)
    if payoffs.ndim != 2 or min(payoffs.shape) < 1 or not np.isfinite(payoffs).all():
        raise DataError(f"payoff: shape {payoffs.shape}, must be (rows, arms) numbers, and a row at least.")
    if features.shape != (len(payoffs), len(names)):
        raise DataError(f"X: shape {features.shape}, must be {(len(payoffs), len(names))}, a column a name.")
    if np.isinf(features).any():
        raise DataError("X: infinite, must be numbers, or NaN where not known.")
    return features, payoffs


def _planted(grid: _Grid, payoff: Floats, names: tuple[str, ...], depth: int) -> Split | Leaf:
    """The tree, question by question: a root known to have the best children finds them again."""
    everyone = np.arange(len(payoff))

    def grown(rows: Arms, way: _Way | None, left: int) -> Split | Leaf:
        if way is None:
            return _leaf(payoff, rows)
        feature = grid.features[way.feature]
        is_below = feature.below[way.number, feature.bin[rows]] > 0
        sides = [rows[is_below], rows[~is_below]]
        larger = len(sides[1]) > len(sides[0])
        below, above = (grown(side, _best_way(grid, side) if left else None, left - 1) for side in sides)
        return Split(
            feature=way.feature,
            name=names[way.feature],
            cut=float(feature.cut[way.number]),
            unknown_above=bool(feature.unknown_above[way.number]) if feature.has_unknown else larger,
            had_unknown=feature.has_unknown,
            below=below,
            above=above,
        )

    if depth == 2:
        return grown(everyone, _best_root(grid), 1)
    return grown(everyone, _best_way(grid, everyone) if depth else None, 0)


def _leaf(payoff: Floats, rows: Arms) -> Leaf:
    means = payoff[rows].mean(axis=0)
    arm = int(means.argmax())
    return Leaf(arm, len(rows) / len(payoff), float(means[arm]))


def _best_way(grid: _Grid, rows: Arms) -> _Way | None:
    """The split of some rows that gains most; None when none gains its price."""
    sums = np.ascontiguousarray(grid.sums[:, rows])
    best, found = float(sums[:-1].sum(axis=1).max()), None
    for number, feature in enumerate(grid.features):
        table = _table(feature.bin[rows], feature.n_bins, sums)
        below = table @ feature.below.T
        worth = _halves_worth(below, table.sum(axis=1, keepdims=True) - below, grid)
        if len(worth) and worth.max() > best:
            best, found = float(worth.max()), _Way(number, int(worth.argmax()))
    return found


def _best_root(grid: _Grid) -> _Way | None:
    """The first split of the best tree of depth 2; None when no tree gains its price."""
    features = grid.features
    below = [np.full(len(feature.cut), -np.inf) for feature in features]
    above = [np.full(len(feature.cut), -np.inf) for feature in features]
    for one, other in itertools.combinations_with_replacement(range(len(features)), 2):
        first, second = features[one], features[other]
        table = _table(first.bin * second.n_bins + second.bin, first.n_bins * second.n_bins, grid.sums)
        table = table.reshape(-1, first.n_bins, second.n_bins)
        for root, child, sums in ((one, other, table), (other, one, table.transpose(0, 2, 1))):
            for side, ways in ((below, features[root].below), (above, 1.0 - features[root].below)):
                np.maximum(side[root], _side_worth(ways @ sums, features[child], grid), out=side[root])
    best, found = float(grid.sums[:-1].sum(axis=1).max()), None
    for number, (low, high) in enumerate(zip(below, above, strict=True)):
        worth = low + high - grid.price
        if len(worth) and worth.max() > best:
            best, found = float(worth.max()), _Way(number, int(worth.argmax()))
    return found


def _side_worth(sums: Floats, child: Binned, grid: _Grid) -> Floats:
    """(n_ways,) payoff of one side of every way of a root, asked about another feature when that gains.

    Args:
        sums: (n_arms + 1, n_ways, n_bins of the child).
        child: the other feature.
        grid: for the price.
    """
    total = sums.sum(axis=2)
    unsplit = np.where(total[-1] >= grid.smallest, total[:-1].max(axis=0), -np.inf)
    below = sums @ child.below.T
    split = _halves_worth(below, total[:, :, None] - below, grid)
    return np.asarray(np.maximum(unsplit, split.max(axis=1, initial=-np.inf)))


def _halves_worth(below: Floats, above: Floats, grid: _Grid) -> Floats:
    """Payoff of both halves less the price of a split; -inf where one is too small. Sums and counts come first."""
    large = np.minimum(below[-1], above[-1]) >= grid.smallest
    return np.where(large, below[:-1].max(axis=0) + above[:-1].max(axis=0) - grid.price, -np.inf)


def _table(place: Arms, n_places: int, sums: Floats) -> Floats:
    """(n_sums, n_places) sums of the rows in each place; the first, of arm 0, is 0."""
    table = np.zeros((len(sums), n_places))
    for number, values in enumerate(sums[1:-1], start=1):
        table[number] = np.bincount(place, weights=values, minlength=n_places)
    table[-1] = np.bincount(place, minlength=n_places)
    return table
