"""Arms given, propensities and a policy → how much the rows can say of it, with alarms in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.scoring.matrix import checked_propensity
from nudges.scoring.policies import effective_sample_size, following_weight
from nudges.scoring.value import clustered_mean

Floats = NDArray[np.float64]

FEW_EFFECTIVE_ROWS = 100
"""Fewer effective rows than this, and an interval leans on the normal curve too early."""

UNEVEN_SHARE = 0.3
"""Effective rows below this share of the rows that followed the policy: a few heavy rows decide."""

HEAVY_SHARE = 0.05
"""One row with more than this share of all the weight."""

RARE = 0.01
"""A propensity below this weighs its row a hundred times."""

MISMATCH_Z = 4.0
"""How many standard errors the mean weight may be from 1; wider than 95 % because it is looked at every week."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the logged trial says of a policy's value before the value is read.

    Attributes:
        effective_rows: (Σw)² / Σw² over the rows that followed the policy, w = 1 / propensity.
        largest_weight: of one row; 0 when none followed.
        alarms: sentences for the model card; empty when nothing is wrong.
        followed_rows: rows whose arm given was the policy's.
        n_rows: all rows.
    """

    effective_rows: float
    largest_weight: float
    alarms: tuple[str, ...]
    followed_rows: int
    n_rows: int


def overlap(
    treatment_index: ArrayLike, propensity: ArrayLike, arm: ArrayLike, *, groups: ArrayLike | None = None
) -> Overlap:
    """Count what informs the policy's value; say what is thin.

    Args:
        treatment_index: (n,) arm given.
        propensity: (n, n_arms) logged probabilities.
        arm: the policy's arm, (n,) or one for all.
        groups: (n,) randomised unit, for the check that the weights average 1.

    Raises:
        DataError: propensities that cannot carry an estimate.
    """
    given = np.asarray(treatment_index, dtype=np.intp)
    chance = checked_propensity(propensity, len(given))
    weight = following_weight(given, chance, arm)
    effective = effective_sample_size(given, chance, arm)
    followed = int((weight > 0).sum())
    alarms = (*_thin(weight, effective, followed), *_mismatch(weight, groups))
    return Overlap(effective, float(weight.max(initial=0.0)), alarms, followed, len(given))


def _thin(weight: Floats, effective: float, followed: int) -> list[str]:
    if followed == 0:
        return ["No row was given the policy's arm: its value rests on the regressions alone."]
    found = []
    largest, total = float(weight.max()), float(weight.sum())
    if effective < FEW_EFFECTIVE_ROWS:
        found.append(f"Only {effective:,.0f} effective rows inform this value; {FEW_EFFECTIVE_ROWS} is the least.")
    if effective < UNEVEN_SHARE * followed:
        found.append(f"{followed:,} rows followed the policy but weigh like {effective:,.0f}: propensities are uneven.")
    if largest > HEAVY_SHARE * total:
        found.append(f"One row carries {largest / total:.0%} of the weight.")
    if largest > 1.0 / RARE:
        found.append(f"An arm was given at a propensity of {1.0 / largest:.2%}; raise the exploration floor.")
    return found


def _mismatch(weight: Floats, groups: ArrayLike | None) -> list[str]:
    """The weights average 1 when arms were given with the logged propensities (a sample-ratio check)."""
    mean = clustered_mean(weight, groups)
    if not abs(mean.mean - 1.0) > MISMATCH_Z * mean.se:
        return []
    return [f"The policy's arms were given {mean.mean:.2f} times as often as their propensities say: the log is wrong."]
