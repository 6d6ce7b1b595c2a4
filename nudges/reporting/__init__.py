"""Turns what was measured of a campaign into one self-contained page, its JSON, a year's account and an index."""

from nudges.reporting.facts import impact_json
from nudges.reporting.index import IndexEntry, index_page, year_json, year_page
from nudges.reporting.page import ImpactPage, impact_page
from nudges.reporting.year import YearEntry, years

__all__ = [
    "ImpactPage",
    "IndexEntry",
    "YearEntry",
    "impact_json",
    "impact_page",
    "index_page",
    "year_json",
    "year_page",
    "years",
]
