"""Turns a few rows into inserts that a repeat leaves alone, whichever database it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nudges.errors import DataError
from nudges.ledger.schema import DECLARED

_PART = 500


def insert_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows whose key is not there yet; returns how many were.

    Raises:
        DataError: a column is unknown or a required one has no value.
    """
    if not rows:
        return 0
    complete = [_complete(table, row) for row in rows]
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return len(connection.execute(statement, complete).all())


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Values in parts small enough for one IN list."""
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


def rows_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[Any], values: Sequence[str]
) -> list[sa.Row[Any]]:
    """Rows of a query whose `column` is one of many values."""
    return [row for part in parts(values) for row in connection.execute(query.where(column.in_(part)))]


def _complete(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in row if name not in table.c]
    if unknown:
        raise DataError(f"ledger.{table.name}: column == {unknown[0]!r}, must be one of {', '.join(table.c.keys())}.")
    declared = DECLARED[table.name]
    for column in declared.columns:
        value = row.get(column.name)
        if value is None and (column.required or column.key):
            raise DataError(f"ledger.{table.name}.{column.name}: has no value, must have one.")
        if value and column.allowed and value not in column.allowed:
            raise DataError(
                f"ledger.{table.name}.{column.name} == {value!r}, must be one of {', '.join(column.allowed)}."
            )
    return {column.name: row.get(column.name) for column in declared.columns}


def aware(value: object) -> object:
    """Moments that lost their zone in Arrow are UTC; anything else unchanged."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
