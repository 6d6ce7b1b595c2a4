"""Turn a round's collection days and a lead into the moment a message is due, in UTC.

Times of day are local wall clock in the council's zone, so daylight saving moves the UTC moment, never the hour that
residents see. Nothing is due before the run's `now`, before the week after the run's, or inside quiet hours.
Days come from `calendar.collection_on`, so bank-holiday slips are already in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nudges.domain import Council, Lead, QuietHours
from nudges.weeks import Week

HORIZON = timedelta(weeks=4)
"""A collection later than this after the run's week is too far off to write about."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """When a message to the homes of one round is due (aware UTC), and the next collection after that moment."""

    due_at: datetime
    next_on: date | None


def due_at(
    collections: Mapping[str, Sequence[date]], lead: Lead, *, council: Council, week: Week, now: datetime
) -> dict[str, Slot]:
    """Plan every round of `collections` (round to its collection days); a round left out has none in time.

    Each different list of days is planned once, however many rounds share it.
    """
    planned: dict[tuple[date, ...], Slot | None] = {}
    slots: dict[str, Slot] = {}
    for round_id, days in collections.items():
        key = tuple(sorted(days))
        if key not in planned:
            planned[key] = plan(key, lead, council=council, week=week, now=now)
        slot = planned[key]
        if slot is not None:
            slots[round_id] = slot
    return slots


def plan(days: Iterable[date], lead: Lead, *, council: Council, week: Week, now: datetime) -> Slot | None:
    """Find the first moment `lead` allows, with the first collection after it; None when there is none in time."""
    zone = ZoneInfo(council.timezone)
    start = max(now, datetime.combine((week + 1).monday, time(), zone)).astimezone(UTC)
    last = (week + 1).monday + HORIZON
    upcoming = sorted(day for day in days if week.monday <= day <= last)
    if lead is Lead.NEXT_DAY:
        moment = _first_day(council.send_times[lead], council.quiet_hours, zone, start)
        return Slot(moment, _first_after(upcoming, moment, zone))
    for day in upcoming:
        moment = moment_of(day, lead, at=council.send_times[lead], quiet=council.quiet_hours, zone=zone)
        if moment >= start:
            return Slot(moment, day if lead is Lead.EVENING_BEFORE else _first_after(upcoming, moment, zone))
    return None


def moment_of(collection_on: date, lead: Lead, *, at: time, quiet: QuietHours, zone: ZoneInfo) -> datetime:
    """Place `lead` around one collection: an evening before moves back out of quiet hours, a morning after forward."""
    if lead is Lead.EVENING_BEFORE:
        return _before_quiet(datetime.combine(collection_on - _DAY, at), quiet, zone)
    return _after_quiet(datetime.combine(collection_on + _DAY, at), quiet, zone)


def is_quiet(clock: time, quiet: QuietHours) -> bool:
    """Whether local wall-clock `clock` is in quiet hours (start included, end not); equal ends mean no quiet hours."""
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def _first_day(at: time, quiet: QuietHours, zone: ZoneInfo, start: datetime) -> datetime:
    day = start.astimezone(zone).date()
    moment = _after_quiet(datetime.combine(day, at), quiet, zone)
    while moment < start:
        day += _DAY
        moment = _after_quiet(datetime.combine(day, at), quiet, zone)
    return moment


def _first_after(days: Sequence[date], moment: datetime, zone: ZoneInfo) -> date | None:
    on = moment.astimezone(zone).date()
    return next((day for day in days if day > on), None)


def _after_quiet(local: datetime, quiet: QuietHours, zone: ZoneInfo) -> datetime:
    if is_quiet(local.time(), quiet):
        end = datetime.combine(local.date(), quiet.end)
        local = end if end > local else end + _DAY
    moment, seen = _read(local, zone, fold=0)  # a time the spring change skips is read an hour on
    return _after_quiet(seen, quiet, zone) if seen != local and is_quiet(seen.time(), quiet) else moment


def _before_quiet(local: datetime, quiet: QuietHours, zone: ZoneInfo) -> datetime:
    if is_quiet(local.time(), quiet):
        start = datetime.combine(local.date(), quiet.start)
        local = (start if start <= local else start - _DAY) - _MINUTE
    moment, seen = _read(local, zone, fold=1)  # and here an hour back
    return _before_quiet(seen, quiet, zone) if seen != local and is_quiet(seen.time(), quiet) else moment


def _read(local: datetime, zone: ZoneInfo, *, fold: int) -> tuple[datetime, datetime]:
    """Read a wall-clock time: its moment in UTC, and what the clocks really show then."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local:
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return moment, moment.astimezone(zone).replace(tzinfo=None)
