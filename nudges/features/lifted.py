"""Turns lifts into counts by unit: common table expressions of the features query.

A *collection* of a unit is one day, however many bins it has. Nearly every unit has at most one row of a stream a
week, so its rows are read as sets of weeks (`bits`), in one pass over all lifts. Units with more (`is_several`: bins of
a store, a second bin, extra collections) are put together by day, which costs far more; a unit is one of those exactly
when it has more rows than weeks.
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.domain import Stream
from nudges.features import bits
from nudges.features.bits import WINDOW_WEEKS
from nudges.tables.features import SET_OUT_WINDOWS
from nudges.weeks import Week

CODE = 100_000_000
"""Grams of one collection stay below this, so `week_no * CODE + grams` sorts by week and keeps the grams."""

OUTS = ("set_outs", "voids")
"""Counted by stream and window. A void collection was missed or not read."""
MARKS = {"missed": (4, 26), "excess": (8, 26)}
"""Counted over all streams together."""

_PAIRS = ((Stream.RESIDUAL, Stream.RECYCLING), (Stream.FOOD, Stream.GARDEN))  # two sets of weeks fit into one integer
_MARK_NAMES = tuple(f"{name}_{n}" for name, windows in MARKS.items() for n in windows)
_MARK_BASE = 4096  # a unit that is not several has at most 26 weeks x 4 streams of marks
_DAY_TESTS = {
    "set_outs": "is_lifted = 1 AND is_void = 0",
    "voids": "is_void = 1",
    "missed": "is_missed = 1",
    "excess": "is_excess = 1",
}


def since(w: int, n: int) -> str:
    """Inside the last `n` weeks to week number `w`; nothing to test for the whole window."""
    return f"week_no > {w - n}" if n < WINDOW_WEEKS else f"week_no <= {w}"


def unit_ctes(week: Week) -> list[str]:
    """`counted` (sets of weeks and sums by unit), `days` and `by_day` (counts of units that are several)."""
    return [_counted_cte(week), _days_cte(week), _by_day_cte(week.number)]


def recorded_cte() -> str:
    """`recorded`: weeks with any row of a stream, as one set a stream."""
    each = [
        f"SELECT '{stream}' AS stream, BIT_OR({set_of(stream, 'set_outs')} | {set_of(stream, 'voids')}) AS weeks "
        "FROM counted"
        for stream in Stream
    ]
    return "recorded AS (\n  " + "\n  UNION ALL ".join(each) + "\n)"


def set_of(stream: Stream, name: str) -> str:
    """The weeks of `name` (one of OUTS) of a stream, from a row of `counted`."""
    for number, pair in enumerate(_PAIRS, 1):
        if stream in pair:
            return (bits.lower_set, bits.upper_set)[pair.index(stream)](f"{name}_{number}")
    raise KeyError(stream)


def out_names() -> list[str]:
    """Columns of counts by stream and window."""
    return [f"{stream}_{name}_{n}" for stream, windows in SET_OUT_WINDOWS.items() for name in OUTS for n in windows]


def mark_of(name: str) -> str:
    """One of the four counts of marks, from a row of `counted`."""
    shift = 12 * _MARK_NAMES.index(name)
    return f"((marks >> {shift}) & {_MARK_BASE - 1})"


def gram_sums(w: int) -> str:
    """Integer sums of `grams` over `week_no`."""
    powers = {"g": "grams", "gg": "grams * grams", "tg": f"(week_no - {w}) * grams"}
    parts = [
        f"CAST(SUM({power if n == WINDOW_WEEKS else f'CASE WHEN {since(w, n)} THEN {power} END'}) AS BIGINT) "
        f"AS {name}_{n}"
        for name, power in powers.items()
        for n in ((4, 8, 26) if name == "g" else (8, 26))
    ]
    return ",\n    ".join([*parts, f"MAX(CAST(week_no AS BIGINT) * {CODE} + grams) AS newest_code"])


def _recent(week: Week) -> str:
    """Lifts `l` that were not simply absent, in the weeks looked at."""
    return f"l.week_no BETWEEN {week.number - WINDOW_WEEKS + 1} AND {week.number} AND l.status <> 'not_presented'"


def _counted_cte(week: Week) -> str:
    pairs = ",\n      ".join(
        f"CASE WHEN l.stream = '{lower}' THEN k.bit WHEN l.stream = '{upper}' THEN k.upper_bit ELSE 0 END AS pair_{n}"
        for n, (lower, upper) in enumerate(_PAIRS, 1)
    )
    sets = ",\n    ".join(
        f"BIT_OR(CASE WHEN status {test} 'lifted' THEN pair_{n} ELSE 0 END) AS {name}_{n}"
        for n, _ in enumerate(_PAIRS, 1)
        for name, test in zip(OUTS, ("=", "<>"), strict=True)
    )
    weeks = " + ".join(bits.count_both(f"(set_outs_{n} | voids_{n})") for n, _ in enumerate(_PAIRS, 1))
    return f"""counted AS (
  SELECT *, CASE WHEN lift_rows > {weeks} THEN 1 ELSE 0 END AS is_several
  FROM (
  SELECT unit_id, COUNT(*) AS lift_rows,
    {sets},
    CAST(COALESCE(SUM({_marks(week.number)}), 0) AS BIGINT) AS marks,
    MAX(CASE WHEN status = 'missed' THEN week_no END) AS missed_week,
    {gram_sums(week.number)},
    BIT_OR(CASE WHEN grams IS NULL THEN 0 ELSE bit END) AS weighed_weeks
  FROM (
    SELECT l.unit_id, l.week_no, l.status, l.is_excess, k.bit,
      {pairs},
      CASE WHEN l.stream = 'residual' AND l.status = 'lifted' THEN l.weight_g END AS grams
    FROM lifts AS l JOIN weeks AS k ON k.week_no = l.week_no
    WHERE {_recent(week)}
  ) AS seen
  GROUP BY unit_id
  ) AS summed
)"""


def _marks(w: int) -> str:
    """Marks of a lift as one integer, the four counts one above the other; NULL without any."""
    tests = {"missed": "status = 'missed'", "excess": "is_excess = 1"}
    each = " + ".join(
        f"CASE WHEN {tests[name]} AND {since(w, n)} THEN {_MARK_BASE ** _MARK_NAMES.index(f'{name}_{n}')} ELSE 0 END"
        for name, windows in MARKS.items()
        for n in windows
    )
    return f"CASE WHEN {' OR '.join(tests.values())} THEN {each} END"


def _days_cte(week: Week) -> str:
    return f"""days AS (
  SELECT l.unit_id, l.stream, l.collected_on, k.week_no, k.bit,
    MAX(CASE WHEN l.status = 'lifted' THEN 1 ELSE 0 END) AS is_lifted,
    MAX(CASE WHEN l.status IN ('missed', 'not_read') THEN 1 ELSE 0 END) AS is_void,
    MAX(CASE WHEN l.status = 'missed' THEN 1 ELSE 0 END) AS is_missed,
    MAX(l.is_excess) AS is_excess,
    MAX(CASE WHEN l.status = 'lifted' AND l.weight_g IS NULL THEN 1 ELSE 0 END) AS is_unweighed,
    CAST(SUM(CASE WHEN l.status = 'lifted' THEN l.weight_g ELSE 0 END) AS BIGINT) AS grams
  FROM lifts AS l
  JOIN weeks AS k ON k.week_no = l.week_no
  WHERE {_recent(week)} AND l.unit_id IN (SELECT unit_id FROM counted WHERE is_several = 1)
  GROUP BY l.unit_id, l.stream, l.collected_on, k.week_no, k.bit
)"""


def _by_day_cte(w: int) -> str:
    columns = []
    for stream, windows in SET_OUT_WINDOWS.items():
        for name in OUTS:
            test = f"stream = '{stream}' AND {_DAY_TESTS[name]}"
            columns += [f"COUNT(CASE WHEN {since(w, n)} AND {test} THEN 1 END) AS {stream}_{name}_{n}" for n in windows]
            columns.append(f"BIT_OR(CASE WHEN {test} THEN bit ELSE 0 END) AS {stream}_{name}_weeks")
    columns += [
        f"COUNT(CASE WHEN {since(w, n)} AND {_DAY_TESTS[name]} THEN 1 END) AS {name}_{n}"
        for name, windows in MARKS.items()
        for n in windows
    ]
    columns.append("MAX(CASE WHEN is_missed = 1 THEN week_no END) AS missed_week")
    return "by_day AS (\n  SELECT unit_id,\n    " + ",\n    ".join(columns) + "\n  FROM days GROUP BY unit_id\n)"
