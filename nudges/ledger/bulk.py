"""Turns a million Arrow rows into ledger rows, and a query into Arrow, by the fast path of each database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nudges.ledger import bulk_postgres, bulk_sqlite
from nudges.ledger.arrow import declared_rows, result_rows
from nudges.ledger.database import Database
from nudges.ledger.rows import aware, insert_missing
from nudges.ledger.schema import TABLES, declared, naive


class Bulk:
    """Whole tables in and out."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(self, table: str, rows: pa.Table) -> int:
        """Insert the rows whose key is not there yet; returns how many were.

        Missing optional columns become NULL. On SQLite a large append is committed in chunks, so that a stop or an
        approval is never kept waiting: after a kill, append the same rows again.
        """
        ready = declared_rows(declared(table), rows)
        if not ready.num_rows:
            return 0
        if self._db.is_sqlite:
            return bulk_sqlite.append(self._db, table, ready)
        return bulk_postgres.append(self._db, table, ready)

    def select(self, sql: str, **params: object) -> pa.Table:
        """Read with `:name` parameters (a list or tuple fills `IN :name`). Moments come back as UTC without a zone.

        The SQL must be one SELECT that both databases understand.
        """
        text, values = _positional(sql, params, is_sqlite=self._db.is_sqlite)
        result = (bulk_sqlite if self._db.is_sqlite else bulk_postgres).select(self._db, text, values)
        return result_rows(result)

    def record(self, table: str, **row: object) -> None:
        """Insert one row; a key that is already there is left as it is."""
        declared(table)
        with self._db.writing() as connection:
            insert_missing(connection, TABLES[table], [row])

    def replace(self, table: str, rows: pa.Table, **where: object) -> int:
        """Delete the rows equal to `where` and insert these instead, in one transaction; for effects and cards."""
        ready = declared_rows(declared(table), rows).to_pylist()
        target = TABLES[table]
        with self._db.writing() as connection:
            matches = [target.c[name] == value for name, value in where.items()]
            connection.execute(sa.delete(target).where(sa.and_(sa.true(), *matches)))
            zoned = [{name: aware(value) for name, value in row.items()} for row in ready]
            return insert_missing(connection, target, zoned)


def _positional(sql: str, params: Mapping[str, object], *, is_sqlite: bool) -> tuple[str, list[object]]:
    """`:name` SQL to the placeholders of the driver, with the values in their order."""
    dialect: sa.Dialect = sqlite.dialect(paramstyle="qmark") if is_sqlite else _numbered()
    compiled = (
        sa.text(sql)
        .bindparams(*(_bind(name, value) for name, value in params.items()))
        .compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    )
    return str(compiled), [_stored(compiled.params[name], is_sqlite=is_sqlite) for name in compiled.positiontup or ()]


def _numbered() -> sa.Dialect:
    dialect: sa.Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    return dialect


def _bind(name: str, value: object) -> sa.BindParameter[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = None if value else sa.Text()  # PostgreSQL wants a type for an empty list: ids are text
        return sa.bindparam(name, list(value), kind, expanding=True)
    return sa.bindparam(name, value)


def _stored(value: object, *, is_sqlite: bool) -> object:
    """A parameter as the column it is compared with is stored."""
    if isinstance(value, datetime):
        moment = naive(value)
        return moment.isoformat(" ", "microseconds") if is_sqlite else moment
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, str) else value  # a StrEnum is its word
