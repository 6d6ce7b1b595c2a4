"""Turns facts as known at the end of a week into one row of features per household: one portable SQL text.

Integer sums and counts first, divided last with both sides cast to double, so that the order of rows cannot change a
bit of the result and DuckDB, PostgreSQL and Spark agree exactly. Reads the views households, contacts, calendar,
lifts, tags and message_history; uses nothing stored or dated after the week.
"""

from __future__ import annotations

from nudges.domain import Stream
from nudges.features.lifted import (
    CODE,
    bad_day_ctes,
    calendar_ctes,
    kilo_ctes,
    set_out_ctes,
    weeks_cte,
)
from nudges.tables import FEATURES, Dialect, Type
from nudges.tables.features import SET_OUT_WINDOWS
from nudges.weeks import Week

_SQL_TYPES = {Type.TEXT: "VARCHAR", Type.INTEGER: "BIGINT", Type.FLAG: "BIGINT", Type.DATE: "DATE"}


def features_sql(week: Week, dialect: Dialect = Dialect.DUCKDB) -> str:
    """One SELECT with the columns of FEATURES in order, one row a household known at the end of `week`."""
    ctes = [
        weeks_cte(week),
        *_home_ctes(week),
        *calendar_ctes(week),
        *set_out_ctes(week),
        *kilo_ctes(week),
        *bad_day_ctes(week),
        *_tag_ctes(week),
        *_message_ctes(week),
    ]
    expressions = _expressions(week, dialect.double)
    selected = ",\n  ".join(
        f"CAST({expressions[column.name]} AS {_SQL_TYPES.get(column.type, dialect.double)}) AS {column.name}"
        for column in FEATURES.columns
    )
    return "WITH " + ",\n".join(ctes) + f"\nSELECT\n  {selected}\n{_from()}"


def _home_ctes(week: Week) -> list[str]:
    end = f"week_no <= {week.number} AND known_on <= DATE '{week.sunday}'"
    return [
        f"""homes AS (
  SELECT h.*, COALESCE(bin_store_id, household_id) AS unit_id
  FROM (
    SELECT household_id, property_type, bin_store_id, ward, moved_in_on, deprivation_decile, language,
      {", ".join(f"{stream}_round_id" for stream in Stream)},
      ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) AS place
    FROM households WHERE {end}
  ) AS h
  WHERE place = 1
)""",
        """stores AS (
  SELECT bin_store_id, COUNT(*) AS store_households FROM homes WHERE bin_store_id IS NOT NULL GROUP BY bin_store_id
)""",
        f"""reach AS (
  SELECT household_id, MAX(CASE WHEN medium = 'sms' THEN 1 ELSE 0 END) AS has_sms,
    MAX(CASE WHEN medium = 'email' THEN 1 ELSE 0 END) AS has_email
  FROM contacts WHERE {end} GROUP BY household_id
)""",
    ]


def _tag_ctes(week: Week) -> list[str]:
    w = week.number
    counts = ",\n    ".join(
        f"COUNT(CASE WHEN week_no > {w - n} THEN 1 END) AS tags_{n},\n"
        f"    COUNT(CASE WHEN week_no > {w - n} AND stream = 'recycling' THEN 1 END) AS recycling_tags_{n}"
        for n in (4, 8, 26)
    )
    return [
        f"""tag_days AS (
  SELECT unit_id, stream, tagged_on, MAX(week_no) AS week_no, MIN(reason) AS reason
  FROM tags WHERE week_no <= {w} GROUP BY unit_id, stream, tagged_on
)""",
        f"""tagged AS (
  SELECT unit_id,
    {counts},
    {w} - MAX(week_no) AS weeks_since_tag, MAX(tagged_on) AS last_tag_on
  FROM tag_days GROUP BY unit_id
)""",
        """last_tag AS (
  SELECT d.unit_id, MIN(d.reason) AS last_tag_reason
  FROM tag_days AS d JOIN tagged AS t ON t.unit_id = d.unit_id AND t.last_tag_on = d.tagged_on
  GROUP BY d.unit_id
)""",
    ]


def _message_ctes(week: Week) -> list[str]:
    w = week.number
    return [
        f"""messaged AS (
  SELECT household_id,
    SUM(CASE WHEN week_no > {w - 4} THEN accepted ELSE 0 END) AS messages_4w,
    SUM(CASE WHEN week_no > {w - 26} THEN accepted ELSE 0 END) AS messages_26w,
    {w} - MAX(CASE WHEN accepted = 1 THEN week_no END) AS weeks_since_message,
    SUM(CASE WHEN week_no > {w - 26} THEN delivered ELSE 0 END) AS delivered_26w,
    SUM(CASE WHEN week_no > {w - 26} THEN clicked ELSE 0 END) AS clicked_26w,
    MAX(opted_out) AS opted_out
  FROM message_history WHERE week_no <= {w} GROUP BY household_id
)"""
    ]


