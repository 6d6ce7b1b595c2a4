"""The units of one campaign as parallel arrays: what was drawn for each, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.domain import CONTROL, Outcome
from nudges.measuring.results import Kind

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was decided at each unit's first assignment; n units, nothing measured yet.

    `is_treated` follows the lane: the learn and best lanes are in the campaign, whatever arm they get in any turn,
    because only being in it is drawn once and for good. `is_control` is the control lane. The holdout is neither.
    `arm` is the arm of the first turn; `is_arm_random` says that the arm too was drawn by lot. `treated_share` is the
    configured chance of being in the campaign for a unit outside the holdout. `street` numbers streets, -1 unknown.
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
    street: NDArray[np.intp]

    @property
    def strata(self) -> NDArray[np.int64]:
        """Units are compared within week of first assignment, and those that share bins only with such.

        Stores are few and weigh much: by chance one group could have more of them, and their other level would look
        like an effect.
        """
        return 2 * self.first_week_no + (self.households > 1)

    @property
    def contrast(self) -> Flags:
        """Units of the headline: contactable when first assigned, outside the holdout."""
        return self.is_contactable & (self.is_treated | self.is_control)

    @property
    def drew_none(self) -> Flags:
        """Units that no message went to in their first turn, by lot: the control lane, and who drew none outside it."""
        return np.asarray(self.is_control | (self.is_treated & self.is_arm_random & (self.arm == CONTROL)))


@dataclass(frozen=True, slots=True)
class Series:
    """One outcome of n units over some weeks.

    `values` are per household (and week), NaN where nothing valid was read. For a rate, `over` events were counted in
    `under` collections: arms are then compared by ratios of sums, because a message may change both.
    """

    values: Floats
    over: Floats | None = None
    under: Floats | None = None

    def at(self, units: Flags) -> Series:
        """Some of the units."""
        over, under = (None if each is None else each[units] for each in (self.over, self.under))
        return Series(self.values[units], over, under)

    @property
    def is_known(self) -> Flags:
        """Units with a value."""
        return np.isfinite(self.values)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was measured of the same n units.

    `first_turn` is that of the weeks before arms were drawn anew, of the units assigned in the campaign's first turn.
    `pre_first` and `pre_second` are the halves of the pre-period; `planned` and `valid` count collections of the post
    period; `weekly` holds the outcome of each calendar week after the start, `segments` who was in which. `looks`
    hold the outcome from the unit's start to the end of each planned week so far, the last one `post`; `windows` that
    of spans of weeks since the unit's start (decay) or since the campaign's last message (after), and without some
    weeks (robustness); `guardrails` other outcomes over the headline's weeks, and before.
    """

    post: Series
    first_turn: Series
    pre: Series
    pre_first: Series
    pre_second: Series
    planned: Floats
    valid: Floats
    weekly: Mapping[int, Series]
    segments: Mapping[str, Flags]
    looks: Sequence[Series]
    windows: Mapping[Kind, Mapping[str, Series]]
    guardrails: Mapping[Outcome, tuple[Series, Series]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the campaign's messages reached, and cost.

    Attributes:
        by_group: households by shown arm that a message was `accepted` for and `delivered` to.
        delivered: (n,) share of each unit's households with at least one message delivered.
        doses: messages delivered to a household in the campaign, and how many such households.
        messages: accepted by a provider.
        cost_pence: of all that were sent or may have been.
    """

    by_group: Mapping[str, Mapping[str, int]]
    delivered: Floats
    doses: tuple[tuple[int, int], ...]
    messages: int
    cost_pence: float
