"""Turns an assignment and what was delivered into the effect on those it was delivered to.

Assignment is the instrument (Imbens & Angrist 1994, https://doi.org/10.2307/2951620). Delivered means that the post or
the provider confirmed delivery. Opens are not an instrument: mail programs open messages that nobody reads, and the
subject line works without being opened.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.design import ancova_design, checked_rows, vector
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import Floats, hc2_df, hc2_rows, weighted_fit

MIN_FIRST_STAGE_F = 10.0
"""Below this F of delivery on assignment the ratio's interval cannot be trusted (Staiger & Stock 1997)."""

_WHERE = "measuring.delivered_effect"
_LEAST_SHARE = 1e-6  # a smaller difference in the share delivered is rounding


def delivered_effect(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    delivered: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect on delivered units: the effect as drawn over the difference in the share delivered.

    Two-stage least squares, just identified: tau = tau_post / tau_delivered, both by the design of `unit_ancova`; its
    influence is (psi_post - tau psi_delivered) / tau_delivered with HC2 residuals.

    Args:
        post: (n,) outcome after assignment, no NaN.
        pre: (n,) outcome before; NaN where unknown, or None.
        treated: (n,) 0 or 1, as drawn.
        delivered: (n,) whether, or the share of the unit's households to which, a message was delivered, 0-1.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: as `unit_ancova`, or `delivered` outside 0-1.
        UnsupportedError: as `unit_ancova`, or delivery hardly differs between the arms (F below 10).
    """
    rows = checked_rows(_WHERE, post, pre, treated, weights=weights, strata=strata, alpha=alpha)
    given = vector(_WHERE, "delivered", delivered, n=len(rows.y))
    if not (np.isfinite(given).all() and ((given >= 0) & (given <= 1)).all()):
        raise DataError(f"{_WHERE}: delivered must be between 0 and 1. Write the share of households delivered to.")
    design = ancova_design(rows)
    first = weighted_fit(_WHERE, design, given, rows.w)
    _refuse_weak(first.estimate, hc2_rows(first))
    reduced = weighted_fit(_WHERE, design, rows.y, rows.w)
    tau = reduced.estimate / first.estimate
    influence = (hc2_rows(reduced) - tau * hc2_rows(first)) / first.estimate
    return rows.effect(tau, float(influence @ influence), hc2_df(reduced), Method.DELIVERED_IV)


def _refuse_weak(share: float, influence: Floats) -> None:
    variance = float(influence @ influence)
    if share < _LEAST_SHARE or share**2 < MIN_FIRST_STAGE_F * variance:
        raise UnsupportedError(
            f"{_WHERE}: delivered shares differ by {share:.3f} between the arms (standard error {variance**0.5:.3f}), "
            "too little to say what delivery does. Report the effect as drawn."
        )
