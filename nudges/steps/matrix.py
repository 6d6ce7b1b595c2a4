"""Features as stored → frames of rows for a model, always the same columns in the same order.

One home speaks for a unit: features of bins are those of every home that shares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.features import model_columns, model_frame

_BLOCK_ROWS = 65_536


def feature_blocks(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, columns: Sequence[str]
) -> Iterator[tuple[NDArray[np.intp], pd.DataFrame]]:
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
        yield batch.column(0).to_numpy().astype(np.intp), model_frame(batch, columns)
    connection.unregister("matrix_homes")


def feature_matrix(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, columns: Sequence[str]
) -> NDArray[np.float64]:
    """Features of `homes` at the end of a week, (n, p), NaN where unknown."""
    out = np.full((len(homes), len(columns)), np.nan)
    for rows, block in feature_blocks(connection, homes, week_no, columns):
        out[rows] = block.to_numpy()
    return out


def sharing_homes(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """All households that share the bins of each of `homes` at the end of a week, (n,); `known` without features.

    Kg of a bin store are those of all its homes, also of those a campaign does not reach.
    """
    sharing = feature_matrix(connection, homes, week_no, ("store_households",))[:, 0]
    return np.where(np.isfinite(sharing), sharing, known)
