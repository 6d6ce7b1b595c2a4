"""Turn a folder of open council data (premises, their dated jobs, deprivation by street) into households and calendar.

The folder, or any of its files, is read as one: `*premises.csv.gz` (premises_id, house, street, locality,
postcode_district), `*jobs.csv.gz` (premises_id, bin_type, collection_date) and, where there is one, `*imd.csv` (street,
locality, postcode_district, n_premises, IMD_decile). What the data does not say is guessed by these rules:

- **Stream**: BLACK bins are residual, GREEN recycling, BROWN garden.
- **Round**: premises whose lists of collection dates for a stream are identical share a round. The publisher cuts a
  premises off after nine jobs, so the list of a premises that has nine, when another list begins with it, is taken for
  that longer one (the longest, of those the one most premises have). The id is a hash of stream and dates.
- **Flat**: the house text says flat, apartment, room, studio, unit or the like; or it is a number and a building's name
  (`27 OLD SCHOOL LOFTS`) that at least `SHARED_BY` premises of the street have, unless the name is one of a row of
  houses (cottages, terrace, farm ...).
- **Bin store**: at least `SHARED_BY` flats of one building (the house text without the flat's own number), street,
  locality and district that have the same residual round share their bins. Other flats have their own, as converted
  houses do.
- **Deprivation decile**: of the street, locality and district; of several, the one with most premises.
"""

# ruff: noqa: S608 -- this SQL is built from the constants of this module alone

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nudges.errors import DataError
from nudges.sources import RawTable, Rejected

HOLDS_SEVERAL = True
SHARED_BY = 6
"""Fewest flats that are taken to share bins: below it converted houses outnumber blocks."""

_MOST_JOBS = 9  # the publisher's limit for one premises
_STREAMS = {"BLACK": "residual", "GREEN": "recycling", "BROWN": "garden"}
_OWN = r"(?:FLAT|APARTMENT|APT|ROOM|STUDIO|UNIT|MAISONETTE|PENTHOUSE|SUITE|BEDSIT)S?"
_SAYS_FLAT = rf"\b{_OWN}\b"
_OWN_NUMBER = rf"^(?:[A-Z0-9 ]*?\b{_OWN}\b(?:\s+[A-Z]?\d+[A-Z]?|\s+[A-Z]{{1,2}}\b)?(?:\s+\d+[A-Z]?\b)?[\s,]*)+"
_NUMBERED = r"^(?:[A-Z]?\d+[A-Z]?\s+)+([A-Z].*)$"
_HOUSES = r"\b(?:COTTAGES?|FARM|TERRACE|ROW|VILLAS?|BUNGALOWS?|MEWS|BARNS?|STABLES|ALMSHOUSES)\b"
_NEEDED = {
    "premises": ("premises_id", "house", "street", "locality", "postcode_district"),
    "jobs": ("premises_id", "bin_type", "collection_date"),
    "imd": ("street", "locality", "postcode_district", "n_premises", "IMD_decile"),
}
_ENDS = {"premises": "premises.csv.gz", "jobs": "jobs.csv.gz", "imd": "imd.csv"}


def matches(path: Path) -> bool:
    """Whether `path` is such a folder, or one of the files of one."""
    if path.is_dir():
        return all(_named(path, part) for part in ("premises", "jobs"))
    return path.name.endswith(tuple(_ENDS.values())) and matches(path.parent) and path in parts(path)


def parts(path: Path) -> tuple[Path, ...]:
    """All files read together, in a fixed order."""
    folder = path if path.is_dir() else path.parent
    return tuple(file for part in _ENDS for file in _named(folder, part)[:1])


def read(path: Path) -> Iterator[RawTable]:
    """Read households, then calendar; jobs of unknown premises, bins or days are rejected lines of the calendar.

    Raises DataError when a file lacks a column.
    """
    with _loaded(path) as connection:
        yield _raw(connection, "households", ())
        yield _raw(connection, "calendar", _rejected_jobs(connection))


