"""Turn tables into Parquet files that are whole or absent, and live files into DuckDB views.

Facts are append-only: `<table>/week=2026-W48/<name>.parquet`. Which files count is the ledger's business; this module
neither lists folders nor decides. DuckDB runs in memory only, because its own file locks out every other process.
"""

# ruff: noqa: S608 -- names in this SQL come from the table declarations, texts are quoted

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nudges.errors import NotReadyError
from nudges.tables import LEDGER, TABLES, Table, Type
from nudges.weeks import Week

SQL_TYPES: Mapping[Type, str] = {
    Type.TEXT: "VARCHAR",
    Type.INTEGER: "BIGINT",
    Type.NUMBER: "DOUBLE",
    Type.DATE: "DATE",
    Type.MOMENT: "TIMESTAMP",
    Type.FLAG: "BIGINT",
}
ARROW_TYPES: Mapping[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.INTEGER: pa.int64(),
    Type.NUMBER: pa.float64(),
    Type.DATE: pa.date32(),
    Type.MOMENT: pa.timestamp("us"),
    Type.FLAG: pa.int64(),
}
WEEK_COLUMN = "week_no"
_ROW_GROUP = 122_880  # DuckDB's own: one row group is the unit it hands to a thread
_SPILL = ".spill"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One Parquet file as written. `path` is relative to the warehouse."""

    path: str
    table: str
    week: Week
    rows: int


class Warehouse:
    """Parquet files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, table: str, week: Week, rows: pa.Table, name: str) -> WrittenFile:
        """Write `rows` of `table` for `week` under `name`: whole on disk when this returns, or not there at all.

        Columns are put into the declared order and types, missing ones become null, `week_no` is added and NaN becomes
        null (DuckDB's filters are wrong on NaN in Parquet, duckdb/duckdb#25521). Raises pyarrow.ArrowInvalid when a
        column cannot be cast.
        """
        path = Path(table) / f"week={week}" / f"{name}.parquet"
        _write_whole(self.root / path, _declared(table, week, rows))
        return WrittenFile(path.as_posix(), table, week, rows.num_rows)

    def write_query(
        self,
        table: str,
        week: Week,
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        name: str,
        *,
        order: Sequence[str],
    ) -> WrittenFile:
        """Write what `sql` gives on `connection` as `write` does, in `order`, without bringing the rows into Python.

        The query must have every column of the declared `table`; others are left out.
        """
        types = sql_columns(TABLES.tables[table])
        chosen = ", ".join(f"{_cast_sql(column, kind)} AS {quoted(column)}" for column, kind in types.items())
        rows = f"SELECT {chosen} FROM ({sql}) AS found ORDER BY {', '.join(map(quoted, order))}"
        path = Path(table) / f"week={week}" / f"{name}.parquet"
        with _whole(self.root / path) as temporary:
            options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}"
            count = connection.execute(f"COPY ({rows}) TO {_literal(temporary)} ({options})").fetchall()[0][0]
        return WrittenFile(path.as_posix(), table, week, count)

    def read(self, paths: Sequence[str]) -> pa.Table:
        """Read files by their paths relative to the warehouse, one below the other."""
        if not paths:
            return pa.table({})
        return pa.concat_tables(
            [pq.ParquetFile(self.existing(path)).read() for path in paths], promote_options="default"
        )

    def existing(self, path: str) -> Path:
        """Where `path` lies; raises NotReadyError when the ledger knows it and the disk does not."""
        full = self.root / path
        if not full.is_file():
            raise NotReadyError(f"{full}: in the ledger but not on disk. Put the file back from a backup.")
        return full

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files that no ledger row names any more; one that is already gone is fine."""
        for path in paths:
            (self.root / path).unlink(missing_ok=True)

    def connect(
        self, files: Mapping[str, Sequence[str]], *, memory: str = "600MB", threads: int = 2
    ) -> duckdb.DuckDBPyConnection:
        """Open DuckDB in memory with one view a table over `files` (paths by table name).

        Every declared warehouse table has a view, empty and typed where it has no files.
        """
        connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "threads": threads,
                "preserve_insertion_order": False,
                "temp_directory": str(self._spill_folder()),
            }
        )
        for name in dict.fromkeys((*declared_names(), *files)):
            paths = [str(self.existing(path)) for path in files.get(name, ())]
            connection.execute(f"CREATE VIEW {quoted(name)} AS {_view_sql(connection, name, paths)}")
        return connection

    def _spill_folder(self) -> Path:
        """A folder of this process alone, made by DuckDB only if it spills; those of dead processes are swept."""
        spills = self.root / _SPILL
        for folder in spills.iterdir() if spills.is_dir() else ():
            if not _is_alive(folder.name.partition("-")[0]):
                for file in folder.iterdir():
                    file.unlink(missing_ok=True)
                folder.rmdir()
        spills.mkdir(parents=True, exist_ok=True)
        return spills / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


def declared_names() -> tuple[str, ...]:
    """Tables that live in the warehouse: all declared ones but the ledger's."""
    ledger = {table.name for table in LEDGER}
    return tuple(name for name in TABLES.tables if name not in ledger)


