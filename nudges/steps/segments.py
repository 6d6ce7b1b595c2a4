"""Features of a week → who is in each segment, how many, and which are not as expected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Segment, Summary
from nudges.errors import ConfigError, NotReadyError
from nudges.steps.workspace import Workspace
from nudges.tables import FEATURES
from nudges.warehouse import SQL_TYPES
from nudges.weeks import Week

_FILE = "membership"
_WORD = 62  # segments whose membership fits into one integer, a bit each
_NOT_REPEATABLE = re.compile(
    r"\b(random|setseed|uuid|gen_random_uuid|now|today|get_current_time\w*|current_(?:date|time|timestamp)"
    r"|localtime\w*|nextval|tablesample)\b|\busing\s+sample\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """How many households a segment has this week.

    Attributes:
        share: of all households known, 0-1.
        change_since_last_week: households more or fewer; None when last week was not looked at.
        overlap: households also in each other segment, by its id.
        expected: lowest and highest share that the file expects.
    """

    id: str
    title: str
    count: int
    share: float
    change_since_last_week: int | None
    overlap: Mapping[str, int]
    expected: tuple[float, float]
    is_outside: bool


def segments(ws: Workspace, week: Week, *, now: datetime) -> Summary:
    """Find the members of every segment and store them; the summary names each segment outside what it expects."""
    counts = count_segments(ws, week, now=now)
    outside = [count for count in counts if count.is_outside]
    return Summary(
        step="segments",
        week=str(week),
        headline=f"{len(counts)} segments, {len(outside)} outside what was expected",
        counts={count.id: count.count for count in counts},
        facts={f"{count.id} change": count.change_since_last_week for count in counts},
        warnings=tuple(_warning(count) for count in outside),
    )


def count_segments(ws: Workspace, week: Week, *, now: datetime) -> tuple[SegmentCount, ...]:
    """Find the members of every segment, replace those stored for the week, and count them.

    Raises:
        ConfigError: a segment file is wrong, named with what to do.
        NotReadyError: the week has no features.
    """
    files = ws.ledger.live_files(upto=week, tables=["features", _FILE])
    stored = [path for path in files.get("features", []) if f"week={week}/" in path]
    if not stored:
        raise NotReadyError(f"features of {week}: not computed yet. Run `nudges run` for {week}, features first.")
    before = _counts_of(ws, week - 1, files.get(_FILE, []))
    listed = sorted(ws.segments.values(), key=lambda segment: segment.id)
    with _closed_room([str(ws.warehouse.existing(path)) for path in stored]) as room:
        for place, segment in enumerate(listed):
            _find(room, segment, place)
        _check_found(room, listed)
        counts = _counted(room, listed, before)
        members = _members(room, listed, week)
    file = ws.warehouse.write(_FILE, week, members, _FILE)
    ws.ledger.replace_files(_FILE, week, [file], drop_id=f"segments:{week}", now=now)
    by_id = {count.id: count for count in counts}
    return tuple(by_id[segment_id] for segment_id in (segment.id for segment in ws.segments.values()))


def check_segment(segment: Segment) -> None:
    """Run a segment over features without rows; raises ConfigError with the file and what to do."""
    with _closed_room([]) as room:
        _find(room, segment, 0)
        _check_found(room, [segment])


def _find(room: duckdb.DuckDBPyConnection, segment: Segment, place: int) -> None:
    """Add the segment's households to the table `found` of the room, as number `place`; raises ConfigError."""
    select = _one_select(room, segment.sql, _where(segment))
    room.execute(f"INSERT INTO found SELECT {place}, household_id FROM ({select})")  # noqa: S608


