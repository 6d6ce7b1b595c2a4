"""Turns rhythms of collections into calendar rows with bank-holiday slips, and calendar rows into a lookup by week."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Stream
from nudges.weeks import Week

_EPOCH = np.datetime64("2000-01-03", "D")
CALENDAR = pa.schema(
    [("round_id", pa.string()), ("stream", pa.string()), ("planned_on", pa.date32()), ("collection_on", pa.date32())]
)


@cache
def easter(year: int) -> date:
    """Easter Sunday (anonymous Gregorian algorithm, Meeus 1991)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@cache
def days_off(year: int) -> frozenset[date]:
    """Days on which crews do not work: Christmas, Boxing and New Year's Day, Monday bank holidays of England."""
    may, last_may, last_august = date(year, 5, 1), date(year, 5, 31), date(year, 8, 31)
    return frozenset(
        {
            date(year, 1, 1),
            easter(year) + timedelta(days=1),
            may + timedelta(days=-may.weekday() % 7),
            last_may - timedelta(days=last_may.weekday()),
            last_august - timedelta(days=last_august.weekday()),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def slipped(day: date) -> date:
    """The day a collection planned on `day` really is: each day off earlier in the week pushes it on by one."""
    monday = day - timedelta(days=day.weekday())
    off = [d for d in (monday + timedelta(days=i) for i in range(7)) if d in days_off(d.year)]
    shift, before = 0, -1
    while shift != before:
        shift, before = sum(d <= day + timedelta(days=shift) for d in off), shift
    return min(day + timedelta(days=shift), monday + timedelta(days=6))


def rhythm(rounds: Iterable[tuple[str, Stream, int, int, int]], start: Week, weeks: int) -> pa.Table:
    """Calendar rows of rounds given as (round, stream, weekday, every so many weeks, week number it falls in)."""
    rows = [
        (name, str(stream), day)
        for name, stream, weekday, every, phase in rounds
        for number in range(start.number, start.number + weeks)
        if (number - phase) % every == 0
        for day in [Week(number).monday + timedelta(days=weekday)]
    ]
    days = [day for _, _, day in rows]
    slips = {day: slipped(day) for day in set(days)}
    return pa.table(
        [[name for name, _, _ in rows], [stream for _, stream, _ in rows], days, [slips[day] for day in days]],
        schema=CALENDAR,
    )


def extended(calendar: pa.Table, start: Week, weeks: int) -> pa.Table:
    """The calendar given, continued by each round's own rhythm over weeks in which it has no rows of its own.

    The rhythm is the median gap between its planned days in whole weeks; rounds seen once are taken as fortnightly.
    """
    own = calendar.select(["round_id", "stream", "planned_on", "collection_on"]).cast(CALENDAR).to_pandas()
    own["day"] = pd.to_datetime(own["planned_on"]).to_numpy().astype("datetime64[D]")
    own = own.sort_values(["round_id", "stream", "day"])
    grouped = own.groupby(["round_id", "stream"])["day"]
    gap = grouped.diff().dt.days.groupby([own["round_id"], own["stream"]]).median().fillna(14.0)
    spans = pd.DataFrame(
        {"first": grouped.min(), "last": grouped.max(), "every": (gap / 7).round().clip(1, 8)}
    ).reset_index()
    wanted = (np.datetime64(start.monday), np.datetime64((start + weeks).monday))
    before = _steps(spans, "first", -1, wanted)
    after = _steps(spans, "last", 1, wanted)
    added = pd.concat([before, after])
    slips = {day: slipped(day) for day in set(added["planned_on"])}
    added["collection_on"] = added["planned_on"].map(slips)
    whole = pd.concat([own[CALENDAR.names], added[CALENDAR.names]])
    return pa.Table.from_pandas(whole, schema=CALENDAR, preserve_index=False)


def _steps(spans: pd.DataFrame, edge: str, sign: int, wanted: tuple[np.datetime64, np.datetime64]) -> pd.DataFrame:
    anchor = spans[edge].to_numpy().astype("datetime64[D]")
    every = spans["every"].to_numpy().astype(int) * 7
    reach = (anchor - wanted[0]) if sign < 0 else (wanted[1] - anchor)
    count = np.maximum(reach.astype(int) // every, 0)
    where = np.repeat(np.arange(len(spans)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    days = anchor[where] + sign * step * every[where]
    keep = (days >= wanted[0]) & (days < wanted[1])
    rows: pd.DataFrame = spans.iloc[where[keep]][["round_id", "stream"]].reset_index(drop=True)
    rows["planned_on"] = days[keep].astype(object)
    return rows


class Lookup:
    """Which day each round of one stream collects on, by week: at most a few days a week."""

    def __init__(self, calendar: pa.Table, stream: Stream, rounds: list[str]) -> None:
        frame = calendar.to_pandas()
        frame = frame[frame["stream"] == str(stream)]
        place = pd.Index(rounds).get_indexer(frame["round_id"])
        really = frame["collection_on"].where(frame["collection_on"].notna(), frame["planned_on"])
        days = pd.to_datetime(really).to_numpy().astype("datetime64[D]")
        known = place >= 0
        order = np.lexsort((days[known], place[known]))
        self._place, self._days = place[known][order], days[known][order]
        self._weeks = (self._days - _EPOCH).astype(int) // 7
        self._rounds = len(rounds)

    def days(self, week: Week) -> list[NDArray[np.int64]]:
        """One array over rounds for each collection of the week: days since 1970-01-01, -1 where there is none."""
        inside = self._weeks == week.number
        place, days = self._place[inside], self._days[inside].astype("datetime64[D]").astype(np.int64)
        slots: list[NDArray[np.int64]] = []
        while place.size:
            first = np.r_[True, place[1:] != place[:-1]]
            slot = np.full(self._rounds, -1, dtype=np.int64)
            slot[place[first]] = days[first]
            slots.append(slot)
            place, days = place[~first], days[~first]
        return slots
