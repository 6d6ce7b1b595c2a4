"""Turns any Arrow table into the declared columns of a ledger table, and query results into the same types anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from nudges.errors import DataError
from nudges.ledger.schema import DECLARED
from nudges.tables import Column, Table, Type

ARROW: Mapping[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.INTEGER: pa.int64(),
    Type.NUMBER: pa.float64(),
    Type.DATE: pa.date32(),
    Type.MOMENT: pa.timestamp("us"),
    Type.FLAG: pa.int64(),
}

# A column name means the same everywhere, so a result column is given the type of its name.
_BY_NAME = {column.name: ARROW[column.type] for table in DECLARED.values() for column in table.columns}


def declared_rows(declared: Table, rows: pa.Table) -> pa.Table:
    """Rows with exactly the declared columns and types.

    Raises:
        DataError: a column is unknown, a required value is missing or NaN, or a word is outside its vocabulary.
    """
    unknown = [name for name in rows.column_names if name not in declared.names]
    if unknown:
        names = ", ".join(declared.names)
        raise DataError(f"ledger.{declared.name}: column == {unknown[0]!r}, must be one of {names}.")
    columns = [_declared_column(declared, column, rows) for column in declared.columns]
    return pa.table(columns, names=list(declared.names))


def _declared_column(declared: Table, column: Column, rows: pa.Table) -> pa.ChunkedArray:
    where = f"ledger.{declared.name}.{column.name}"
    target = ARROW[column.type]
    if column.name not in rows.column_names:
        values: pa.ChunkedArray = pa.chunked_array([pa.nulls(rows.num_rows, target)])
    else:
        try:
            values = _naive_utc(rows[column.name]).cast(target)
        except pa.ArrowInvalid as problem:
            raise DataError(f"{where}: must be {column.type}. {problem}") from problem
    if column.type is Type.NUMBER:
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, target), values)
    if (column.required or column.key) and values.null_count:
        raise DataError(f"{where}: {values.null_count} rows have no value, must have one.")
    if column.allowed:
        strange = pc.unique(values).drop_null().to_pylist()
        strange = [word for word in strange if word not in (*column.allowed, "")]
        if strange:
            raise DataError(f"{where} == {strange[0]!r}, must be one of {', '.join(column.allowed)}.")
    return values


def _naive_utc(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Zoned moments to UTC without a zone; anything else unchanged."""
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        return values.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    return values


def result_rows(result: pa.Table) -> pa.Table:
    """A query result with the same types on both databases: declared names get their declared type."""
    columns = [_result_column(field, result.column(place)) for place, field in enumerate(result.schema)]
    return pa.table(columns, names=result.column_names)


def _result_column(field: pa.Field, values: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _plain(values)
    wanted = _BY_NAME.get(field.name)
    if wanted is None and field.name.endswith("_at"):
        wanted = pa.timestamp("us")
    if wanted is None or values.type == wanted:
        return values
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise DataError(
            f"ledger: result column {field.name!r} is {values.type}, must be {wanted} as declared. "
            "Give the computed column another name."
        ) from problem


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Engine types to the few the product uses: 64-bit whole numbers, double, text, moments without a zone."""
    kind = values.type
    if isinstance(kind, pa.OpaqueType):  # PostgreSQL numeric comes as text; a sum of whole numbers has no point
        text = pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type)
        fractional = pc.any(pc.match_substring(text, ".")).as_py()
        return text.cast(pa.float64() if fractional else pa.int64())
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_floating(kind):
        return values.cast(pa.float64())
    if pa.types.is_timestamp(kind):
        return _naive_utc(values).cast(pa.timestamp("us"))
    if pa.types.is_large_string(kind):
        return values.cast(pa.string())
    return values
