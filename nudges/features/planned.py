"""Turns the calendar into sums by round: common table expressions of the features query."""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.features.lifted import recorded_cte, since
from nudges.weeks import Week


def round_ctes(week: Week) -> list[str]:
    """`planned` (collections, by the week they really are) and `rounds` (their sums, and the weeks they cover).

    A week without any lift of a stream is one that was never loaded: its collections are unknown, not zero.
    A collection stands for the weeks to the next one: a fortnightly calendar covers the week after its last.
    """
    w = week.number
    return [
        recorded_cte(),
        f"""planned AS (
  SELECT c.round_id, c.stream, k.week_no, k.bit, COALESCE(c.collection_on, c.planned_on) AS collected_on,
    CASE WHEN (r.weeks & k.bit) <> 0 THEN 1 ELSE 0 END AS is_recorded,
    CASE WHEN c.stream = 'residual' AND (e.weighing_weeks & k.bit) <> 0 THEN 1 ELSE 0 END AS is_weighed
  FROM calendar AS c
  JOIN weeks AS k ON COALESCE(c.collection_on, c.planned_on) BETWEEN k.starts_on AND k.ends_on
  CROSS JOIN weighed_weeks AS e
  LEFT JOIN recorded AS r ON r.stream = c.stream
  WHERE c.week_no <= {w}
)""",
        f"""known_for AS (
  SELECT round_id, stream, {w} - MIN(week_no) + 1 AS known_weeks
  FROM calendar WHERE week_no <= {w} GROUP BY round_id, stream
)""",
        """ends AS (
  SELECT round_id, stream, MIN(week_no) AS first_week, MAX(week_no) AS last_week, COUNT(DISTINCT week_no) - 1 AS gaps
  FROM planned GROUP BY round_id, stream
)""",
        f"""covered AS (
  SELECT e.round_id, e.stream, BIT_OR(k.bit) AS covered_weeks
  FROM ends AS e
  JOIN known_for AS f ON f.round_id = e.round_id AND f.stream = e.stream
  JOIN weeks AS k ON k.week_no > {w} - f.known_weeks AND (k.week_no <= e.last_week OR (e.gaps > 0
    AND (k.week_no - e.last_week + 1) * 2 * e.gaps <= 2 * (e.last_week - e.first_week) + e.gaps))
  GROUP BY e.round_id, e.stream
)""",
        """third AS (
  SELECT round_id, stream, bit AS third_last_bit
  FROM (
    SELECT round_id, stream, bit,
      ROW_NUMBER() OVER (PARTITION BY round_id, stream ORDER BY collected_on DESC) AS place
    FROM planned WHERE is_recorded = 1
  ) AS latest
  WHERE place = 3
)""",
        f"sums AS (\n  SELECT round_id, stream,\n    {_sums(w)}\n  FROM planned GROUP BY round_id, stream\n)",
        """rounds AS (
  SELECT s.*, t.third_last_bit, COALESCE(c.covered_weeks, 0) AS covered_weeks,
    CASE WHEN k.known_weeks < 4 THEN k.known_weeks ELSE 4 END AS weeks_4,
    CASE WHEN k.known_weeks < 8 THEN k.known_weeks ELSE 8 END AS weeks_8,
    CASE WHEN k.known_weeks < 26 THEN k.known_weeks ELSE 26 END AS weeks_26
  FROM sums AS s
  JOIN known_for AS k ON k.round_id = s.round_id AND k.stream = s.stream
  LEFT JOIN covered AS c ON c.round_id = s.round_id AND c.stream = s.stream
  LEFT JOIN third AS t ON t.round_id = s.round_id AND t.stream = s.stream
)""",
    ]


def _sums(w: int) -> str:
    """Collections planned, recorded and weighed by window; sums of t and t squared over those weighed."""
    parts = []
    for n in (4, 8, 26):
        parts.append(f"COUNT(CASE WHEN {since(w, n)} THEN 1 END) AS planned_{n}")
        parts += [
            f"COUNT(CASE WHEN {since(w, n)} AND is_{name} = 1 THEN 1 END) AS {name}_{n}"
            for name in ("recorded", "weighed")
        ]
    t = f"(week_no - {w})"
    parts += [
        f"SUM(CASE WHEN {since(w, n)} AND is_weighed = 1 THEN {power} ELSE 0 END) AS {name}_{n}"
        for name, power in (("t", t), ("tt", f"{t} * {t}"))
        for n in (8, 26)
    ]
    parts += [
        "MAX(CASE WHEN is_weighed = 1 THEN bit END) AS newest_bit",
        "CAST(MAX(CASE WHEN is_weighed = 1 THEN week_no END) AS BIGINT) AS newest_week",
    ]
    return ",\n    ".join(parts)
