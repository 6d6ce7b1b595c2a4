"""Turns outcomes by unit and week into one effect with a level for each week, clustered by unit.

y_it = a_t + tau * treated_i + b * pre_i + e_it over the weeks after assignment (Frison & Pocock 1992; McKenzie 2012,
https://doi.org/10.1016/j.jdeveco.2012.01.002). Weeks are swept out by their means; what is left are sums over a matrix
of units by weeks, read twice in slices that fit the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.effect import Effect, Method

Floats = NDArray[np.float64]

MIN_UNITS = 20
"""Fewest units in an arm: with fewer, clusters are too few for CR1 and t(units - 1)."""

_CELLS = 1 << 17  # units x weeks in a slice: one megabyte
_SINGULAR = 1e-10


@dataclass(frozen=True, slots=True)
class _Panel:
    """N units with an outcome in some week. `regressors` are treated, pre (centred), missing; `weights` or None."""

    where: str
    post: Floats  # (units, T) of all units given, NaN where nothing was read
    regressors: Floats  # (units, p)
    weights: Floats | None  # (units,)


@dataclass(frozen=True, slots=True)
class _Weeks:
    """Weighted sums: `mass` (T,), `y` and `regressors` means by week (T,) and (T, p); crosses less the week means."""

    mass: Floats
    y: Floats
    regressors: Floats
    cross: Floats  # (p, p)
    with_y: Floats  # (p,)
    cells: int


def panel_ancova(
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Estimate the mean effect over unit-weeks from a matrix of units by weeks; CR1 by unit, t(units - 1).

    Args:
        post: (n, T) outcome of each unit in each week after assignment; NaN where nothing was read.
        pre: (n,) outcome before; NaN where unknown (filled with the mean and marked by an indicator), or None.
        treated: (n,) 0 or 1.
        weights: (n,) households in the unit; all 1 when None.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: shapes differ, treated not 0/1, weights not positive.
        UnsupportedError: fewer than 20 units with an outcome in an arm, or treatment cannot be told apart.
    """
    where = "measuring.panel_ancova"
    y = np.asarray(post, dtype=np.float64)
    if y.ndim != 2:
        raise DataError(f"{where}: post.shape == {y.shape}, must be (units, weeks).")
    z, x = _unit_vector(where, "treated", treated, len(y)), _pre(where, pre, len(y))
    w = None if weights is None else _unit_vector(where, "weights", weights, len(y))
    if not np.isin(z, (0.0, 1.0)).all():
        raise DataError(f"{where}: treated has values other than 0 and 1. Write 1 for treated units.")
    if w is not None and not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError(f"{where}: weights must be above 0. Write the number of households in each unit.")
    return _estimate(_Panel(where, y, _regressors(z, x), w), alpha)


def panel_ancova_long(
    unit: ArrayLike,
    week: ArrayLike,
    post: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Effect:
    """`panel_ancova` from a long table: one row a unit and week, in any order, weeks that were not read left out.

    Args:
        unit: (rows,) whole numbers from 0, such as the codes of a dictionary of unit ids.
        week: (rows,) whole week numbers.
        post: (rows,) outcome.
        pre: (rows,) outcome before, the same in all rows of a unit; or None.
        treated: (rows,) 0 or 1, the same in all rows of a unit.
        weights: (rows,) households in the unit, the same in all its rows; all 1 when None.
        alpha: 0.05 for a 95 % interval.

    Raises:
        DataError: as `panel_ancova`, or a unit with two rows in a week, or with two values of what must be the same.
        UnsupportedError: as `panel_ancova`.
    """
    where = "measuring.panel_ancova_long"
    u, t, y = np.asarray(unit), np.asarray(week), np.asarray(post, dtype=np.float64)
    for name, codes in (("unit", u), ("week", t)):
        if codes.shape != y.shape or codes.ndim != 1 or not np.issubdtype(codes.dtype, np.integer):
            raise DataError(f"{where}: {name} must be {y.size} whole numbers, one a row of `post`.")
    if not len(y) or u.min() < 0:
        raise DataError(f"{where}: unit must be numbers from 0, in at least one row.")
    n, first = int(u.max()) + 1, int(t.min())
    matrix = np.full((n, int(t.max()) - first + 1), np.nan)
    z = _of_units(where, "treated", u, treated, np.zeros(n))
    x = None if pre is None else _of_units(where, "pre", u, pre, np.full(n, np.nan))
    w = None if weights is None else _of_units(where, "weights", u, weights, np.ones(n))
    filled = 0
    for rows in _slices(len(y), 1):
        matrix[u[rows], t[rows] - first] = y[rows]
        filled += int(np.isfinite(y[rows]).sum())
    if filled != sum(int(np.isfinite(matrix[rows]).sum()) for rows in _slices(*matrix.shape)):
        raise DataError(f"{where}: some unit has two rows in the same week. Add them up, or keep one.")
    return panel_ancova(matrix, x, z, weights=w, alpha=alpha)


def _unit_vector(where: str, name: str, values: ArrayLike, n: int) -> Floats:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,):
        raise DataError(f"{where}: {name}.shape == {vector.shape}, must be ({n},), one number a unit.")
    return vector


