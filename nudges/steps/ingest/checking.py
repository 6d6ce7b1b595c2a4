"""Turn a raw table into typed rows that are good, and the list of what is wrong with the others."""

# ruff: noqa: S608 -- names in this SQL come from the table declarations, texts pass through literal()

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nudges.sources import RawTable
from nudges.steps.ingest.contacts import OPEN_COLUMNS, masked, masked_if_contact
from nudges.steps.ingest.matching import Plan
from nudges.steps.ingest.validation import Clock, checks, key_sql, literal, values_sql, week_sql
from nudges.warehouse import quoted

GOOD = "good"
"""Temporary table of good rows: row_no, week_no and the declared columns."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How many rows came in and how many are good.

    `bad` has row_no, column_name, value, reason and raw, in row order; `reasons` counts its rows by the first reason.
    """

    rows: int
    good: int
    bad: pa.Table
    reasons: Mapping[str, int]


def check(connection: duckdb.DuckDBPyConnection, raw: RawTable, plan: Plan, clock: Clock) -> Checked:
    """Leave the good rows in the temporary table `good`; a row is bad for a value, a repeated key or its line."""
    texts = _trimmed(raw)
    connection.register("texts", texts)
    _stage(connection, plan, clock, raw.rows.num_columns)
    _find_repeats(connection, plan)
    names = ", ".join(quoted(name) for name in plan.table.names)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {GOOD} AS SELECT row_no, {week_sql(plan)} AS week_no, {names} FROM staged "
        "WHERE NOT is_bad AND row_no NOT IN (SELECT row_no FROM repeats)"
    )
    counted = connection.execute(f"SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM {GOOD})").fetchone()
    rows, good = counted if counted is not None else (0, 0)
    _find_reasons(connection, raw, texts, plan, clock)
    bad = connection.execute("SELECT * EXCLUDE (place) FROM bad ORDER BY row_no, place").to_arrow_table()
    return Checked(rows + len(raw.rejected), good, bad, _counted(connection))


def _trimmed(raw: RawTable) -> pa.Table:
    """Columns row_no, c0, c1, ... without blanks around the values; a blank value is null."""
    columns = {"row_no": raw.numbers}
    for index, column in enumerate(raw.rows.itercolumns()):
        trimmed = pc.utf8_trim_whitespace(column)
        columns[f"c{index}"] = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    return pa.table(columns)


def _stage(connection: duckdb.DuckDBPyConnection, plan: Plan, clock: Clock, width: int) -> None:
    """All rows but blank ones, with typed values and whether any of them is wrong."""
    conditions = [condition for each in checks(plan, clock) for condition, _ in each.problems]
    names = ", ".join(quoted(name) for name in plan.table.names)
    wrong = " OR ".join(f"coalesce({condition}, false)" for condition in conditions)
    anything = ", ".join(f"c{index}" for index in range(width))
    filled = f"(SELECT * FROM texts WHERE coalesce({anything}) IS NOT NULL)"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE staged AS SELECT row_no, {names}, {wrong} AS is_bad "
        f"FROM ({values_sql(plan, clock, source=filled)})"
    )


