"""The units of one campaign as parallel arrays: what was drawn for each, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.domain import CONTROL

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was decided at each unit's first assignment; n units, nothing measured yet.

    `is_treated` follows the lane: the learn and best lanes are in the campaign, whatever arm they get in any turn,
    because only being in it is drawn once and for good. `is_control` is the control lane. The holdout is neither.
    `arm` is the arm of the first turn; `is_arm_random` says that the arm too was drawn by lot. `treated_share` is the
    configured chance of being in the campaign for a unit outside the holdout.
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

    @property
    def drew_none(self) -> Flags:
        """Units that no message went to in their first turn, by lot: the control lane, and who drew none outside it."""
        return np.asarray(self.is_control | (self.is_treated & self.is_arm_random & (self.arm == CONTROL)))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was measured of the same n units: outcome per household (and week), NaN where nothing valid was read.

    `first_turn` is that of the weeks before arms were drawn anew, of the units assigned in the campaign's first turn.
    `pre_first` and `pre_second` are the halves of the pre-period; `planned` and `valid` count collections of the post
    period; `weekly` holds the outcome of each calendar week after the start, `segments` who was in which.
    """

    post: Floats
    first_turn: Floats
    pre: Floats
    pre_first: Floats
    pre_second: Floats
    planned: Floats
    valid: Floats
    weekly: Mapping[int, Floats]
    segments: Mapping[str, Flags]