def _pre(where: str, pre: ArrayLike | None, n: int) -> Floats:
    return np.full(n, np.nan) if pre is None else _unit_vector(where, "pre", pre, n)


def _regressors(z: Floats, x: Floats) -> Floats:
    columns, missing = [z], np.isnan(x)
    if not missing.all():
        centred = np.where(missing, 0.0, x - np.nanmean(x))
        columns += [centred] if centred.any() else []
        columns += [missing.astype(np.float64)] if missing.any() else []
    return np.column_stack(columns)


def _of_units(where: str, name: str, unit: NDArray[np.integer], values: ArrayLike, out: Floats) -> Floats:
    """Values by row to values by unit, written into `out`."""
    rows_of = np.asarray(values, dtype=np.float64)
    if rows_of.shape != unit.shape:
        raise DataError(f"{where}: {name}.shape == {rows_of.shape}, must be {unit.shape}, one number a row.")
    slices = list(_slices(len(unit), 1))
    for rows in slices:
        out[unit[rows]] = rows_of[rows]
    for rows in slices:
        back = out[unit[rows]]
        if ((back != rows_of[rows]) & ~(np.isnan(back) & np.isnan(rows_of[rows]))).any():
            raise DataError(f"{where}: {name} differs between rows of one unit. Write the unit's value in each row.")
    return out


def _slices(n: int, width: int) -> Iterator[slice]:
    step = max(1, _CELLS // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _estimate(panel: _Panel, alpha: float) -> Effect:
    weeks, n_treated, n_control = _weeks(panel)
    if min(n_treated, n_control) < MIN_UNITS:
        raise UnsupportedError(
            f"{panel.where}: {n_treated} treated and {n_control} control units with an outcome, must be {MIN_UNITS} or "
            "more of each. Take unit_ancova, or round_effect for rounds."
        )
    scale = 1 / np.sqrt(np.diag(weeks.cross).clip(min=1e-300))
    scaled = weeks.cross * np.outer(scale, scale)
    if np.linalg.eigvalsh(scaled)[0] < _SINGULAR:
        raise UnsupportedError(
            f"{panel.where}: treatment cannot be told apart from missing pre-period values or from the weeks. "
            "Measure units or weeks where both arms have both."
        )
    bread = np.outer(scale, scale) * np.linalg.inv(scaled)
    beta = bread @ weeks.with_y
    units, live = n_treated + n_control, int((weeks.mass > 0).sum())
    small = units / (units - 1) * (weeks.cells - 1) / (weeks.cells - live - len(beta))
    variance = small * float(bread[0] @ _meat(panel, weeks, beta) @ bread[0])
    return Effect.of(
        float(beta[0]), float(np.sqrt(variance)), units - 1.0,
        n_treated=n_treated, n_control=n_control, method=Method.PANEL_CR1, alpha=alpha,
    )  # fmt: skip


def _weeks(panel: _Panel) -> tuple[_Weeks, int, int]:
    """The first reading: sums by week, and units with an outcome by arm."""
    n, width = panel.post.shape
    p = panel.regressors.shape[1]
    mass, y_mass = np.zeros((1 + p, width)), np.zeros(width)
    cross, with_y = np.zeros((p, p)), np.zeros(p)
    cells = units = treated = 0
    for rows in _slices(n, width):
        known, post, R = ~np.isnan(panel.post[rows]), panel.post[rows], panel.regressors[rows]
        w = None if panel.weights is None else panel.weights[rows]
        counted = known.astype(np.float64)
        post = np.where(known, post, 0.0)
        read = counted.sum(axis=1)
        inside = np.column_stack([np.ones(len(R)), R])
        inside = inside if w is None else inside * w[:, None]
        mass += inside.T @ counted
        y_mass += inside[:, 0] @ post
        cross += (inside[:, 1:] * read[:, None]).T @ R
        with_y += inside[:, 1:].T @ post.sum(axis=1)
        cells += int(read.sum())
        units += int(np.count_nonzero(read))
        treated += int(np.count_nonzero(read * R[:, 0]))
    if not np.isfinite(y_mass).all():
        raise DataError(f"{panel.where}: post has infinite values. Write NaN where nothing was read.")
    safe = np.where(mass[0] > 0, mass[0], 1.0)
    means, y = (mass[1:] / safe).T, y_mass / safe
    cross -= (means * mass[0][:, None]).T @ means
    with_y -= (means * mass[0][:, None]).T @ y
    return _Weeks(mass[0], y, means, cross, with_y, cells), treated, units - treated


def _meat(panel: _Panel, weeks: _Weeks, beta: Floats) -> Floats:
    """The second reading: sum over units of s s', s_i = w_i sum_t (r_i - rbar_t) e_it."""
    level = weeks.y - weeks.regressors @ beta
    columns = np.column_stack([np.ones(len(level)), weeks.regressors])
    meat = np.zeros((len(beta), len(beta)))
    for rows in _slices(*panel.post.shape):
        R = panel.regressors[rows]
        errors = panel.post[rows] - level
        errors -= (R @ beta)[:, None]
        np.copyto(errors, 0.0, where=np.isnan(errors))
        sums = errors @ columns
        scores = R * sums[:, :1] - sums[:, 1:]
        if panel.weights is not None:
            scores *= panel.weights[rows][:, None]
        meat += scores.T @ scores
    return meat
