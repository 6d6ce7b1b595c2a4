"""Turn good rows and the files already live into the files to add and those to retire.

A row whose key is live already and that says the same is left where it is; one that says something else replaces it:
the old file is written again without it, and the old one stays on disk for audit. Nothing is live until the ledger
says so.
"""

# ruff: noqa: S608 -- names in this SQL come from the table declarations, texts are quoted

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import duckdb
import pyarrow as pa

from nudges.steps.ingest.checking import GOOD
from nudges.steps.ingest.validation import key_sql
from nudges.tables import Table
from nudges.warehouse import Warehouse, WrittenFile, files_sql, quoted
from nudges.weeks import Week


@dataclass(frozen=True, slots=True)
class Stored:
    """Files written and paths to retire, with how many rows replaced another or were there already."""

    added: tuple[WrittenFile, ...]
    retired: tuple[str, ...]
    replaced: int
    unchanged: int


def store(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    table: Table,
    live: Sequence[str],
    *,
    drop_id: str,
    is_dated_here: bool,
) -> Stored:
    """Write the rows of the temporary table `good`, one file a week. `live` are all live paths of the table.

    `is_dated_here` says that `known_on` came from the run, not from the file: then a row that says the same as the
    latest known one is nothing new either, so that a register sent whole every week adds only what changed in it.
    """
    touched = _weeks(connection)
    near = [path for path in live if table.identity or _week_of(path) in touched]
    paths = {str(warehouse.existing(path)): path for path in near}
    replaced = unchanged = 0
    retired: tuple[str, ...] = ()
    remainders: tuple[WrittenFile, ...] = ()
    if paths:
        unchanged, replaced = _compare(connection, table, list(paths))
        retired, remainders = _without_replaced(connection, warehouse, table, paths, drop_id)
    if is_dated_here and live:
        unchanged += _leave_known(connection, table, [str(warehouse.existing(path)) for path in live])
    added = _write_good(connection, warehouse, table, drop_id)
    return Stored((*remainders, *added), retired, replaced, unchanged)


def _weeks(connection: duckdb.DuckDBPyConnection) -> set[Week]:
    found = connection.execute(f"SELECT DISTINCT week_no FROM {GOOD}").fetchall()
    return {Week(number) for (number,) in found}


def _week_of(path: str) -> Week:
    return Week.parse(PurePosixPath(path).parent.name.removeprefix("week="))


def _compare(connection: duckdb.DuckDBPyConnection, table: Table, paths: Sequence[str]) -> tuple[int, int]:
    """Take rows that say the same out of `good`, list the others in `clashes`; returns (unchanged, replaced)."""
    keys = [key_sql(table, row) for row in ("old", "new")]
    match = " AND ".join(f"{keys[0][name]} = {keys[1][name]}" for name in table.keys)
    same = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM new.{quoted(name)}" for name in table.names)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE clashes AS "
        f"SELECT new.row_no, old.filename, old.file_row_number, {same} AS is_same "
        f"FROM {files_sql(paths, named=True)} AS old JOIN {GOOD} AS new ON {match}"
    )
    return _take_out_same(connection), _count(connection, "SELECT count(*) FROM clashes WHERE NOT is_same")


def _take_out_same(connection: duckdb.DuckDBPyConnection) -> int:
    same = _count(connection, "SELECT count(*) FROM clashes WHERE is_same")
    if same:
        connection.execute(f"DELETE FROM {GOOD} WHERE row_no IN (SELECT row_no FROM clashes WHERE is_same)")
    return same


def _without_replaced(
    connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, table: Table, paths: dict[str, str], drop_id: str
) -> tuple[tuple[str, ...], tuple[WrittenFile, ...]]:
    """Write each old file again without the rows replaced."""
    changed = connection.execute("SELECT DISTINCT filename FROM clashes WHERE NOT is_same ORDER BY 1").fetchall()
    written = []
    for (full,) in changed:
        rows = connection.execute(
            "SELECT * EXCLUDE (file_row_number) "
            "FROM read_parquet(?, hive_partitioning = false, file_row_number = true) ANTI JOIN "
            "(FROM clashes WHERE NOT is_same AND filename = ?) USING (file_row_number) ORDER BY file_row_number",
            [full, full],
        ).to_arrow_table()
        if rows.num_rows:
            name = sha256(f"{paths[full]} {drop_id}".encode()).hexdigest()[:16]
            written.append(warehouse.write(table.name, _week_of(paths[full]), rows, name))
    return tuple(paths[full] for (full,) in changed), tuple(written)


def _leave_known(connection: duckdb.DuckDBPyConnection, table: Table, paths: Sequence[str]) -> int:
    """Take rows out of `good` that say the same as the latest row known by then."""
    entity = [name for name in table.keys if name != table.week_from]
    keys = ", ".join(quoted(name) for name in entity)
    others = [name for name in table.names if name not in table.keys]
    same = " AND ".join(f"latest.said.{quoted(name)} IS NOT DISTINCT FROM new.{quoted(name)}" for name in others)
    said = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in others)
    dated = quoted(table.week_from)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE clashes AS WITH latest AS ("
        f"SELECT {keys}, arg_max(struct_pack({said}), {dated}) AS said "
        f"FROM {files_sql(paths)} WHERE {dated} < (SELECT max({dated}) FROM {GOOD}) GROUP BY {keys}) "
        f"SELECT new.row_no, {same} AS is_same FROM latest JOIN {GOOD} AS new USING ({keys})"
    )
    return _take_out_same(connection)


def _write_good(
    connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, table: Table, drop_id: str
) -> tuple[WrittenFile, ...]:
    names = ", ".join(quoted(name) for name in table.names)
    rows = connection.execute(f"SELECT {names}, week_no FROM {GOOD} ORDER BY week_no, row_no").to_arrow_table()
    counts = connection.execute(f"SELECT week_no, count(*) FROM {GOOD} GROUP BY ALL ORDER BY week_no").fetchall()
    written, start = [], 0
    for number, count in counts:
        part = _plain(rows.slice(start, count))
        written.append(warehouse.write(table.name, Week(number), part, drop_id[:16]))
        start += count
    return tuple(written)


def _plain(rows: pa.Table) -> pa.Table:
    return rows.combine_chunks()


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
