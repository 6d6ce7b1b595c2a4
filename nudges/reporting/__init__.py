"""Turns what was measured of a campaign into one self-contained page, its JSON and an index: text in, text out."""

from nudges.reporting.index import IndexEntry, index_page
from nudges.reporting.page import ImpactPage, impact_json, impact_page

__all__ = ["ImpactPage", "IndexEntry", "impact_json", "impact_page", "index_page"]
