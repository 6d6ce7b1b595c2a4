"""Turns lifts, tags and the calendar into each unit's outcome over windows of weeks: portable SQL, then arithmetic.

The caller provides a view `windows` (unit_id, first_week_no, last_week_no, households), one row for each unit and
window, beside the views lifts, tags, calendar and households.

What counts (MEASUREMENT: data rules move estimates more than estimators do):
a planned collection without a lift is 0, once lifts of that stream and week exist at all; one that was missed, not read
or lifted without a weight is left out of both sides; a lift off the calendar proves a collection. Weeks before a
round's calendar begins and after it ends are not part of the window, nor are their lifts (tag_rate is out of lifts and
needs no calendar).
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.domain import Outcome, Stream
from nudges.features.dates import week_number
from nudges.tables import Dialect

STREAM_OF = {
    Outcome.RESIDUAL_KG: Stream.RESIDUAL,
    Outcome.RECYCLING_SET_OUT_RATE: Stream.RECYCLING,
    Outcome.FOOD_SET_OUT_RATE: Stream.FOOD,
    Outcome.TAG_RATE: Stream.RECYCLING,
}
"""The stream an outcome is measured on: a household without its service is out of scope."""


def outcome_sql(outcome: Outcome, dialect: Dialect = Dialect.DUCKDB) -> str:
    """One SELECT with a row for each row of `windows`.

    Columns: unit_id, first_week_no, last_week_no, households, weeks (of the window that the calendar covers), total
    (grams, set-outs or tagged lifts), valid (collections it is out of) and planned (for tag_rate: collections lifted).
    """
    stream = STREAM_OF[outcome]
    double = Dialect(dialect).double
    ctes = ",\n".join((*_unit_ctes(stream), *_calendar_ctes(stream, double), _lifted_cte(outcome), _tagged_cte(stream)))
    return f"""WITH {ctes}
SELECT w.unit_id, w.first_week_no, w.last_week_no, w.households,
  CAST(CASE WHEN COALESCE(p.weeks, 0) > 0 THEN p.weeks ELSE 0 END AS BIGINT) AS weeks,
  CAST({_total(outcome)} AS BIGINT) AS total,
  CAST({_valid(outcome)} AS BIGINT) AS valid,
  CAST({_planned(outcome)} AS BIGINT) AS planned
FROM windows AS w
LEFT JOIN unit_rounds AS u ON u.unit_id = w.unit_id
LEFT JOIN spans AS p ON p.round_id = u.round_id
  AND p.first_week_no = w.first_week_no AND p.last_week_no = w.last_week_no
LEFT JOIN lifted AS l ON l.unit_id = w.unit_id
  AND l.first_week_no = w.first_week_no AND l.last_week_no = w.last_week_no
