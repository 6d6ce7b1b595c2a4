"""Features: what is known of a household at the end of a week, as SQL text and as a numeric frame."""

from nudges.features.query import features_sql

__all__ = ["features_sql"]
