"""Turns lifts and the calendar into per-unit and per-round sums: common table expressions of the features query.

A *day* is one collection of one unit and stream, however many bins it has. Nearly every unit has at most one row a
week, so rows are summed as they are; only units seen twice in a week (`several`: bins of a store, a second bin, extra
collections) are first put together by day, which costs far more. The test for it is exact: every week is a power of
two, and the sum of distinct powers equals their bitwise OR.
"""

from __future__ import annotations

from nudges.weeks import Week

WINDOW_WEEKS = 26
CODE = 100_000_000
"""Grams of one collection stay below this, so `week_no * CODE + grams` sorts by week and keeps the grams."""


def weeks_cte(week: Week) -> str:
    """The weeks looked at, one row each: number, first and last day, and a power of two of its own."""
    rows = ",\n    ".join(
        f"({w.number}, DATE '{w.monday}', DATE '{w.sunday}', {2**back})"
        for back, w in ((back, week - back) for back in range(WINDOW_WEEKS))
    )
    return f"weeks (week_no, starts_on, ends_on, bit) AS (VALUES\n    {rows}\n)"


def calendar_ctes(week: Week) -> list[str]:
    """`recorded` (weeks with lifts at all), `planned` (collections by the week they really are), `rounds` (their sums).

    A week without any lift of a stream is one that was never loaded: its collections are unknown, not zero.
    """
    w = week.number
    counts = ",\n    ".join(
        f"COUNT(CASE WHEN {_since(w, n)} THEN 1 END) AS planned_{n},\n"
        f"    COUNT(CASE WHEN {_since(w, n)} AND is_recorded = 1 THEN 1 END) AS recorded_{n},\n"
        f"    COUNT(CASE WHEN {_since(w, n)} AND is_weighed = 1 THEN 1 END) AS weighed_{n}"
        for n in (4, 8, 26)
    )
    moments = ",\n    ".join(
        f"SUM(CASE WHEN {_since(w, n)} AND is_weighed = 1 THEN week_no - {w} ELSE 0 END) AS t_{n},\n"
        f"    SUM(CASE WHEN {_since(w, n)} AND is_weighed = 1 THEN (week_no - {w}) * (week_no - {w}) ELSE 0 END) AS tt_{n}"
        for n in (8, 26)
    )
    return [
        f"""recorded AS (
  SELECT stream, week_no, MAX(CASE WHEN weight_g IS NOT NULL THEN 1 ELSE 0 END) AS is_weighed
  FROM lifts WHERE week_no BETWEEN {w - WINDOW_WEEKS + 1} AND {w}
  GROUP BY stream, week_no
)""",
        f"""planned AS (
  SELECT c.round_id, c.stream, k.week_no, COALESCE(c.collection_on, c.planned_on) AS collected_on,
    CASE WHEN r.week_no IS NULL THEN 0 ELSE 1 END AS is_recorded, COALESCE(r.is_weighed, 0) AS is_weighed
  FROM calendar AS c
  JOIN weeks AS k ON COALESCE(c.collection_on, c.planned_on) BETWEEN k.starts_on AND k.ends_on
  LEFT JOIN recorded AS r ON r.stream = c.stream AND r.week_no = k.week_no
  WHERE c.week_no <= {w}
)""",
        f"""known_for AS (
  SELECT round_id, stream, {w} - MIN(week_no) + 1 AS known_weeks
  FROM calendar WHERE week_no <= {w} GROUP BY round_id, stream
)""",
        """third AS (
  SELECT round_id, stream, collected_on AS third_last_on
  FROM (
    SELECT round_id, stream, collected_on,
      ROW_NUMBER() OVER (PARTITION BY round_id, stream ORDER BY collected_on DESC) AS place
    FROM planned WHERE is_recorded = 1
  ) AS latest
  WHERE place = 3
)""",
        f"""sums AS (
  SELECT round_id, stream,
    {counts},
    {moments},
    CAST(MAX(CASE WHEN is_weighed = 1 THEN week_no END) AS BIGINT) AS newest_week
  FROM planned GROUP BY round_id, stream
)""",
        """rounds AS (
  SELECT s.*, t.third_last_on,
    CASE WHEN k.known_weeks < 4 THEN k.known_weeks ELSE 4 END AS weeks_4,
    CASE WHEN k.known_weeks < 8 THEN k.known_weeks ELSE 8 END AS weeks_8,
    CASE WHEN k.known_weeks < 26 THEN k.known_weeks ELSE 26 END AS weeks_26
  FROM sums AS s
  JOIN known_for AS k ON k.round_id = s.round_id AND k.stream = s.stream
  LEFT JOIN third AS t ON t.round_id = s.round_id AND t.stream = s.stream
)""",
    ]


