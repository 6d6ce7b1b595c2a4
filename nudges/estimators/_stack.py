"""Predictions of several models → how much of each to use, from nothing at all to more than all of it.

Least squares on score contrasts, weights never negative, drawn towards shares set beforehand: a held-out row says
little (a score is 70 times as noisy as effects differ), so it takes evidence to leave those shares, and strong evidence
against every model to leave only the mean effects. What a model has to do with the contrasts is measured out
of fold; how much it varies, on the model that will predict, which varies less than those of the folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]

PRIOR_SD = 0.15
"""Spread of a model's weight around its share before any held-out row was seen."""


def stack_weights(
    predicted: Sequence[Floats],
    held_out: Sequence[Floats],
    contrasts: Floats,
    *,
    shares: Sequence[float],
    weight: Floats,
    design_effect: float = 1.0,
) -> Floats:
    """Weights (m,) of the models' deviations from the mean effects.

    Args:
        predicted: deviations by the final model of each kind, (n, K) each.
        held_out: deviations of the same rows by models that never saw their fold, (n, K) each.
        contrasts: (n, K) score contrasts.
        shares: (m,) weights before any held-out row was seen.
        weight: (n,).
        design_effect: variance of a mean contrast over what rows of weight 1, each its own unit, would give.
    """
    scale = np.sqrt(1.0 / np.maximum(_centred(contrasts, weight)[1] * design_effect, 1e-300))
    target = _centred(contrasts, weight)[0] * scale
    final, fold = (np.stack([_centred(part, weight)[0] * scale for part in parts]) for parts in (predicted, held_out))
    gram = np.array([[np.einsum("nk,nk,n->", one, other, weight) for other in final] for one in final])
    cross = np.array([np.einsum("nk,nk,n->", part, target, weight) for part in fold])
    precision = 1.0 / PRIOR_SD**2
    root = np.linalg.cholesky(gram + precision * np.eye(len(cross)))
    return np.asarray(nnls(root.T, np.linalg.solve(root, cross + precision * np.array(shares)))[0])


def _centred(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Values less their weighted means, and their variances (K,)."""
    mass = weight.sum()
    apart = values - weight @ values / mass
    return apart, weight @ apart**2 / mass
