"""Turns one scan of bins into sums by week and unit, from which any number of windows follow without another scan.

The same rules as `outcome_sql`, row by row, for many windows of many units: SQL only filters, numbers and streams rows,
because grouping millions of rows by unit and day costs several times the scan; a dense array by day does it here.

The caller provides a view `units` (unit_id, unit_no from 0) beside the views lifts, tags and calendar.
"""

# Every value put into the text is a whole number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Outcome
from nudges.outcomes.windows import STREAM_OF, planned_ctes
from nudges.tables import Dialect

DAYS = 7
_LIFTED, _VOID, _UNWEIGHED, _HAS_WEIGHT = 1, 2, 4, 8

Whole = NDArray[np.int64]
Bins = tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]
"""Cell, state and grams of some bins, as `bins_sql` gives them."""


def bins_sql(outcome: Outcome, n: int, first_week_no: int, last_week_no: int, *, where: str = "TRUE") -> str:
    """One row a bin of n units in some weeks that was emptied, missed or not read, in no order.

    Columns: cell ((week - first) x 7 + day of the week) x n + unit_no, state (a sum of flags), grams (0 where none).
    `where` may narrow by l.week_no and the columns of `units` as u.
    """
    return f"""SELECT
  ((l.week_no - {first_week_no}) * {DAYS} + CAST(EXTRACT(DOW FROM l.collected_on) AS BIGINT)) * {n} + u.unit_no AS cell,
  CAST(CASE WHEN l.status <> 'lifted' THEN {_VOID} WHEN l.weight_g IS NULL THEN {_LIFTED + _UNWEIGHED}
    ELSE {_LIFTED} END + CASE WHEN l.weight_g IS NULL THEN 0 ELSE {_HAS_WEIGHT} END AS SMALLINT) AS state,
  CAST(CASE WHEN l.status = 'lifted' THEN COALESCE(l.weight_g, 0) ELSE 0 END AS INTEGER) AS grams
FROM lifts AS l JOIN units AS u ON u.unit_id = l.unit_id
WHERE l.stream = '{STREAM_OF[outcome]}' AND l.status <> 'not_presented'
  AND l.week_no BETWEEN {first_week_no} AND {last_week_no} AND ({where})"""


def tags_sql(outcome: Outcome, first_week_no: int, last_week_no: int) -> str:
    """Days with a tag by unit and week: columns unit_no, week_no, tags."""
    return f"""SELECT u.unit_no, t.week_no, COUNT(DISTINCT t.tagged_on) AS tags
FROM tags AS t JOIN units AS u ON u.unit_id = t.unit_id
WHERE t.stream = '{STREAM_OF[outcome]}' AND t.week_no BETWEEN {first_week_no} AND {last_week_no}
GROUP BY u.unit_no, t.week_no"""


def calendar_sql(outcome: Outcome, dialect: Dialect = Dialect.DUCKDB) -> str:
    """Planned collections by round and week, of all weeks: columns round_id, week_no, collections, and what is covered.

    `first_week_no` and `last_week_no` are the first and last week that the round's calendar covers.
    """
    ctes = ",\n".join(planned_ctes(STREAM_OF[outcome], Dialect(dialect).double))
    return f"""WITH {ctes}
SELECT p.round_id, p.week_no, p.collections, c.first_week_no, c.last_week_no
FROM planned AS p JOIN covered AS c ON c.round_id = p.round_id"""


@dataclass(frozen=True, slots=True)
class BinWeeks:
    """Collections of n units in w weeks, each (w, n), the bins of a unit put together by day.

    `set_outs` were emptied, of which `unweighed` without a weight; `voids` were missed or not read. `grams` are those
    of wholly weighed collections. `is_recorded` and `is_weighed` (w,) say whether the week has any bins or weights.
    """

    grams: NDArray[np.int32]
    set_outs: NDArray[np.int8]
    voids: NDArray[np.int8]
    unweighed: NDArray[np.int8]
    is_recorded: NDArray[np.bool_]
    is_weighed: NDArray[np.bool_]

    @classmethod
    def empty(cls, n: int, weeks: int) -> BinWeeks:
        """Nothing recorded yet."""
        return cls(
            grams=np.zeros((weeks, n), dtype=np.int32),
            set_outs=np.zeros((weeks, n), dtype=np.int8),
            voids=np.zeros((weeks, n), dtype=np.int8),
            unweighed=np.zeros((weeks, n), dtype=np.int8),
            is_recorded=np.zeros(weeks, dtype=np.bool_),
            is_weighed=np.zeros(weeks, dtype=np.bool_),
        )


def bin_weeks(bins: Iterable[Bins], n: int, weeks: int) -> BinWeeks:
    """Put the rows of `bins_sql` over so many weeks together. Takes 35 bytes a unit and week while it works."""
    grams = np.zeros((weeks, DAYS, n), dtype=np.int32)
    state = np.zeros((weeks, DAYS, n), dtype=np.uint8)
    for cell, flags, weight in bins:
        np.add.at(grams.reshape(-1), cell, weight)
        np.bitwise_or.at(state.reshape(-1), cell, flags)
    out = BinWeeks.empty(n, weeks)
    for week in range(weeks):
        for day in range(DAYS):
            _add_day(out, week, state[week, day], grams[week, day])
    return out