def set_out_ctes(week: Week) -> list[str]:
    """`several` (see the module), `days` (their collections) and `put_out`: set-outs of each unit and stream."""
    w = week.number
    counts = ",\n    ".join(
        f"COUNT(CASE WHEN {_since(w, n)} AND status = 'lifted' THEN 1 END) AS set_outs_{n}" for n in (4, 8, 26)
    )
    day_counts = ",\n    ".join(
        f"COUNT(CASE WHEN {_since(w, n)} AND is_lifted = 1 AND is_void = 0 THEN 1 END)" for n in (4, 8, 26)
    )
    return [
        f"""counted AS (
  SELECT unit_id, stream,
    {counts},
    MAX(CASE WHEN status = 'lifted' THEN collected_on END) AS last_set_out_on,
    SUM(bit) AS bits, BIT_OR(bit) AS distinct_bits
  FROM (
    SELECT l.unit_id, l.stream, l.collected_on, l.week_no, l.status, k.bit
    FROM lifts AS l JOIN weeks AS k ON k.week_no = l.week_no
    WHERE l.week_no BETWEEN {w - WINDOW_WEEKS + 1} AND {w} AND l.status IN ('lifted', 'missed', 'not_read')
  ) AS seen
  GROUP BY unit_id, stream
)""",
        "several AS (\n  SELECT unit_id, stream FROM counted WHERE bits <> distinct_bits\n)",
        f"""days AS (
  SELECT l.unit_id, l.stream, l.collected_on, MAX(l.week_no) AS week_no,
    MAX(CASE WHEN status = 'lifted' THEN 1 ELSE 0 END) AS is_lifted,
    MAX(CASE WHEN status IN ('missed', 'not_read') THEN 1 ELSE 0 END) AS is_void,
    MAX(CASE WHEN status = 'lifted' AND weight_g IS NULL THEN 1 ELSE 0 END) AS is_unweighed,
    SUM(CASE WHEN status = 'lifted' THEN weight_g ELSE 0 END) AS grams
  FROM lifts AS l JOIN several AS s ON s.unit_id = l.unit_id AND s.stream = l.stream
  WHERE l.week_no BETWEEN {w - WINDOW_WEEKS + 1} AND {w} AND status IN ('lifted', 'missed', 'not_read')
  GROUP BY l.unit_id, l.stream, l.collected_on
)""",
        f"""put_out AS (
  SELECT unit_id, stream, set_outs_4, set_outs_8, set_outs_26, last_set_out_on
  FROM counted WHERE bits = distinct_bits
  UNION ALL
  SELECT unit_id, stream,
    {day_counts},
    MAX(CASE WHEN is_lifted = 1 AND is_void = 0 THEN collected_on END)
  FROM days GROUP BY unit_id, stream
)""",
    ]


def kilo_ctes(week: Week) -> list[str]:
    """`kilos`: integer sums of residual grams of each unit, and the collections whose weight is unknown."""
    w = week.number
    sums = _kilo_sums(w)
    return [
        "weighed_weeks AS (\n  SELECT week_no FROM recorded WHERE stream = 'residual' AND is_weighed = 1\n)",
        f"""residual AS (
  SELECT l.unit_id, l.week_no, CASE WHEN status = 'lifted' THEN weight_g END AS grams,
    CASE WHEN status = 'lifted' AND weight_g IS NULL THEN 1 ELSE 0 END AS is_unweighed
  FROM lifts AS l
  JOIN weighed_weeks AS k ON k.week_no = l.week_no
  LEFT JOIN several AS s ON s.unit_id = l.unit_id AND s.stream = 'residual'
  WHERE l.week_no BETWEEN {w - WINDOW_WEEKS + 1} AND {w} AND l.stream = 'residual'
    AND status IN ('lifted', 'missed', 'not_read') AND s.unit_id IS NULL
  UNION ALL
  SELECT d.unit_id, d.week_no, CASE WHEN is_lifted = 1 AND is_void = 0 AND is_unweighed = 0 THEN grams END,
    CASE WHEN is_void = 0 THEN is_unweighed ELSE 0 END
  FROM days AS d JOIN weighed_weeks AS k ON k.week_no = d.week_no
  WHERE d.stream = 'residual'
)""",
        f"kilos AS (\n  SELECT unit_id,\n    {sums}\n  FROM residual GROUP BY unit_id\n)",
    ]


