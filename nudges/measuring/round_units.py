"""The rounds of one campaign as parallel arrays: what was drawn for each, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nudges.measuring.results import Kind, Shared
from nudges.measuring.units import Flags, Floats


@dataclass(frozen=True, slots=True)
class DrawnRounds:
    """Rounds as drawn, r of them, once for the whole campaign.

    Attributes:
        first_week_no: week of the first run that chose.
        is_treated: (r,) the round gets messages.
        households: (r,) that its outcome is of: all on the round where lorries are weighed.
        assigned: (r,) households on the round in the campaign's segments.
        contactable: (r,) those of them with a usable contact when first chosen.
    """

    first_week_no: int
    is_treated: Flags
    households: Floats
    assigned: Floats
    contactable: Floats


@dataclass(frozen=True, slots=True)
class RoundOutcomes:
    """What was measured of the same rounds, per household (and week), (r,) each: NaN where nothing is known.

    Attributes:
        post: from the start to the last week of the headline.
        pre, pre_first, pre_second: the 26 weeks before, and their halves.
        planned, valid: collections after the start, and those with a ticket (or known bins).
        looks: (r, k) from the start to the end of each planned week so far.
        cycles: by first and last week of a collection cycle, in which every round is collected from.
        windows: by kind and name, spans of weeks since the start or since the last message.
        household_weeks: households on rounds with messages, by calendar week as (week_no, count).
        shared: how tickets of several rounds were shared out; None where nothing was weighed.
    """

    post: Floats
    pre: Floats
    pre_first: Floats
    pre_second: Floats
    planned: Floats
    valid: Floats
    looks: Floats
    cycles: Mapping[tuple[int, int], Floats]
    windows: Mapping[Kind, Mapping[str, Floats]]
    household_weeks: tuple[tuple[int, int], ...]
    shared: Shared | None = None