def _from() -> str:
    """Joins of the final SELECT: a household's unit, its four rounds, its own messages."""
    joins = ["FROM homes AS h", "LEFT JOIN stores ON stores.bin_store_id = h.bin_store_id"]
    for name, key in (("kilos", "unit_id"), ("trouble", "unit_id"), ("tagged", "unit_id"), ("last_tag", "unit_id")):
        joins.append(f"LEFT JOIN {name} ON {name}.{key} = h.{key}")
    for name in ("reach", "messaged"):
        joins.append(f"LEFT JOIN {name} ON {name}.household_id = h.household_id")
    for stream in Stream:
        joins += [
            f"LEFT JOIN rounds AS {stream}_round ON {stream}_round.round_id = h.{stream}_round_id "
            f"AND {stream}_round.stream = '{stream}'",
            f"LEFT JOIN put_out AS {stream}_out ON {stream}_out.unit_id = h.unit_id AND {stream}_out.stream = '{stream}'",
            f"LEFT JOIN voids AS {stream}_void ON {stream}_void.unit_id = h.unit_id AND {stream}_void.stream = '{stream}'",
        ]
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
        **{name: f"COALESCE(trouble.{name}, 0)" for name in ("missed_4w", "missed_26w", "excess_8w", "excess_26w")},
        "weeks_since_missed": "trouble.weeks_since_missed",
        **{
            name: f"COALESCE(messaged.{name}, 0)"
            for name in ("messages_4w", "messages_26w", "delivered_26w", "clicked_26w", "opted_out")
        },
        "weeks_since_message": "messaged.weeks_since_message",
    }


def _home_columns(week: Week, double: str) -> dict[str, str]:
    end, moved = f"DATE '{week.sunday}'", "h.moved_in_on"
    days = f"({_day_number(end, double)} - {_day_number(moved, double)})"
    plain = ("household_id", "unit_id", "property_type", "ward", "deprivation_decile", "language")
    return {
        **{name: f"h.{name}" for name in plain},
        "week_no": str(week.number),
        "is_flat": "CASE WHEN h.property_type = 'flat' THEN 1 ELSE 0 END",
        "shares_bins": "CASE WHEN h.bin_store_id IS NULL THEN 0 ELSE 1 END",
        "store_households": _HOUSEHOLDS,
        "tenure_weeks": f"CASE WHEN {moved} <= {end} THEN FLOOR({days} / CAST(7 AS {double})) END",
        **{f"{stream}_round_id": f"h.{stream}_round_id" for stream in Stream},
        **{
            f"has_{stream}_service": f"CASE WHEN h.{stream}_round_id IS NULL THEN 0 ELSE 1 END" for stream in Stream
        },
        "has_sms": "COALESCE(reach.has_sms, 0)",
        "has_email": "COALESCE(reach.has_email, 0)",
    }


_HOUSEHOLDS = "COALESCE(stores.store_households, 1)"


def _day_number(day: str, double: str) -> str:
    """Days since a fixed day, proleptic Gregorian. Engines disagree on the type of a difference of dates."""
    before = f"(CAST(EXTRACT(YEAR FROM {day}) AS {double}) - CAST(1 AS {double}))"
    leaps = " ".join(
        f"{sign} FLOOR({before} / CAST({years} AS {double}))" for sign, years in (("+", 4), ("-", 100), ("+", 400))
    )
    return f"(CAST(365 AS {double}) * {before} {leaps} + CAST(EXTRACT(DOY FROM {day}) AS {double}))"


def _larger(a: str, b: str) -> str:
    return f"CASE WHEN {a} > {b} THEN {a} ELSE {b} END"


def _ratio(over: str, under: str, double: str) -> str:
    return f"CAST({over} AS {double}) / CAST({under} AS {double})"


def _set_out_rate(stream: Stream, n: int, double: str) -> str:
    """Set-outs / collections that count; a lift off the calendar proves a collection, so never above 1."""
    outs = f"COALESCE({stream}_out.set_outs_{n}, 0)"
    valid = f"({stream}_round.recorded_{n} - COALESCE({stream}_void.voids_{n}, 0))"
    valid = f"({_larger(outs, valid)})"
    known = f"{stream}_round.recorded_{n} > 0 AND {valid} > 0"
    return f"CASE WHEN {known} THEN {_ratio(outs, valid, double)} END"


def _participates(stream: Stream) -> str:
    third = f"{stream}_round.third_last_on"
    return (
        f"CASE WHEN {third} IS NULL THEN NULL WHEN {stream}_out.last_set_out_on >= {third} THEN 1 "
        f"WHEN {stream}_void.last_void_on >= {third} THEN NULL ELSE 0 END"
    )


