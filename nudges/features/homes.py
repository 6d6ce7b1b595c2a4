"""Turns households, contacts, tags and past messages into sums: common table expressions of the features query."""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from nudges.domain import Stream
from nudges.weeks import Week

_MESSAGES = "messages_4w, messages_26w, weeks_since_message, delivered_26w, clicked_26w, opted_out"


def home_ctes(week: Week) -> list[str]:
    """`homes` (the newest row of each household), `stores` (their size) and `reach` (which contacts are known)."""
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


def tag_ctes(week: Week) -> list[str]:
    """`tagged`: tagged lifts of each unit, several reasons on one day being one, and the newest tag."""
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
        f"""tag_counts AS (
  SELECT unit_id,
    {counts},
    {w} - MAX(week_no) AS weeks_since_tag, MAX(tagged_on) AS last_tag_on
  FROM tag_days GROUP BY unit_id
)""",
        """last_tag AS (
  SELECT d.unit_id, MIN(d.reason) AS last_tag_reason
  FROM tag_days AS d JOIN tag_counts AS t ON t.unit_id = d.unit_id AND t.last_tag_on = d.tagged_on
  GROUP BY d.unit_id
)""",
        """tagged AS (
  SELECT t.*, l.last_tag_reason FROM tag_counts AS t JOIN last_tag AS l ON l.unit_id = t.unit_id
)""",
    ]


def message_ctes(week: Week) -> list[str]:
    """`messaged` (past messages of each household) and `people` (everything known by household)."""
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
)""",
        f"""people AS (
  SELECT h.*, s.store_households, r.has_sms, r.has_email, {_MESSAGES}
  FROM homes AS h
  LEFT JOIN stores AS s ON s.bin_store_id = h.bin_store_id
  LEFT JOIN reach AS r ON r.household_id = h.household_id
  LEFT JOIN messaged AS m ON m.household_id = h.household_id
)""",
    ]