def _add_day(out: BinWeeks, week: int, state: NDArray[np.uint8], grams: NDArray[np.int32]) -> None:
    seen = int(np.bitwise_or.reduce(state)) if len(state) else 0
    if not seen:
        return
    out.is_recorded[week] = True
    out.is_weighed[week] |= bool(seen & _HAS_WEIGHT)
    is_set_out = (state & (_LIFTED | _VOID)) == _LIFTED
    out.set_outs[week] += is_set_out
    if seen & _VOID:
        out.voids[week] += (state & _VOID) > 0
    if seen & _UNWEIGHED:
        is_unweighed = is_set_out & ((state & _UNWEIGHED) > 0)
        out.unweighed[week] += is_unweighed
        is_set_out &= ~is_unweighed
    out.grams[week] += grams * is_set_out


@dataclass(frozen=True, slots=True)
class Sums:
    """Columns of `outcome_sql` for one window of n units, each (n,)."""

    total: Whole
    valid: Whole
    planned: Whole
    weeks: Whole

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.total + other.total,
            self.valid + other.valid,
            self.planned + other.planned,
            self.weeks + other.weeks,
        )


@dataclass(frozen=True, slots=True)
class Panel:
    """Collections and tags of n units by week, and what was planned by round and week.

    `tags` is (w, n); `planned` (r, w) counts planned collections of each round, `first_covered` and `last_covered` (r,)
    are the week numbers its calendar reaches; `rounds` (n,) places each unit in them, -1 where it has none.
    """

    outcome: Outcome
    first_week_no: int
    bins: BinWeeks
    tags: NDArray[np.int8] | None
    planned: Whole
    first_covered: Whole
    last_covered: Whole
    rounds: NDArray[np.intp]

    def sums(self, first: Whole, last: Whole) -> Sums:
        """Each unit's window of weeks `first` to `last`, inside the panel; 0 throughout where first > last.

        Weeks outside the calendar of the unit's round are no part of it.
        """
        begins, ends = (np.asarray(week, dtype=np.int64) - self.first_week_no for week in (first, last))
        low, high = self._covered(begins, ends)
        planned = self._planned(low, high, np.ones_like(self.bins.is_recorded))
        weeks = np.where(planned > 0, np.maximum(high - low + 1, 0), 0)
        if self.outcome is Outcome.TAG_RATE:
            tags = np.zeros_like(planned) if self.tags is None else self._inside(self.tags, begins, ends)
            valid = np.maximum(tags, self._inside(self.bins.set_outs, begins, ends))
            return Sums(tags, valid, valid, weeks)
        set_outs = self._inside(self.bins.set_outs, low, high)
        if self.outcome is Outcome.RESIDUAL_KG:
            return Sums(self._inside(self.bins.grams, low, high), self._weighed(low, high, set_outs), planned, weeks)
        recorded = self._planned(low, high, self.bins.is_recorded)
        known = recorded - self._inside(self.bins.voids, low, high)
        return Sums(set_outs, np.where(recorded == 0, 0, np.maximum(set_outs, known)), planned, weeks)

    def _covered(self, low: Whole, high: Whole) -> tuple[Whole, Whole]:
        """The part of each window that the calendar of the unit's round covers; low > high where there is none."""
        begins, ends = (week[self.rounds] - self.first_week_no for week in (self.first_covered, self.last_covered))
        has_round = self.rounds >= 0
        return np.maximum(low, np.where(has_round, begins, high + 1)), np.minimum(high, np.where(has_round, ends, high))

    def _weighed(self, low: Whole, high: Whole, set_outs: Whole) -> Whole:
        """Collections with known grams, planned ones without a lift included; 0 where no bin was ever weighed."""
        weighed = self.bins.is_weighed
        voids = self._inside(self.bins.voids, low, high, weighed)
        unweighed = self._inside(self.bins.unweighed, low, high, weighed)
        weighings = set_outs - self._inside(self.bins.unweighed, low, high)
        known = self._planned(low, high, weighed) - voids - unweighed
        return np.where((known <= 0) | ((unweighed > 0) & (weighings == 0)), 0, known)

    def _inside(
        self,
        cells: NDArray[np.int8] | NDArray[np.int32],
        low: Whole,
        high: Whole,
        weeks: NDArray[np.bool_] | None = None,
    ) -> Whole:
        out = np.zeros(len(low), dtype=np.int64)
        for week in range(max(int(low.min(initial=0)), 0), min(int(high.max(initial=-1)) + 1, len(cells))):
            if weeks is None or weeks[week]:
                out += cells[week] * ((low <= week) & (week <= high))
        return out

    def _planned(self, low: Whole, high: Whole, weeks: NDArray[np.bool_]) -> Whole:
        running = np.zeros((self.planned.shape[0], self.planned.shape[1] + 1), dtype=np.int64)
        np.cumsum(self.planned * weeks, axis=1, out=running[:, 1:])
        inside = (self.rounds >= 0) & (low <= high)
        ends = (np.where(inside, week, 0) for week in (high + 1, low))
        after, before = (running[self.rounds, end] for end in ends)
        return np.where(inside, after - before, 0)
