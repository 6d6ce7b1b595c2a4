"""When messages are due: rules as tables, and properties across both clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nudges.domain import Lead, QuietHours
from nudges.schedule import HORIZON, due_at, is_quiet, moment_of, plan
from nudges.weeks import Week

ZONE = ZoneInfo("Europe/London")
WEEK = Week.parse("2026-W10")  # run on Monday 9 March 2026, messages from then on


NIGHT = QuietHours(time(20), time(8))


def council(evening=time(18), morning=time(10), quiet=NIGHT):
    times = {Lead.EVENING_BEFORE: evening, Lead.MORNING_AFTER: morning, Lead.NEXT_DAY: morning}
    return SimpleNamespace(timezone="Europe/London", quiet_hours=quiet, send_times=times)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


RULES = [
    # lead, collection days, now, due, next collection
    (Lead.EVENING_BEFORE, ["2026-03-12"], "2026-03-09T06:00", "2026-03-11T18:00", "2026-03-12"),
    # the evening before Monday's collection is in the run's own week: the next one is used
    (Lead.EVENING_BEFORE, ["2026-03-09", "2026-03-16"], "2026-03-09T06:00", "2026-03-15T18:00", "2026-03-16"),
    # the evening has passed when the run fires late
    (Lead.EVENING_BEFORE, ["2026-03-12", "2026-03-26"], "2026-03-11T18:01", "2026-03-25T18:00", "2026-03-26"),
    (Lead.EVENING_BEFORE, ["2026-03-12"], "2026-03-11T18:01", None, None),
    # run early, at the end of its own week: still not before the next week
    (Lead.EVENING_BEFORE, ["2026-03-09", "2026-03-10"], "2026-03-07T06:00", "2026-03-09T18:00", "2026-03-10"),
    (Lead.EVENING_BEFORE, [], "2026-03-09T06:00", None, None),
    (Lead.EVENING_BEFORE, ["2026-06-12"], "2026-03-09T06:00", None, None),
    # after the clocks go forward, 18:00 in London is 17:00 UTC
    (Lead.EVENING_BEFORE, ["2026-03-31"], "2026-03-09T06:00", "2026-03-30T17:00", "2026-03-31"),
    (Lead.MORNING_AFTER, ["2026-03-10", "2026-03-17"], "2026-03-09T06:00", "2026-03-11T10:00", "2026-03-17"),
    (Lead.MORNING_AFTER, ["2026-03-10"], "2026-03-09T06:00", "2026-03-11T10:00", None),
    # Sunday's collection of the run's week is answered on Monday
    (Lead.MORNING_AFTER, ["2026-03-08", "2026-03-15"], "2026-03-09T06:00", "2026-03-09T10:00", "2026-03-15"),
    (Lead.NEXT_DAY, ["2026-03-12"], "2026-03-09T06:00", "2026-03-09T10:00", "2026-03-12"),
    (Lead.NEXT_DAY, ["2026-03-09", "2026-03-23"], "2026-03-09T10:01", "2026-03-10T10:00", "2026-03-23"),
    (Lead.NEXT_DAY, [], "2026-03-06T06:00", "2026-03-09T10:00", None),
]  # fmt: skip


@pytest.mark.parametrize(("lead", "days", "now", "due", "following"), RULES)
def test_rules(lead, days, now, due, following):
    slot = plan([date.fromisoformat(day) for day in days], lead, council=council(), week=WEEK, now=utc(now))
    if due is None:
        assert slot is None
    else:
        assert slot.due_at == utc(due)
        assert slot.next_on == (date.fromisoformat(following) if following else None)


QUIET = [
    # lead, send time, quiet from, to, due (local, about a collection on Thursday 12 March 2026)
    (Lead.EVENING_BEFORE, "18:00", "20:00", "08:00", "2026-03-11T18:00"),
    (Lead.EVENING_BEFORE, "20:00", "20:00", "08:00", "2026-03-11T19:59"),
    (Lead.EVENING_BEFORE, "22:30", "21:00", "08:00", "2026-03-11T20:59"),
    (Lead.EVENING_BEFORE, "06:00", "21:00", "08:00", "2026-03-10T20:59"),
    (Lead.EVENING_BEFORE, "13:00", "12:00", "14:00", "2026-03-11T11:59"),
    (Lead.EVENING_BEFORE, "23:00", "00:00", "00:00", "2026-03-11T23:00"),
    (Lead.MORNING_AFTER, "07:00", "20:00", "08:00", "2026-03-13T08:00"),
    (Lead.MORNING_AFTER, "08:00", "20:00", "08:00", "2026-03-13T08:00"),
    (Lead.MORNING_AFTER, "21:00", "20:00", "08:00", "2026-03-14T08:00"),
]


@pytest.mark.parametrize(("lead", "at", "start", "end", "due"), QUIET)
def test_quiet_hours_move_the_moment(lead, at, start, end, due):
    quiet = QuietHours(time.fromisoformat(start), time.fromisoformat(end))
    moment = moment_of(date(2026, 3, 12), lead, at=time.fromisoformat(at), quiet=quiet, zone=ZONE)
    assert moment.astimezone(ZONE).replace(tzinfo=None) == datetime.fromisoformat(due)


def test_a_bank_holiday_slip_moves_the_message():
    # Origin: Easter Monday 2026 is 6 April; the collection planned on it slips to Tuesday 7 April.
    slot = plan(
        [date(2026, 4, 7)],
        Lead.EVENING_BEFORE,
        council=council(),
        week=Week.parse("2026-W13"),
        now=utc("2026-03-30T06:00"),
    )
    assert slot.due_at == utc("2026-04-06T17:00")


def test_a_time_the_spring_change_skips_moves_out_of_quiet_hours():
    quiet = QuietHours(time(2), time(8))
    moment = moment_of(date(2026, 3, 28), Lead.MORNING_AFTER, at=time(1, 30), quiet=quiet, zone=ZONE)
    assert moment.astimezone(ZONE).replace(tzinfo=None) == datetime(2026, 3, 29, 8)


def test_rounds_with_no_collection_in_time_are_left_out():
    slots = due_at(
        {"A": [date(2026, 3, 12)], "B": [], "C": [date(2026, 3, 12)]},
        Lead.EVENING_BEFORE, council=council(), week=WEEK, now=utc("2026-03-09T06:00"),
    )  # fmt: skip
    assert set(slots) == {"A", "C"}
    assert slots["A"] == slots["C"]


hours = st.times(max_value=time(23, 59)).map(lambda t: t.replace(second=0, microsecond=0))
quiets = st.builds(QuietHours, hours, hours)
# Around both changes of the clocks in 2026 (29 March, 25 October) and any other day of the year.
weeks = st.one_of(
    st.sampled_from([Week.containing(date(2026, 3, 29)) - n for n in range(3)]),
    st.sampled_from([Week.containing(date(2026, 10, 25)) - n for n in range(3)]),
    st.integers(0, 51).map(lambda n: Week.parse("2026-W01") + n),
)


@given(weeks, st.sets(st.integers(-7, 40), max_size=6), st.sampled_from(Lead), hours, quiets, st.integers(-48, 150))
def test_never_quiet_never_past_never_too_late(week, offsets, lead, at, quiet, late_hours):
    now = datetime.combine((week + 1).monday, time(), UTC) + timedelta(hours=late_hours)
    days = [(week + 1).monday + timedelta(days=offset) for offset in offsets]
    slot = plan(days, lead, council=council(at, at, quiet), week=week, now=now)
    assume(slot is not None)
    local = slot.due_at.astimezone(ZONE)
    assert not is_quiet(local.time(), quiet)
    assert slot.due_at >= now
    assert local.date() >= (week + 1).monday
    if slot.next_on:
        assert local.date() < slot.next_on <= (week + 1).monday + HORIZON
        assert slot.next_on in days
    if lead is Lead.EVENING_BEFORE:
        assert slot.next_on is not None


@given(weeks, st.sets(st.integers(-7, 40), max_size=6), st.integers(-48, 150))
def test_the_first_evening_that_is_left_is_used(week, offsets, late_hours):
    now = datetime.combine((week + 1).monday, time(), UTC) + timedelta(hours=late_hours)
    days = [(week + 1).monday + timedelta(days=offset) for offset in offsets]
    slot = plan(days, Lead.EVENING_BEFORE, council=council(), week=week, now=now)
    evenings = {day: datetime.combine(day - timedelta(days=1), time(18), ZONE) for day in days}
    monday = datetime.combine((week + 1).monday, time(), ZONE)
    left = [
        day for day, evening in evenings.items()
        if evening >= max(now, monday) and day <= (week + 1).monday + HORIZON
    ]  # fmt: skip
    assert (slot.next_on if slot else None) == (min(left) if left else None)
