"""Values of rows from one turn or many → their mean with an interval that adaptive drawing does not break."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nudges.scoring import Value, clustered_mean, stabilised_mean, under
from nudges.uplift.evidence import Evidence, Floats


def averaged(values: Floats, evidence: Evidence, *arms: int | NDArray[np.intp]) -> Value:
    """Mean of score differences, clustered by unit; turns are weighted by their propensities where these changed.

    What is chosen in a turn depends on the outcomes of the turns before, so the weights stabilise the variance
    (`stabilised_mean`); with one turn, or the same propensities in all, they are equal.

    Args:
        values: (n,).
        evidence: the rows.
        arms: those whose scores take part, each one index a row or one for all.
    """
    turns = evidence.turns
    if len(turns) == 0 or (turns == turns[0]).all():
        return clustered_mean(values, evidence.groups)
    chance = np.column_stack([under(evidence.propensity, arm) for arm in arms])
    return stabilised_mean(values, turns, chance, evidence.groups)
