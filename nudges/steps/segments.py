"""Features of a week → who is in each segment, how many, and which are not as expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from nudges.domain import Segment, Summary
from nudges.errors import ConfigError, NotReadyError
from nudges.steps.workspace import Workspace
from nudges.tables import FEATURES
from nudges.warehouse import SQL_TYPES
from nudges.weeks import Week

_FILE = "membership"
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
    with _closed_room([str(ws.warehouse.existing(path)) for path in stored]) as room:
        for segment in ws.segments.values():
            find_members(room, segment)
        counts = _counted(room, ws.segments.values(), before)
        members = _members(room, week)
    file = ws.warehouse.write(_FILE, week, members, _FILE)
    ws.ledger.replace_files(_FILE, week, [file], drop_id=f"segments:{week}", now=now)
    return counts


def check_segment(segment: Segment) -> None:
    """Run a segment over features without rows; raises ConfigError with the file and what to do."""
    with _closed_room([]) as room:
        find_members(room, segment)


def find_members(room: duckdb.DuckDBPyConnection, segment: Segment) -> None:
    """Add the segment's households to the table `membership` of the room; raises ConfigError."""
    where = f"segments/{segment.id}.sql"
    room.execute(f"CREATE OR REPLACE TEMP TABLE found AS {_one_select(room, segment.sql, where)}")
    repeated, unknown = room.execute(
        "SELECT COUNT(*) - COUNT(DISTINCT household_id), "
        "COUNT(CASE WHEN household_id NOT IN (SELECT household_id FROM features) THEN 1 END) "
        "+ COUNT(*) - COUNT(household_id) FROM found"
    ).fetchall()[0]
    if unknown:
        raise ConfigError(
            f"{where}: {unknown} ids are no known household, must come from features. Select its household_id."
        )
    if repeated:
        raise ConfigError(
            f"{where}: {repeated} households come twice, must come once. Write SELECT DISTINCT household_id."
        )
    room.execute("INSERT INTO membership SELECT ?, household_id FROM found", [segment.id])


def _closed_room(paths: list[str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB with nothing in it but features, that can reach no file, no network and no setting."""
    room = duckdb.connect(config={"threads": 2})
    columns = ", ".join(f"{column.name} {SQL_TYPES[column.type]}" for column in FEATURES.columns)
    room.execute(f"CREATE TABLE features ({columns})")
    if paths:
        names = ", ".join(FEATURES.names)
        room.execute(f"INSERT INTO features SELECT {names} FROM read_parquet(?)", [paths])  # noqa: S608
    room.execute("CREATE TABLE membership (segment VARCHAR, household_id VARCHAR)")
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


def _members(room: duckdb.DuckDBPyConnection, week: Week) -> pa.Table:
    return room.execute(
        "SELECT segment, household_id, CAST(? AS BIGINT) AS week_no FROM membership ORDER BY segment, household_id",
        [week.number],
    ).to_arrow_table()


def _counted(
    room: duckdb.DuckDBPyConnection, listed: Iterable[Segment], before: Mapping[str, int]
) -> tuple[SegmentCount, ...]:
    households = room.execute("SELECT COUNT(*) FROM features").fetchall()[0][0]
    pairs = {
        (a, b): n
        for a, b, n in room.execute(
            "SELECT a.segment, b.segment, COUNT(*) FROM membership a JOIN membership b USING (household_id) "
            "GROUP BY a.segment, b.segment"
        ).fetchall()
    }
    listed = list(listed)
    counts = []
    for segment in listed:
        count = pairs.get((segment.id, segment.id), 0)
        share = count / households if households else 0.0
        counts.append(
            SegmentCount(
                id=segment.id,
                title=segment.title,
                count=count,
                share=share,
                change_since_last_week=count - before[segment.id] if segment.id in before else None,
                overlap={other.id: pairs.get((segment.id, other.id), 0) for other in listed if other.id != segment.id},
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
