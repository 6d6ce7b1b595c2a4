"""Turns one row per randomised unit (post, pre, treated) into an effect by analysis of covariance.

Post-only ANCOVA: post = a + tau * treated + b * pre + e, weighted by the households in a unit. Pre is a covariate, so
tau needs only the randomisation to be right (Lin 2013, https://doi.org/10.1214/12-AOAS583). Standard errors are HC2,
with `cluster` CR2; both refer to t with Bell-McCaffrey degrees of freedom, because a few large bin stores among many
houses, or a small control group, carry far fewer than n - k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudges.measuring.design import Rows, ancova_design, checked_rows, labels
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import Floats, cr2, hc2_df, hc2_rows, weighted_fit

_WHERE = "measuring.unit_ancova"


@dataclass(frozen=True, slots=True)
class Influence:
    """An estimate with what each row adds to its error: the squares sum to the HC2 variance."""

    estimate: float
    rows: Floats  # (n,)
    df: float


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
    rows = checked_rows(_WHERE, post, pre, treated, weights=weights, strata=strata, alpha=alpha)
    fit = weighted_fit(_WHERE, ancova_design(rows), rows.y, rows.w)
    if cluster is None:
        influence = hc2_rows(fit)
        return rows.effect(fit.estimate, float(influence @ influence), hc2_df(fit), Method.ANCOVA_HC2)
    variance, df = cr2(_WHERE, fit, labels(_WHERE, "cluster", cluster, len(rows.y)))
    return rows.effect(fit.estimate, variance, df, Method.ANCOVA_CR2)


def hc2_influence(y: Floats, pre: Floats, treated: Floats, weights: Floats, strata: Floats | None) -> Influence:
    """The estimate of `unit_ancova` with the influence of each row; the caller has checked shapes and values.

    Raises UnsupportedError as `unit_ancova` does.
    """
    numbers = None if strata is None else np.unique(strata, return_inverse=True)[1]
    rows = Rows(_WHERE, y, pre, treated, weights, numbers, alpha=0.05)
    fit = weighted_fit(_WHERE, ancova_design(rows), y, weights)
    return Influence(fit.estimate, hc2_rows(fit), hc2_df(fit))
