"""Moments and their noise → slopes of all arms at once, every column with a little: many small effects, none large.

The counterpart of the sparse prior (`_sparse`), for effects that are spread over all columns and each too weak to be
seen. Slopes are normal, of one size, alike between arms to one degree; size and likeness are averaged over by their
likelihood (Bayesian ridge; MacKay 1992, doi 10.1162/neco.1992.4.3.415) rather than chosen.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nudges.estimators._moments import Moments

Floats = NDArray[np.float64]

SIZES = tuple(np.geomspace(0.2, 3.0, 10).tolist())
"""Standard deviations of a slope that are tried, in standard errors of a slope. None is 0: what too few rows cannot
show is not therefore absent, and shrinkage to a fifth of an error costs little where it is."""

ALIKE = (0.0, 0.5, 0.9)
"""Correlations of a column's slopes between arms that are tried."""

_LEAST_SPREAD = 1e-4  # of a combination of columns, in correlations, below which it says nothing


def dense(moments: Moments, noise: Floats) -> Floats:
    """Posterior mean slopes on the columns as they are, (K, q).

    Args:
        moments: of columns and contrasts.
        noise: (q, K, K) covariance of the mean products of each standardised column with the contrasts.
    """
    sd = np.sqrt(np.maximum(np.diag(moments.spread), 0.0))
    used = np.flatnonzero(sd > 1e-6 * max(sd.max(initial=0.0), 1e-300))
    out = np.zeros_like(moments.cross.T)
    if not len(used) or not noise[used].any():
        return out
    scale = sd[used]
    spread, turned = np.linalg.eigh(moments.spread[np.ix_(used, used)] / np.outer(scale, scale))
    told = spread > _LEAST_SPREAD
    turned = turned[:, told]
    seen = turned.T @ (moments.cross[used] / scale[:, None])
    slopes = turned @ _shrunk(seen, spread[told], noise[used].mean(axis=0))
    out[:, used] = (slopes / scale[:, None]).T
    return out


def _shrunk(seen: Floats, spread: Floats, noise: Floats) -> Floats:
    """Posterior means of independent rows of slopes, of which `seen` has mean spread * slopes, variance spread * noise.

    Args:
        seen: (r, K).
        spread: (r,).
        noise: (K, K).
    """
    n_effects = len(noise)
    typical = float(np.trace(noise)) / n_effects
    root = np.linalg.cholesky(noise + 1e-6 * typical * np.eye(n_effects))
    white = np.linalg.solve(root, seen.T).T
    likelihoods, means = [], []
    for size, alike in product(SIZES, ALIKE if n_effects > 1 else (0.0,)):
        prior = size**2 * typical * (alike + (1.0 - alike) * np.eye(n_effects))
        variance, axes = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, prior).T))
        apart, signal = white @ axes, spread[:, None] * variance
        likelihoods.append(-0.5 * float((np.log1p(signal) + apart**2 / (spread[:, None] * (1.0 + signal))).sum()))
        means.append((apart * variance / (1.0 + signal)) @ axes.T @ root.T)
    share = np.exp(np.array(likelihoods) - max(likelihoods))
    return np.asarray(np.average(means, axis=0, weights=share))
