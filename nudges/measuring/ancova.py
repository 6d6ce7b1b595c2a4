"""Turns one row per randomised unit (post, pre, treated) into an effect by analysis of covariance.

Post-only ANCOVA: post = a + tau * treated + b * pre + e, weighted by the households in a unit. Pre is a covariate, so
tau needs only the randomisation to be right (Lin 2013, https://doi.org/10.1214/12-AOAS583). Standard errors are HC2
(MacKinnon & White 1985) with t(n - k); with `cluster` they are CR2 with Bell-McCaffrey degrees of freedom
(Bell & McCaffrey 2002; Imbens & Kolesar 2016, https://doi.org/10.1162/REST_a_00552). Both come from k x k sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.effect import Effect, Method

Floats = NDArray[np.float64]
_TREATED = 1  # column of `treated` in the design
_FULL_LEVERAGE = 1e-10  # 1 - h below this: the row is fitted exactly and says nothing of the treatment
_SINGULAR = 1e-10  # smallest eigenvalue of the scaled cross-product, relative to the largest
_NOTHING = 1e-9  # relative to the outcome's size: below this a number is rounding, not a difference or a spread


@dataclass(frozen=True, slots=True)
class _Fit:
    """A weighted least-squares fit: rows already multiplied by the square root of their weight."""

    rows: Floats  # (n, k)
    residuals: Floats  # (n,)
    bread: Floats  # (k, k), inverse cross-product
    beta: Floats  # (k,)


def unit_ancova(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect of treatment on `post`, one row per randomised unit.

    Args:
        post: (n,) outcome after assignment, no NaN: leave out units without an outcome, in both arms by the same rule.
        pre: (n,) outcome before; NaN where unknown (filled with the mean and marked by an indicator), or None.
        treated: (n,) 0 or 1.
        weights: (n,) households in the unit, so that the effect is per household; all 1 when None.
        cluster: (n,) labels of units whose errors move together; None when each unit was drawn on its own.
        strata: (n,) labels within which units were drawn (weeks of first assignment); each gets its own level.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: shapes differ, NaN in `post`, `treated` not 0/1, weights not positive.
        UnsupportedError: fewer than two units in an arm, or treatment cannot be told from missingness or strata.
    """
    y = _vector("post", post)
    z = _vector("treated", treated, n=len(y))
    w = np.ones(len(y)) if weights is None else _vector("weights", weights, n=len(y))
    _check(y, z, w, alpha)
    design = _design(z, _known(pre, len(y)), w, None if strata is None else _labels("strata", strata, len(y)))
    fit = _fit(design, y, w)
    if cluster is None:
        variance, df, method = _hc2(fit), float(len(y) - design.shape[1]), Method.ANCOVA_HC2
    else:
        variance, df = _cr2(fit, _labels("cluster", cluster, len(y)))
        method = Method.ANCOVA_CR2
    n_treated = int(z.sum())
    tau, se = float(fit.beta[_TREATED]), float(np.sqrt(max(variance, 0.0)))
    rounding = _NOTHING * float(np.sqrt(np.average(y**2, weights=w)))
    if se <= rounding:
        tau, se = tau if abs(tau) > rounding else 0.0, 0.0
    n_control = len(z) - n_treated
    return Effect.of(tau, se, df, n_treated=n_treated, n_control=n_control, method=method, alpha=alpha)


def _vector(name: str, values: ArrayLike, n: int | None = None) -> Floats:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or (n is not None and len(vector) != n):
        wanted = "one row per unit" if n is None else f"{n} rows, one per unit of `post`"
        raise DataError(f"measuring.unit_ancova: {name}.shape == {vector.shape}, must be {wanted}.")
    return vector


def _labels(name: str, values: ArrayLike, n: int) -> NDArray[np.intp]:
    labels = np.asarray(values)
    if labels.shape != (n,):
        raise DataError(f"measuring.unit_ancova: {name}.shape == {labels.shape}, must be ({n},), one label per unit.")
    return np.unique(labels, return_inverse=True)[1]


def _known(pre: ArrayLike | None, n: int) -> Floats:
    return np.full(n, np.nan) if pre is None else _vector("pre", pre, n=n)


def _check(y: Floats, z: Floats, w: Floats, alpha: float) -> None:
    bad = int((~np.isfinite(y)).sum())
    if bad:
        raise DataError(
            f"measuring.unit_ancova: post has {bad} units without an outcome (NaN), must have none. Leave them out."
        )
    if not np.isin(z, (0.0, 1.0)).all():
        raise DataError("measuring.unit_ancova: treated has values other than 0 and 1. Write 1 for treated units.")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError("measuring.unit_ancova: weights must be above 0. Write the number of households in each unit.")
    if not 0 < alpha < 1:
        raise DataError(f"measuring.unit_ancova: alpha == {alpha}, must be between 0 and 1. Write 0.05 for 95 %.")
    for arm, count in (("treated", int(z.sum())), ("control", int((1 - z).sum()))):
        if count < 2:
            raise UnsupportedError(
                f"measuring.unit_ancova: {count} {arm} units, must be 2 or more for an interval. Wait for more units."
            )


