"""Facts up to a week → the features of every household at its end."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from nudges.domain import Summary
from nudges.errors import NotReadyError
from nudges.features import feature_stages, final_sql
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_FILE = "features"
_COUNTS = {
    "households": "COUNT(*)",
    "flats": "SUM(is_flat)",
    "with their residual weighed": "COUNT(residual_kg_mean_26w)",
    "tagged in 4 weeks": "COUNT(CASE WHEN tags_4w > 0 THEN 1 END)",
    "with a mobile number": "SUM(has_sms)",
    "with an email address": "SUM(has_email)",
    "grams a week": "CAST(AVG(CAST(ROUND(residual_kg_mean_26w * 1000) AS BIGINT)) AS BIGINT)",
}
"""What the summary counts; grams are whole, because a sum of doubles depends on the order of rows."""


def features(ws: Workspace, week: Week, *, now: datetime) -> Summary:
    """Compute the features of `week` and replace those stored before; raises NotReadyError without households."""
    history = ws.ledger.message_history(upto=week)
    with ws.facts(week) as connection:
        connection.register("message_history", history)
        sql = staged(connection, week)
        if not connection.execute("SELECT COUNT(*) FROM people").fetchall()[0][0]:
            raise NotReadyError(
                f"features of {week}: no household is known by {week.sunday}. Load a households drop first."
            )
        file = ws.warehouse.write_query("features", week, connection, sql, _FILE, order=["household_id"])
        summary = _summary(week, _counts(connection, ws.warehouse.existing(file.path)))
    ws.ledger.replace_files("features", week, [file], drop_id=f"features:{week}", now=now)
    return summary


def staged(connection: duckdb.DuckDBPyConnection, week: Week) -> str:
    """Run the stages of the features query one by one, so that peak memory is that of the widest; the SELECT left."""
    for stage in feature_stages(week):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {stage.name} AS {stage.sql}")
        for name in stage.spent:
            connection.execute(f"DROP TABLE {name}")
    return final_sql(week)


def _counts(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, int | None]:
    found = connection.execute(f"SELECT {', '.join(_COUNTS.values())} FROM read_parquet(?)", [str(path)])  # noqa: S608
    return dict(zip(_COUNTS, found.fetchall()[0], strict=True))


def _summary(week: Week, found: dict[str, int | None]) -> Summary:
    grams = found.pop("grams a week")
    counts = {name: count or 0 for name, count in found.items()}
    return Summary(
        step="features",
        week=str(week),
        headline=f"{counts['households']:,} households as known at the end of {week}",
        counts=counts,
        facts={"residual_kg_mean_26w": None if grams is None else round(grams / 1000, 2)},
    )