def _check_found(room: duckdb.DuckDBPyConnection, listed: Sequence[Segment]) -> None:
    """Put `found` into `members`, one row a household; raises ConfigError for one that is unknown or comes twice."""
    words = range(-(-len(listed) // _WORD) or 1)
    masks = ", ".join(
        f"BIT_OR(CASE WHEN place // {_WORD} = {word} THEN 1::BIGINT << (place % {_WORD}) ELSE 0 END) AS mask_{word}"
        for word in words
    )
    placed = " + ".join(f"bit_count(mask_{word})" for word in words)
    room.execute(
        f"CREATE TABLE members AS SELECT household_id, COUNT(*) AS times, {masks} FROM found GROUP BY household_id"  # noqa: S608
    )
    wrong = room.execute(
        f"SELECT COUNT(*) FROM members AS m LEFT JOIN features AS f ON f.household_id = m.household_id "  # noqa: S608
        f"WHERE f.household_id IS NULL OR m.times <> {placed}"
    ).fetchall()[0][0]
    if wrong:
        _name_the_wrong(room, listed)


def _name_the_wrong(room: duckdb.DuckDBPyConnection, listed: Sequence[Segment]) -> None:
    rows = room.execute(
        "SELECT place, COUNT(*) - COUNT(DISTINCT household_id), "
        "COUNT(CASE WHEN household_id NOT IN (SELECT household_id FROM features) THEN 1 END) "
        "+ COUNT(*) - COUNT(household_id) FROM found GROUP BY place ORDER BY place"
    ).fetchall()
    for place, repeated, unknown in rows:
        where = _where(listed[place])
        if unknown:
            raise ConfigError(
                f"{where}: {unknown} ids are no known household, must come from features. Select its household_id."
            )
        if repeated:
            raise ConfigError(
                f"{where}: {repeated} households come twice, must come once. Write SELECT DISTINCT household_id."
            )


def _where(segment: Segment) -> str:
    return f"segments/{segment.id}.sql"


def _closed_room(paths: list[str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB with nothing in it but features, that can reach no other file, no network and no setting."""
    room = duckdb.connect(config={"threads": 2})
    if paths:
        names = ", ".join(FEATURES.names)
        files = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        room.execute(f"SET allowed_paths = [{files}]")
        room.execute(f"CREATE VIEW features AS SELECT {names} FROM read_parquet([{files}])")  # noqa: S608
    else:
        columns = ", ".join(f"{column.name} {SQL_TYPES[column.type]}" for column in FEATURES.columns)
        room.execute(f"CREATE TABLE features ({columns})")
    room.execute("CREATE TABLE found (place INTEGER, household_id VARCHAR)")
    room.execute("SET enable_external_access = false")
    room.execute("SET lock_configuration = true")
    return room


def _one_select(room: duckdb.DuckDBPyConnection, sql: str, where: str) -> str:
    """The segment's SQL when it is one SELECT of household_id that gives the same answer every time."""
    how = "Write one SELECT household_id FROM features WHERE ..."
    try:
        statements = room.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(f"{where}: {_first_line(error)}. {how}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{where}: has {len(statements)} statements, must be one SELECT. {how}")
    drifting = _NOT_REPEATABLE.search(_without_comments(sql))
    if drifting:
        raise ConfigError(
            f"{where}: {drifting[0]!r} gives another answer each run, must not be used. Count in weeks instead."
        )
    select = statements[0].query.strip().rstrip(";")
    try:
        columns = [str(row[0]) for row in room.execute(f"DESCRIBE {select}").fetchall()]
        if columns == ["household_id"]:
            room.execute(f"EXPLAIN {select}")
            return select
    except duckdb.Error as error:
        raise ConfigError(f"{where}: {_first_line(error)}. Columns are listed in nudges/tables/features.py.") from None
    raise ConfigError(f"{where}: selects {', '.join(columns)}, must select household_id alone. {how}")


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", " ", sql, flags=re.DOTALL)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".!")


def _members(room: duckdb.DuckDBPyConnection, listed: Sequence[Segment], week: Week) -> pa.Table:
    """Rows of `membership` in order of segment and household: one sort of households does for every segment."""
    rows = room.execute("SELECT * EXCLUDE times FROM members ORDER BY household_id").to_arrow_table()
    parts = [
        pa.table({"household_id": rows["household_id"].filter(_is_in(rows, place))}) for place in range(len(listed))
    ]
    ids = [pa.repeat(pa.scalar(segment.id), part.num_rows) for segment, part in zip(listed, parts, strict=True)]
    households = pa.concat_tables(parts)["household_id"] if parts else pa.chunked_array([], pa.string())
    week_no = pa.repeat(pa.scalar(week.number, pa.int64()), len(households))
    return pa.table({"segment": pa.chunked_array(ids, pa.string()), "household_id": households, "week_no": week_no})


def _is_in(rows: pa.Table, place: int) -> pa.ChunkedArray:
    bit = pa.scalar(1 << (place % _WORD), pa.int64())
    return pc.not_equal(pc.bit_wise_and(rows[f"mask_{place // _WORD}"], bit), pa.scalar(0, pa.int64()))


def _pairs(room: duckdb.DuckDBPyConnection, listed: Sequence[Segment]) -> Counter[tuple[str, str]]:
    """Households in both of two segments, from the few different sets of segments that occur."""
    pairs: Counter[tuple[str, str]] = Counter()
    rows = room.execute("SELECT COUNT(*), COLUMNS('mask_.*') FROM members GROUP BY ALL").fetchall()
    for count, *masks in rows:
        inside = [segment.id for place, segment in enumerate(listed) if masks[place // _WORD] >> (place % _WORD) & 1]
        for a, b in product(inside, inside):
            pairs[a, b] += count
    return pairs


def _counted(
    room: duckdb.DuckDBPyConnection, listed: Sequence[Segment], before: Mapping[str, int]
) -> tuple[SegmentCount, ...]:
    households = room.execute("SELECT COUNT(*) FROM features").fetchall()[0][0]
    pairs = _pairs(room, listed)
    counts = []
    for segment in listed:
        count = pairs[segment.id, segment.id]
        share = count / households if households else 0.0
        counts.append(
            SegmentCount(
                id=segment.id,
                title=segment.title,
                count=count,
                share=share,
                change_since_last_week=count - before[segment.id] if segment.id in before else None,
                overlap={other.id: pairs[segment.id, other.id] for other in listed if other.id != segment.id},
                expected=(segment.expect_low, segment.expect_high),
                is_outside=not segment.expect_low <= share <= segment.expect_high,
            )
        )
    return tuple(counts)


def _counts_of(ws: Workspace, week: Week, paths: Iterable[str]) -> dict[str, int]:
    """Households by segment as stored for `week`; empty when it was not looked at."""
    stored = [path for path in paths if f"week={week}/" in path]
    if not stored:
        return {}
    members = ws.warehouse.read(stored).group_by("segment").aggregate([([], "count_all")])
    return dict(zip(members["segment"].to_pylist(), members["count_all"].to_pylist(), strict=True))


def _warning(count: SegmentCount) -> str:
    low, high = count.expected
    share = f"{count.share:.1%} of households, expected {low:.1%} to {high:.1%}"
    return f"segments/{count.id}.sql: {share}. Look at the facts, then at the rule."
