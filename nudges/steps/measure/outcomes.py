"""Turns the bins of drawn units into their outcomes: before, after, by look, by week and by window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
from numpy.typing import NDArray

from nudges.domain import Campaign, Outcome
from nudges.measuring import Drawn, Kind, Outcomes
from nudges.measuring.units import Flags, Floats, Series
from nudges.outcomes import STREAM_OF, Panel, Sums, outcome_values
from nudges.steps.outcome_panel import read_panel
from nudges.weeks import Week

PRE_WEEKS = 26

Weeks = NDArray[np.int64]

WINDOWS = ((1, 4), (5, 13), (14, 26))
"""Weeks since a unit's start, or since the campaign's last message, over which an effect is shown."""

_ROUNDS = """
SELECT u.unit_no, MIN(h.round_id) AS round_id
FROM units u LEFT JOIN (
    SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id
    FROM households QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) h ON h.unit_id = u.unit_id
GROUP BY u.unit_no ORDER BY u.unit_no
"""
_SEGMENTS = """
SELECT DISTINCT m.segment, u.unit_no
FROM membership m JOIN assigned a ON a.household_id = m.household_id AND a.week_no = m.week_no
JOIN units u ON u.unit_id = a.unit_id
WHERE m.week_no BETWEEN (SELECT MIN(start) FROM units) AND (SELECT MAX(start) FROM units)
"""


def read_outcomes(
    connection: duckdb.DuckDBPyConnection, campaign: Campaign, drawn: Drawn, last: Week, week: Week
) -> Outcomes:
    """Outcomes of the connection's `units`: the headline's to the end of `last`, other rows' to the end of `week`."""
    outcome = campaign.outcome
    start, begins = drawn.first_week_no, int(drawn.first_week_no.min())
    rounds = connection.execute("SELECT round_id FROM units ORDER BY unit_no").to_arrow_table()["round_id"]
    # Before the campaign only the units that are compared need their bins read.
    where = f"l.week_no > {begins} OR (u.is_contactable = 1 AND NOT u.is_holdout)"
    low = begins - PRE_WEEKS + 1
    panel = read_panel(connection, outcome, rounds.combine_chunks(), low, week.number, where=where)
    spans = _Spans(panel, drawn, low)
    middle = start - PRE_WEEKS // 2
    halves = (spans.sums(start - PRE_WEEKS + 1, middle), spans.sums(middle + 1, start))
    both = halves[0] + halves[1]
    post = panel.sums(start + 1, np.where(start < last.number, last.number, low - 1))
    # Arms are drawn anew in the second turn, and its messages go out from the week after its first run on.
    first_end = min(campaign.turn_starts(1).number, last.number)
    rhythm = spans.rhythm(start, last)
    weekly = {}
    for number in range(begins + 1, week.number + 1):
        found = spans.sums(np.full_like(start, number), np.full_like(start, number), start < number)
        weekly[number] = spans.series(found, weeks=found.planned * rhythm)
    looks = [spans.series(spans.to(number)) for number in range(campaign.starts.number + 1, last.number + 1)]
    return Outcomes(
        post=spans.series(post),
        first_turn=spans.series(spans.to(first_end)),
        pre=spans.series(both),
        pre_first=spans.series(halves[0]),
        pre_second=spans.series(halves[1]),
        planned=post.planned.astype(np.float64),
        valid=post.valid.astype(np.float64),
        weekly=weekly,
        segments=_segments(connection, len(start)),
        looks=looks,
        windows={
            Kind.DECAY: _windows(spans, start, last.number),
            Kind.AFTER: _windows(spans, np.full_like(start, (campaign.starts + campaign.weeks).number), week.number),
            Kind.ROBUSTNESS: _without_christmas(spans, start, last),
        },
        guardrails=_guardrails(connection, campaign, drawn, last),
    )


