"""Turn messages, clocks and approvals into the rules of sending: what may go, when, and what a receipt means."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from nudges.domain import (
    Campaign,
    Language,
    Lead,
    Letter,
    MessageState,
    QuietHours,
    Receipt,
    ReceiptStatus,
    Segment,
    Template,
)
from nudges.errors import ConfigError
from nudges.masking import mask_contacts, masked, normalised

__all__ = [
    "Suppressions",
    "Totals",
    "approval_problems",
    "batches",
    "fingerprint",
    "in_quiet_hours",
    "is_late",
    "mask_contacts",
    "masked",
    "may_leave",
    "may_move",
    "may_try_again",
    "over_before",
    "quiet_until",
    "state_after",
]

EXPIRES_AFTER = timedelta(days=2)
"""A message this long past its moment speaks of a collection that is over: it is dropped, never sent late."""

MOST_TRIES = 5
"""Refusals for now ("wait") after which a message is refused for good; one try a delivery run, minutes apart."""

ERROR_BUDGET = 5
"""Calls in a row without a clear answer before a run stops calling that channel."""

_S = MessageState
_MOVES: Mapping[MessageState, frozenset[MessageState]] = {
    _S.PLANNED: frozenset({_S.APPROVED, _S.DROPPED}),
    _S.APPROVED: frozenset({_S.CLAIMED, _S.DROPPED}),
    _S.RETRY: frozenset({_S.CLAIMED, _S.DROPPED, _S.REFUSED}),
    _S.CLAIMED: frozenset({_S.RETRY, _S.IN_DOUBT, _S.DROPPED, _S.REFUSED, _S.ACCEPTED}),
    _S.IN_DOUBT: frozenset({_S.RETRY, _S.REFUSED, _S.ACCEPTED}),
    _S.DROPPED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.ACCEPTED: frozenset(),
}
_STATE_OF: Mapping[ReceiptStatus, MessageState] = {
    ReceiptStatus.ACCEPTED: _S.ACCEPTED,
    ReceiptStatus.REFUSED: _S.REFUSED,
    ReceiptStatus.RETRY: _S.RETRY,
    ReceiptStatus.IN_DOUBT: _S.IN_DOUBT,
}


def may_move(old: MessageState, new: MessageState) -> bool:
    """Whether a message may go from one state to the other: forward only, and only RETRY is claimed again."""
    return new in _MOVES[old]


def state_after(receipt: Receipt) -> MessageState:
    """State of a claimed message once the provider has answered."""
    return _STATE_OF[receipt.status]


def is_late(scheduled_at: datetime | None, now: datetime, late_after_minutes: int) -> bool:
    """Whether a run fired so long after its time that a person must decide; never for a run a person started."""
    return scheduled_at is not None and now - scheduled_at > timedelta(minutes=late_after_minutes)


def over_before(lead: Lead, now: datetime, timezone: str) -> datetime:
    """What was due before this moment speaks of something that is over, and is dropped rather than sent late.

    "Tonight" is over at the council's midnight; anything else two days after it was due.
    """
    if lead is not Lead.EVENING_BEFORE:
        return now - EXPIRES_AFTER
    today = now.astimezone(ZoneInfo(timezone)).date()
    return datetime.combine(today, time(), ZoneInfo(timezone)).astimezone(now.tzinfo)


def in_quiet_hours(moment: datetime, quiet: QuietHours, timezone: str) -> bool:
    """Whether `moment` (aware) falls in the quiet span by the council's wall clock; start in, end out."""
    return _is_between(moment.astimezone(ZoneInfo(timezone)).time(), quiet)


def quiet_until(moment: datetime, quiet: QuietHours, timezone: str) -> datetime:
    """First moment from `moment` on (aware, UTC) at which sending is allowed."""
    if not in_quiet_hours(moment, quiet, timezone):
        return moment
    zone = ZoneInfo(timezone)
    local = moment.astimezone(zone)
    day = local.date() + timedelta(days=1 if local.time() >= quiet.end else 0)
    return datetime.combine(day, quiet.end, zone).astimezone(moment.tzinfo)