LEFT JOIN tagged AS t ON t.unit_id = w.unit_id
  AND t.first_week_no = w.first_week_no AND t.last_week_no = w.last_week_no"""


def outcome_values(
    outcome: Outcome, total: ArrayLike, valid: ArrayLike, planned: ArrayLike, weeks: ArrayLike, households: ArrayLike
) -> NDArray[np.float64]:
    """Columns of `outcome_sql` to values: kg per household and week, or a rate 0-1; NaN where nothing is known.

    kg = total / 1000 / (weeks x valid / planned) / households: the weeks are those in which weights were read.
    """
    over, under, plan, span, homes = (
        np.asarray(x, dtype=np.float64) for x in (total, valid, planned, weeks, households)
    )
    known = (under > 0) & (plan > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if outcome is Outcome.RESIDUAL_KG:
            values = over / 1000 / (span * under / plan) / homes
            known = known & (span > 0) & (homes > 0)
        else:
            values = over / under
    return np.where(known, values, np.nan)


def planned_ctes(stream: Stream, double: str) -> tuple[str, ...]:
    """`planned` (collections by round and week) and `covered` (first and last week of each round's calendar).

    A collection stands for the weeks to the next one: a fortnightly calendar covers the week after its last.
    """
    week = week_number("COALESCE(collection_on, planned_on)", double)
    apart = f"CAST(last_planned - first_planned AS {double}) / CAST(weeks - 1 AS {double})"
    return (
        f"""planned AS (
  SELECT round_id, {week} AS week_no, COUNT(*) AS collections FROM calendar WHERE stream = '{stream}'
  GROUP BY round_id, {week}
)""",
        f"""covered AS (
  SELECT round_id, first_planned AS first_week_no,
    last_planned + CASE WHEN weeks > 1 THEN CAST(FLOOR({apart} + 0.5) AS BIGINT) - 1 ELSE 0 END AS last_week_no
  FROM (
    SELECT round_id, MIN(week_no) AS first_planned, MAX(week_no) AS last_planned, COUNT(*) AS weeks
    FROM planned GROUP BY round_id
  ) AS ends
)""",
    )


def _total(outcome: Outcome) -> str:
    if outcome is Outcome.RESIDUAL_KG:
        return "COALESCE(l.grams, 0)"
    return "COALESCE(t.tags, 0)" if outcome is Outcome.TAG_RATE else "COALESCE(l.set_outs, 0)"


def _valid(outcome: Outcome) -> str:
    if outcome is Outcome.RESIDUAL_KG:
        known = "COALESCE(p.weighed, 0) - COALESCE(l.unknown, 0)"
        never_weighed = "COALESCE(l.unweighed, 0) > 0 AND COALESCE(l.weighings, 0) = 0"
        return f"CASE WHEN {known} <= 0 OR ({never_weighed}) THEN 0 ELSE {known} END"
    if outcome is Outcome.TAG_RATE:
        return _larger("COALESCE(t.tags, 0)", "COALESCE(l.set_outs, 0)")
    known = "COALESCE(p.recorded, 0) - COALESCE(l.voids, 0)"
    return f"CASE WHEN COALESCE(p.recorded, 0) = 0 THEN 0 ELSE {_larger('COALESCE(l.set_outs, 0)', known)} END"


def _planned(outcome: Outcome) -> str:
    return _valid(outcome) if outcome is Outcome.TAG_RATE else "COALESCE(p.planned, 0)"


def _larger(a: str, b: str) -> str:
    return f"CASE WHEN {a} > {b} THEN {a} ELSE {b} END"


def _unit_ctes(stream: Stream) -> tuple[str, ...]:
    """`unit_rounds`: the round of each unit, from the newest row of its households."""
    return (
        f"""unit_rounds AS (
  SELECT COALESCE(bin_store_id, household_id) AS unit_id, MIN(round_id) AS round_id
  FROM (
    SELECT household_id, bin_store_id, {stream}_round_id AS round_id,
      ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) AS place
    FROM households
  ) AS newest
  WHERE place = 1 GROUP BY COALESCE(bin_store_id, household_id)
)""",
        "reach AS (\n  SELECT MIN(first_week_no) AS first_week_no, MAX(last_week_no) AS last_week_no FROM windows\n)",
    )


def _calendar_ctes(stream: Stream, double: str) -> tuple[str, ...]:
    """`spans`: collections planned, recorded and weighed for each round and window."""
    return (
        f"""recorded AS (
  SELECT l.week_no, MAX(CASE WHEN weight_g IS NULL THEN 0 ELSE 1 END) AS is_weighed
  FROM lifts AS l CROSS JOIN reach AS r
  WHERE l.stream = '{stream}' AND l.week_no BETWEEN r.first_week_no AND r.last_week_no AND l.status <> 'not_presented'
  GROUP BY l.week_no
)""",
        *planned_ctes(stream, double),
        """round_windows AS (
  SELECT DISTINCT u.round_id, w.first_week_no, w.last_week_no
  FROM windows AS w JOIN unit_rounds AS u ON u.unit_id = w.unit_id WHERE u.round_id IS NOT NULL
)""",
        """spans AS (
  SELECT w.round_id, w.first_week_no, w.last_week_no, SUM(p.collections) AS planned,
    SUM(CASE WHEN r.week_no IS NULL THEN 0 ELSE p.collections END) AS recorded,
    SUM(CASE WHEN r.is_weighed = 1 THEN p.collections ELSE 0 END) AS weighed,
    MAX(CASE WHEN c.last_week_no < w.last_week_no THEN c.last_week_no ELSE w.last_week_no END)
      - MAX(CASE WHEN c.first_week_no > w.first_week_no THEN c.first_week_no ELSE w.first_week_no END) + 1 AS weeks
  FROM round_windows AS w
  JOIN planned AS p ON p.round_id = w.round_id AND p.week_no BETWEEN w.first_week_no AND w.last_week_no
  JOIN covered AS c ON c.round_id = w.round_id
  LEFT JOIN recorded AS r ON r.week_no = p.week_no
  GROUP BY w.round_id, w.first_week_no, w.last_week_no
)""",
    )


def _lifted_cte(outcome: Outcome) -> str:
    """`lifted`: integer sums over the collections of each unit in each window, its bins put together by day."""
    stream = STREAM_OF[outcome]
    known = "d.is_lifted = 1 AND d.is_void = 0 AND d.is_unweighed = 0"
    covered = """
  JOIN unit_rounds AS u ON u.unit_id = w.unit_id
  JOIN covered AS c ON c.round_id = u.round_id AND d.week_no BETWEEN c.first_week_no AND c.last_week_no"""
    return f"""lifted AS (
  SELECT w.unit_id, w.first_week_no, w.last_week_no,
    COUNT(CASE WHEN d.is_lifted = 1 AND d.is_void = 0 THEN 1 END) AS set_outs,
    COUNT(CASE WHEN d.is_void = 1 THEN 1 END) AS voids,
    COUNT(CASE WHEN {known} THEN 1 END) AS weighings,
    SUM(CASE WHEN {known} THEN d.grams ELSE 0 END) AS grams,
    COUNT(CASE WHEN r.is_weighed = 1 AND NOT ({known}) THEN 1 END) AS unknown,
    COUNT(CASE WHEN r.is_weighed = 1 AND d.is_void = 0 AND d.is_unweighed = 1 THEN 1 END) AS unweighed
  FROM windows AS w
  JOIN (
    SELECT l.unit_id, l.collected_on, MAX(l.week_no) AS week_no,
      MAX(CASE WHEN l.status = 'lifted' THEN 1 ELSE 0 END) AS is_lifted,
      MAX(CASE WHEN l.status IN ('missed', 'not_read') THEN 1 ELSE 0 END) AS is_void,
      MAX(CASE WHEN l.status = 'lifted' AND l.weight_g IS NULL THEN 1 ELSE 0 END) AS is_unweighed,
      SUM(CASE WHEN l.status = 'lifted' THEN l.weight_g ELSE 0 END) AS grams
    FROM lifts AS l CROSS JOIN reach AS r
    WHERE l.stream = '{stream}' AND l.week_no BETWEEN r.first_week_no AND r.last_week_no AND l.status <> 'not_presented'
    GROUP BY l.unit_id, l.collected_on
  ) AS d ON d.unit_id = w.unit_id AND d.week_no BETWEEN w.first_week_no AND w.last_week_no
  JOIN recorded AS r ON r.week_no = d.week_no{"" if outcome is Outcome.TAG_RATE else covered}
  GROUP BY w.unit_id, w.first_week_no, w.last_week_no
)"""


def _tagged_cte(stream: Stream) -> str:
    """`tagged`: tagged lifts of each unit in each window; several reasons on one day are one."""
    return f"""tagged AS (
  SELECT w.unit_id, w.first_week_no, w.last_week_no, COUNT(*) AS tags
  FROM windows AS w
  JOIN (SELECT DISTINCT unit_id, tagged_on, week_no FROM tags WHERE stream = '{stream}') AS t
    ON t.unit_id = w.unit_id AND t.week_no BETWEEN w.first_week_no AND w.last_week_no
  GROUP BY w.unit_id, w.first_week_no, w.last_week_no
)"""
