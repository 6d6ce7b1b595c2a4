"""Facts about each household → the reason it does or does not get a message.

The rules, first that holds wins. A test reads this table and tries every combination of facts against it:

    reason       | holds when
    -------------|-----------------------------------------
    no_service   | not has_service
    holdout      | lane == holdout
    policy_none  | lane == best and arm == control
    control      | arm == control
    stopped      | is_stopped
    no_contact   | not has_contact
    suppressed   | not has_open_contact
    capped       | is_capped
    over_capacity | not has_room
    over_budget  | not is_paid
    chosen       | always

Rendering adds `no_collection` and `missing_fact` when it meets them. Whatever the reason, the assignment stands:
only `chosen` households get a message, all of them are analysed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Reason
from nudges.draws import BEST, HOLDOUT

Flags = NDArray[np.bool_]

REASONS: tuple[Reason, ...] = (
    Reason.NO_SERVICE,
    Reason.HOLDOUT,
    Reason.POLICY_NONE,
    Reason.CONTROL,
    Reason.STOPPED,
    Reason.NO_CONTACT,
    Reason.SUPPRESSED,
    Reason.CAPPED,
    Reason.OVER_CAPACITY,
    Reason.OVER_BUDGET,
    Reason.CHOSEN,
)
"""In order of precedence; the numbers `reasons` returns are positions in it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules look at, one value a household, all of shape (n,).

    Attributes:
        has_service: the outcome's stream is collected here.
        lane: index into draws.LANES.
        arm: index of the arm given, 0 the control.
        is_stopped: the stop switch is on for this campaign.
        has_contact: some contact by a medium of the arm given.
        has_open_contact: some such contact that is not suppressed.
        is_capped: had its share of messages lately, or one from another campaign this week.
    """

    has_service: Flags
    lane: NDArray[np.int8]
    arm: NDArray[np.intp]
    is_stopped: Flags
    has_contact: Flags
    has_open_contact: Flags
    is_capped: Flags


def sendable(standing: Standing) -> Flags:
    """Households that would get their arm's message if money were no object."""
    return np.equal(reasons(standing, np.ones(len(standing.lane), dtype=bool)), REASONS.index(Reason.CHOSEN))


def reasons(standing: Standing, is_paid: Flags, has_room: Flags | None = None) -> NDArray[np.intp]:
    """Position in REASONS of the first rule that holds for each household.

    Args:
        standing: what the rules look at.
        is_paid: (n,) the budget reaches it.
        has_room: (n,) the week's messages of its arm and medium do; None when nothing limits them.
    """
    full = np.zeros(len(standing.lane), dtype=bool) if has_room is None else ~has_room
    control = standing.arm == 0
    holds = [
        ~standing.has_service,
        standing.lane == HOLDOUT,
        (standing.lane == BEST) & control,
        control,
        standing.is_stopped,
        ~standing.has_contact,
        ~standing.has_open_contact,
        standing.is_capped,
        full,
        ~is_paid,
    ]
    return np.select(holds, list(range(len(holds))), default=len(holds)).astype(np.intp)
