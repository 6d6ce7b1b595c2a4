"""Turns the headline's units into the same effect estimated other ways, to be shown beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from nudges.errors import UnsupportedError
from nudges.measuring.design import Rows, ancova_design, checked_rows, covariates, strata_columns
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import Floats, hc2_df, hc2_rows, weighted_fit

WINSOR_SHARE = 0.01
"""Share of units pulled in at each end of the outcome and of the pre-period."""

_WHERE = "measuring.robustness_rows"


def robustness_rows(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
) -> tuple[tuple[str, Effect], ...]:
    """Estimate the effect five other ways; arguments and errors as `unit_ancova`, units treated minus control.

    Difference in means; CUPED (Deng et al. 2013, https://doi.org/10.1145/2433396.2433413), whose slope is taken as
    known, so that with few units its interval is a little short; Lin (2013, https://doi.org/10.1214/12-AOAS583);
    difference in differences over the units with a pre-period; ANCOVA with both periods winsorised at 1 % and 99 % of
    all units. Rows that need a pre-period are left out where no unit has one, as is any row that cannot be estimated.
    """
    rows = checked_rows(_WHERE, post, pre, treated, weights=weights, strata=strata, alpha=alpha)
    found = []
    for label, estimate in _WAYS.items():
        try:
            found.append((label, estimate(rows)))
        except UnsupportedError:
            continue
    return tuple(found)


def difference(rows: Rows) -> Effect:
    """Difference in means, within strata, the pre-period unused."""
    return _effect(rows, _plain_design(rows), rows.y, Method.DIFFERENCE)


def cuped(rows: Rows) -> Effect:
    """Difference in means of y - theta (x - xbar), theta = cov(x, y) / var(x) within strata, both arms together."""
    known = _known(rows)
    centre = float(np.average(rows.x[known], weights=rows.w[known]))
    x = np.where(known, rows.x - centre, 0.0)
    design = np.column_stack([np.ones(len(x)), x, *strata_columns(rows)])
    theta = weighted_fit(_WHERE, design, rows.y, rows.w).estimate  # column 1 is x here
    return _effect(rows, _plain_design(rows), rows.y - theta * x, Method.CUPED)


def lin(rows: Rows) -> Effect:
    """Treatment at the mean of the covariates, each with its own slope in both arms."""
    _known(rows)
    centred = [column - np.average(column, weights=rows.w) for column in covariates(rows)]
    crossed = [rows.z * column for column in centred]
    design = np.column_stack([np.ones(len(rows.z)), rows.z, *centred, *crossed, *strata_columns(rows)])
    return _effect(rows, design, rows.y, Method.LIN)


def difference_in_differences(rows: Rows) -> Effect:
    """Difference in means of post - pre, over the units that have both."""
    known = _known(rows)
    strata = None if rows.strata is None else np.unique(rows.strata[known], return_inverse=True)[1]
    both = replace(
        rows, y=rows.y[known] - rows.x[known], x=rows.x[known], z=rows.z[known], w=rows.w[known], strata=strata
    )
    if min(both.n_treated, both.n_control) < 2:
        raise UnsupportedError(f"{_WHERE}: fewer than 2 units with a pre-period in an arm. Wait for more units.")
    return _effect(both, _plain_design(both), both.y, Method.DID)


def winsorised(rows: Rows) -> Effect:
    """ANCOVA after the outcome and the pre-period are cut at quantiles over both arms."""
    cut = replace(rows, y=_cut(rows.y), x=_cut(rows.x))
    if np.ptp(cut.y) == 0:
        raise UnsupportedError(f"{_WHERE}: nothing is left of the outcome between its 1 % and 99 % quantiles.")
    return _effect(cut, ancova_design(cut), cut.y, Method.WINSORISED)


_WAYS: dict[str, Callable[[Rows], Effect]] = {
    "Difference in means": difference,
    "CUPED": cuped,
    "Lin": lin,
    "Difference in differences": difference_in_differences,
    "Winsorised at 1 % and 99 %": winsorised,
}


def _effect(rows: Rows, design: Floats, y: Floats, method: Method) -> Effect:
    fit = weighted_fit(_WHERE, design, y, rows.w)
    influence = hc2_rows(fit)
    return rows.effect(fit.estimate, float(influence @ influence), hc2_df(fit), method)


def _plain_design(rows: Rows) -> Floats:
    return np.column_stack([np.ones(len(rows.z)), rows.z, *strata_columns(rows)])


def _known(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    known = np.isfinite(rows.x)
    if not known.any():
        raise UnsupportedError(f"{_WHERE}: no unit has a pre-period. Read earlier weeks.")
    return known


def _cut(values: Floats) -> Floats:
    if not np.isfinite(values).any():
        return values
    low, high = np.nanquantile(values, (WINSOR_SHARE, 1 - WINSOR_SHARE))
    return np.clip(values, low, high)
