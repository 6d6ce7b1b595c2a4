"""What passes between steps, channels and people while a week runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from nudges.domain.vocabulary import EventKind, Medium, ReceiptStatus, Stream


@dataclass(frozen=True, slots=True)
class Summary:
    """What one step did, for people, JSON and artifacts. No personal data in it.

    `notes` say how it came to be; `warnings` want a person to look: a run with one is called degraded.
    """

    step: str
    week: str
    headline: str
    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str | float | int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


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
    suppresses: bool = False  # the provider knows that the person opted out


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
