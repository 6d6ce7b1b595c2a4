"""Turns counts per unit (tags out of lifts, set-outs out of collections) into the effect on a rate.

A rate is a ratio of sums per arm, because the treatment may change the denominator too: a household that sets out less
often is lifted less often, and a mean of unit rates would weigh its few lifts as much as another's many. The ratio is
linearised (delta method: Deng, Knoblich & Lu 2018, https://doi.org/10.1145/3219819.3219919).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.design import Rows, ancova_design, checked_rows, vector
from nudges.measuring.effect import Effect, Method
from nudges.measuring.least_squares import Floats, hc2_df, hc2_rows, weighted_fit

_WHERE = "measuring.ratio_effect"
_LEAST_SHARE = 1e-9  # a stratum's smaller arm, as a share of its weight, below which it has one arm only


@dataclass(frozen=True, slots=True)
class _Counts:
    """Numerator and denominator after assignment and before, (n,) each."""

    over: Floats
    under: Floats
    pre_over: Floats
    pre_under: Floats


def ratio_effect(
    numerator: ArrayLike,
    denominator: ArrayLike,
    treated: ArrayLike,
    *,
    pre_numerator: ArrayLike | None = None,
    pre_denominator: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate R_1 - R_0, where R_z = sum w n / sum w d over the units of arm z, adjusted for the same ratio before.

    Each unit is written as L = R_z + (n - R_z d) / dbar_z, whose mean in arm z is R_z, and L is regressed on treatment
    and on the pre-period's (n - R d) / dbar with HC2. Arms are first weighted to the same mix of strata; a stratum with
    one arm only is left out.

    Args:
        numerator: (n,) events (tagged lifts, set-outs) after assignment.
        denominator: (n,) what they are out of (lifts, collections), 0 or more; units with 0 stay, as assigned.
        treated: (n,) 0 or 1.
        pre_numerator: (n,) the same before; NaN where unknown, or None.
        pre_denominator: (n,) the same before; 0 or NaN is unknown, or None.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: as `unit_ancova`, or a negative denominator, or events out of nothing.
        UnsupportedError: as `unit_ancova`, or an arm whose denominators are all 0.
    """
    rows = checked_rows(_WHERE, numerator, None, treated, weights=weights, strata=strata, alpha=alpha)
    n = len(rows.y)
    counts = _Counts(
        rows.y,
        vector(_WHERE, "denominator", denominator, n=n),
        _before("pre_numerator", pre_numerator, n),
        _before("pre_denominator", pre_denominator, n),
    )
    _check(counts)
    use, w = _same_mix(rows)
    if min(rows.z[use].sum(), (1 - rows.z[use]).sum()) < 2:
        raise UnsupportedError(f"{_WHERE}: no stratum holds both arms. Wait for strata where both were drawn.")
    line = _line(counts, rows.z, w)
    linear = Rows(
        _WHERE, line[use], _line_before(counts, w)[use], rows.z[use], w[use],
        None if rows.strata is None else np.unique(rows.strata[use], return_inverse=True)[1], alpha,
    )  # fmt: skip
    fit = weighted_fit(_WHERE, ancova_design(linear), linear.y, linear.w)
    influence = hc2_rows(fit)
    return linear.effect(fit.estimate, float(influence @ influence), hc2_df(fit), Method.RATIO)


def _before(name: str, values: ArrayLike | None, n: int) -> Floats:
    return np.full(n, np.nan) if values is None else vector(_WHERE, name, values, n=n)


def _check(counts: _Counts) -> None:
    if not (np.isfinite(counts.under).all() and (counts.under >= 0).all()):
        raise DataError(f"{_WHERE}: denominator must be 0 or more. Write how many collections were recorded.")
    if ((counts.under == 0) & (counts.over != 0)).any():
        raise DataError(f"{_WHERE}: numerator above 0 where denominator == 0. Count both over the same collections.")


def _same_mix(rows: Rows) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]:
    """Units of strata with both arms, and weights that give each arm the strata's shares of both and its own total."""
    if rows.strata is None:
        return np.ones(len(rows.y), dtype=np.bool_), rows.w
    total = np.bincount(rows.strata, rows.w)
    inside = np.bincount(rows.strata, rows.w * rows.z)
    both = np.minimum(inside, total - inside) > _LEAST_SHARE * total
    use = both[rows.strata]
    own = np.where(rows.z == 1, inside[rows.strata], (total - inside)[rows.strata])
    arm = np.where(rows.z == 1, inside[both].sum(), (total - inside)[both].sum()) / max(
        float(total[both].sum()), 1e-300
    )
    return use, np.where(use, rows.w * arm * total[rows.strata] / np.where(use, own, 1.0), 0.0)


def _line(counts: _Counts, z: Floats, w: Floats) -> Floats:
    line = np.empty(len(z))
    for arm, word in ((1.0, "treated"), (0.0, "control")):
        inside = z == arm
        under = float(w[inside] @ counts.under[inside])
        if under <= 0:
            raise UnsupportedError(f"{_WHERE}: denominator is 0 for all {word} units. Wait for collections.")
        ratio = float(w[inside] @ counts.over[inside]) / under
        scale = float(w[inside].sum()) / under
        line[inside] = ratio + (counts.over[inside] - ratio * counts.under[inside]) * scale
    return line


def _line_before(counts: _Counts, w: Floats) -> Floats:
    """The pre-period by the same formula over both arms together; NaN where nothing was counted."""
    known = np.isfinite(counts.pre_over) & (counts.pre_under > 0) & (w > 0)
    if not known.any():
        return np.full(len(w), np.nan)
    under = float(w[known] @ counts.pre_under[known])
    ratio = float(w[known] @ counts.pre_over[known]) / under
    line = (counts.pre_over - ratio * counts.pre_under) * float(w[known].sum()) / under
    return np.where(known, line, np.nan)


def linearised(numerator: ArrayLike, denominator: ArrayLike, treated: ArrayLike, weights: ArrayLike) -> Floats:
    """Each unit's rate written as a mean, (n,): R_z + (n - R_z d) / dbar_z by arm; NaN where nothing was counted.

    Its weighted mean over an arm is the arm's rate, so that what is built on means works on rates too.
    Raises UnsupportedError for an arm whose denominators are all 0.
    """
    over, under, z, w = (np.asarray(each, dtype=np.float64) for each in (numerator, denominator, treated, weights))
    known = np.isfinite(over) & (under > 0)
    counts = _Counts(np.where(known, over, 0.0), np.where(known, under, 0.0), over, under)
    return np.where(known, _line(counts, z, np.where(known, w, 0.0)), np.nan)