def _find_repeats(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Rows whose key an earlier row of the file has; a good row counts as earlier than a bad one."""
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in plan.table.keys)
    keys = ", ".join(f"k{place}" for place in range(len(plan.table.keys)))
    named = ", ".join(f"{key} AS k{place}" for place, key in enumerate(key_sql(plan.table).values()))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE repeats AS "
        f"WITH keyed AS (SELECT row_no, is_bad, {named} FROM staged WHERE {known}), "
        f"often AS (SELECT {keys} FROM keyed GROUP BY {keys} HAVING count(*) > 1), "
        "ranked AS (SELECT row_no, row_number() OVER same_key AS place, first_value(row_no) OVER same_key AS first_row "
        f"FROM keyed SEMI JOIN often USING ({keys}) WINDOW same_key AS (PARTITION BY {keys} ORDER BY is_bad, row_no)) "
        "SELECT row_no, first_row FROM ranked WHERE place > 1"
    )


def _find_reasons(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, texts: pa.Table, plan: Plan, clock: Clock
) -> None:
    """Leave every reason of every bad row in the temporary table `bad`, from the texts again: they are few."""
    connection.register("few", _bad_ones(connection, raw, texts))
    connection.register("rejected_lines", _lines(raw))
    whole = ", ".join(f"r{index}" for index in range(raw.rows.num_columns))
    # A row without a whole key repeats another when the two are the same from end to end.
    shown = (
        f"(SELECT few.*, {_raw_json(raw, plan)} AS raw, coalesce(first_row, nullif(min(row_no) OVER same, row_no)) "
        f"AS first_row FROM few LEFT JOIN repeats USING (row_no) WINDOW same AS (PARTITION BY {whole}))"
    )
    valued = values_sql(plan, clock, source=shown, keep="row_no, raw, first_row")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE bad AS SELECT row_no, said.place, said.column_name, said.value, said.reason, raw "
        f"FROM (SELECT row_no, raw, unnest([{_said(plan, clock)}]) AS said FROM ({valued})) "
        "WHERE said.reason IS NOT NULL "
        f"UNION ALL SELECT row_no, 0, '', NULL, reason, {_shown(plan, '', 'text')} FROM rejected_lines"
    )


def _bad_ones(connection: duckdb.DuckDBPyConnection, raw: RawTable, texts: pa.Table) -> pa.Table:
    """Bad rows as trimmed (c0, c1, ...) and as they came (r0, r1, ...)."""
    bad = connection.execute("SELECT row_no FROM staged WHERE is_bad UNION SELECT row_no FROM repeats").to_arrow_table()
    places = np.searchsorted(raw.numbers.to_numpy(), bad.column("row_no").to_numpy())  # numbers only ever rise
    few = texts.take(places)
    as_it_came = raw.rows.take(places)
    for index, column in enumerate(as_it_came.itercolumns()):
        few = few.append_column(f"r{index}", column)
    return few


def _said(plan: Plan, clock: Clock) -> str:
    """List items place, column_name, value, reason: the first problem of each column, and last of all a repeat."""
    items = ["{'place': 1000, 'column_name': '', 'value': NULL::VARCHAR, 'reason': 'repeats row ' || first_row}"]
    for place, each in enumerate(checks(plan, clock)):
        if each.problems:
            cases = " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in each.problems)
            name, shown = literal(each.column.name), _shown(plan, each.column.name, each.text)
            items.append(f"{{'place': {place}, 'column_name': {name}, 'value': {shown}, 'reason': CASE {cases} END}}")
    return ", ".join(items)


def _lines(raw: RawTable) -> pa.Table:
    lines = raw.rejected
    return pa.table(
        {
            "row_no": pa.array([line.row for line in lines], pa.int64()),
            "text": pa.array([line.text for line in lines], pa.string()),
            "reason": pa.array([line.reason for line in lines], pa.string()),
        }
    )


def _counted(connection: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    """Bad rows by the first thing wrong with each, most frequent first."""
    found = connection.execute(
        "WITH said AS (SELECT row_no, place, "
        "CASE WHEN starts_with(reason, 'repeats row') THEN 'repeats an earlier row' "
        "WHEN column_name = '' THEN reason ELSE column_name || ': ' || reason END AS words FROM bad) "
        "SELECT words, count(*) FROM (SELECT arg_min(words, place) AS words FROM said GROUP BY row_no) "
        "GROUP BY words ORDER BY 2 DESC, 1"
    ).fetchall()
    return dict(found)


def _raw_json(raw: RawTable, plan: Plan) -> str:
    """The row as it came, by the file's own column names."""
    feeds = {feed.index: feed.column.name for feed in plan.feeds}
    pairs = (
        f"{literal(name)}, {_shown(plan, feeds.get(index, ''), f'r{index}')}"
        for index, name in enumerate(raw.rows.column_names)
    )
    return f"CAST(json_object({', '.join(pairs)}) AS VARCHAR)"


def _shown(plan: Plan, column: str, text: str) -> str:
    if plan.table.name == "contacts":
        return text if column in OPEN_COLUMNS else masked(text)
    return masked_if_contact(text)
