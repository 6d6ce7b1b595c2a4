"""Turns one row per collection round (post, pre, treated, households) into the effect per household."""

from __future__ import annotations

from numpy.typing import ArrayLike

from nudges.errors import UnsupportedError
from nudges.measuring.design import Rows, ancova_design, checked_rows
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import hc2_df, hc2_rows, weighted_fit

MIN_ROUNDS = 4
"""Fewest rounds in an arm: of 3 against 3 even the exact test cannot fall below p = 0.10."""

_WHERE = "measuring.round_effect"


def round_effect(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    weights: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect per household when whole rounds were drawn.

    ybar_g = a + tau * treated_g + b * xbar_g, weighted by households, HC2 with Bell-McCaffrey degrees of freedom
    (Imbens & Kolesar 2016, https://doi.org/10.1162/REST_a_00552): rounds, not households, are what was drawn, and
    n - k would claim more than a few rounds of unequal size can tell.

    Args:
        post: (n,) outcome of each round after the draw, per household, no NaN.
        pre: (n,) outcome before; NaN where unknown, or None.
        treated: (n,) 0 or 1.
        weights: (n,) households of each round.
        strata: (n,) labels of the pairs or strata within which rounds were drawn.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: shapes differ, NaN in `post`, `treated` not 0/1, weights not positive.
        UnsupportedError: fewer than 4 rounds in an arm, or rounds too few for the columns.
    """
    rows = checked_rows(_WHERE, post, pre, treated, weights=weights, strata=strata, alpha=alpha)
    _refuse_too_few(rows)
    fit = weighted_fit(_WHERE, ancova_design(rows), rows.y, rows.w)
    influence = hc2_rows(fit)
    return rows.effect(fit.estimate, float(influence @ influence), hc2_df(fit), Method.ROUNDS_HC2)


def _refuse_too_few(rows: Rows) -> None:
    if min(rows.n_treated, rows.n_control) < MIN_ROUNDS:
        raise UnsupportedError(
            f"{_WHERE}: {rows.n_treated} treated and {rows.n_control} control rounds, must be {MIN_ROUNDS} or more of "
            "each: with fewer there are so few ways to draw them that chance alone could make almost any difference. "
            "Draw more rounds, or draw households."
        )