def bad_day_ctes(week: Week) -> list[str]:
    """`bad_days`: collections missed, not read or with excess, of each unit and stream; `trouble`: over all streams."""
    w = week.number
    voids = ",\n    ".join(f"COUNT(CASE WHEN {_since(w, n)} AND is_void = 1 THEN 1 END) AS voids_{n}" for n in (4, 8, 26))
    missed = ",\n    ".join(
        f"COUNT(CASE WHEN {_since(w, n)} AND is_missed = 1 THEN 1 END) AS missed_{n}w" for n in (4, 26)
    )
    excess = ",\n    ".join(
        f"COUNT(CASE WHEN {_since(w, n)} AND is_excess = 1 THEN 1 END) AS excess_{n}w" for n in (8, 26)
    )
    return [
        f"""bad_days AS (
  SELECT unit_id, stream, collected_on, MAX(week_no) AS week_no, MAX(is_excess) AS is_excess,
    MAX(CASE WHEN status = 'missed' THEN 1 ELSE 0 END) AS is_missed,
    MAX(CASE WHEN status IN ('missed', 'not_read') THEN 1 ELSE 0 END) AS is_void
  FROM lifts
  WHERE week_no BETWEEN {w - WINDOW_WEEKS + 1} AND {w} AND (status IN ('missed', 'not_read') OR is_excess = 1)
  GROUP BY unit_id, stream, collected_on
)""",
        f"""voids AS (
  SELECT unit_id, stream,
    {voids},
    MAX(CASE WHEN is_void = 1 THEN collected_on END) AS last_void_on
  FROM bad_days WHERE is_void = 1 GROUP BY unit_id, stream
)""",
        f"""trouble AS (
  SELECT unit_id,
    {missed},
    {excess},
    {w} - MAX(CASE WHEN is_missed = 1 THEN week_no END) AS weeks_since_missed
  FROM bad_days GROUP BY unit_id
)""",
    ]


def _kilo_sums(w: int) -> str:
    """Sums over the residual collections of a unit; a collection with neither grams nor `is_unweighed` is void."""
    unknown = "grams IS NULL"
    parts = []
    for n in (4, 8, 26):
        since = _since(w, n)
        parts += [
            f"COUNT(CASE WHEN {since} AND {unknown} THEN 1 END) AS unknown_{n}",
            f"COUNT(CASE WHEN {since} AND is_unweighed = 1 THEN 1 END) AS unweighed_{n}",
            f"COUNT(CASE WHEN {since} THEN grams END) AS weighings_{n}",
            f"SUM(CASE WHEN {since} THEN grams ELSE 0 END) AS g_{n}",
        ]
    for n in (8, 26):
        since, t = _since(w, n), f"(week_no - {w})"
        parts += [
            f"SUM(CASE WHEN {since} THEN grams * grams ELSE 0 END) AS gg_{n}",
            f"SUM(CASE WHEN {since} THEN {t} * grams ELSE 0 END) AS tg_{n}",
            f"SUM(CASE WHEN {since} AND {unknown} THEN {t} ELSE 0 END) AS unknown_t_{n}",
            f"SUM(CASE WHEN {since} AND {unknown} THEN {t} * {t} ELSE 0 END) AS unknown_tt_{n}",
        ]
    parts += [
        f"MAX(week_no * {CODE} + grams) AS newest_code",
        f"MAX(CASE WHEN {unknown} THEN week_no END) AS newest_unknown_week",
    ]
    return ",\n    ".join(parts)


def _since(w: int, n: int) -> str:
    """Inside the last `n` weeks to week number `w`; nothing to test for the whole window."""
    return f"week_no > {w - n}" if n < WINDOW_WEEKS else f"week_no <= {w}"