def sql_columns(table: Table) -> dict[str, str]:
    """Column name to SQL type, in order, `week_no` included."""
    return {column.name: SQL_TYPES[column.type] for column in table.columns} | {WEEK_COLUMN: "BIGINT"}


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def files_sql(paths: Sequence[str], *, named: bool = False) -> str:
    """A FROM item over Parquet files; `named` adds `filename` and `file_row_number`, which say where a row lies."""
    listed = ", ".join(map(_literal, paths))
    options = "hive_partitioning = false, union_by_name = true" + (
        ", filename = true, file_row_number = true" if named else ""
    )
    return f"read_parquet([{listed}], {options})"


def _literal(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _cast_sql(column: str, kind: str) -> str:
    """The column in its declared type, NaN as NULL."""
    name = quoted(column)
    value = f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END" if kind == "DOUBLE" else name
    return f"CAST({value} AS {kind})"


def _view_sql(connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str]) -> str:
    table = TABLES.tables.get(name)
    if table is None:
        if not paths:
            raise NotReadyError(f"{name}: not a declared table and no file holds it. Declare it in nudges/tables.")
        return f"SELECT * FROM {files_sql(paths)}"
    columns = sql_columns(table)
    if not paths:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(column)}" for column, kind in columns.items())
        return f"SELECT {empty} WHERE false"
    stored = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files_sql(paths)}").fetchall()}
    # A column declared after the files were written reads as null.
    chosen = (
        quoted(column) if column in stored else f"CAST(NULL AS {kind}) AS {quoted(column)}"
        for column, kind in columns.items()
    )
    return f"SELECT {', '.join(chosen)} FROM {files_sql(paths)}"


def _declared(name: str, week: Week, rows: pa.Table) -> pa.Table:
    table = TABLES.tables.get(name)
    if table is None:
        return _without_nan(rows)
    types = {column.name: ARROW_TYPES[column.type] for column in table.columns} | {WEEK_COLUMN: pa.int64()}
    arrays = {
        column: rows.column(column).cast(kind) if column in rows.column_names else pa.nulls(rows.num_rows, kind)
        for column, kind in types.items()
    }
    if WEEK_COLUMN not in rows.column_names:
        arrays[WEEK_COLUMN] = pa.repeat(pa.scalar(week.number, pa.int64()), rows.num_rows)
    return _without_nan(pa.table(arrays))


def _without_nan(rows: pa.Table) -> pa.Table:
    for index, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type):
            column = rows.column(index)
            rows = rows.set_column(
                index, field.name, pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
            )
    return rows


def _write_whole(path: Path, rows: pa.Table) -> None:
    with _whole(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd", row_group_size=_ROW_GROUP)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, then synced and renamed: a crash leaves the old state or the new one."""
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
