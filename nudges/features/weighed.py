"""Turns sets of weeks and days into all that is known of a unit: common table expressions of the features query.

A collection of a unit is *known* when it was weighed or nothing was out, *unknown* when it was missed, not read, or
lifted without a weight. Weeks in which no lorry weighed anything are left out altogether.
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.features import bits
from nudges.features.lifted import MARKS, OUTS, gram_sums, mark_of, out_names, set_of, since
from nudges.tables.features import SET_OUT_WINDOWS
from nudges.weeks import Week

_SUMS = "g_4, g_8, g_26, gg_8, gg_26, tg_8, tg_26, newest_code"
_COUNTED = ("unknown", "unweighed", "weighings")
_WINDOWS = (4, 8, 26)
_SETS = [f"{stream}_{name}_weeks" for stream in SET_OUT_WINDOWS for name in OUTS]
_MARKS = [f"{name}_{n}" for name, windows in MARKS.items() for n in windows]
_IS_KNOWN = "is_lifted = 1 AND is_void = 0 AND is_unweighed = 0"


def kilo_ctes(week: Week) -> list[str]:
    """`weighed_weeks`, `kilos` (weights by day of units that are several), `unit_facts` (all of every unit)."""
    w = week.number
    missing = "(weighing_weeks - (weighing_weeks & weighed_weeks))"
    sets = [f"{set_of(stream, name)} AS {stream}_{name}_weeks" for stream in SET_OUT_WINDOWS for name in OUTS]
    return [
        "weighed_weeks AS (\n  SELECT COALESCE(BIT_OR(weighed_weeks), 0) AS weighing_weeks FROM counted\n)",
        f"""kilos AS (
  SELECT unit_id,
    {gram_sums(w)},
    BIT_OR(CASE WHEN is_unknown = 1 THEN bit ELSE 0 END) AS unknown_weeks,
    {", ".join(_counts_of_days(w))}
  FROM (
    SELECT d.unit_id, d.week_no, d.bit, CASE WHEN {_IS_KNOWN} THEN d.grams END AS grams,
      CASE WHEN {_IS_KNOWN} THEN 0 ELSE 1 END AS is_unknown,
      CASE WHEN is_void = 0 THEN is_unweighed ELSE 0 END AS is_unweighed
    FROM days AS d CROSS JOIN weighed_weeks AS e
    WHERE d.stream = 'residual' AND (e.weighing_weeks & d.bit) <> 0
  ) AS residual
  GROUP BY unit_id
)""",
        f"""unit_facts AS (
  SELECT unit_id, {", ".join([*_SETS, *_counts_of_outs()])},
    {", ".join(f"CAST({mark_of(name)} AS SMALLINT) AS {name}" for name in _MARKS)}, missed_week,
    {_SUMS}, unknown_weeks,
    {", ".join(_counts_of_sets())}
  FROM (
    SELECT *, (residual_set_outs_weeks | residual_voids_weeks) & {missing} AS unknown_weeks,
      residual_set_outs_weeks & {missing} AS unweighed_weeks, weighed_weeks AS weighings_weeks
    FROM (
      SELECT c.*, CAST(e.weighing_weeks AS INTEGER) AS weighing_weeks,
        {", ".join(sets)}
      FROM counted AS c CROSS JOIN weighed_weeks AS e
      WHERE is_several = 0
    ) AS in_weeks
  ) AS by_week
  UNION ALL
  SELECT d.unit_id, {", ".join([*_SETS, *(f"CAST({name} AS SMALLINT)" for name in out_names())])},
    {", ".join(f"CAST({name} AS SMALLINT)" for name in _MARKS)}, missed_week,
    {_SUMS}, unknown_weeks,
    {", ".join(f"CAST({name} AS SMALLINT)" for name in _names())}
  FROM by_day AS d LEFT JOIN kilos AS k ON k.unit_id = d.unit_id
)""",
    ]


def _names() -> list[str]:
    counts = [f"{name}_{n}" for name in _COUNTED for n in _WINDOWS]
    return counts + [f"unknown_{power}_{n}" for power in ("t", "tt") for n in (8, 26)]


def _counts_of_outs() -> list[str]:
    return [
        f"CAST({bits.count(f'{stream}_{name}_weeks', n)} AS SMALLINT) AS {stream}_{name}_{n}"
        for stream, windows in SET_OUT_WINDOWS.items()
        for name in OUTS
        for n in windows
    ]


def _counts_of_sets() -> list[str]:
    """Columns of `_names` from sets of weeks; t is minus the weeks back."""
    powers = {"t": lambda back: -back, "tt": lambda back: back * back}
    counts = [
        f"CAST({bits.count(f'{name}_weeks', n)} AS SMALLINT) AS {name}_{n}" for name in _COUNTED for n in _WINDOWS
    ]
    return counts + [
        f"CAST({bits.total('unknown_weeks', n, of)} AS SMALLINT) AS unknown_{power}_{n}"
        for power, of in powers.items()
        for n in (8, 26)
    ]


def _counts_of_days(w: int) -> list[str]:
    """The same columns from days."""
    tests = {"unknown": "is_unknown = 1", "unweighed": "is_unweighed = 1", "weighings": "grams IS NOT NULL"}
    counts = [
        f"COUNT(CASE WHEN {since(w, n)} AND {tests[name]} THEN 1 END) AS {name}_{n}"
        for name in _COUNTED
        for n in _WINDOWS
    ]
    t = f"(week_no - {w})"
    return counts + [
        f"SUM(CASE WHEN {since(w, n)} AND is_unknown = 1 THEN {power} ELSE 0 END) AS unknown_{name}_{n}"
        for name, power in (("t", t), ("tt", f"{t} * {t}"))
        for n in (8, 26)
    ]
