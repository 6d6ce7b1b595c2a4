"""Scores of rows drawn under propensities that changed from turn to turn → one mean that keeps its interval.

When a policy is learned as rows arrive, late rows of a favoured arm are many and early ones few, and the variance of a
score follows the propensities of its turn. A plain mean then need not be normal. Weights h of a turn proportional to
1 / sqrt(variance its propensities imply) make every turn's share of the variance known beforehand, which restores the
central limit (variance-stabilising weights: Hadad et al. 2021, arXiv 1911.02768; Zhan et al. 2021, arXiv 2106.02029).
They use propensities only, never outcomes, so the mean stays right on average.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.errors import DataError
from nudges.scoring.units import sums_by_unit, unit_codes
from nudges.scoring.value import Value, clustered_mean

Floats = NDArray[np.float64]


def stabilising_weight(batch: ArrayLike, propensity_of_policy: ArrayLike) -> Floats:
    """Weight of each row, (n,), averaging 1: 1 / sqrt(mean of 1 / propensity over the row's turn).

    Args:
        batch: (n,) turn of each row; propensities of a turn may depend on the turns before it, not on the turn itself.
        propensity_of_policy: (n,) logged probability of the arm that is valued; for a difference (n, k), one column
            an arm that takes part, whose inverses add up.

    Raises:
        DataError: lengths that do not fit, or a propensity outside (0, 1].
    """
    chance = np.asarray(propensity_of_policy, dtype=np.float64)
    if not ((chance > 0) & (chance <= 1)).all():
        raise DataError("propensity_of_policy: outside (0, 1] in some row, must be a logged probability above 0.")
    inverse = 1.0 / chance if chance.ndim == 1 else (1.0 / chance).sum(axis=1)
    turns, n_turns = unit_codes(batch, len(inverse))
    spread = sums_by_unit(inverse, turns, n_turns) / np.bincount(turns, minlength=n_turns)
    weight = 1.0 / np.sqrt(spread[turns])
    return np.asarray(weight / weight.mean()) if len(weight) else weight


def stabilised_mean(
    values: ArrayLike, batch: ArrayLike, propensity_of_policy: ArrayLike, groups: ArrayLike | None = None
) -> Value:
    """Mean of scores from adaptively collected turns, with an interval clustered by unit.

    What it estimates is the mean over turns by their stabilising weights: the mean itself while the effect is the
    same in every turn.

    Args:
        values: (n,) scores or score contrasts.
        batch: (n,) turn of each row.
        propensity_of_policy: (n,) or (n, k), see `stabilising_weight`.
        groups: (n,) randomised unit, which may come back in many turns.

    Raises:
        DataError: lengths that do not fit, or a propensity outside (0, 1].
    """
    return clustered_mean(values, groups, stabilising_weight(batch, propensity_of_policy))
