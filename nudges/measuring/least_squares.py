"""Turns a design, an outcome and weights into the treatment's coefficient with a robust variance.

The treatment is column 1 of every design. HC2 (MacKinnon & White 1985, https://doi.org/10.1016/0304-4076(85)90158-7)
and CR2 come with Bell-McCaffrey degrees of freedom (Bell & McCaffrey 2002; Imbens & Kolesar 2016,
https://doi.org/10.1162/REST_a_00552), which fall where a few heavy rows carry the estimate. All come from k x k sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.errors import UnsupportedError

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

TREATED = 1
"""Column of the treatment in every design."""

_FULL_LEVERAGE = 1e-10  # 1 - h below this: the row is fitted exactly and says nothing of the treatment
_SINGULAR = 1e-10  # smallest eigenvalue of the scaled cross-product, relative to the largest


@dataclass(frozen=True, slots=True)
class Fit:
    """A weighted least-squares fit: rows already multiplied by the square root of their weight."""

    rows: Floats  # (n, k)
    residuals: Floats  # (n,)
    bread: Floats  # (k, k), inverse cross-product
    beta: Floats  # (k,)

    @property
    def estimate(self) -> float:
        """Coefficient of the treatment."""
        return float(self.beta[TREATED])


def weighted_fit(where: str, design: Floats, y: Floats, w: Floats) -> Fit:
    """Fit y on the columns of `design` with weights w; `where` begins the messages.

    Raises UnsupportedError when there are no more rows than columns, or columns that cannot be told apart.
    """
    if len(y) <= design.shape[1]:
        raise UnsupportedError(f"{where}: {len(y)} units for {design.shape[1]} coefficients. Wait for more units.")
    root = np.sqrt(w)
    rows, target = design * root[:, None], y * root
    cross = rows.T @ rows
    sizes = np.diag(cross)
    scale = 1 / np.sqrt(np.where(sizes > 0, sizes, 1.0))
    eigenvalues = np.linalg.eigvalsh(cross * np.outer(scale, scale))
    if eigenvalues[0] < _SINGULAR * eigenvalues[-1]:
        raise UnsupportedError(
            f"{where}: treatment cannot be told apart from missing pre-period values or from the strata. "
            "Measure a period, or units, where both arms have both."
        )
    bread = np.outer(scale, scale) * np.linalg.inv(cross * np.outer(scale, scale))
    beta = bread @ (rows.T @ target)
    residuals = target - rows @ beta
    beta = beta + bread @ (rows.T @ residuals)  # one step of refinement: agreement with QR to 1e-12
    return Fit(rows, target - rows @ beta, bread, beta)


def open_share(rows: Floats, bread: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """1 - leverage of each row, (n,), and whether the row is not fitted exactly (1 stands where it is)."""
    slack = 1 - np.einsum("ij,ij->i", rows @ bread, rows)
    usable = slack > _FULL_LEVERAGE
    return np.where(usable, slack, 1.0), usable


def hc2_rows(fit: Fit) -> Floats:
    """Influence of each row on tau, (A x_i)_tau e_i / sqrt(1 - h_i), whose squares sum to the HC2 variance."""
    slack, usable = open_share(fit.rows, fit.bread)
    return np.asarray(np.where(usable, (fit.rows @ fit.bread[:, TREATED]) * fit.residuals / np.sqrt(slack), 0.0))


def hc2_df(fit: Fit) -> float:
    """Bell-McCaffrey degrees of freedom of the HC2 variance, for errors whose variance falls with the weight.

    With a_i = (A x_i)_tau^2 / (1 - h_i) and b_i = A^(1/2) x_i the variance is a quadratic form of matrix
    M diag(a) M: its trace is sum a_i (1 - h_i), that of its square sum a_i^2 (1 - 2 h_i) + |sum a_i b_i b_i'|^2.
    """
    slack, usable = open_share(fit.rows, fit.bread)
    shares = np.where(usable, (fit.rows @ fit.bread[:, TREATED]) ** 2 / slack, 0.0)
    moments = (fit.rows * shares[:, None]).T @ fit.rows @ fit.bread
    trace = float(shares @ slack)
    square = float(shares**2 @ (2 * slack - 1)) + float(np.sum(moments * moments.T))
    most = float(fit.rows.shape[0] - fit.rows.shape[1])
    return min(trace**2 / square, most) if square > 0 else most


def cr2(where: str, fit: Fit, cluster: Labels) -> tuple[float, float]:
    """Variance of tau clustered by CR2 and its Bell-McCaffrey degrees of freedom.

    With R = bread^(1/2) and B_g = X_g R, (I - H_gg)^(-1/2) acts on the column space of B_g only, so everything follows
    from the eigenvectors of the k x k matrices B_g' B_g; directions of full leverage get the Moore-Penrose zero.
    Raises UnsupportedError with fewer than three clusters.
    """
    k, groups = fit.rows.shape[1], int(cluster.max()) + 1
    if groups < 3:
        raise UnsupportedError(f"{where}: {groups} clusters, must be 3 or more for an interval.")
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
    tau = root[:, TREATED]

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
