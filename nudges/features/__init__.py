"""Features: what is known of a household at the end of a week, as SQL text and as a numeric frame."""

from nudges.features.frame import MODEL_COLUMNS, model_frame
from nudges.features.query import Stage, feature_stages, features_sql, final_sql

__all__ = ["MODEL_COLUMNS", "Stage", "feature_stages", "features_sql", "final_sql", "model_frame"]
