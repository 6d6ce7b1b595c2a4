"""The units of one campaign as parallel arrays: what was drawn for each, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was decided at each unit's first assignment; n units, nothing measured yet.

    `is_treated` follows the lane: the best lane counts as treated even where its policy sends nothing, because only the
    lane was drawn by lot. `is_control` is the control lane, or the learn lane with arm control. The holdout is neither.
    `arm` is the arm given; `is_arm_random` says that the arm too was drawn by lot. `treated_share` is the configured
    chance of being treated for a unit outside the holdout.
    """

    first_week_no: NDArray[np.int64]
    is_treated: Flags
    is_control: Flags
    is_holdout: Flags
    arm: NDArray[np.str_]
    is_arm_random: Flags
    is_contactable: Flags
    households: Floats
    treated_share: Floats
    holdout_share: Floats

    @property
    def contrast(self) -> Flags:
        """Units of the headline: contactable when first assigned, outside the holdout."""
        return self.is_contactable & (self.is_treated | self.is_control)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was measured of the same n units: outcome per household (and week), NaN where nothing valid was read.

    `pre_first` and `pre_second` are the halves of the pre-period; `planned` and `valid` count collections of the post
    period; `weekly` holds the outcome of each calendar week after the start, `segments` who was in which.
    """

    post: Floats
    pre: Floats
    pre_first: Floats
    pre_second: Floats
    planned: Floats
    valid: Floats
    weekly: Mapping[int, Floats]
    segments: Mapping[str, Flags]
