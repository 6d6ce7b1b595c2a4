"""First assignments of every turn → the outcome of each over its own window, from one scan of the collections."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Outcome
from nudges.outcomes import STREAM_OF, outcome_values
from nudges.steps.learn.rows import Rows
from nudges.steps.outcome_panel import read_panel

Floats = NDArray[np.float64]

# The round of each unit, from the newest row of each of its homes.
_ROUNDS = """
SELECT MIN(h.round_id) AS round_id
FROM units u LEFT JOIN (
  SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id
  FROM households QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) h USING (unit_id)
GROUP BY u.unit_no ORDER BY u.unit_no
"""


def turn_outcomes(
    connection: duckdb.DuckDBPyConnection, outcome: Outcome, rows: Rows, *, households: Floats, weeks: int
) -> Floats:
    """Outcome per household of each row over the `weeks` weeks after its own, (n,), NaN where nothing is known.

    Messages of the run of week t go out in week t + 1, and so do their outcomes begin. Makes the table `units` of the
    connection.
    """
    y = np.full(len(rows.unit), np.nan)
    if not len(y):
        return y
    codes, first, unit_no = np.unique(rows.unit, return_index=True, return_inverse=True)
    units = pa.table({"unit_id": rows.unit_id.take(pa.array(first)), "unit_no": np.arange(len(codes))})
    connection.register("turn_units", units)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE units AS SELECT unit_id, unit_no::INTEGER AS unit_no FROM turn_units"
    )
    rounds = connection.execute(_ROUNDS.format(stream=STREAM_OF[outcome])).to_arrow_table()["round_id"]
    begins, ends = rows.week_no + 1, rows.week_no + weeks
    panel = read_panel(connection, outcome, rounds.combine_chunks(), int(begins.min()), int(ends.max()))
    for turn in np.unique(rows.turn):
        here = np.flatnonzero(rows.turn == turn)  # at most one row a unit
        low, high = np.full(len(codes), ends.max() + 1), np.full(len(codes), begins.min() - 1)
        low[unit_no[here]], high[unit_no[here]] = begins[here], ends[here]
        found = panel.sums(low, high)
        own = unit_no[here]
        y[here] = outcome_values(
            outcome, found.total[own], found.valid[own], found.planned[own], found.weeks[own], households[here]
        )
    return y
