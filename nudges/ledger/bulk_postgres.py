"""Turns Arrow rows into PostgreSQL rows through a temporary table, and queries into Arrow, by ADBC (COPY)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from nudges.ledger.database import Database
from nudges.ledger.schema import DECLARED


def append(database: Database, table: str, rows: pa.Table) -> int:
    """Insert rows whose key is not there yet, in one transaction; returns how many were."""
    import adbc_driver_postgresql.dbapi as adbc

    names = ", ".join(f'"{name}"' for name in rows.column_names)
    keys = ", ".join(f'"{name}"' for name in DECLARED[table].keys)  # one order, so that two appends never deadlock
    with adbc.connect(database.libpq_url) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("nudges_staged", rows, mode="create", temporary=True)
            cursor.execute(
                f'INSERT INTO "{table}" ({names}) SELECT {names} FROM pg_temp.nudges_staged '  # noqa: S608
                f"ORDER BY {keys} ON CONFLICT DO NOTHING"
            )
            inserted = int(cursor.rowcount)
        connection.commit()
    return inserted


def select(database: Database, sql: str, values: Sequence[object]) -> pa.Table:
    """Read one SELECT whole."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(database.libpq_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute(sql, tuple(values) or None)
        return cursor.fetch_arrow_table()
