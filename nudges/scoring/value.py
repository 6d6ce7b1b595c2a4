"""Values of rows or of units → their mean with an interval clustered by the randomised unit.

Clustered standard errors are CR2 (Bell & McCaffrey 2002), with Satterthwaite degrees of freedom under a working model
of equal correlation within a unit (Imbens & Kolesár 2016). For one mean both have a closed form, so they cost two
passes. With units of one size CR2 is the usual G/(G - 1) and the degrees of freedom are G - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from nudges.errors import DataError
from nudges.scoring.units import sums_by_unit, unit_codes

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

Z_TWO_SIDED = 1.959963984540054
Z_ONE_SIDED = 1.6448536269514722

_ROUNDING = 1e-13  # a standard error this small beside the values is rounding, not spread


@dataclass(frozen=True, slots=True)
class Value:
    """A mean, or a figure that behaves like one, with its clustered 95 % interval.

    Attributes:
        mean: in the unit of the scores.
        se: clustered standard error; infinite with fewer than two units.
        low: lower end of the 95 % interval.
        high: upper end.
        lower_bound: one-sided 95 % bound, what the gate looks at.
        n_rows: rows that carry weight.
        n_units: clusters among them.
        df: degrees of freedom of the standard error; the interval is Student's.
    """

    mean: float
    se: float
    low: float
    high: float
    lower_bound: float
    n_rows: int
    n_units: int
    df: float = math.inf

    @classmethod
    def of(cls, mean: float, se: float, df: float, *, n_rows: int, n_units: int) -> Value:
        """Both intervals from a standard error and its degrees of freedom."""
        two, one = _reach(se, df, 0.025), _reach(se, df, 0.05)
        return cls(mean, se, mean - two, mean + two, mean - one, n_rows, n_units, df)

    def at_least(self, alpha: float) -> float:
        """One-sided lower bound that is too high in a share `alpha` of all samples.

        Args:
            alpha: 0.05 gives `lower_bound`; several looks at one campaign share it out.

        Raises:
            DataError: alpha outside (0, 0.5].
        """
        if not 0 < alpha <= 0.5:
            raise DataError(f"alpha == {alpha}, must be above 0 and at most 0.5. Write 0.05 for 95 %.")
        return self.mean - _reach(self.se, self.df, alpha)


def _reach(se: float, df: float, tail: float) -> float:
    """Distance from the estimate to the end of an interval that leaves out `tail` on that side."""
    if not math.isfinite(se) or se == 0:
        return se
    return float(-stdtrit(df, tail)) * se


def clustered_mean(values: ArrayLike, groups: ArrayLike | None = None, weight: ArrayLike | None = None) -> Value:
    """Mean of one value a row, with a standard error that lets rows of one unit move together.

    Args:
        values: (n,) in any unit.
        groups: (n,) randomised unit of each row; every row its own when None.
        weight: (n,) 0 or more, households or stabilising weights; the mean is then sum(weight values) / sum(weight),
            and its error allows for a random denominator (linearisation).

    Raises:
        DataError: lengths that do not fit, a negative weight, or no weight at all.
    """
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1:
        raise DataError(f"values: shape {row.shape}, must be one number a row.")
    mass = checked_weight(weight, len(row))
    if len(row) == 0:
        return Value(math.nan, math.inf, math.nan, math.nan, math.nan, 0, 0, 0.0)
    mean = float(row.mean() if mass is None else mass @ row / mass.sum())
    return linearised(mean, row - mean, groups, mass, scale=float(np.sqrt(np.mean(row**2))))


def checked_weight(weight: ArrayLike | None, n_rows: int) -> Floats | None:
    """Row weights as an array, after checking that they can carry a mean; None when there are none."""
    if weight is None:
        return None
    mass = np.asarray(weight, dtype=np.float64)
    if mass.shape != (n_rows,):
        raise DataError(f"weight: shape {mass.shape}, must be ({n_rows},), one weight a row.")
    if not ((mass >= 0).all() and np.isfinite(mass).all() and mass.any()):
        raise DataError("weight: negative, not finite or all 0, must be 0 or more and above 0 in some row.")
    return mass


def linearised(
    estimate: float, deviations: Floats, groups: ArrayLike | None, weight: Floats | None, *, scale: float
) -> Value:
    """Interval of an estimate that moves with the (weighted) mean of one deviation a row.

    Args:
        estimate: the figure itself.
        deviations: (n,) how far each row pulls the estimate, of (weighted) mean 0: its influence function.
        groups: (n,) randomised unit; every row its own when None.
        weight: (n,) weights, all 1 when None.
        scale: size of the values the deviations were made of; tells no spread from rounding.
    """
    mass = np.ones(len(deviations)) if weight is None else weight
    kept = mass > 0
    if not kept.all():
        groups = None if groups is None else np.asarray(groups)[kept]
        deviations, mass = deviations[kept], mass[kept]
    codes, n_units = unit_codes(groups, len(deviations))
    if n_units < 2:
        edges = (-math.inf, math.inf, -math.inf)
        return Value(estimate, math.inf, *edges, n_rows=len(deviations), n_units=n_units, df=0.0)
    pull = mass * deviations
    share = sums_by_unit(mass, codes, n_units) / mass.sum()
    sums = pull if groups is None else sums_by_unit(pull, codes, n_units)
    se = float(np.sqrt((sums**2 / (1.0 - share)).sum()) / mass.sum())
    if se <= _ROUNDING * scale:
        return Value.of(estimate, 0.0, n_units - 1.0, n_rows=len(deviations), n_units=n_units)
    df = _degrees_of_freedom(pull, mass, codes, n_units)
    return Value.of(estimate, se, df, n_rows=len(deviations), n_units=n_units)


def _degrees_of_freedom(pull: Floats, mass: Floats, codes: Indices, n_units: int) -> float:
    """(tr M)² / tr M² of the CR2 variance, M its matrix in the sums by unit under the working model.

    M = C (I - p 1') W (I - 1 p') C with p the units' shares of the weight, C² = 1 / (1 - p), W the working variances
    of the units' sums: a diagonal plus a matrix of rank two.
    """
    total = mass.sum()
    by_unit = sums_by_unit(mass, codes, n_units)
    squares = sums_by_unit(mass**2, codes, n_units)
    working = squares + _correlation(pull, mass, codes, n_units) * (by_unit**2 - squares)
    working /= working.sum()
    share = by_unit / total
    lift = 1.0 / (1.0 - share)
    diagonal = lift * working
    uu, uv, vv = (lift * share**2).sum(), (lift * share * working).sum(), (lift * working**2).sum()
    trace = diagonal.sum() - 2.0 * uv + uu
    crossed = (diagonal * lift * (share**2 - 2.0 * share * working)).sum()
    square = (diagonal**2).sum() + 2.0 * crossed + 2.0 * uu * vv + 2.0 * uv**2 + uu**2 - 4.0 * uu * uv
    return float(trace**2 / square)


def _correlation(pull: Floats, mass: Floats, codes: Indices, n_units: int) -> float:
    """Correlation of two rows of one unit, 0 to 1, from their products."""
    pairs = (sums_by_unit(mass, codes, n_units) ** 2).sum() - (mass**2).sum()
    own = (pull**2).sum()
    if pairs <= 0 or own <= 0:
        return 0.0
    products = (sums_by_unit(pull, codes, n_units) ** 2).sum() - own
    return float(np.clip(products / pairs / (own / (mass**2).sum()), 0.0, 1.0))
