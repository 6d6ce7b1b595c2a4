"""Units, each with a window of weeks → the outcome of each, read from the warehouse."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Outcome
from nudges.outcomes import outcome_sql, outcome_values


def unit_outcomes(
    connection: duckdb.DuckDBPyConnection,
    outcome: Outcome,
    *,
    units: pa.Array,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    households: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Outcome per household of n units over weeks `first` to `last`, (n,), NaN where nothing is known.

    A unit may come several times, each with another window.

    Makes (and replaces) the table `windows` of the connection.
    """
    n = len(units)
    connection.register(
        "unit_windows",
        pa.table(
            {
                "row_no": pa.array(np.arange(n)),
                "unit_id": units,
                "first_week_no": pa.array(first),
                "last_week_no": pa.array(last),
                "households": pa.array(households.astype(np.int64)),
            }
        ),
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE windows AS SELECT * EXCLUDE (row_no) FROM unit_windows")
    found = connection.execute(
        "SELECT w.row_no, CAST(o.total AS DOUBLE) AS total, CAST(o.valid AS DOUBLE) AS valid, "  # noqa: S608
        "CAST(o.planned AS DOUBLE) AS planned, CAST(o.weeks AS DOUBLE) AS weeks "
        f"FROM ({outcome_sql(outcome)}) AS o JOIN unit_windows AS w ON w.unit_id = o.unit_id "
        "AND w.first_week_no = o.first_week_no AND w.last_week_no = o.last_week_no"
    ).fetchnumpy()
    connection.unregister("unit_windows")
    row = np.asarray(found["row_no"], dtype=np.intp)
    sums = {name: np.zeros(n) for name in ("total", "valid", "planned", "weeks")}
    for name, column in sums.items():
        column[row] = np.ma.filled(found[name], 0.0)
    return outcome_values(outcome, sums["total"], sums["valid"], sums["planned"], sums["weeks"], households)
