"""Closed vocabularies: every word a column or a file may use."""

from __future__ import annotations

from enum import StrEnum

CONTROL = "control"
"""The arm that gets no message; always index 0 of a campaign's arms."""


class Stream(StrEnum):
    """What is collected."""

    RESIDUAL = "residual"
    RECYCLING = "recycling"
    FOOD = "food"
    GARDEN = "garden"


class Medium(StrEnum):
    """How words reach a household. A *channel* is the file in `channels/` that carries it."""

    SMS = "sms"
    EMAIL = "email"


class Reach(StrEnum):
    """By how many of its media an arm writes to one household."""

    FIRST = "first"  # the first in the arm's order that the household can be reached by: one message
    ALL = "all"  # every one it can be reached by


class Language(StrEnum):
    """Languages a template can be written in."""

    EN = "en"
    CY = "cy"


class PropertyType(StrEnum):
    """Kind of dwelling."""

    HOUSE = "house"
    FLAT = "flat"


class LiftStatus(StrEnum):
    """What happened to one bin at one planned collection."""

    LIFTED = "lifted"  # presented and emptied; weight known where the lorry weighs
    NOT_PRESENTED = "not_presented"  # the crew passed, no bin out
    MISSED = "missed"  # the crew did not get there: never counted as "no set-out"
    NOT_READ = "not_read"  # the reader failed: missing, never zero


class TagReason(StrEnum):
    """Contamination reasons crews record (open waste-service standard, level 2)."""

    FOOD = "food"
    GARDEN = "garden"
    REFUSE = "refuse"
    BULKY = "bulky"
    RUBBLE = "rubble"
    COMMERCIAL = "commercial"
    SOIL = "soil"
    ANIMAL_BEDDING = "animal_bedding"


class Unit(StrEnum):
    """What is randomised. Flats that share bins are always one unit."""

    HOUSEHOLD = "household"
    ROUND = "round"


class Outcome(StrEnum):
    """Primary outcomes a campaign can name."""

    RESIDUAL_KG = "residual_kg"  # kg of residual per household and week
    RECYCLING_SET_OUT_RATE = "recycling_set_out_rate"
    FOOD_SET_OUT_RATE = "food_set_out_rate"
    TAG_RATE = "tag_rate"


class Lane(StrEnum):
    """Why a unit's arm is what it is."""

    HOLDOUT = "holdout"  # no campaign touches it, council-wide and for ever
    CONTROL = "control"  # no message in this campaign
    LEARN = "learn"  # arms uniform, control included
    BEST = "best"  # the policy's arm


class Reason(StrEnum):
    """Why a household in scope does or does not get a message this week."""

    CHOSEN = "chosen"
    CONTROL = "control"
    HOLDOUT = "holdout"
    POLICY_NONE = "policy_none"  # the policy sends nothing: no message pays here
    OVER_BUDGET = "over_budget"
    OVER_CAPACITY = "over_capacity"  # the week's messages of the arm, or of its medium, are spoken for
    NO_CONTACT = "no_contact"
    SUPPRESSED = "suppressed"
    CAPPED = "capped"
    NO_SERVICE = "no_service"  # not collected from: nothing to say, not assigned
    NO_COLLECTION = "no_collection"  # no planned collection to time the message by
    MISSING_FACT = "missing_fact"  # a template variable is unknown for this household
    STOPPED = "stopped"


class Purpose(StrEnum):
    """Legal purpose of a template (PECR / UK GDPR)."""

    SERVICE = "service"
    PUBLIC_TASK = "public_task"
    MARKETING = "marketing"


class Lead(StrEnum):
    """When a message is due, relative to the household's own collection."""

    EVENING_BEFORE = "evening_before"  # before the next collection of the template's stream
    MORNING_AFTER = "morning_after"  # after the next collection of the template's stream
    NEXT_DAY = "next_day"  # the first allowed day of the coming week, whatever the collection


class MessageState(StrEnum):
    """Life of a message. Moves forward only, in this order (RETRY may be claimed again)."""

    PLANNED = "planned"
    APPROVED = "approved"
    RETRY = "retry"  # refused for now (throttled); claimed again later
    CLAIMED = "claimed"  # an attempt was written and the provider may have been called
    IN_DOUBT = "in_doubt"  # may have been sent: reconciled, never blindly resent
    DROPPED = "dropped"  # never sent, with a reason
    REFUSED = "refused"  # the provider said no, for good
    ACCEPTED = "accepted"  # the provider has it


class ReceiptStatus(StrEnum):
    """Provider's answer at sending."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RETRY = "retry"
    IN_DOUBT = "in_doubt"


class EventKind(StrEnum):
    """What happened later. Provider words are translated by a table; the raw event is kept."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What a report says of a headline effect."""

    SHOWN = "effect shown"
    NOT_SHOWN = "not shown"
    INCONCLUSIVE = "inconclusive"
    HARM = "harm"
    INVALID = "invalid"
