"""Features as stored → blocks of rows for a model, always the same columns in the same order.

One home speaks for a unit: features of bins are those of every home that shares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import TagReason
from nudges.tables import FEATURES, Type

_BLOCK_ROWS = 65_536

# What our own messages did is no ground to choose by: those columns are consequences of earlier assignments. Nor is
# whether one flat of many has a contact.
_LEFT_OUT = frozenset(
    {
        "messages_4w",
        "messages_26w",
        "weeks_since_message",
        "delivered_26w",
        "clicked_26w",
        "opted_out",
        "has_sms",
        "has_email",
    }
)


def model_columns() -> dict[str, str]:
    """Model column to its SQL, in order: numbers and flags, and the last tag's reason."""
    numbers = {
        column.name: f"CAST(f.{column.name} AS DOUBLE)"
        for column in FEATURES.columns
        if column.type in {Type.INTEGER, Type.NUMBER, Type.FLAG} and not column.key and column.name not in _LEFT_OUT
    }
    reasons = {
        f"last_tag_reason_{reason}": f"CASE WHEN f.last_tag_reason = '{reason}' THEN 1.0::DOUBLE ELSE 0.0::DOUBLE END"
        for reason in TagReason
    }
    return numbers | reasons


def feature_blocks(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, columns: Sequence[str]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Positions in `homes` (b,) and their features at the end of a week (b, p), NaN where unknown, block by block.

    Homes without features in that week are in no block.
    """
    known = model_columns()
    chosen = ", ".join(f"{known[name]} AS {name}" for name in columns)
    connection.register("matrix_homes", pa.table({"row_no": np.arange(len(homes)), "household_id": homes}))
    reader = connection.execute(
        f"SELECT m.row_no, {chosen} FROM features AS f "  # noqa: S608
        "JOIN matrix_homes AS m ON m.household_id = f.household_id WHERE f.week_no = ?",
        [week_no],
    ).to_arrow_reader(_BLOCK_ROWS)
    for batch in reader:
        block = np.empty((batch.num_rows, len(columns)))
        for index, column in enumerate(batch.columns[1:]):
            block[:, index] = _numbers(column)
        yield batch.column(0).to_numpy().astype(np.intp), block
    connection.unregister("matrix_homes")


def feature_matrix(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, columns: Sequence[str]
) -> NDArray[np.float64]:
    """Features of `homes` at the end of a week, (n, p), NaN where unknown."""
    out = np.full((len(homes), len(columns)), np.nan)
    for rows, block in feature_blocks(connection, homes, week_no, columns):
        out[rows] = block
    return out


def _numbers(column: Any) -> NDArray[np.float64]:  # noqa: ANN401
    return np.asarray(pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False))
