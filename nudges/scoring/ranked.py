"""Score contrasts and a priority → rows from the highest priority down, with ties known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.units import unit_codes
from nudges.scoring.value import checked_weight

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows in an order that depends on their values alone, never on the order they came in.

    Attributes:
        contrast: (n,) score contrasts, highest priority first.
        mass: (n,) weights above 0; rows of weight 0 are left out.
        unit: (n,) code of the randomised unit.
        tie: (n,) number of the row's priority, 0 the highest; equal priorities share one.
        n_units: units.
    """

    contrast: Floats
    mass: Floats
    unit: Indices
    tie: Indices
    n_units: int


def ranked(
    scores_contrast: ArrayLike, priority: ArrayLike, groups: ArrayLike | None, weight: ArrayLike | None
) -> Ranked:
    """Check and sort; among equal priorities by unit, contrast and weight, so that sums come out the same each time.

    Raises:
        DataError: lengths that do not fit, no rows, or values that are not finite.
    """
    contrast = _finite("scores_contrast", scores_contrast)
    order_by = _finite("priority", priority)
    if len(contrast) == 0 or contrast.shape != order_by.shape:
        raise DataError(f"priority: {len(order_by)} rows, must be as many as scores_contrast, {len(contrast)}, not 0.")
    mass = checked_weight(weight, len(contrast))
    if mass is not None:
        kept = mass > 0
        contrast, order_by, mass = contrast[kept], order_by[kept], mass[kept]
        groups = None if groups is None else np.asarray(groups)[kept]
    codes, n_units = unit_codes(groups, len(contrast))
    labels = np.zeros(len(contrast), dtype=np.intp) if groups is None else codes
    order = np.lexsort((contrast if mass is None else mass, contrast, labels, -order_by))
    down = order_by[order]
    tie = np.concatenate([[0], (down[1:] != down[:-1]).cumsum()])
    unit = codes if groups is None else codes[order]
    return Ranked(contrast[order], np.ones(len(down)) if mass is None else mass[order], unit, tie, n_units)


def _finite(name: str, values: ArrayLike) -> Floats:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise DataError(f"{name}: shape {vector.shape} or not finite in some row, must be one finite number a row.")
    return vector


@dataclass(frozen=True, slots=True)
class Steps:
    """One step for each distinct priority, highest first.

    Attributes:
        moment: (k,) weighted sum of contrasts in the step, as a share of the total weight.
        lower: (k,) share of the weight ranked above the step.
        upper: (k,) the same with the step; the last is exactly 1.
    """

    moment: Floats
    lower: Floats
    upper: Floats


def steps(contrast: Floats, mass: Floats, tie: Indices) -> Steps:
    """Sums of sorted rows over equal priorities."""
    starts = np.concatenate([[0], np.flatnonzero(tie[1:] != tie[:-1]) + 1])
    pull = mass * contrast
    if len(starts) < len(tie):
        pull, mass = np.add.reduceat(pull, starts), np.add.reduceat(mass, starts)
    upper = mass.cumsum()
    total = upper[-1]
    upper /= total
    return Steps(pull / total, np.concatenate([[0.0], upper[:-1]]), upper)
