"""Turns lifts into counts by unit: common table expressions of the features query.

A *collection* of a unit is one day, however many bins it has. Nearly every unit has at most one row of a stream a
week, so its rows are read as sets of weeks (`bits`). Units with more (`several`: bins of a store, a second bin, extra
collections) are put together by day as well, which costs far more; a unit is one of those exactly when it has more rows
than weeks.
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.domain import Stream
from nudges.features import bits
from nudges.features.bits import WINDOW_WEEKS
from nudges.weeks import Week

COUNTS = {"set_outs": (4, 8, 26), "voids": (4, 8, 26), "missed": (4, 26), "excess": (8, 26)}
"""Counts kept by unit and stream, with their windows. A void collection was missed or not read."""

_DAY_TESTS = {
    "set_outs": "is_lifted = 1 AND is_void = 0",
    "voids": "is_void = 1",
    "missed": "is_missed = 1",
    "excess": "is_excess = 1",
}


def since(w: int, n: int) -> str:
    """Inside the last `n` weeks to week number `w`; nothing to test for the whole window."""
    return f"week_no > {w - n}" if n < WINDOW_WEEKS else f"week_no <= {w}"


def recent(week: Week) -> str:
    """Lifts `l` that were not simply absent, in the weeks looked at."""
    return f"l.week_no BETWEEN {week.number - WINDOW_WEEKS + 1} AND {week.number} AND l.status <> 'not_presented'"


def unit_ctes(week: Week) -> list[str]:
    """`counted` (sets of weeks), `several`, `days`, `by_day` (counts of several) and `units` (counts of every unit)."""
    return [
        _counted_cte(week),
        _several_cte(),
        f"""days AS (
  SELECT l.unit_id, l.stream, l.collected_on, k.week_no, k.bit,
    MAX(CASE WHEN l.status = 'lifted' THEN 1 ELSE 0 END) AS is_lifted,
    MAX(CASE WHEN l.status IN ('missed', 'not_read') THEN 1 ELSE 0 END) AS is_void,
    MAX(CASE WHEN l.status = 'missed' THEN 1 ELSE 0 END) AS is_missed,
    MAX(l.is_excess) AS is_excess,
    MAX(CASE WHEN l.status = 'lifted' AND l.weight_g IS NULL THEN 1 ELSE 0 END) AS is_unweighed,
    CAST(SUM(CASE WHEN l.status = 'lifted' THEN l.weight_g ELSE 0 END) AS BIGINT) AS grams
  FROM lifts AS l
  JOIN weeks AS k ON k.week_no = l.week_no
  WHERE {recent(week)} AND (l.unit_id, l.stream) IN (SELECT unit_id, stream FROM several)
  GROUP BY l.unit_id, l.stream, l.collected_on, k.week_no, k.bit
)""",
        _by_day_cte(week.number),
        _units_cte(),
    ]


def recorded_cte() -> str:
    """`recorded`: weeks with any row of a stream, as one set a stream."""
    each = [
        f"SELECT '{stream}' AS stream, BIT_OR({bits.first_plane(code)} | {bits.second_plane(code)}) AS weeks "
        "FROM counted"
        for stream in Stream
        for code in (f"{stream}_code",)
    ]
    return "recorded AS (\n  " + "\n  UNION ALL ".join(each) + "\n)"


def _counted_cte(week: Week) -> str:
    columns = ",\n    ".join(
        f"COUNT(CASE WHEN stream = '{stream}' THEN 1 END) AS {stream}_rows,\n"
        f"    BIT_OR(CASE WHEN stream = '{stream}' THEN code ELSE 0 END) AS {stream}_code,\n"
        f"    BIT_OR(CASE WHEN stream = '{stream}' THEN marks ELSE 0 END) AS {stream}_marks"
        for stream in Stream
    )
    return f"""counted AS (
  SELECT unit_id,
    {columns}
  FROM (
    SELECT l.unit_id, l.stream, CASE WHEN l.status = 'lifted' THEN k.bit ELSE k.second_bit END AS code,
      CASE WHEN l.is_excess = 1 THEN k.bit ELSE 0 END
        + CASE WHEN l.status = 'missed' THEN k.second_bit ELSE 0 END AS marks
    FROM lifts AS l JOIN weeks AS k ON k.week_no = l.week_no
    WHERE {recent(week)}
  ) AS seen
  GROUP BY unit_id
)"""


def _several_cte() -> str:
    each = [
        f"SELECT unit_id, '{stream}' AS stream FROM counted WHERE {stream}_rows > {bits.count_either(f'{stream}_code')}"
        for stream in Stream
    ]
    return "several AS (\n  " + "\n  UNION ALL ".join(each) + "\n)"


def _by_day_cte(w: int) -> str:
    columns = []
    for stream in Stream:
        columns.append(f"MAX(CASE WHEN stream = '{stream}' THEN 1 ELSE 0 END) AS {stream}_several")
        columns += [
            f"COUNT(CASE WHEN stream = '{stream}' AND {since(w, n)} AND {_DAY_TESTS[name]} THEN 1 END) "
            f"AS {stream}_{name}_{n}"
            for name, windows in COUNTS.items()
            for n in windows
        ]
        columns += [
            f"BIT_OR(CASE WHEN stream = '{stream}' AND {_DAY_TESTS[name]} THEN bit ELSE 0 END) AS {stream}_{name}_weeks"
            for name in ("set_outs", "voids", "missed")
        ]
    return "by_day AS (\n  SELECT unit_id,\n    " + ",\n    ".join(columns) + "\n  FROM days GROUP BY unit_id\n)"


def _units_cte() -> str:
    """One row a unit: counts from its days where a stream has several rows a week, else from its sets of weeks."""
    columns = []
    for stream in Stream:
        code, marks = f"c.{stream}_code", f"c.{stream}_marks"
        sets = {"set_outs": (code, 1), "voids": (code, 2), "missed": (marks, 2), "excess": (marks, 1)}
        several = f"CASE WHEN d.{stream}_several = 1 THEN d.{stream}"
        columns += [
            f"CAST({several}_{name}_{n} ELSE {bits.count(sets[name][0], n, plane=sets[name][1])} END AS SMALLINT) "
            f"AS {stream}_{name}_{n}"
            for name, windows in COUNTS.items()
            for n in windows
        ]
        columns += [
            f"CAST({several}_{name}_weeks ELSE {bits.PLANES[sets[name][1]](sets[name][0])} END AS INTEGER) "
            f"AS {stream}_{name}_weeks"
            for name in ("set_outs", "voids", "missed")
        ]
    return (
        "units AS (\n  SELECT c.unit_id,\n    "
        + ",\n    ".join(columns)
        + "\n  FROM counted AS c LEFT JOIN by_day AS d ON d.unit_id = c.unit_id\n)"
    )