def _design(z: Floats, pre: Floats, w: Floats, strata: NDArray[np.intp] | None) -> Floats:
    """Columns: 1, treated, pre (centred, scaled), missing, strata but the first. Constant ones are left out."""
    columns = [np.ones(len(z)), z]
    missing = ~np.isfinite(pre)
    if not missing.all():
        known = ~missing
        centre = np.average(pre[known], weights=w[known])
        x = np.where(known, pre - centre, 0.0)
        spread = float(np.sqrt(np.mean(x[known] ** 2)))
        if spread > 1e-12 * max(1.0, abs(centre)):
            columns.append(x / spread)
        if missing.any():
            columns.append(missing.astype(np.float64))
    if strata is not None:
        columns.extend((strata == level).astype(np.float64) for level in range(1, int(strata.max()) + 1))
    return np.column_stack(columns)


def _fit(design: Floats, y: Floats, w: Floats) -> _Fit:
    if len(y) <= design.shape[1]:
        raise UnsupportedError(
            f"measuring.unit_ancova: {len(y)} units for {design.shape[1]} coefficients. Wait for more units."
        )
    root = np.sqrt(w)
    rows, target = design * root[:, None], y * root
    cross = rows.T @ rows
    scale = 1 / np.sqrt(np.diag(cross))
    eigenvalues = np.linalg.eigvalsh(cross * np.outer(scale, scale))
    if eigenvalues[0] < _SINGULAR * eigenvalues[-1]:
        raise UnsupportedError(
            "measuring.unit_ancova: treatment cannot be told apart from missing pre-period weights or from the strata. "
            "Measure a period, or units, where both arms have both."
        )
    bread = np.outer(scale, scale) * np.linalg.inv(cross * np.outer(scale, scale))
    beta = bread @ (rows.T @ target)
    residuals = target - rows @ beta
    beta = beta + bread @ (rows.T @ residuals)  # one step of refinement: agreement with QR to 1e-12
    return _Fit(rows, target - rows @ beta, bread, beta)


def _hc2(fit: _Fit) -> float:
    """Variance of tau: sum_i (A x_i)_tau^2 e_i^2 / (1 - h_i)."""
    projected = fit.rows @ fit.bread
    slack = 1 - np.einsum("ij,ij->i", projected, fit.rows)
    usable = slack > _FULL_LEVERAGE
    share = np.where(usable, fit.residuals**2 / np.where(usable, slack, 1.0), 0.0)
    return float((projected[:, _TREATED] ** 2) @ share)


def _cr2(fit: _Fit, cluster: NDArray[np.intp]) -> tuple[float, float]:
    """Variance of tau and its Bell-McCaffrey degrees of freedom.

    With R = bread^(1/2) and B_g = X_g R, (I - H_gg)^(-1/2) acts on the column space of B_g only, so everything follows
    from the eigenvectors of the k x k matrices B_g' B_g; directions of full leverage get the Moore-Penrose zero.
    """
    k, groups = fit.rows.shape[1], int(cluster.max()) + 1
    if groups < 3:
        raise UnsupportedError(f"measuring.unit_ancova: {groups} clusters, must be 3 or more for an interval.")
    values, vectors = np.linalg.eigh(fit.bread)
    root: Floats = (vectors * np.sqrt(values)) @ vectors.T
    basis = fit.rows @ root
    gram = np.empty((groups, k, k))
    for i in range(k):
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = np.bincount(cluster, basis[:, i] * basis[:, j], minlength=groups)
    scores: Floats = np.column_stack(
        [np.bincount(cluster, basis[:, i] * fit.residuals, minlength=groups) for i in range(k)]
    )
    leverage, turn = np.linalg.eigh(gram)  # (G, k), (G, k, k)
    leverage = np.clip(leverage, 0.0, 1.0)
    slack = 1 - leverage
    open_ = slack > _FULL_LEVERAGE
    inverse_root: Floats = np.where(open_, 1 / np.sqrt(np.where(open_, slack, 1.0)), 0.0)
    tau = root[:, _TREATED]

    def adjusted(diagonal: Floats, of: Floats) -> Floats:
        turned = np.einsum("gij,gi->gj", turn, np.broadcast_to(of, (groups, k)))
        return np.asarray(np.einsum("gij,gj->gi", turn, diagonal * turned), dtype=np.float64)

    parts = adjusted(inverse_root, scores) @ tau
    crossed = adjusted(leverage * inverse_root, tau)  # b_g = B_g' A_g B_g R l
    alpha_g = adjusted(leverage * inverse_root**2, tau) @ tau
    size = np.einsum("gi,gi->g", crossed, crossed)
    trace = float((alpha_g - size).sum())
    square = float((alpha_g**2 - 2 * alpha_g * size).sum() + ((crossed.T @ crossed) ** 2).sum())
    return float(parts @ parts), trace**2 / square
