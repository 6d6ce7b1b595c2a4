"""The words of the product as frozen dataclasses and closed vocabularies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum

from nudges.weeks import Week

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


# --- workspace files -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local wall-clock span in which nothing is sent; may wrap midnight."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Route:
    """One disposal route of residual waste."""

    name: str
    share: float
    gate_fee_pence_per_tonne: int
    landfill: bool


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where a table's column comes from in a drop: `column` times `times`, words by `values`."""

    column: str
    times: float = 1.0
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IngestRule:
    """Files whose name matches `match` are drops of `table`, columns renamed by `columns`."""

    match: str
    table: str
    columns: Mapping[str, ColumnRule]


@dataclass(frozen=True, slots=True)
class Council:
    """`council.toml`: this council. Money in pence, shares 0-1."""

    name: str
    nation: str
    phone: str
    website: str
    public_url: str  # where `nudges serve` is reachable by residents; opt-out links start with it
    timezone: str
    languages: tuple[Language, ...]
    live: bool
    allow_list: tuple[str, ...]
    holdout_share: float
    salt: str
    quiet_hours: QuietHours
    send_times: Mapping[Lead, time]
    cap_messages: int
    cap_weeks: int
    late_after_minutes: int
    channels: Mapping[Medium, str]
    pence_per_fragment: float
    pence_per_email: float
    routes: tuple[Route, ...]
    recycling_fee_pence_per_tonne: int
    tag_cost_pence: int
    ingest: tuple[IngestRule, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """One nudge of a campaign: a template over one or more media."""

    id: str
    template: str
    media: tuple[Medium, ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """Lanes of a campaign as shares of units outside the holdout; they sum to 1."""

    control: float
    learn: float
    best: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """`campaigns/<id>.toml`: a dated experiment. `arms` excludes control."""

    id: str
    title: str
    segments: tuple[str, ...]
    arms: tuple[Arm, ...]
    unit: Unit
    outcome: Outcome
    starts: Week
    weeks: int
    shares: Shares
    budget_pence: int
    every_weeks: int
    estimator: str
    stated_effect_share: float
    source: str  # the file's text, for the approval's fingerprint

    @property
    def salt(self) -> str:
        """Salt of this campaign's draws."""
        return f"campaign:{self.id}"

    @property
    def arm_ids(self) -> tuple[str, ...]:
        """Control first, then the arms in file order."""
        return (CONTROL, *(arm.id for arm in self.arms))

    def runs_in(self, week: Week) -> bool:
        """Whether the run of `week` (data to its end) chooses for this campaign."""
        return self.starts <= week < self.starts + self.weeks


@dataclass(frozen=True, slots=True)
class Segment:
    """`segments/<id>.sql`: three header lines and one SELECT of household_id."""

    id: str
    title: str
    why: str
    expect_low: float  # share of households, 0-1
    expect_high: float
    sql: str


@dataclass(frozen=True, slots=True)
class Template:
    """`templates/<id>.j2` (or `<id>.cy.j2`): front matter and raw Jinja blocks."""

    id: str
    language: Language
    title: str
    mechanism: str
    purpose: Purpose
    stream: Stream
    lead: Lead
    source: str  # everything after the front matter, with its blocks
    raw: str  # the whole file, for the approval's fingerprint


# --- running things -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """What one step did, for people, JSON and artifacts. No personal data in it."""

    step: str
    week: str
    headline: str
    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str | float | int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """One rendered message handed to a channel: the only place words and a contact meet."""

    message_id: str
    medium: Medium
    address: str
    text: str
    subject: str = ""
    html: str = ""
    unsubscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's answer for one message."""

    message_id: str
    status: ReceiptStatus
    provider_id: str = ""
    code: str = ""
    detail: str = ""
    stops_run: bool = False  # concerns every message (bad key, closed account)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a message, or to an address, after sending."""

    event_id: str  # unique per provider: a repeat is a no-op
    kind: EventKind
    occurred_at: datetime
    message_id: str = ""
    provider_id: str = ""
    address: str = ""
    code: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class CollectionDay:
    """One planned collection of a round and stream; `collection_on` is after any slip."""

    round_id: str
    stream: Stream
    planned_on: date
    collection_on: date
