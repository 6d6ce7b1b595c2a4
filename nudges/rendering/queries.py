"""The values that facts are made of, as DuckDB SQL over the views of a week: set-based, one row a household.

Reads households, contacts, calendar, lifts and tags as known at the end of the week; nothing of later weeks but the
calendar. Small tables are made once a stream and joined to the recipients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from nudges.domain import LiftStatus, Medium, Stream
from nudges.schedule import HORIZON
from nudges.weeks import Week

TAG_WEEKS = 8
"""Older tags are not spoken of: a short date would mislead, and people have forgotten."""

SET_OUT_WEEKS = 4
MISSED_WEEKS = 4
MIN_HOMES = 8
"""A street with fewer homes could give one of them away."""

MIN_TENTHS = 5
"""A share below half would tell people that most neighbours do not bother."""

PER_MEDIUM = "household.name"
"""The one value that belongs to a contact, not to a household: two people may share a home."""

_FROM_RECIPIENTS = {
    "household.address": "r.address",
    "household.shared": "r.shared",
    "street.name": "r.street",
    "collection.on": "CAST(s.next_on AS VARCHAR)",
}
_JOINED = {
    "household.set_outs": ("set_outs", "CASE WHEN r.shared = 0 THEN NULLIF(o.times, 0) END"),
    "street.tenths": ("streets", "n.tenths"),
    "tag.reason": ("last_tags", "t.reason"),
    "tag.on": ("last_tags", "CAST(t.tagged_on AS VARCHAR)"),
    "tag.count": ("last_tags", "t.times"),
    "missed.on": ("last_missed", "CAST(m.missed_on AS VARCHAR)"),
}
_JOINS = {
    "set_outs": "LEFT JOIN set_outs_{stream} AS o ON o.unit_id = r.unit_id",
    "streets": "LEFT JOIN streets_{stream} AS n ON n.street_key = r.street_key",
    "last_tags": "LEFT JOIN last_tags_{stream} AS t ON t.unit_id = r.unit_id",
    "last_missed": "LEFT JOIN last_missed_{stream} AS m ON m.unit_id = r.unit_id",
}


def homes_sql(week: Week) -> str:
    """Table `homes`: each household as last known at the end of `week`, its unit, street and rounds."""
    rounds = ", ".join(f"{stream}_round_id" for stream in Stream)
    return f"""
CREATE OR REPLACE TEMP TABLE homes AS
SELECT household_id, COALESCE(bin_store_id, household_id) AS unit_id,
  CAST(bin_store_id IS NOT NULL AS BIGINT) AS shared, house, street, language, {rounds},
  UPPER(street) || '|' || COALESCE(UPPER(locality), SPLIT_PART(postcode, ' ', 1), '') AS street_key
FROM households
WHERE week_no <= {week.number} AND known_on <= DATE '{week.sunday}'
QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1"""  # noqa: S608


def contacts_sql(week: Week) -> str:
    """Table `reach`: the last known contact of each chosen household and medium, side by side."""
    latest = ", ".join(
        f"ARG_MAX({{'address': address, 'name': name}}, known_on) FILTER (medium = '{medium}') AS {medium}"
        for medium in Medium
    )
    return f"""
CREATE OR REPLACE TEMP TABLE reach AS
SELECT household_id, {latest}
FROM contacts
WHERE week_no <= {week.number} AND known_on <= DATE '{week.sunday}'
  AND household_id IN (SELECT household_id FROM chosen)
