"""Features as stored → one row a unit for a model, always the same columns in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import TagReason
from nudges.tables import FEATURES, Type

# What our own messages did is no ground to choose by: those columns are consequences of earlier assignments.
_OF_MESSAGES = frozenset(
    {"messages_4w", "messages_26w", "weeks_since_message", "delivered_26w", "clicked_26w", "opted_out"}
)


def model_columns() -> dict[str, str]:
    """Model column to its SQL over one unit's households, in order: numbers and flags, and the last tag's reason."""
    numbers = {
        column.name: f"AVG(CAST({column.name} AS DOUBLE))"
        for column in FEATURES.columns
        if column.type in {Type.INTEGER, Type.NUMBER, Type.FLAG} and not column.key and column.name not in _OF_MESSAGES
    }
    reasons = {
        f"last_tag_reason_{reason}": f"AVG(CASE WHEN last_tag_reason = '{reason}' THEN 1.0 ELSE 0.0 END)"
        for reason in TagReason
    }
    return numbers | reasons


def unit_matrix(
    connection: duckdb.DuckDBPyConnection, units: pa.Array, week_no: int, columns: Sequence[str]
) -> NDArray[np.float64]:
    """Features of `units` at the end of a week, (n, p), NaN where unknown; flats that share bins are averaged."""
    known = model_columns()
    chosen = ", ".join(f"{known[name]} AS {name}" for name in columns)
    connection.register("matrix_units", pa.table({"unit_id": units}))
    rows = connection.execute(
        f"SELECT f.unit_id, {chosen} FROM features f SEMI JOIN matrix_units USING (unit_id) "  # noqa: S608
        "WHERE f.week_no = ? GROUP BY f.unit_id",
        [week_no],
    ).to_arrow_table()
    connection.unregister("matrix_units")
    place = _numbers(pc.index_in(units, value_set=rows["unit_id"].combine_chunks()), -1).astype(np.intp)
    found = place >= 0
    out = np.full((len(units), len(columns)), np.nan)
    for index, name in enumerate(columns):
        out[found, index] = _numbers(rows[name], np.nan)[place[found]]
    return out


def _numbers(array: Any, unknown: float) -> NDArray[np.float64]:  # noqa: ANN401
    return np.asarray(pc.fill_null(pc.cast(array, pa.float64()), unknown).to_numpy(zero_copy_only=False))