def _is_between(clock: time, quiet: QuietHours) -> bool:
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def may_leave(address: str, *, live: bool, allow_list: Sequence[str]) -> bool:
    """Whether a provider may be given this contact: any when live, only allow-listed ones in a trial."""
    return live or normalised(address) in {normalised(allowed) for allowed in allow_list}


def may_try_again(waits: int) -> bool:
    """Whether a message that the provider put off `waits` times is offered once more."""
    return waits < MOST_TRIES


def batches(letters: Sequence[Letter], size: int) -> Iterator[list[Letter]]:
    """Letters in the groups one call may carry: neighbours with the same words, at most `size`."""
    group: list[Letter] = []
    for letter in letters:
        if group and (len(group) >= size or (group[0].text, group[0].html) != (letter.text, letter.html)):
            yield group
            group = []
        group.append(letter)
    if group:
        yield group


# --- suppression -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Suppressions in force, each (household, address hash, medium) with empty for any, found by their first part."""

    by_household: Mapping[str, tuple[tuple[str, str, str], ...]]
    by_address: Mapping[str, tuple[tuple[str, str, str], ...]]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str]]) -> Suppressions:
        """Index rows by household, or by address where no household is named."""
        households: dict[str, list[tuple[str, str, str]]] = {}
        addresses: dict[str, list[tuple[str, str, str]]] = {}
        for row in rows:
            index, key = (households, row[0]) if row[0] else (addresses, row[1])
            index.setdefault(key, []).append(row)
        return cls(
            {key: tuple(found) for key, found in households.items()},
            {key: tuple(found) for key, found in addresses.items()},
        )

    def hold(self, household_id: str, address_hash: str, medium: str) -> bool:
        """Whether this household must not be written to at this address by this medium."""
        rows = (*self.by_household.get(household_id, ()), *self.by_address.get(address_hash, ()))
        return any(hashed in ("", address_hash) and only in ("", medium) for _, hashed, only in rows)


# --- approval --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """Messages of one campaign and week that are neither dropped nor refused, and their price."""

    messages: int
    pence: float


def fingerprint(
    campaign: Campaign, segments: Mapping[str, Segment], templates: Mapping[tuple[str, Language], Template]
) -> str:
    """sha256 over the campaign file, its segments' SQL and its templates with their Welsh twins.

    Raises ConfigError when a segment or template that the campaign names has no file.
    """
    parts: list[tuple[str, str, str]] = [("campaign", campaign.id, campaign.source)]
    for name in sorted(set(campaign.segments)):
        if name not in segments:
            raise ConfigError(f"campaigns/{campaign.id}.toml: segment {name!r} has no file. Add segments/{name}.sql.")
        parts.append(("segment", name, segments[name].sql))
    for name in sorted({arm.template for arm in campaign.arms}):
        twins = [(language, template) for (stem, language), template in sorted(templates.items()) if stem == name]
        if not twins:
            raise ConfigError(f"campaigns/{campaign.id}.toml: template {name!r} has no file. Add templates/{name}.j2.")
        parts.extend(("template", f"{name}.{language}", template.raw) for language, template in twins)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def approval_problems(
    campaign: str,
    totals: Totals,
    current: str,
    *,
    approved: str | None,
    max_messages: int = 0,
    max_pence: int = 0,
) -> tuple[str, ...]:
    """Why the messages of a campaign may not go, each with what to type; empty when they may.

    `current` and `approved` are fingerprints; `approved` is None when nobody has approved yet.
    """
    pence = math.ceil(round(totals.pence, 4))  # a sum of 2.4s is not exact, and caps are whole pence
    again = f"Type `nudges approve {campaign} --by NAME --max-messages {totals.messages} --max-pence {pence}`."
    if approved is None:
        return (f"{campaign}: {totals.messages} messages wait, nobody has approved this campaign. {again}",)
    if approved != current:
        return (f"{campaign}: campaign, segment or template changed since it was approved. Look again, then: {again}",)
    problems = []
    if totals.messages > max_messages:
        problems.append(f"{campaign}: {totals.messages} messages, approved for at most {max_messages}. {again}")
    if pence > max_pence:
        problems.append(f"{campaign}: {pence}p, approved for at most {max_pence}p. {again}")
    return tuple(problems)
