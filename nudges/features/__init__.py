"""Features: what is known of a household at the end of a week, as SQL text and as a numeric frame."""

from nudges.features.frame import model_columns, model_frame
from nudges.features.query import Stage, feature_stages, features_sql, final_sql

__all__ = ["Stage", "feature_stages", "features_sql", "final_sql", "model_columns", "model_frame"]
