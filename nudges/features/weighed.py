"""Turns residual weights into integer sums by unit: common table expressions of the features query.

A collection of a unit is *known* when it was weighed or nothing was out, *unknown* when it was missed, not read, or
lifted without a weight. Weeks in which no lorry weighed anything are left out altogether.
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.features import bits
from nudges.features.lifted import recent, since
from nudges.weeks import Week

CODE = 100_000_000
"""Grams of one collection stay below this, so `week_no * CODE + grams` sorts by week and keeps the grams."""

_SUMS = "g_4, g_8, g_26, gg_8, gg_26, tg_8, tg_26, newest_code"
_COUNTED = {"unknown": (4, 8, 26), "unweighed": (4, 8, 26), "weighings": (4, 8, 26)}
_IS_KNOWN = "is_lifted = 1 AND is_void = 0 AND is_unweighed = 0"


def kilo_ctes(week: Week) -> list[str]:
    """`weighed` (sums by unit), `weighed_weeks`, `kilos` (with what is not known), `unit_facts` (all of a unit)."""
    w = week.number
    missing = "(e.weeks - (e.weeks & COALESCE(g.weeks, 0)))"
    return [
        f"""weighed AS (
  SELECT unit_id,
    {_gram_sums(w)},
    BIT_OR(CASE WHEN grams IS NULL THEN 0 ELSE bit END) AS weeks
  FROM (
    SELECT l.unit_id, l.week_no, l.weight_g AS grams, k.bit
    FROM lifts AS l JOIN weeks AS k ON k.week_no = l.week_no
    WHERE {recent(week)} AND l.stream = 'residual' AND l.status = 'lifted'
  ) AS residual
  GROUP BY unit_id
)""",
        "weighed_weeks AS (\n  SELECT COALESCE(BIT_OR(weeks), 0) AS weeks FROM weighed\n)",
        f"""kilos AS (
  SELECT unit_id, {_SUMS}, unknown AS unknown_weeks,
    {", ".join(_counts_of_sets())}
  FROM (
    SELECT s.unit_id, {_SUMS}, COALESCE(g.weeks, 0) AS weighings,
      (s.residual_voids_weeks | s.residual_set_outs_weeks) & {missing} AS unknown,
      s.residual_set_outs_weeks & {missing} AS unweighed
    FROM units AS s CROSS JOIN weighed_weeks AS e LEFT JOIN weighed AS g ON g.unit_id = s.unit_id
    WHERE s.unit_id NOT IN (SELECT unit_id FROM several WHERE stream = 'residual')
  ) AS by_week
  UNION ALL
  SELECT unit_id, {_SUMS}, unknown_weeks,
    {", ".join(f"CAST({name} AS SMALLINT)" for name in _names())}
  FROM (
    SELECT unit_id,
    {_gram_sums(w)},
    BIT_OR(CASE WHEN is_unknown = 1 THEN bit ELSE 0 END) AS unknown_weeks,
    {", ".join(_counts_of_days(w))}
    FROM (
      SELECT d.unit_id, d.week_no, d.bit, CASE WHEN {_IS_KNOWN} THEN d.grams END AS grams,
        CASE WHEN {_IS_KNOWN} THEN 0 ELSE 1 END AS is_unknown,
        CASE WHEN is_void = 0 THEN is_unweighed ELSE 0 END AS is_unweighed
      FROM days AS d CROSS JOIN weighed_weeks AS e
      WHERE d.stream = 'residual' AND (e.weeks & d.bit) <> 0
    ) AS residual
    GROUP BY unit_id
  ) AS by_day
)""",
        f"""unit_facts AS (
  SELECT u.*, {_SUMS}, unknown_weeks, {", ".join(_names())}
  FROM units AS u LEFT JOIN kilos AS k ON k.unit_id = u.unit_id
)""",
    ]


def _names() -> list[str]:
    counts = [f"{name}_{n}" for name, windows in _COUNTED.items() for n in windows]
    return counts + [f"unknown_{power}_{n}" for power in ("t", "tt") for n in (8, 26)]


def _counts_of_sets() -> list[str]:
    """Columns of `_names` from sets of weeks; t is minus the weeks back."""
    counts = [
        f"CAST({bits.count(name, n)} AS SMALLINT) AS {name}_{n}" for name, windows in _COUNTED.items() for n in windows
    ]
    t = [f"CAST({bits.total('unknown', n, lambda back: -back)} AS SMALLINT) AS unknown_t_{n}" for n in (8, 26)]
    tt = [f"CAST({bits.total('unknown', n, lambda back: back * back)} AS SMALLINT) AS unknown_tt_{n}" for n in (8, 26)]
    return counts + t + tt


def _counts_of_days(w: int) -> list[str]:
    """The same columns from days."""
    tests = {"unknown": "is_unknown = 1", "unweighed": "is_unweighed = 1", "weighings": "grams IS NOT NULL"}
    counts = [
        f"COUNT(CASE WHEN {since(w, n)} AND {tests[name]} THEN 1 END) AS {name}_{n}"
        for name, windows in _COUNTED.items()
        for n in windows
    ]
    t = f"(week_no - {w})"
    return counts + [
        f"SUM(CASE WHEN {since(w, n)} AND is_unknown = 1 THEN {power} ELSE 0 END) AS unknown_{name}_{n}"
        for name, power in (("t", t), ("tt", f"{t} * {t}"))
        for n in (8, 26)
    ]


def _gram_sums(w: int) -> str:
    """Integer sums of `grams` over `week_no`."""
    parts = [f"CAST(SUM(CASE WHEN {since(w, n)} THEN grams ELSE 0 END) AS BIGINT) AS g_{n}" for n in (4, 8, 26)]
    parts += [f"CAST(SUM(CASE WHEN {since(w, n)} THEN grams * grams ELSE 0 END) AS BIGINT) AS gg_{n}" for n in (8, 26)]
    t = f"(week_no - {w})"
    parts += [f"CAST(SUM(CASE WHEN {since(w, n)} THEN {t} * grams ELSE 0 END) AS BIGINT) AS tg_{n}" for n in (8, 26)]
    return ",\n    ".join([*parts, f"MAX(CAST(week_no AS BIGINT) * {CODE} + grams) AS newest_code"])
