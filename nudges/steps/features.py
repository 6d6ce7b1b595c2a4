"""Facts up to a week → the features of every household at its end."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Summary
from nudges.errors import NotReadyError
from nudges.features import feature_stages, final_sql
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_FILE = "features"


def features(ws: Workspace, week: Week, *, now: datetime) -> Summary:
    """Compute the features of `week` and replace those stored before; raises NotReadyError without households."""
    history = ws.ledger.message_history(upto=week)
    with ws.facts(week) as connection:
        connection.register("message_history", history)
        rows = compute_features(connection, week)
    if rows.num_rows == 0:
        raise NotReadyError(
            f"features of {week}: no household is known by {week.sunday}. Load a households drop first."
        )
    file = ws.warehouse.write("features", week, rows, _FILE)
    ws.ledger.replace_files("features", week, [file], drop_id=f"features:{week}", now=now)
    return _summary(week, rows)


def compute_features(connection: duckdb.DuckDBPyConnection, week: Week) -> pa.Table:
    """Run the stages of the features query one by one, in order of household: peak memory is that of the widest."""
    for stage in feature_stages(week):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {stage.name} AS {stage.sql}")
        for name in stage.spent:
            connection.execute(f"DROP TABLE {name}")
    return connection.execute(f"{final_sql(week)}\nORDER BY household_id").to_arrow_table()


def _summary(week: Week, rows: pa.Table) -> Summary:
    counts = {
        "households": rows.num_rows,
        "flats": _sum(rows, "is_flat"),
        "with their residual weighed": _known(rows, "residual_kg_mean_26w"),
        "tagged in 4 weeks": _positive(rows, "tags_4w"),
        "with a mobile number": _sum(rows, "has_sms"),
        "with an email address": _sum(rows, "has_email"),
    }
    mean = pc.mean(rows["residual_kg_mean_26w"]).as_py()
    return Summary(
        step="features",
        week=str(week),
        headline=f"{rows.num_rows:,} households as known at the end of {week}",
        counts=counts,
        facts={"residual_kg_mean_26w": None if mean is None else round(mean, 2)},
    )


def _sum(rows: pa.Table, column: str) -> int:
    return int(pc.sum(rows[column]).as_py() or 0)


def _known(rows: pa.Table, column: str) -> int:
    return int(rows.num_rows) - int(rows[column].null_count)


def _positive(rows: pa.Table, column: str) -> int:
    return int(pc.sum(pc.greater(rows[column], 0)).as_py() or 0)
