"""Turns Arrow rows into SQLite rows through a staging file, and queries into Arrow, by ADBC."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa

from nudges.ledger.database import Database
from nudges.ledger.sqlite_file import WAIT_SECONDS

CHUNK_ROWS = 40_000
_GAP_SECONDS = 0.006  # twice the poll of a waiting writer: it gets in between two chunks
_WHOLE = {"adbc.sqlite.query.batch_rows": str(2**30)}  # types are guessed from one batch: make it all of them


def append(database: Database, table: str, rows: pa.Table) -> int:
    """Insert rows whose key is not there yet, in chunks; returns how many were.

    ADBC writes a file of its own; only Python's SQLite writes to the ledger, and the file does not grow by the staging.
    """
    names = ", ".join(f'"{name}"' for name in rows.column_names)
    insert = (
        f'INSERT INTO "{table}" ({names}) SELECT {names} FROM staging.staged '  # noqa: S608
        "WHERE rowid > ? AND rowid <= ? ON CONFLICT DO NOTHING"
    )
    inserted = 0
    with _staging_file(database.file.path) as staging:
        _stage(staging, rows)
        with database.connected() as connection:
            connection.detach()  # closed at the end, with these settings
            connection.exec_driver_sql("PRAGMA cache_size=-65536")  # random keys: keep the index pages at hand,
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint=20000")  # and write each back once, not every chunk
            connection.exec_driver_sql("ATTACH DATABASE ? AS staging", (str(staging),))
            for low in range(0, rows.num_rows, CHUNK_ROWS):
                if low:
                    time.sleep(_GAP_SECONDS)
                with database.transaction(connection):
                    inserted += connection.exec_driver_sql(insert, (low, low + CHUNK_ROWS)).rowcount
    return inserted


@contextmanager
def _staging_file(ledger: Path) -> Iterator[Path]:
    """A file beside the ledger named after this process and thread; those of killed processes are removed."""
    for left in ledger.parent.glob(f"{ledger.name}.staging-*"):
        if not _is_running(int(left.name.rpartition("-")[0].rpartition("-")[2])):
            left.unlink(missing_ok=True)
    path = ledger.with_name(f"{ledger.name}.staging-{os.getpid()}-{threading.get_ident()}")
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stage(path: Path, rows: pa.Table) -> None:
    with adbc.connect(str(path), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=OFF")
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.adbc_ingest("staged", _as_text_moments(rows), mode="create")


def _as_text_moments(rows: pa.Table) -> pa.Table:
    """Moments as SQLAlchemy writes them on SQLite: `2026-11-23 18:00:00.000000`."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.string()))
    return rows


def select(database: Database, sql: str, values: Sequence[object]) -> pa.Table:
    """Read one SELECT whole."""
    with database.file.lent() as path, adbc.connect(path, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={int(WAIT_SECONDS * 1000)}")
            cursor.execute("PRAGMA query_only=ON")
        with connection.cursor(adbc_stmt_kwargs=_WHOLE) as cursor:
            cursor.execute(sql, tuple(values) or None)
            return cursor.fetch_arrow_table()
