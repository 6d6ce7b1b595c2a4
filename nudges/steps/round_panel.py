"""Facts of a connection → the outcome of every round by week: from lorry loads, or added up over the rounds' bins."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Outcome, Stream
from nudges.outcomes import STREAM_OF, Collections, Loads, RoundPanel, rounds_named, weighed_panel
from nudges.steps.outcome_panel import read_panel

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

OUT_OF_LIFTS = "lifts"
OUT_OF_DUE = "bins due, because no lift was recorded"

# Spells of households on rounds: each row of the register holds until the household's next one.
_SPELLS = """
SELECT round_id, begins, ends, COUNT(*) AS households
FROM (
  SELECT {stream}_round_id AS round_id, week_no AS begins,
    LEAD(week_no) OVER (PARTITION BY household_id ORDER BY known_on) AS ends
  FROM households
) WHERE round_id IS NOT NULL GROUP BY round_id, begins, ends
"""
_CALENDAR = "SELECT DISTINCT round_id, COALESCE(collection_on, planned_on) AS day FROM calendar WHERE stream = ?"
_LOADS = """
SELECT CAST(weighed_at AS DATE) AS day, COALESCE(round_id, '') AS round_id, SUM(weight_g) AS grams
FROM loads WHERE stream = ? AND week_no BETWEEN ? AND ? GROUP BY ALL ORDER BY ALL
"""
_UNITS = """
SELECT unit_id, MIN(round_id) AS round_id
FROM (
  SELECT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, {stream}_round_id AS round_id
  FROM households QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
) WHERE round_id IS NOT NULL GROUP BY unit_id ORDER BY unit_id
"""


def read_round_panel(
    connection: duckdb.DuckDBPyConnection,
    outcome: Outcome,
    first_week_no: int,
    last_week_no: int,
    *,
    units: pa.Table | None = None,
) -> RoundPanel:
    """The panel of every round that has households. Kg come from the weighbridge alone, whatever bins weighed.

    `units` (unit_id, round_id) narrows rates to some units, each on one round; those of the register when None.
    """
    stream = STREAM_OF[outcome]
    weeks = last_week_no - first_week_no + 1
    names, households = _households(connection, stream, first_week_no, weeks)
    collections = _collections(connection, stream, names)
    if outcome is Outcome.RESIDUAL_KG:
        loads = _loads(connection, stream, names, first_week_no, last_week_no)
        return weighed_panel(names, collections, loads, households, first_week_no)
    rows = connection.execute(_UNITS.format(stream=stream)).to_arrow_table() if units is None else units
    return _counted(connection, outcome, rows, names, households, first_week_no)


def _households(
    connection: duckdb.DuckDBPyConnection, stream: Stream, first: int, weeks: int
) -> tuple[list[str], Whole]:
    """Rounds in order of id, and households on each by week, (r, w); before a round's first, those of its first."""
    rows = connection.execute(_SPELLS.format(stream=stream)).to_arrow_table()
    names = sorted(set(rows["round_id"].to_pylist()))
    if not names:
        return names, np.zeros((0, weeks), dtype=np.int64)
    place = np.searchsorted(np.array(names), np.array(rows["round_id"].to_pylist()))
    begins, counts = rows["begins"].to_numpy(), rows["households"].to_numpy()
    ends = rows["ends"].fill_null(first + weeks).to_numpy()
    low = int(min(begins.min(), first))
    change = np.zeros((len(names), max(int(ends.max()), first + weeks) - low + 1), dtype=np.int64)
    np.add.at(change, (place, begins - low), counts)
    np.add.at(change, (place, ends - low), -counts)
    on_round = np.cumsum(change, axis=1)
    start = np.argmax(on_round > 0, axis=1)
    column = np.maximum(np.arange(on_round.shape[1])[None, :], start[:, None])
    return names, np.take_along_axis(on_round, column, axis=1)[:, first - low : first - low + weeks]


def _collections(connection: duckdb.DuckDBPyConnection, stream: Stream, names: list[str]) -> Collections:
    rows = connection.execute(_CALENDAR, [str(stream)]).to_arrow_table()
    place = {name: index for index, name in enumerate(names)}
    rounds = np.array([place.get(name, -1) for name in rows["round_id"].to_pylist()], dtype=np.intp)
    days = rows["day"].cast(pa.int32()).to_numpy().astype(np.int64)
    return Collections.of(rounds[rounds >= 0], days[rounds >= 0])


def _loads(connection: duckdb.DuckDBPyConnection, stream: Stream, names: list[str], first: int, last: int) -> Loads:
    rows = connection.execute(_LOADS, [str(stream), first, last]).to_arrow_table()
    known = {name: index for index, name in enumerate(names)}
    texts = rows["round_id"].to_pylist()
    named = {text: _named(text, known) for text in set(texts)}
    return Loads(
        days=rows["day"].cast(pa.int32()).to_numpy().astype(np.int64),
        grams=np.array(rows["grams"].to_pylist(), dtype=np.int64),
        named=tuple(named[text] for text in texts),
    )


def _named(text: str, known: dict[str, int]) -> tuple[int, ...] | None:
    if not text.strip():
        return ()
    return tuple(known[name] for name in rounds_named(text, known)) or None


def _counted(
    connection: duckdb.DuckDBPyConnection,
    outcome: Outcome,
    units: pa.Table,
    names: list[str],
    households: Whole,
    first_week_no: int,
) -> RoundPanel:
    """Tags or set-outs of the units on each round, out of the collections of those units that are known."""
    weeks = households.shape[1]
    numbered = units.append_column("unit_no", pa.array(np.arange(units.num_rows)))
    connection.register("round_units", numbered)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE units AS SELECT unit_id, unit_no::INTEGER AS unit_no FROM round_units"
    )
    connection.unregister("round_units")
    rounds = units["round_id"].combine_chunks()
    panel = read_panel(connection, outcome, rounds, first_week_no, first_week_no + weeks - 1)
    place = {name: index for index, name in enumerate(names)}
    of_unit = np.array([place.get(name, -1) for name in rounds.to_pylist()], dtype=np.intp)
    has_lifts = bool(panel.bins.is_recorded.any())
    tagged_weeks = (np.zeros((weeks, 1)) if panel.tags is None else panel.tags).max(axis=1, initial=0) > 0
    over, under, due = (np.zeros(households.shape) for _ in range(3))
    for week in range(weeks):
        one = np.full(units.num_rows, first_week_no + week)
        found = panel.sums(one, one)
        valid, planned = found.valid, found.planned
        if not has_lifts:  # crews that tag and count nothing else: out of the bins that were due
            planned = np.where(panel.rounds >= 0, panel.planned[panel.rounds, week], 0)
            valid = planned * tagged_weeks[week]
        for out, values in ((over, found.total), (under, valid), (due, planned)):
            out[:, week] = np.bincount(of_unit[of_unit >= 0], values[of_unit >= 0], minlength=len(names))
    out_of = OUT_OF_LIFTS if has_lifts else OUT_OF_DUE
    return RoundPanel(
        tuple(names), first_week_no, over, under, due, under, households.astype(np.float64), out_of=out_of
    )
