"""Turns the units of an experiment into a p-value and an interval from re-drawing who was treated.

The statistic is tau / se with HC2 (`unit_ancova`'s), which keeps the test right on average effects as well as on no
effect for anyone (Wu & Ding 2021, https://doi.org/10.1080/01621459.2020.1750415). The interval inverts the test
(Rosenbaum 2002): it holds every constant effect t that the test of "post less t for the treated" does not reject.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.design import Rows, checked_rows, covariates, strata_columns
from nudges.measuring.least_squares import Floats, Labels

EXACT_UP_TO = 20_000
"""Most assignments to list; more are sampled."""

_WHERE = "measuring.randomisation_test"
_CELLS = 1 << 17  # draws x units held at a time
_TIE = 1e-9  # relative: two draws closer than this are the same distance away
_COLLINEAR = 1e-10  # relative: a draw with less of its own beside the covariates says nothing
_FULL_LEVERAGE = 1e-10
_SAME = 1e-12  # relative: a draw whose residual treatment is this close to the one drawn, or its mirror image
_NO_SPREAD = 1e-9  # relative to the outcome's size
_IMAGINARY = 1e-6  # relative: roots with less are taken as real, so that reaches err outwards


@dataclass(frozen=True, slots=True)
class Randomisation:
    """A test over re-drawn assignments. `estimate` and the interval are in units of the outcome, treated minus control.

    The interval is (-inf, inf) when `smallest_p` is above alpha: so few assignments can reject nothing. It excludes 0
    exactly when p_value <= alpha.
    """

    estimate: float
    p_value: float
    ci_low: float
    ci_high: float
    n_assignments: int  # compared with, the one that was drawn among them
    is_exact: bool  # all possible ones
    smallest_p: float  # the least p-value this design can give


@dataclass(frozen=True, slots=True)
class _Residual:
    """What the covariates leave of treatment and outcome, in rows scaled by the root of the weight."""

    basis: Floats  # (n, q), orthonormal, spans the covariates
    root: Floats  # (n,)
    y: Floats  # (n,), less the estimate for the treated
    z: Floats  # (n,)
    estimate: float
    se: float  # 0 where the outcome has no spread


@dataclass(frozen=True, slots=True)
class _Redrawn:
    """Assignments in place of the one drawn, (R,) each, as functions of u, the tested effect less the estimate.

    The re-drawn estimate is `shift` - u `slope`, its HC2 variance `flat` - 2 u `cross` + u^2 `square`.
    """

    shift: Floats
    slope: Floats
    flat: Floats
    cross: Floats
    square: Floats
    is_same: NDArray[np.bool_]  # the one drawn, its mirror image, or one that the covariates span


def randomisation_test(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    strata: ArrayLike | None = None,
    draws: int = 1_999,
    seed: int = 0,
    alpha: float = 0.05,
) -> Randomisation:
    """Test against the assignments that could have been drawn: as many treated in all, or in each stratum or pair.

    Every assignment is taken where there are at most 20,000; otherwise `draws` of them with a fixed seed, and
    the one that was drawn counts among them, so that the p-value is never 0 and valid at any number of draws.

    Args:
        post: (n,) outcome after assignment, no NaN.
        pre: (n,) outcome before; NaN where unknown, or None.
        treated: (n,) 0 or 1.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels of the pairs or strata within which units were drawn; None for one draw over all.
        draws: assignments to sample where they are too many to list; each takes some 50 ns a unit.
        seed: of the sampled assignments.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: as `unit_ancova`, or fewer than 1 draw.
        UnsupportedError: as `unit_ancova`.
    """
    rows = checked_rows(_WHERE, post, pre, treated, weights=weights, strata=strata, alpha=alpha)
    if draws < 1:
        raise DataError(f"{_WHERE}: draws == {draws}, must be 1 or more. Write 1999.")
    left = _residual(rows)
    possible = _n_assignments(rows)
    is_exact = possible <= EXACT_UP_TO
    if left.se <= 0:
        return Randomisation(0.0, 1.0, 0.0, 0.0, possible if is_exact else draws + 1, is_exact, 1.0)
    chunks = _every(rows) if is_exact else _sampled(rows, draws, np.random.default_rng(seed))
    pairs = [_reaches(left, chunk) for chunk in chunks]
    below, above = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if not is_exact:
        below, above = (np.append(side, math.inf) for side in (below, above))  # the one that was drawn
    toward = (below if left.estimate > 0 else above) >= abs(left.estimate) * (1 - _TIE)
    rank = math.floor(alpha * len(above) * (1 + _TIE))  # this many may lie beyond
    return Randomisation(
        estimate=left.estimate,
        p_value=float(toward.mean()),
        ci_low=left.estimate - float(np.sort(below)[::-1][rank]),
        ci_high=left.estimate + float(np.sort(above)[::-1][rank]),
        n_assignments=len(above),
        is_exact=is_exact,
        smallest_p=float(np.isinf(above).mean()),
    )


def _residual(rows: Rows) -> _Residual:
    root = np.sqrt(rows.w)
    fixed = np.column_stack([np.ones(len(rows.y)), *covariates(rows), *strata_columns(rows)]) * root[:, None]
    left, size, _ = np.linalg.svd(fixed, full_matrices=False)
    basis = left[:, size > _COLLINEAR * size[0]]
    y, z = (_beside(basis, (values * root)[None, :])[0] for values in (rows.y, rows.z))
    if z @ z <= _COLLINEAR * float(rows.w @ rows.z):
        raise UnsupportedError(
            f"{_WHERE}: treatment cannot be told apart from the strata or missing pre-period values."
        )
    whole = _Residual(basis, root, y, z, 0.0, 0.0)
    own = _redrawn(whole, rows.z[None, :])
    estimate, se = float(own.shift[0]), math.sqrt(float(own.flat[0]))
    if se <= _NO_SPREAD * math.sqrt(float(np.average(rows.y**2, weights=rows.w))):
        estimate, se = 0.0, 0.0
    return _Residual(basis, root, y - estimate * z, z, estimate, se)


def _beside(basis: Floats, scaled: Floats) -> Floats:
    """Rows of `scaled`, (R, n), less their projection on the covariates."""
    return np.asarray(scaled - (scaled @ basis) @ basis.T, dtype=np.float64)


def _redrawn(left: _Residual, assignments: Floats) -> _Redrawn:
    z = _beside(left.basis, assignments * left.root)
    size = np.einsum("rn,rn->r", z, z)
    is_spanned = size <= _COLLINEAR * (assignments @ left.root**2)
    size = np.where(is_spanned, 1.0, size)
    shift, slope = z @ left.y / size, z @ left.z / size
    share = z**2 / size[:, None]
    slack = 1 - np.einsum("nq,nq->n", left.basis, left.basis) - share
    share = np.where(slack > _FULL_LEVERAGE, share / np.maximum(slack, _FULL_LEVERAGE), 0.0) / size[:, None]
    yy, yz, zz = (share @ np.column_stack([left.y**2, left.y * left.z, left.z**2])).T
    share *= z
    y, own = (share @ np.column_stack([left.y, left.z])).T
    whole = np.einsum("rn,rn->r", share, z)
    square = zz - 2 * slope * own + slope**2 * whole
    return _Redrawn(
        shift=shift,
        slope=slope,
        flat=(yy - 2 * shift * y + shift**2 * whole).clip(0),
        cross=yz - shift * own - slope * y + shift * slope * whole,
        square=square,
        is_same=is_spanned | (square <= _SAME * zz),
    )


def _reaches(left: _Residual, assignments: Floats) -> tuple[Floats, Floats]:
    """How far below and above the estimate an effect may lie before each draw is no longer as extreme, (R,) each.

    A draw is as extreme while (shift - u slope)^2 / variance(u) >= u^2 / se^2: a quartic in u, positive at 0 and
    falling in the end. Its outermost roots are taken, so that the p-value falls with distance and agrees with the
    interval.
    """
    draw = _redrawn(left, assignments)
    shift, flat = draw.shift / left.se, draw.flat / left.se**2
    cross, square = draw.cross / left.se, np.where(draw.is_same, 1.0, draw.square)
    companion = np.zeros((len(shift), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1.0
    terms = (2 * cross, draw.slope**2 - flat, -2 * shift * draw.slope, shift**2)
    companion[:, 0, :] = np.stack(terms, axis=1) / square[:, None]
    roots = np.linalg.eigvals(companion)
    is_real = np.abs(roots.imag) <= _IMAGINARY * np.abs(roots)
    real = np.where(is_real, roots.real, 0.0) * left.se
    below, above = np.max(-real, axis=1).clip(0), np.max(real, axis=1).clip(0)
    return np.where(draw.is_same, np.inf, below), np.where(draw.is_same, np.inf, above)


def _groups(rows: Rows) -> list[Labels]:
    """Row numbers of each stratum, or of all."""
    if rows.strata is None:
        return [np.arange(len(rows.z))]
    return [np.flatnonzero(rows.strata == level) for level in range(int(rows.strata.max()) + 1)]


def _n_assignments(rows: Rows) -> int:
    return math.prod(math.comb(len(group), int(rows.z[group].sum())) for group in _groups(rows))


def _every(rows: Rows) -> Iterator[Floats]:
    """All assignments with as many treated in each group, (R, n) at a time."""
    groups = _groups(rows)
    choices = product(*(combinations(group.tolist(), int(rows.z[group].sum())) for group in groups))
    while batch := list(islice(choices, _batch(rows))):
        treated = np.zeros((len(batch), len(rows.z)))
        for row, parts in enumerate(batch):
            treated[row, [unit for part in parts for unit in part]] = 1.0
        yield treated


def _sampled(rows: Rows, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Assignments that treat the units with the lowest keys of each group, as many as were treated in it."""
    groups = [(group, int(rows.z[group].sum())) for group in _groups(rows)]
    for start in range(0, draws, _batch(rows)):
        treated = np.zeros((min(_batch(rows), draws - start), len(rows.z)))
        for group, count in groups:
            if count > 0:
                keys = rng.random((len(treated), len(group)))
                treated[:, group] = keys <= np.partition(keys, count - 1, axis=1)[:, count - 1 : count]
        yield treated


def _batch(rows: Rows) -> int:
    return max(1, _CELLS // len(rows.z))
