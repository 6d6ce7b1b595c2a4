"""Units of a connection, by number → their outcome by week, read from the warehouse in one scan."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Outcome
from nudges.outcomes import BinWeeks, Panel, bin_weeks, bins_sql, calendar_sql, tags_sql

_BATCH_ROWS = 122_880
_CELLS = 12_000_000
"""Days times units worked on at once, in 5 bytes each."""


def read_panel(
    connection: duckdb.DuckDBPyConnection,
    outcome: Outcome,
    rounds: pa.Array,
    first_week_no: int,
    last_week_no: int,
    *,
    where: str = "TRUE",
) -> Panel:
    """The panel of all rows of the connection's table `units`, whose rounds are given in order of unit_no."""
    n = len(rounds)
    weeks = last_week_no - first_week_no + 1
    names = rounds.dictionary_encode()
    planned, begins, ends = _calendar(connection, outcome, names.dictionary, first_week_no, weeks)
    return Panel(
        outcome=outcome,
        first_week_no=first_week_no,
        bins=_bins(connection, outcome, n, first_week_no, weeks, where),
        tags=_tags(connection, outcome, n, first_week_no, weeks) if outcome is Outcome.TAG_RATE else None,
        planned=planned,
        first_covered=begins,
        last_covered=ends,
        rounds=np.asarray(names.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.intp),
    )


def _bins(
    connection: duckdb.DuckDBPyConnection, outcome: Outcome, n: int, first: int, weeks: int, where: str
) -> BinWeeks:
    """A few weeks at a time, so that the array by day stays small; written in place, never held twice."""
    out = BinWeeks.empty(n, weeks)
    step = max(_CELLS // (7 * max(n, 1)), 1)
    for low in range(0, weeks, step):
        high = min(low + step, weeks)
        text = bins_sql(outcome, n, first + low, first + high - 1, where=where)
        part = bin_weeks(_batches(connection, text), n, high - low)
        for name in BinWeeks.__slots__:
            getattr(out, name)[low:high] = getattr(part, name)
    return out


def _batches(
    connection: duckdb.DuckDBPyConnection, text: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]]:
    for batch in connection.execute(text).to_arrow_reader(_BATCH_ROWS):
        cell, state, grams = (column.to_numpy() for column in batch.columns)
        yield cell, state.astype(np.uint8), grams


def _tags(connection: duckdb.DuckDBPyConnection, outcome: Outcome, n: int, first: int, weeks: int) -> NDArray[np.int8]:
    out = np.zeros((weeks, n), dtype=np.int8)
    rows = connection.execute(tags_sql(outcome, first, first + weeks - 1)).fetchnumpy()
    out[np.asarray(rows["week_no"]) - first, np.asarray(rows["unit_no"])] = np.asarray(rows["tags"])
    return out


def _calendar(
    connection: duckdb.DuckDBPyConnection, outcome: Outcome, names: pa.Array, first: int, weeks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Planned collections (r, w) of the named rounds, and the first and last week that each one's calendar covers."""
    place = {name: index for index, name in enumerate(names.to_pylist())}
    planned = np.zeros((max(len(place), 1), weeks), dtype=np.int64)
    begins, ends = np.full(len(planned), first + weeks), np.full(len(planned), first - 1)
    for name, week_no, collections, begin, end in connection.execute(calendar_sql(outcome)).fetchall():
        row = place.get(name)
        if row is None:
            continue
        begins[row], ends[row] = begin, end
        if first <= week_no < first + weeks:
            planned[row, week_no - first] = collections
    return planned, begins, ends
