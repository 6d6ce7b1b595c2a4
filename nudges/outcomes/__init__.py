"""Outcomes: turns lifts, tags and the calendar into each unit's kg, set-out rate or tag rate over windows of weeks."""

from __future__ import annotations

from nudges.outcomes.panel import BinWeeks, Panel, Sums, bin_weeks, bins_sql, calendar_sql, tags_sql
from nudges.outcomes.windows import STREAM_OF, outcome_sql, outcome_values

__all__ = [
    "STREAM_OF",
    "BinWeeks",
    "Panel",
    "Sums",
    "bin_weeks",
    "bins_sql",
    "calendar_sql",
    "outcome_sql",
    "outcome_values",
    "tags_sql",
]