def read_frame(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Households and calendar with their real types (dates, whole decile), `known_on` and `collection_on` left out."""
    with _loaded(folder) as connection:
        return _typed(connection, "households"), _typed(connection, "calendar")


def _typed(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    return connection.execute(f"SELECT * EXCLUDE (row_no) FROM {name} ORDER BY row_no").to_arrow_table()


def _named(folder: Path, part: str) -> list[Path]:
    return sorted(folder.glob(f"*{_ENDS[part]}"))


def _loaded(path: Path) -> duckdb.DuckDBPyConnection:
    """Everything derived, in memory: views or tables `households` and `calendar` with row_no."""
    connection = duckdb.connect(config={"threads": 2, "preserve_insertion_order": True})
    for part, file in zip(_ENDS, parts(path), strict=False):
        _load_part(connection, part, file)
    if "imd" not in {row[0] for row in connection.execute("SHOW TABLES").fetchall()}:
        columns = ", ".join(f"NULL::VARCHAR AS {name}" for name in _NEEDED["imd"])
        connection.execute(f"CREATE TABLE imd AS SELECT 0 AS row_no, {columns} WHERE false")
    for statement in (_COLLECTED, _PATTERNS, _ROUNDS, _PLACED, _FLATS, _STORES, _DECILES, _HOUSEHOLDS, _CALENDAR):
        connection.execute(statement)
    return connection


def _load_part(connection: duckdb.DuckDBPyConnection, part: str, file: Path) -> None:
    """Make table `part` of text columns, in file order; `row_no` is the row's number in the file."""
    try:
        found = connection.read_csv(str(file), all_varchar=True, header=True)
        missing = [name for name in _NEEDED[part] if name not in found.columns]
        if missing:
            raise DataError(f"{file.name}: no column {missing[0]}; it has {', '.join(found.columns)}. Add it.")
        columns = ", ".join(f"nullif(trim({name}), '') AS {name}" for name in _NEEDED[part])
        number = "" if part == "jobs" else "row_number() OVER () + 1 AS row_no, "  # three million: numbered when needed
        found.project(f"{number}{columns}").create(part)
    except duckdb.Error as error:
        raise DataError(f"{file.name}: {str(error).splitlines()[0]} Write the file again.") from error


def _raw(connection: duckdb.DuckDBPyConnection, name: str, rejected: tuple[Rejected, ...]) -> RawTable:
    rows = connection.execute(f"SELECT * FROM {name} ORDER BY row_no").to_arrow_table()
    numbers = rows.column("row_no").combine_chunks()
    texts = {column: pc.cast(rows.column(column), pa.string()) for column in rows.column_names if column != "row_no"}
    return RawTable(name, pa.table(texts), numbers, rejected)


def _rejected_jobs(connection: duckdb.DuckDBPyConnection) -> tuple[Rejected, ...]:
    """Jobs that say no known premises, bin or day."""
    counted = connection.execute("SELECT (SELECT count(*) FROM jobs), (SELECT sum(jobs) FROM collected)").fetchone()
    if counted is None or counted[0] == counted[1]:
        return ()
    found = connection.execute(_REJECTED).fetchall()
    return tuple(Rejected(*row) for row in found)


_CASES = " ".join(f"WHEN '{word}' THEN '{stream}'" for word, stream in _STREAMS.items())
_STREAM = f"CASE upper(bin_type) {_CASES} END"
_DAY = "TRY_CAST(collection_date AS DATE)"
_REJECTED = f"""
SELECT row_no,
  concat_ws(',', coalesce(premises_id, ''), coalesce(bin_type, ''), coalesce(collection_date, '')),
  CASE WHEN {_STREAM} IS NULL THEN 'bin_type: not one of {", ".join(_STREAMS)}'
    WHEN {_DAY} IS NULL THEN 'collection_date: not a date' ELSE 'premises_id: no such premises' END
FROM (SELECT row_number() OVER () + 1 AS row_no, * FROM jobs)
WHERE {_STREAM} IS NULL OR {_DAY} IS NULL OR premises_id IS NULL
  OR premises_id NOT IN (SELECT premises_id FROM premises WHERE premises_id IS NOT NULL) ORDER BY row_no
"""
# One row a premises: its days by stream as they come (put in order later, once a pattern), and whether it was cut off.
_COLLECTED = f"""
CREATE TABLE collected AS
SELECT premises_id, count(*) AS jobs, count(*) >= {_MOST_JOBS} AS is_cut,
  list(day) FILTER (stream = 'residual') AS residual,
  list(day) FILTER (stream = 'recycling') AS recycling,
  list(day) FILTER (stream = 'garden') AS garden
FROM (SELECT premises_id, {_STREAM} AS stream, {_DAY} AS day FROM jobs) SEMI JOIN premises USING (premises_id)
WHERE stream IS NOT NULL AND day IS NOT NULL GROUP BY premises_id
"""
_FOUND = " UNION ALL ".join(
    f"SELECT '{stream}' AS stream, {stream} AS found, is_cut, count(*) AS premises FROM collected GROUP BY ALL"
    for stream in _STREAMS.values()
)
_PATTERNS = f"""
CREATE TABLE patterns AS
SELECT stream, found, is_cut, list_sort(list_distinct(found)) AS days, premises
FROM ({_FOUND}) WHERE found IS NOT NULL
"""
_ROUNDS = """
CREATE TABLE rounds AS
WITH known AS (
  SELECT stream, days, is_cut, sum(premises) AS premises FROM patterns GROUP BY ALL
), meant AS (
  SELECT short.stream, short.days, short.is_cut,
    arg_max(long.days, (len(long.days), long.premises, long.days)) AS round_days
  FROM known AS short JOIN (SELECT stream, days, sum(premises) AS premises FROM known GROUP BY ALL) AS long
    ON long.stream = short.stream
    AND (long.days = short.days OR (short.is_cut AND long.days[1:len(short.days)] = short.days))
  GROUP BY ALL
)
SELECT stream, found, is_cut, round_days,
  stream || '-' || substr(md5(stream || CAST(round_days AS VARCHAR)), 1, 8) AS round_id
FROM patterns JOIN meant USING (stream, days, is_cut)
"""
_ROUND_IDS = ", ".join(f"{stream}_round.round_id AS {stream}_round_id" for stream in _STREAMS.values())
_ROUND_JOINS = " ".join(
    f"LEFT JOIN (FROM rounds WHERE stream = '{stream}') AS {stream}_round "
    f"ON {stream}_round.found = collected.{stream} AND {stream}_round.is_cut = collected.is_cut"
    for stream in _STREAMS.values()
)
_PLACED = f"CREATE TABLE placed AS SELECT premises_id, {_ROUND_IDS} FROM collected {_ROUND_JOINS}"
_FLATS = rf"""
CREATE TABLE flats AS
WITH named AS (
  SELECT premises_id, upper(house) AS house_text, regexp_matches(house_text, '{_SAYS_FLAT}') AS says_flat,
    CASE WHEN says_flat THEN regexp_replace(house_text, '{_OWN_NUMBER}', '') ELSE house_text END AS rest,
    regexp_replace(rest, '{_NUMBERED}', '\1') AS building,
    concat_ws('|', upper(street), upper(locality), upper(postcode_district)) AS place
  FROM premises
), counted AS (
  SELECT *, count(*) OVER (PARTITION BY place, building) AS premises_there FROM named
  WHERE says_flat OR building <> house_text
)
SELECT premises_id, building, place FROM counted
WHERE says_flat OR (premises_there >= {SHARED_BY} AND NOT regexp_matches(building, '{_HOUSES}'))
"""
_STORES = f"""
CREATE TABLE stores AS
WITH counted AS (
  SELECT premises_id, building, place, residual_round_id,
    count(*) OVER (PARTITION BY place, building, residual_round_id) AS flats_there
  FROM flats JOIN placed USING (premises_id) WHERE residual_round_id IS NOT NULL
)
SELECT premises_id, 'store-' || substr(md5(concat_ws('|', place, building, residual_round_id)), 1, 10) AS bin_store_id
FROM counted WHERE flats_there >= {SHARED_BY}
"""
_DECILES = """
CREATE TABLE deciles AS
SELECT upper(street) AS street, upper(locality) AS locality, coalesce(upper(postcode_district), '') AS district,
  arg_max(
    CAST(TRY_CAST(IMD_decile AS DOUBLE) AS BIGINT), (coalesce(TRY_CAST(n_premises AS BIGINT), 0), -row_no)
  ) AS decile
FROM imd WHERE TRY_CAST(IMD_decile AS DOUBLE) IS NOT NULL GROUP BY ALL
"""
_HOUSEHOLDS = """
CREATE TABLE households AS
SELECT premises.row_no, premises.premises_id AS household_id, house, premises.street, premises.locality,
  postcode_district AS postcode, CASE WHEN flats.premises_id IS NULL THEN 'house' ELSE 'flat' END AS property_type,
  bin_store_id, residual_round_id, recycling_round_id, garden_round_id, decile AS deprivation_decile
FROM premises
LEFT JOIN placed USING (premises_id) LEFT JOIN flats USING (premises_id) LEFT JOIN stores USING (premises_id)
LEFT JOIN deciles ON deciles.street = upper(premises.street) AND deciles.locality = upper(premises.locality)
  AND deciles.district = coalesce(upper(postcode_district), '')
"""
_CALENDAR = """
CREATE TABLE calendar AS
WITH planned AS (SELECT DISTINCT round_id, stream, unnest(round_days) AS planned_on FROM rounds)
SELECT row_number() OVER (ORDER BY round_id, stream, planned_on) + 1 AS row_no, * FROM planned
"""
