"""Turn a plan into SQL that reads all-text rows: typed values, and for each bad row the list of what is wrong.

Built from the table declarations alone. A value that cannot be read is never repaired: its row goes to quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from nudges.domain import ColumnRule
from nudges.steps.ingest.contacts import ADDRESS_REASON, clean_address
from nudges.steps.ingest.matching import Feed, Plan
from nudges.tables import Column, Table, Type
from nudges.warehouse import quoted

_EARLIEST_YEAR, _LATEST_YEAR = 1900, 2199
_LARGEST_WHOLE = 9e15  # above this a double no longer holds every whole number
_ZONED = r"(?i):\d{2}(?:\.\d+)?\s*(?:z|utc|[+-]\d{2}(?::\d{2})?)$"
_OTHERS = "*"  # in `values`: every word that is not listed
_NOTHING = "-"  # in `values`: no value at all


@dataclass(frozen=True, slots=True)
class Clock:
    """What validation must know of time: the default of `known_on`, the last believable day, the council's zone."""

    as_of: date
    latest: date
    timezone: str


@dataclass(frozen=True, slots=True)
class Check:
    """A column's SQL: its text, its typed value, and `problems` as (condition, reason), most basic first."""

    column: Column
    text: str
    value: str
    problems: tuple[tuple[str, str], ...]


def checks(plan: Plan, clock: Clock) -> tuple[Check, ...]:
    """One check a column, over a relation whose text columns are t0, t1, ... and whose values are named as declared."""
    return tuple(_check(plan, number, feed, clock) for number, feed in enumerate(plan.feeds))


def text_columns(plan: Plan, clock: Clock) -> str:
    """SELECT items t0, t1, ...: each declared column's translated text, from the file's trimmed columns c0, c1, ..."""
    return ", ".join(f"{_text(feed, clock)} AS t{number}" for number, feed in enumerate(plan.feeds))


def values_sql(plan: Plan, clock: Clock, *, source: str, keep: str = "row_no") -> str:
    """SELECT of the columns `keep`, all texts and all typed values from the relation `source`."""
    values = ", ".join(f"{check.value} AS {quoted(check.column.name)}" for check in checks(plan, clock))
    return f"SELECT *, {values} FROM (SELECT {keep}, {text_columns(plan, clock)} FROM {source})"  # noqa: S608


def key_sql(table: Table, row: str = "") -> dict[str, str]:
    """SQL of what identifies a row, by key column; `row` qualifies the columns.

    Where the first column of `identity` is filled (a ticket number), the key columns outside it do not count: a ticket
    corrected in time or weight is still that ticket.
    """
    prefix = f"{row}." if row else ""
    keys = {name: f"{prefix}{quoted(name)}" for name in table.keys}
    if table.identity:
        is_known = f"{prefix}{quoted(table.identity[0])} <> ''"
        for name in set(table.keys) - set(table.identity):
            keys[name] = f"CASE WHEN {is_known} THEN '' ELSE CAST({keys[name]} AS VARCHAR) END"
    return keys


def week_sql(plan: Plan) -> str:
    """The row's week number, from the typed column the table is stored by."""
    return f"CAST(floor((CAST({quoted(plan.table.week_from)} AS DATE) - DATE '2000-01-03') / 7.0) AS BIGINT)"


def _check(plan: Plan, number: int, feed: Feed, clock: Clock) -> Check:
    column, text, value = feed.column, f"t{number}", quoted(feed.column.name)
    problems: list[tuple[str, str]] = []
    if column.required:
        problems.append((f"{text} IS NULL", "'missing'"))
    if plan.table.name == "contacts" and column.name == "address":
        medium = f"t{plan.table.names.index('medium')}"
        problems.append((f"{text} IS NOT NULL AND {value} IS NULL", ADDRESS_REASON.format(medium=f"lower({medium})")))
        return Check(column, text, clean_address(text, f"lower({medium})"), tuple(problems))
    if column.type is not Type.TEXT:
        problems.append((f"{text} IS NOT NULL AND {value} IS NULL", literal(_UNREADABLE[column.type])))
    if column.allowed:
        words = ", ".join(literal(word) for word in column.allowed)
        problems.append((f"{value} NOT IN ({words})", literal(f"not one of {', '.join(column.allowed)}")))
    if column.low is not None:
        problems.append((f"{value} < {column.low}", literal(f"below {column.low:g}{_unit(column)}")))
    if column.high is not None:
        problems.append((f"{value} > {column.high}", literal(f"above {column.high:.0f}{_unit(column)}")))
    if column.pattern:
        problems.append((f"NOT regexp_full_match({value}, {literal(column.pattern)})", literal(_form(column))))
    if column.name == plan.table.week_from:
        last = clock.latest.isoformat()
        problems.append((f"CAST({value} AS DATE) > DATE '{last}'", literal(f"too far ahead: after {last}")))
    return Check(column, text, _value(column, text, feed.rule, clock), tuple(problems))


