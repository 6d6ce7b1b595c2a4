"""Turns a case and a seed into a randomised trial whose true effects are known.

Twenty features (eight normals that share three factors, five flags, four uniforms, three scores of five levels), a
base rate that is logistic in a few of them with one sine and one interaction, and messages whose average effects are 1
to 3 points, spread by 2 to 3 points: an S-curve that harms a part, a curve that saturates, an exclusive-or of two
features, and a strong one that is lost on two groups. Effects shrink where the base rate nears 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CASES = ("strong", "weak", "none", "adaptive", "clustered", "many", "rare")
"""weak: the base case. strong: spreads three times as large. none: every effect the same for everyone. adaptive: logged
propensities follow the features. clustered: units of one to eight rows drawn together. many: nine messages. rare: an
outcome of 1 in 100."""

FEATURES = tuple(f"x{number:02d}" for number in range(20))
_COSTS = (0.012, 0.008, 0.010, 0.020)  # in outcome units, of the four kinds of message
_MEANS = (0.012, 0.015, 0.011, 0.026)
_SPREADS = (0.0225, 0.016, 0.0195, 0.019)
_RARE = 0.03  # the rare case's base rate against the usual one's


@dataclass(frozen=True, slots=True)
class Trial:
    """Rows of a randomised trial.

    Attributes:
        X: (n, 20) features.
        y: (n,) outcome, 0 or 1; more is better.
        given: (n,) arm given, 0 the control.
        propensity: (n, n_arms) logged.
        groups: (n,) what was randomised.
        effect: (n, n_arms - 1) true effects on the chance of the outcome.
        cost: (n_arms,) of a message in outcome units, 0 for the control.
        arms: labels, the control first.
    """

    X: Floats
    y: Floats
    given: Indices
    propensity: Floats
    groups: Indices
    effect: Floats
    cost: Floats
    arms: tuple[str, ...]


def simulate(case: str, n: int, seed: int) -> Trial:
    """`n` rows of a case.

    Raises:
        ValueError: a case that is not in CASES.
    """
    if case not in CASES:
        raise ValueError(f"case == {case!r}, must be one of {', '.join(CASES)}")
    rng = np.random.default_rng([seed, CASES.index(case)])
    groups = _groups(rng, n) if case == "clustered" else np.arange(n)
    n_units = int(groups[-1]) + 1
    X = _features(rng, n_units)[groups]
    n_messages = 9 if case == "many" else 4
    base = _base_rate(X)
    effect = _effects(X, base, n_messages, spread={"strong": 3.0, "none": 0.0}.get(case, 1.0))
    if case == "rare":
        base, effect = base * _RARE, effect * _RARE * 4.0  # relative effects of up to a third
    chance = np.clip(base[:, None] + effect, 0.0005, 0.9995)
    propensity = (_followed(X) if case == "adaptive" else _fixed(n_units, n_messages)[groups])[:n]
    given = _drawn(rng, propensity, groups)
    shock = 0.25 * rng.standard_normal(n_units)[groups] if case == "clustered" else np.zeros(n)
    both = np.column_stack([base, chance])
    realised = np.take_along_axis(both, given[:, None], axis=1)[:, 0]
    y = (rng.random(n) < np.clip(realised + shock * base * (1 - base), 0.0, 1.0)).astype(np.float64)
    cost = np.array([0.0, *(_COSTS[message % 4] for message in range(n_messages))])
    return Trial(
        X=X,
        y=y,
        given=given,
        propensity=propensity,
        groups=groups,
        effect=chance - base[:, None],
        cost=cost * (_RARE * 4.0 if case == "rare" else 1.0),
        arms=("control", *(chr(ord("a") + message) for message in range(n_messages))),
    )


def _groups(rng: np.random.Generator, n: int) -> Indices:
    """Units of one to eight rows, most of them small."""
    sizes = 1 + rng.binomial(7, rng.beta(0.5, 1.5, size=n))
    return np.repeat(np.arange(n), sizes)[:n]


def _features(rng: np.random.Generator, n: int) -> Floats:
    loadings = np.random.default_rng(20).normal(size=(3, 8))
    loadings *= np.sqrt(0.5) / np.sqrt((loadings**2).sum(axis=0))
    normals = rng.standard_normal((n, 3)) @ loadings + np.sqrt(0.5) * rng.standard_normal((n, 8))
    flags = rng.random((n, 5)) < np.array([0.5, 0.3, 0.2, 0.6, 0.4])
    uniforms = rng.random((n, 4))
    scores = 1 + rng.binomial(4, [0.5, 0.35, 0.65], size=(n, 3))
    return np.hstack([normals, flags, uniforms, scores]).astype(np.float64)


def _base_rate(X: Floats) -> Floats:
    at = (
        -0.85
        + 0.5 * X[:, 0]
        - 0.35 * X[:, 3]
        + 0.4 * X[:, 8]
        + 0.3 * np.sin(3.0 * X[:, 1])
        + 0.35 * X[:, 2] * (X[:, 9] - 0.3)
        + 0.2 * (X[:, 17] - 3.0)
        + 0.4 * (X[:, 13] - 0.5)
    )
    return np.asarray(1.0 / (1.0 + np.exp(-at)))


def _shapes(X: Floats, turn: int) -> tuple[Floats, ...]:
    """The four kinds of heterogeneity, before scaling; `turn` moves them to other features."""

    def normal(number: int) -> Floats:
        return X[:, (number + turn) % 8]

    def flag(number: int) -> Floats:
        return X[:, 8 + (number + turn) % 5]

    s_curve = np.tanh(1.5 * (normal(0) + 0.5 * normal(4)))
    saturating = 1.0 - np.exp(-2.0 * X[:, 13 + turn % 4]) + 0.4 * np.tanh(normal(5))
    exclusive = np.where((normal(1) > 0) ^ (flag(0) > 0.5), 1.0, -1.0)
    lost = 1.0 - 1.6 * ((X[:, 17 + turn % 3] >= 4) | (flag(2) > 0.5))
    return s_curve, saturating, exclusive, lost


def _effects(X: Floats, base: Floats, n_messages: int, *, spread: float) -> Floats:
    out = np.empty((len(X), n_messages))
    room = 4.0 * base * (1.0 - base) / 0.8
    for message in range(n_messages):
        kind, turn = message % 4, message // 4
        shape = _shapes(X, 3 * turn)[kind]
        centred = (shape - _SHAPE_MEANS[kind]) / _SHAPE_SDS[kind]
        mean = _MEANS[kind] * (1.0 - 0.15 * turn)
        out[:, message] = (mean + spread * _SPREADS[kind] * centred) * (room if spread else 1.0)
    return out


def _fixed(n: int, n_messages: int) -> Floats:
    none = 0.28 if n_messages == 4 else 0.19
    return np.tile(np.r_[none, np.full(n_messages, (1.0 - none) / n_messages)], (n, 1))


def _followed(X: Floats) -> Floats:
    """Four strata, each with a favourite message of 0.40; every other arm has 0.15."""
    stratum = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    out = np.full((len(X), 5), 0.15)
    out[np.arange(len(X)), 1 + stratum] = 0.40
    return out


def _drawn(rng: np.random.Generator, propensity: Floats, groups: Indices) -> Indices:
    """One arm a unit."""
    draw = rng.random(int(groups[-1]) + 1)[groups]
    return np.asarray((propensity.cumsum(axis=1)[:, :-1] <= draw[:, None]).sum(axis=1), dtype=np.intp)


def _moments() -> tuple[Floats, Floats]:
    """Means and spreads of the shapes over a large population of its own."""
    shapes = np.array(_shapes(_features(np.random.default_rng(2026), 50_000), 0))
    return shapes.mean(axis=1), shapes.std(axis=1)


_SHAPE_MEANS, _SHAPE_SDS = _moments()
