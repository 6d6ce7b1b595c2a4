"""Outcomes: turns lifts, tags, loads and the calendar into kg, set-out or tag rates of units and rounds over weeks."""

from __future__ import annotations

from nudges.outcomes.panel import BinWeeks, Panel, Sums, bin_weeks, bins_sql, calendar_sql, tags_sql
from nudges.outcomes.rounds import Collections, Loads, RoundPanel, TicketSums, weighed_panel
from nudges.outcomes.tickets import rounds_named, shared_out
from nudges.outcomes.windows import STREAM_OF, outcome_sql, outcome_values

__all__ = [
    "STREAM_OF",
    "BinWeeks",
    "Collections",
    "Loads",
    "Panel",
    "RoundPanel",
    "Sums",
    "TicketSums",
    "bin_weeks",
    "bins_sql",
    "calendar_sql",
    "outcome_sql",
    "outcome_values",
    "rounds_named",
    "shared_out",
    "tags_sql",
    "weighed_panel",
]