_UNREADABLE = {
    Type.INTEGER: "not a whole number",
    Type.NUMBER: "not a number",
    Type.DATE: "not a date (2026-11-23 or 23/11/2026)",
    Type.MOMENT: "not a date and time (2026-11-23 09:30 or 23/11/2026 09:30)",
    Type.FLAG: "not 0 or 1, no or yes",
}


def _text(feed: Feed, clock: Clock) -> str:
    text = "CAST(NULL AS VARCHAR)" if feed.index is None else f"c{feed.index}"
    if feed.rule.values:
        text = _translated(text, feed.rule)
    default = clock.as_of.isoformat() if feed.column.name == "known_on" else feed.column.default
    return text if default is None else f"coalesce({text}, {literal(default)})"


def _translated(text: str, rule: ColumnRule) -> str:
    words = {word.strip().lower(): "" if meaning == _NOTHING else meaning for word, meaning in rule.values.items()}
    others = literal(words.pop(_OTHERS)) if _OTHERS in words else text
    cases = "".join(f" WHEN lower({text}) = {literal(word)} THEN {literal(meaning)}" for word, meaning in words.items())
    return f"nullif(CASE WHEN {text} IS NULL THEN NULL{cases} ELSE {others} END, '')"


def _value(column: Column, text: str, rule: ColumnRule, clock: Clock) -> str:
    match column.type:
        case Type.TEXT:
            return f"lower({text})" if column.allowed else text
        case Type.DATE:
            return _date(text)
        case Type.MOMENT:
            return _moment(text, clock.timezone)
        case Type.FLAG:
            return _flag(text)
        case Type.INTEGER:
            return _whole(text, rule.times)
        case Type.NUMBER:
            number = f"TRY_CAST({text} AS DOUBLE) * {rule.times!r}"
            return f"CASE WHEN isfinite({number}) THEN {number} END"


def _flag(text: str) -> str:
    yes, no = "('1', 'true', 'yes', 'y')", "('0', 'false', 'no', 'n')"
    return f"CASE WHEN lower({text}) IN {yes} THEN 1::BIGINT WHEN lower({text}) IN {no} THEN 0::BIGINT END"


def _whole(text: str, times: float) -> str:
    """A whole number: as written, or after `times` rounded to the nearest (12.7 itself is no whole number)."""
    number = f"TRY_CAST({text} AS DOUBLE)" + ("" if times == 1 else f" * {times!r}")
    is_whole = f"abs({number}) < {_LARGEST_WHOLE:.0f}" + (f" AND {number} = round({number})" if times == 1 else "")
    return f"CASE WHEN {is_whole} THEN CAST(round({number}) AS BIGINT) END"


def _date(text: str) -> str:
    british = f"try_strptime({text}, ['%d/%m/%Y', '%d/%m/%Y %H:%M', '%d/%m/%Y %H:%M:%S'])"
    day = f"coalesce(TRY_CAST({text} AS DATE), CAST({british} AS DATE))"
    return f"CASE WHEN year({day}) BETWEEN {_EARLIEST_YEAR} AND {_LATEST_YEAR} THEN {day} END"


def _moment(text: str, timezone: str) -> str:
    """UTC without a zone. A time that names no zone is the council's own wall clock."""
    zoned = f"timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ))"
    formats = "['%d/%m/%Y %H:%M:%S', '%d/%m/%Y %H:%M', '%d/%m/%Y']"
    naive = f"coalesce(TRY_CAST({text} AS TIMESTAMP), try_strptime({text}, {formats}))"
    local = f"timezone('UTC', timezone({literal(timezone)}, {naive}))"
    moment = f"CASE WHEN regexp_matches({text}, '{_ZONED}') THEN {zoned} ELSE {local} END"
    return f"CASE WHEN year({moment}) BETWEEN {_EARLIEST_YEAR} AND {_LATEST_YEAR} THEN {moment} END"


def _form(column: Column) -> str:
    return f"not of the form {column.pattern}"


def _unit(column: Column) -> str:
    return f" {column.unit}" if column.unit else ""


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"