def _guardrails(
    connection: duckdb.DuckDBPyConnection, campaign: Campaign, drawn: Drawn, last: Week
) -> dict[Outcome, tuple[Series, Series]]:
    """Every other outcome that has data, over the headline's weeks and before."""
    found = {}
    start, low = drawn.first_week_no, int(drawn.first_week_no.min()) - PRE_WEEKS + 1
    for outcome in Outcome:
        if outcome is campaign.outcome:
            continue
        rounds = connection.execute(_ROUNDS.format(stream=STREAM_OF[outcome])).to_arrow_table()["round_id"]
        where = "u.is_contactable = 1 AND NOT u.is_holdout"
        panel = read_panel(connection, outcome, rounds.combine_chunks(), low, last.number, where=where)
        spans = _Spans(panel, drawn, low)
        after, before = spans.series(spans.to(last.number)), spans.series(spans.sums(start - PRE_WEEKS + 1, start))
        if after.is_known.any():
            found[outcome] = (after, before)
    return found


@dataclass(frozen=True, slots=True)
class _Spans:
    """Outcomes of the compared units over any span of weeks of the panel, which begins in week `low`."""

    panel: Panel
    drawn: Drawn
    low: int

    def sums(self, first: Weeks, last: Weeks, units: Flags | None = None) -> Sums:
        """Sums over each unit's span, 0 throughout for units that are not compared or not among `units`."""
        inside = self.drawn.is_contactable & ~self.drawn.is_holdout
        if units is not None:
            inside = inside & units
        return self.panel.sums(first, np.where(inside, last, self.low - 1))

    def to(self, number: int) -> Sums:
        """Sums from each unit's start to the end of a week, of the units that started before it."""
        start = self.drawn.first_week_no
        return self.sums(start + 1, np.full_like(start, number), start < number)

    def rhythm(self, start: Weeks, last: Week) -> Floats:
        """A unit's own weeks a collection, so that one fortnightly lift is not read as the kg of one week."""
        whole = self.sums(start - PRE_WEEKS + 1, np.maximum(np.full_like(start, last.number), start))
        return np.asarray(whole.weeks / np.maximum(whole.planned, 1.0))

    def series(self, sums: Sums, *, weeks: Floats | None = None) -> Series:
        """Outcome per household (and week); for a rate, with what it is out of."""
        span, outcome = sums.weeks if weeks is None else weeks, self.panel.outcome
        values = outcome_values(outcome, sums.total, sums.valid, sums.planned, span, self.drawn.households)
        if outcome is Outcome.RESIDUAL_KG:
            return Series(values)
        known = np.isfinite(values)
        return Series(values, np.where(known, sums.total, 0.0), np.where(known, sums.valid, 0.0))


def _without_christmas(spans: _Spans, start: Weeks, last: Week) -> dict[str, Series]:
    """Outcome without the weeks that hold Christmas or New Year's Day; nothing where there are none."""
    numbers = range(int(start.min()) + 1, last.number + 1)
    kept = [number for number in numbers if not _is_christmas(Week(number))]
    if not kept or len(kept) == len(numbers):
        return {}
    parts = [spans.sums(np.full_like(start, number), np.full_like(start, number), start < number) for number in kept]
    total = parts[0]
    for part in parts[1:]:
        total += part
    return {"Without Christmas and New Year": spans.series(total, weeks=total.planned * spans.rhythm(start, last))}


def _is_christmas(week: Week) -> bool:
    days = (week.monday + timedelta(days=day) for day in range(7))
    return any((day.month, day.day) in {(12, 25), (1, 1)} for day in days)


def _windows(spans: _Spans, origin: Weeks, last: int) -> dict[str, Series]:
    """Outcome over spans of weeks since each unit's origin, as far as measured, by their name."""
    found = {}
    for low, high in WINDOWS:
        ends = np.minimum(origin + high, last)
        reached = origin + low <= last
        if reached.any():
            so_far = int((ends - origin)[reached].max())
            name = f"{low}-{high}" if so_far == high else f"{low}-{so_far}"
            found[name] = spans.series(spans.sums(origin + low, ends, reached))
    return found


def _segments(connection: duckdb.DuckDBPyConnection, n: int) -> dict[str, Flags]:
    rows = connection.execute(_SEGMENTS).fetchnumpy()
    names = np.asarray(rows["segment"], dtype=np.str_)
    units = np.asarray(rows["unit_no"], dtype=np.int64)
    inside = {}
    for name in sorted(set(names.tolist())):
        inside[str(name)] = np.zeros(n, dtype=np.bool_)
        inside[str(name)][units[names == name]] = True
    return inside