GROUP BY household_id"""  # noqa: S608


def recipients_sql(*, by_address: bool) -> str:
    """Table `recipients`: each chosen household with what it can be reached by, its language and its address in words.

    Reads `chosen(household_id, arm)`, `voices(arm, spoken, language)` (the language an arm has for a household's own),
    `suppressed(household_id, address_hash, medium)` and `planned(household_id, medium)`, the messages already there.
    `by_address` says that some suppression names an address.
    """
    media = ",\n  ".join(_medium_columns(medium, by_address=by_address) for medium in Medium)
    return f"""
CREATE OR REPLACE TEMP TABLE recipients AS
WITH barred AS (SELECT DISTINCT household_id, medium FROM suppressed WHERE household_id <> '' AND address_hash = ''),
spelt AS (SELECT raw, {_titled("raw")} AS words FROM (SELECT street AS raw FROM homes UNION SELECT house FROM homes)),
named AS (
  SELECT raw, {_plain("raw")} AS words FROM (SELECT sms.name AS raw FROM reach UNION SELECT email.name FROM reach)
)
SELECT c.household_id, c.arm, v.language, h.* EXCLUDE (household_id, house, street, language),
  st.words AS street, ho.words || ' ' || st.words AS address, sn.words AS sms_name, en.words AS email_name,
  {media}
FROM chosen AS c
LEFT JOIN homes AS h ON h.household_id = c.household_id
LEFT JOIN reach AS k ON k.household_id = c.household_id
LEFT JOIN spelt AS st ON st.raw = h.street
LEFT JOIN spelt AS ho ON ho.raw = h.house
LEFT JOIN named AS sn ON sn.raw = k.sms.name
LEFT JOIN named AS en ON en.raw = k.email.name
LEFT JOIN voices AS v ON v.arm = c.arm AND v.spoken = COALESCE(h.language, '')"""  # noqa: S608


def calendar_sql(stream: Stream, week: Week) -> str:
    """Rounds of `stream` with their collection days from the run's week to the horizon."""
    last = (week + 1).monday + HORIZON
    return f"""
SELECT round_id, LIST(DISTINCT COALESCE(collection_on, planned_on)) AS days
FROM calendar
WHERE stream = '{stream}' AND COALESCE(collection_on, planned_on) BETWEEN DATE '{week.monday}' AND DATE '{last}'
GROUP BY round_id"""  # noqa: S608


def tables_sql(values: Iterable[str], stream: Stream, week: Week) -> list[str]:
    """Statements that make the tables which `values` of templates of `stream` are read from."""
    needed = {_JOINED[name][0] for name in values if name in _JOINED}
    if "streets" in needed:
        needed.add("set_outs")
    makers = {
        "set_outs": _set_outs_sql,
        "streets": _streets_sql,
        "last_tags": _last_tags_sql,
        "last_missed": _last_missed_sql,
    }
    return [make(stream, week) for name, make in makers.items() if name in needed]


def facts_sql(values_by_medium: Mapping[Medium, Sequence[str]], stream: Stream) -> str:
    """One row a recipient of one arm and language (parameters $arm, $language), with the values each medium needs.

    Columns: household_id, due_at, sms and email states, every value by its name, `<medium>_facts` as JSON. Reads
    `slots(round_id, due_at, next_on)`; $due_at, when given, holds for households that no round collects from.
    """
    values = sorted({name for names in values_by_medium.values() for name in names} - {PER_MEDIUM})
    joins = {_JOINED[name][0] for name in values if name in _JOINED}
    columns = [f'{value_sql(name)} AS "{name}"' for name in values]
    columns += [f"r.{medium}_name" for medium in values_by_medium]
    columns += [_json(medium, names) for medium, names in values_by_medium.items()]
    columns = [*(f"r.{medium}_state" for medium in Medium), *columns]
    return f"""
SELECT r.household_id, COALESCE(s.due_at, CAST($due_at AS TIMESTAMP)) AS due_at, {", ".join(columns)}
FROM recipients AS r
LEFT JOIN slots AS s ON s.round_id = r.{stream}_round_id
{chr(10).join(_JOINS[name].format(stream=stream) for name in _JOINS if name in joins)}
WHERE r.arm = $arm AND r.language = $language"""  # noqa: S608


def value_sql(name: str, medium: str = "") -> str:
    """The SQL expression of one value."""
    if name == PER_MEDIUM:
        return f"r.{medium}_name"
    return _FROM_RECIPIENTS.get(name) or _JOINED[name][1]


def _json(medium: str, names: Sequence[str]) -> str:
    pairs = ", ".join(f"'{name}': {value_sql(name, medium)}" for name in names)
    return f"CAST(TO_JSON({{{pairs}}}) AS VARCHAR) AS {medium}_facts" if names else f"'{{}}' AS {medium}_facts"


def _medium_columns(medium: str, *, by_address: bool) -> str:
    """What stands in the way of one medium: none, suppressed, planned (there already), or nothing (open)."""
    barred = f"c.household_id IN (SELECT household_id FROM barred WHERE medium IN ('', '{medium}'))"  # noqa: S608
    if by_address:
        spelling = f"SHA256(LOWER(REGEXP_REPLACE(k.{medium}.address, '\\s', '', 'g')))"
        barred += f" OR {spelling} IN (SELECT address_hash FROM suppressed WHERE medium IN ('', '{medium}'))"  # noqa: S608
    planned = f"c.household_id IN (SELECT household_id FROM planned WHERE medium = '{medium}')"  # noqa: S608
    return f"""CASE WHEN {planned} THEN 'planned' WHEN k.{medium}.address IS NULL THEN 'none'
    WHEN {barred} THEN 'suppressed' ELSE 'open' END AS {medium}_state"""


def _plain(text: str) -> str:
    """Typographic quotes and dashes as typed ones, which keep an SMS in its small alphabet; gaps closed."""
    typed = f"TRANSLATE({text}, '\u2018\u2019\u201c\u201d\u2013\u2014\u0060', '''''\"\"--''')"
    return f"NULLIF(TRIM(REGEXP_REPLACE({typed}, '[\\s[:cntrl:]]+', ' ', 'g')), '')"


def _titled(text: str) -> str:
    """An address in capitals as it is written on an envelope; anything else as it is."""
    words = (
        f"ARRAY_TO_STRING(LIST_TRANSFORM(STRING_SPLIT(LOWER({text}), ' '), "
        "lambda w: CASE WHEN REGEXP_MATCHES(w, '[0-9]') THEN UPPER(w) ELSE UPPER(w[1]) || w[2:] END), ' ')"
    )
    return _plain(f"CASE WHEN {text} = UPPER({text}) AND REGEXP_MATCHES({text}, '[A-Z]') THEN {words} ELSE {text} END")


def _set_outs_sql(stream: Stream, week: Week) -> str:
    return f"""
CREATE OR REPLACE TEMP TABLE set_outs_{stream} AS
SELECT unit_id, COUNT(DISTINCT CASE WHEN status = '{LiftStatus.LIFTED}' THEN collected_on END) AS times,
  MAX(CASE WHEN status IN ('{LiftStatus.MISSED}', '{LiftStatus.NOT_READ}') THEN 1 ELSE 0 END) AS is_unsure
FROM lifts
WHERE stream = '{stream}' AND week_no > {week.number - SET_OUT_WEEKS} AND week_no <= {week.number}
GROUP BY unit_id"""  # noqa: S608


def _streets_sql(stream: Stream, _: Week) -> str:
    """Homes with their own bins, without those of which a missed or unread collection hides the answer."""
    return f"""
CREATE OR REPLACE TEMP TABLE streets_{stream} AS
SELECT street_key, CASE WHEN tenths >= {MIN_TENTHS} THEN tenths END AS tenths
FROM (
  SELECT h.street_key, (20 * COUNT(CASE WHEN o.times > 0 THEN 1 END) + COUNT(*)) // (2 * COUNT(*)) AS tenths
  FROM homes AS h LEFT JOIN set_outs_{stream} AS o ON o.unit_id = h.unit_id
  WHERE h.shared = 0 AND h.street <> '' AND h.{stream}_round_id IS NOT NULL
    AND NOT (COALESCE(o.times, 0) = 0 AND COALESCE(o.is_unsure, 0) = 1)
  GROUP BY h.street_key HAVING COUNT(*) >= {MIN_HOMES}
)"""  # noqa: S608


def _last_tags_sql(stream: Stream, week: Week) -> str:
    return f"""
CREATE OR REPLACE TEMP TABLE last_tags_{stream} AS
SELECT unit_id, MAX(tagged_on) AS tagged_on, ARG_MAX(reason, (tagged_on, reason)) AS reason,
  COUNT(DISTINCT tagged_on) AS times
FROM tags
WHERE stream = '{stream}' AND week_no > {week.number - TAG_WEEKS} AND week_no <= {week.number}
GROUP BY unit_id"""  # noqa: S608


def _last_missed_sql(stream: Stream, week: Week) -> str:
    since = week.sunday - timedelta(weeks=MISSED_WEEKS)
    return f"""
CREATE OR REPLACE TEMP TABLE last_missed_{stream} AS
SELECT unit_id, MAX(collected_on) AS missed_on
FROM lifts
WHERE stream = '{stream}' AND status = '{LiftStatus.MISSED}' AND week_no <= {week.number}
  AND week_no > {week.number - MISSED_WEEKS} AND collected_on > DATE '{since}'
GROUP BY unit_id"""  # noqa: S608
