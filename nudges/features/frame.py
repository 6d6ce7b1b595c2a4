"""Turns features as stored into a numeric pandas frame for scikit-learn: the one place where pandas comes in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Language, PropertyType, TagReason
from nudges.tables import FEATURES, Type

_NUMERIC = {Type.INTEGER, Type.NUMBER, Type.FLAG}
CATEGORIES: Mapping[str, type[StrEnum]] = {
    "property_type": PropertyType,
    "last_tag_reason": TagReason,
    "language": Language,
}
"""Text columns with a closed vocabulary: one 0/1 column a word, all 0 where the word is not known."""

MODEL_COLUMNS: tuple[str, ...] = (
    *(column.name for column in FEATURES.columns if column.type in _NUMERIC and not column.key),
    *(f"{name}_{word}" for name, words in CATEGORIES.items() for word in words),
)
"""Columns of `model_frame` in order: every number and flag of FEATURES, then the words of CATEGORIES.

Left out: ids, rounds and ward (names, not quantities) and dates (their age in weeks is a column already).
"""


def model_frame(table: pa.Table) -> pd.DataFrame:
    """One float64 column for each of MODEL_COLUMNS, rows in the order of `table`; NaN where a number is unknown."""
    columns = {name: _floats(table.column(name)) for name in MODEL_COLUMNS if name in table.column_names}
    for name, words in CATEGORIES.items():
        column = table.column(name)
        for word in words:
            columns[f"{name}_{word}"] = _floats(pc.fill_null(pc.equal(column, str(word)), pa.scalar(value=False)))
    return pd.DataFrame(columns, columns=list(MODEL_COLUMNS))


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    values = pc.fill_null(column.cast(pa.float64()), np.nan)
    return np.asarray(values.to_numpy(), dtype=np.float64)
