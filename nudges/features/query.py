"""Turns facts as known at the end of a week into one row of features per household: one portable SQL text.

Integer sums and counts first, divided last with both sides cast to double, so that the order of rows cannot change a
bit of the result and DuckDB, PostgreSQL and Spark agree exactly. Reads the views households, contacts, calendar,
lifts, tags and message_history; uses nothing stored or dated after the week.
"""

# Every value put into the text is a week number or a word of ours.

from __future__ import annotations

import re
from dataclasses import dataclass

from nudges.domain import Stream
from nudges.features import bits
from nudges.features.bits import weeks_cte
from nudges.features.dates import day_number
from nudges.features.homes import home_ctes, message_ctes, tag_ctes
from nudges.features.lifted import CODE, MARKS, unit_ctes
from nudges.features.planned import round_ctes
from nudges.features.weighed import kilo_ctes
from nudges.tables import FEATURES, Dialect, Type
from nudges.tables.features import SET_OUT_WINDOWS
from nudges.weeks import Week

_SQL_TYPES = {Type.TEXT: "VARCHAR", Type.INTEGER: "BIGINT", Type.FLAG: "BIGINT", Type.DATE: "DATE"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the query as a table: its name, its SELECT, and tables that nothing after it reads."""

    name: str
    sql: str
    spent: tuple[str, ...]


def features_sql(week: Week, dialect: Dialect = Dialect.DUCKDB) -> str:
    """One SELECT with the columns of FEATURES in order, one row a household known at the end of `week`."""
    ctes = ",\n".join(f"{stage.name} AS ({stage.sql})" for stage in feature_stages(week))
    return f"WITH {ctes}\n{final_sql(week, dialect)}"


def feature_stages(week: Week) -> tuple[Stage, ...]:
    """The parts of `features_sql` in order. Run as tables of their own they cost an engine far less memory."""
    parts = (
        weeks_cte(week),
        *unit_ctes(week),
        *kilo_ctes(week),
        *round_ctes(week),
        *tag_ctes(week),
        *home_ctes(week),
        *message_ctes(week),
    )
    stages = []
    for part in parts:
        name, _, body = part.partition(" AS (")
        stages.append((name, body.removesuffix(")")))
    texts = [body for _, body in stages] + [_from()]
    spent: dict[int, list[str]] = {}
    for name, _ in stages:
        last = max(i for i, text in enumerate(texts) if re.search(rf"\b(?:FROM|JOIN) {name}\b", text))
        spent.setdefault(last, []).append(name)
    return tuple(Stage(name, body, tuple(spent.get(i, ()))) for i, (name, body) in enumerate(stages))


def final_sql(week: Week, dialect: Dialect = Dialect.DUCKDB) -> str:
    """The SELECT that reads the stages."""
    expressions = _expressions(week, dialect.double)
    selected = ",\n  ".join(
        f"CAST({expressions[column.name]} AS {_SQL_TYPES.get(column.type, dialect.double)}) AS {column.name}"
        for column in FEATURES.columns
    )
    return f"SELECT\n  {selected}\n{_from()}"


def _from() -> str:
    """Joins of the final SELECT: a household's unit, its four rounds, its own messages."""
    joins = [
        "FROM people AS h",
        "LEFT JOIN unit_facts AS units ON units.unit_id = h.unit_id",
        "LEFT JOIN tagged ON tagged.unit_id = h.unit_id",
    ]
    for stream in Stream:
        on = f"{stream}_round.round_id = h.{stream}_round_id AND {stream}_round.stream = '{stream}'"
        joins.append(f"LEFT JOIN rounds AS {stream}_round ON {on}")
    return "\n".join(joins)


def _expressions(week: Week, double: str) -> dict[str, str]:
    """Column name to SQL expression over the joins of `_from`."""
    return {
        **_home_columns(week, double),
        **_kilo_columns(week, double),
        **{
            f"{stream}_set_out_rate_{n}w": _set_out_rate(stream, n, double)
            for stream, windows in SET_OUT_WINDOWS.items()
            for n in windows
        },
        **{f"participates_{stream}": _participates(stream) for stream in SET_OUT_WINDOWS},
        **_tag_columns(double),
        **{f"{name}_{n}w": f"COALESCE(units.{name}_{n}, 0)" for name, windows in MARKS.items() for n in windows},
        "weeks_since_missed": f"{week.number} - units.missed_week",
        **{
            name: f"COALESCE(h.{name}, 0)"
            for name in ("messages_4w", "messages_26w", "delivered_26w", "clicked_26w", "opted_out")
        },
        "weeks_since_message": "h.weeks_since_message",
    }


def _home_columns(week: Week, double: str) -> dict[str, str]:
    end, moved = f"DATE '{week.sunday}'", "h.moved_in_on"
    days = f"({day_number(end, double)} - {day_number(moved, double)})"
    plain = ("household_id", "unit_id", "property_type", "ward", "deprivation_decile", "language")
    return {
        **{name: f"h.{name}" for name in plain},
        "week_no": str(week.number),
        "is_flat": "CASE WHEN h.property_type = 'flat' THEN 1 ELSE 0 END",
        "shares_bins": "CASE WHEN h.bin_store_id IS NULL THEN 0 ELSE 1 END",
        "store_households": _HOUSEHOLDS,
        "tenure_weeks": f"CASE WHEN {moved} <= {end} THEN FLOOR({days} / CAST(7 AS {double})) END",
        **{f"{stream}_round_id": f"h.{stream}_round_id" for stream in Stream},
        **{f"has_{stream}_service": f"CASE WHEN h.{stream}_round_id IS NULL THEN 0 ELSE 1 END" for stream in Stream},
        "has_sms": "COALESCE(h.has_sms, 0)",
        "has_email": "COALESCE(h.has_email, 0)",
    }


_HOUSEHOLDS = "COALESCE(h.store_households, 1)"


def _larger(a: str, b: str) -> str:
    return f"CASE WHEN {a} > {b} THEN {a} ELSE {b} END"


def _ratio(over: str, under: str, double: str) -> str:
    return f"CAST({over} AS {double}) / CAST({under} AS {double})"


def _set_out_rate(stream: Stream, n: int, double: str) -> str:
    """Set-outs / collections that count; a lift off the calendar proves a collection, so never above 1."""
    outs = f"COALESCE(units.{stream}_set_outs_{n}, 0)"
    valid = f"({stream}_round.recorded_{n} - COALESCE(units.{stream}_voids_{n}, 0))"
    valid = f"({_larger(outs, valid)})"
    known = f"{stream}_round.recorded_{n} > 0 AND {valid} > 0 AND {_is_covered(stream, n)}"
    return f"CASE WHEN {known} THEN {_ratio(outs, valid, double)} END"


def _is_covered(stream: Stream, n: int) -> str:
    """Whether bins were seen in no week outside the round's calendar: else what they are out of is unknown."""
    seen = f"(COALESCE(units.{stream}_set_outs_weeks, 0) | COALESCE(units.{stream}_voids_weeks, 0))"
    return bits.among(seen, f"{stream}_round.covered_weeks", n)


def _participates(stream: Stream) -> str:
    """Sets of weeks compare like numbers: one that holds the week of `third` or a newer one is no smaller."""
    third = f"{stream}_round.third_last_bit"
    return (
        f"CASE WHEN {third} IS NULL THEN NULL WHEN units.{stream}_set_outs_weeks >= {third} THEN 1 "
        f"WHEN units.{stream}_voids_weeks >= {third} THEN NULL ELSE 0 END"
    )


def _tag_columns(double: str) -> dict[str, str]:
    columns = {name: f"tagged.{name}" for name in ("weeks_since_tag", "last_tag_on")}
    columns["last_tag_reason"] = "tagged.last_tag_reason"
    for n in (4, 8, 26):
        tags, lifts = f"COALESCE(tagged.recycling_tags_{n}, 0)", f"COALESCE(units.recycling_set_outs_{n}, 0)"
        under = f"({_larger(tags, lifts)})"
        columns[f"tags_{n}w"] = f"COALESCE(tagged.tags_{n}, 0)"
        columns[f"tag_rate_{n}w"] = f"CASE WHEN {under} > 0 THEN {_ratio(tags, under, double)} END"
    return columns


def _kilo_columns(week: Week, double: str) -> dict[str, str]:
    """Grams per weighed collection x collections per week / 1000 / households; empty where no weight is known."""
    columns = {"residual_kg_last": _newest_kg(week, double)}
    for n in (4, 8, 26):
        mean = _per_week(_ratio(f"COALESCE(units.g_{n}, 0)", _valid(n), double), n, double)
        known = f"{_is_weighed(n)} AND {_is_covered(Stream.RESIDUAL, n)}"
        columns[f"residual_kg_mean_{n}w"] = f"CASE WHEN {known} THEN {mean} END"
    for n in (8, 26):
        columns[f"residual_kg_sd_{n}w"] = _sd(n, double)
        columns[f"residual_kg_trend_{n}w"] = _trend(n, double)
    return columns


def _valid(n: int) -> str:
    """Planned collections of residual whose weight is known, 0 g included."""
    return f"(residual_round.weighed_{n} - COALESCE(units.unknown_{n}, 0))"


def _is_weighed(n: int) -> str:
    """Whether kg are known at all: not where bins are lifted and none is ever weighed."""
    unweighed, weighings = f"COALESCE(units.unweighed_{n}, 0)", f"COALESCE(units.weighings_{n}, 0)"
    return f"{_valid(n)} > 0 AND NOT ({unweighed} > 0 AND {weighings} = 0)"


def _per_week(grams: str, n: int, double: str) -> str:
    """Grams a collection to kg a household and week, by the round's own rhythm."""
    rhythm = _ratio(f"residual_round.planned_{n}", f"residual_round.weeks_{n}", double)
    return f"({grams}) * ({rhythm}) / CAST(1000 AS {double}) / CAST({_HOUSEHOLDS} AS {double})"


def _newest_kg(week: Week, double: str) -> str:
    newest = "residual_round.newest_week"
    grams = f"(units.newest_code - {newest} * {CODE})"
    lifted = f"units.newest_code >= {newest} * {CODE}"
    known = f"{newest} > {week.number - 26} AND {_is_weighed(26)}"
    return (
        f"CASE WHEN NOT ({known}) THEN NULL WHEN units.unknown_weeks >= residual_round.newest_bit THEN NULL "
        f"WHEN units.newest_code >= ({newest} + 1) * {CODE} THEN NULL "
        f"WHEN {lifted} THEN {_per_week(f'CAST({grams} AS {double})', 26, double)} "
        f"WHEN {known} THEN CAST(0 AS {double}) END"
    )


def _sd(n: int, double: str) -> str:
    """Root of (n Sgg - Sg^2) / (n (n - 1)), n the weighed collections; empty under 2 of them."""
    count = f"CAST({_valid(n)} AS {double})"
    g, gg = f"CAST(COALESCE(units.g_{n}, 0) AS {double})", f"CAST(COALESCE(units.gg_{n}, 0) AS {double})"
    spread = f"({count} * {gg} - {g} * {g})"
    variance = f"{spread} / ({count} * ({count} - CAST(1 AS {double})))"
    root = f"SQRT(CASE WHEN {spread} > 0 THEN {variance} ELSE CAST(0 AS {double}) END)"
    return f"CASE WHEN {_is_sampled(n, 2)} THEN {_per_week(root, n, double)} END"


def _trend(n: int, double: str) -> str:
    """(n Stg - St Sg) / (n Stt - St^2), t in weeks; empty under 3 weighed collections or in a single week."""
    count = f"CAST({_valid(n)} AS {double})"
    g, tg = (f"CAST(COALESCE(units.{name}_{n}, 0) AS {double})" for name in ("g", "tg"))
    t = f"CAST(residual_round.t_{n} - COALESCE(units.unknown_t_{n}, 0) AS {double})"
    tt = f"CAST(residual_round.tt_{n} - COALESCE(units.unknown_tt_{n}, 0) AS {double})"
    under = f"({count} * {tt} - {t} * {t})"
    slope = f"({count} * {tg} - {t} * {g}) / {under}"
    return f"CASE WHEN {_is_sampled(n, 3)} AND {under} > 0 THEN {_per_week(slope, n, double)} END"


def _is_sampled(n: int, least: int) -> str:
    """Enough weighed collections, and not more weighings than the calendar knows collections."""
    enough = f"{_valid(n)} >= {least} AND COALESCE(units.weighings_{n}, 0) <= {_valid(n)}"
    return f"{_is_weighed(n)} AND {_is_covered(Stream.RESIDUAL, n)} AND {enough}"
