"""Turn a raw table into typed rows that are good, and the list of what is wrong with the others."""

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
from nudges.steps.ingest.validation import Clock, checks, literal, values_sql, week_sql
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
    keys = ", ".join(quoted(name) for name in plan.table.keys)
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in plan.table.keys)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE repeats AS "
        f"WITH often AS (SELECT {keys} FROM staged WHERE {known} GROUP BY {keys} HAVING count(*) > 1), "
        "ranked AS (SELECT row_no, row_number() OVER same_key AS place, first_value(row_no) OVER same_key AS first_row "
        f"FROM staged SEMI JOIN often USING ({keys}) WINDOW same_key AS (PARTITION BY {keys} ORDER BY is_bad, row_no)) "
        "SELECT row_no, first_row FROM ranked WHERE place > 1"
    )


def _find_reasons(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, texts: pa.Table, plan: Plan, clock: Clock
) -> None:
    """Leave every reason of every bad row in the temporary table `bad`, from the texts again: they are few."""
    bad = connection.execute("SELECT row_no FROM staged WHERE is_bad UNION SELECT row_no FROM repeats").to_arrow_table()
    places = np.searchsorted(raw.numbers.to_numpy(), bad.column("row_no").to_numpy())  # numbers only ever rise
    as_it_came = raw.rows.take(places).rename_columns([f"r{index}" for index in range(raw.rows.num_columns)])
    few = texts.take(places)
    for name in as_it_came.column_names:
        few = few.append_column(name, as_it_came.column(name))
    connection.register("few", few)
    connection.register("rejected_lines", _lines(raw))
    reasons = ["SELECT row_no, 1000 AS place, '' AS column_name, NULL AS value, 'repeats row ' || first_row AS reason FROM repeats"]
    for place, each in enumerate(checks(plan, clock)):
        if each.problems:
            cases = " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in each.problems)
            reasons.append(
                f"SELECT row_no, {place}, {literal(each.column.name)}, {_shown(plan, each.column.name, each.text)}, "
                f"CASE {cases} END FROM valued"
            )
    whole = ", ".join(as_it_came.column_names)
    reasons.append(
        "SELECT row_no, 1000, '', NULL, 'repeats row ' || first_row FROM (SELECT row_no, min(row_no) OVER "
        f"(PARTITION BY {whole}) AS first_row FROM few ANTI JOIN repeats USING (row_no)) WHERE first_row < row_no"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE bad AS WITH valued AS MATERIALIZED ({values_sql(plan, clock, source='few')}), "
        f"reasons AS ({' UNION ALL '.join(reasons)}) "
        f"SELECT row_no, place, column_name, value, reason, {_raw_json(raw, plan)} AS raw "
        "FROM reasons JOIN few USING (row_no) WHERE reason IS NOT NULL "
        f"UNION ALL SELECT row_no, 0, '', NULL, reason, {_shown(plan, '', 'text')} FROM rejected_lines"
    )


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
        "WITH said AS (SELECT row_no, place, CASE WHEN starts_with(reason, 'repeats row') THEN 'repeats an earlier row' "
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
