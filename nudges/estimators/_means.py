"""Score contrasts → mean effect of every arm, drawn together where the arms do not differ beyond their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nudges.scoring.units import unit_codes

Floats = NDArray[np.float64]

_STEPS = 40


def mean_covariance(contrasts: Floats, *, groups: NDArray[Any], weight: Floats) -> tuple[Floats, Floats]:
    """Weighted means (K,) and their covariance (K, K), rows of one unit moving together."""
    mass = weight.sum()
    means = weight @ contrasts / mass
    parts = (contrasts - means) * weight[:, None]
    codes, n_units = unit_codes(groups, len(contrasts))
    if n_units < len(codes):
        parts = np.column_stack([np.bincount(codes, weights=part) for part in parts.T])
    return np.asarray(means), np.asarray(parts.T @ parts / mass**2 * n_units / max(n_units - 1, 1))


def design_effect(contrasts: Floats, *, groups: NDArray[Any], weight: Floats) -> float:
    """Variance of the mean contrasts over what as many rows of weight 1, each its own unit, would give; at least 1."""
    means, clustered = mean_covariance(contrasts, groups=groups, weight=weight)
    alone = weight @ ((contrasts - means) ** 2).sum(axis=1) / weight.sum() ** 2
    return max(float(np.trace(clustered) / max(alone, 1e-300)), 1.0)


def shrunk_means(contrasts: Floats, *, groups: NDArray[Any], weight: Floats) -> Floats:
    """Posterior means (K,) of effects that differ by τ² between arms, averaged over τ by its likelihood.

    means ~ N(effects, V), effects ~ N(μ, τ²) with a flat μ (Morris 1983; averaged rather than at the best τ, which is
    often 0 and would make every arm look the same). All arms share the control, so V is not diagonal.
    """
    means, V = mean_covariance(contrasts, groups=groups, weight=weight)
    typical = float(np.trace(V)) / len(means)
    if len(means) == 1 or typical <= 0.0:
        return means
    spreads = np.r_[0.0, np.geomspace(0.05, 1e3, _STEPS)] * typical
    likelihood = np.array([_log_likelihood(means, V, spread) for spread in spreads])
    share = np.exp(likelihood - likelihood.max())
    return np.average([_drawn_together(means, V, spread) for spread in spreads], axis=0, weights=share)


def _drawn_together(means: Floats, V: Floats, spread: float) -> Floats:
    """Posterior means at one spread between arms."""
    inverse = np.linalg.pinv(V + spread * np.eye(len(means)))
    centre = float(inverse.sum(axis=0) @ means / inverse.sum())
    return np.asarray(centre + spread * inverse @ (means - centre))


def _log_likelihood(means: Floats, V: Floats, spread: float) -> float:
    """Restricted log likelihood of a spread between arms, μ integrated out."""
    values, vectors = np.linalg.eigh(V + spread * np.eye(len(means)))
    values = np.maximum(values, 1e-12 * max(values.max(), 1e-300))
    ones = vectors.T @ np.ones(len(means))
    turned = vectors.T @ means
    information = float((ones**2 / values).sum())
    centre = float((ones * turned / values).sum()) / information
    return -0.5 * float(np.log(values).sum() + np.log(information) + ((turned - ones * centre) ** 2 / values).sum())