def _tag_columns(double: str) -> dict[str, str]:
    columns = {name: f"tagged.{name}" for name in ("weeks_since_tag", "last_tag_on")}
    columns["last_tag_reason"] = "last_tag.last_tag_reason"
    for n in (4, 8, 26):
        tags, lifts = f"COALESCE(tagged.recycling_tags_{n}, 0)", f"COALESCE(recycling_out.set_outs_{n}, 0)"
        under = f"({_larger(tags, lifts)})"
        columns[f"tags_{n}w"] = f"COALESCE(tagged.tags_{n}, 0)"
        columns[f"tag_rate_{n}w"] = f"CASE WHEN {under} > 0 THEN {_ratio(tags, under, double)} END"
    return columns


def _kilo_columns(week: Week, double: str) -> dict[str, str]:
    """Grams per weighed collection x collections per week / 1000 / households; empty where no weight is known."""
    columns = {"residual_kg_last": _newest_kg(week, double)}
    for n in (4, 8, 26):
        mean = _per_week(_ratio(f"COALESCE(kilos.g_{n}, 0)", _valid(n), double), n, double)
        columns[f"residual_kg_mean_{n}w"] = f"CASE WHEN {_is_weighed(n)} THEN {mean} END"
    for n in (8, 26):
        columns[f"residual_kg_sd_{n}w"] = _sd(n, double)
        columns[f"residual_kg_trend_{n}w"] = _trend(n, double)
    return columns


def _valid(n: int) -> str:
    """Planned collections of residual whose weight is known, 0 g included."""
    return f"(residual_round.weighed_{n} - COALESCE(kilos.unknown_{n}, 0))"


def _is_weighed(n: int) -> str:
    """Whether kg are known at all: not where bins are lifted and none is ever weighed."""
    unweighed, weighings = f"COALESCE(kilos.unweighed_{n}, 0)", f"COALESCE(kilos.weighings_{n}, 0)"
    return f"{_valid(n)} > 0 AND NOT ({unweighed} > 0 AND {weighings} = 0)"


def _per_week(grams: str, n: int, double: str) -> str:
    """Grams a collection to kg a household and week, by the round's own rhythm."""
    rhythm = _ratio(f"residual_round.planned_{n}", f"residual_round.weeks_{n}", double)
    return f"({grams}) * ({rhythm}) / CAST(1000 AS {double}) / CAST({_HOUSEHOLDS} AS {double})"


def _newest_kg(week: Week, double: str) -> str:
    newest = "residual_round.newest_week"
    grams = f"(kilos.newest_code - {newest} * {CODE})"
    lifted = f"kilos.newest_code >= {newest} * {CODE}"
    known = f"{newest} > {week.number - 26} AND {_is_weighed(26)}"
    return (
        f"CASE WHEN NOT ({known}) THEN NULL WHEN kilos.newest_unknown_week >= {newest} THEN NULL "
        f"WHEN kilos.newest_code >= ({newest} + 1) * {CODE} THEN NULL "
        f"WHEN {lifted} THEN {_per_week(f'CAST({grams} AS {double})', 26, double)} "
        f"WHEN {known} THEN CAST(0 AS {double}) END"
    )


def _sd(n: int, double: str) -> str:
    """Root of (n Sgg - Sg^2) / (n (n - 1)), n the weighed collections; empty under 2 of them."""
    count = f"CAST({_valid(n)} AS {double})"
    g, gg = f"CAST(COALESCE(kilos.g_{n}, 0) AS {double})", f"CAST(COALESCE(kilos.gg_{n}, 0) AS {double})"
    spread = f"({count} * {gg} - {g} * {g})"
    variance = f"{spread} / ({count} * ({count} - CAST(1 AS {double})))"
    root = f"SQRT(CASE WHEN {spread} > 0 THEN {variance} ELSE CAST(0 AS {double}) END)"
    return f"CASE WHEN {_is_sampled(n, 2)} THEN {_per_week(root, n, double)} END"


def _trend(n: int, double: str) -> str:
    """(n Stg - St Sg) / (n Stt - St^2), t in weeks; empty under 3 weighed collections or in a single week."""
    count = f"CAST({_valid(n)} AS {double})"
    g, tg = (f"CAST(COALESCE(kilos.{name}_{n}, 0) AS {double})" for name in ("g", "tg"))
    t = f"CAST(residual_round.t_{n} - COALESCE(kilos.unknown_t_{n}, 0) AS {double})"
    tt = f"CAST(residual_round.tt_{n} - COALESCE(kilos.unknown_tt_{n}, 0) AS {double})"
    under = f"({count} * {tt} - {t} * {t})"
    slope = f"({count} * {tg} - {t} * {g}) / {under}"
    return f"CASE WHEN {_is_sampled(n, 3)} AND {under} > 0 THEN {_per_week(slope, n, double)} END"


def _is_sampled(n: int, least: int) -> str:
    """Enough weighed collections, and not more weighings than the calendar knows collections."""
    return f"{_is_weighed(n)} AND {_valid(n)} >= {least} AND COALESCE(kilos.weighings_{n}, 0) <= {_valid(n)}"
