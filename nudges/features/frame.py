"""Which features a model may see, as SQL, and a block of them as the pandas frame scikit-learn is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import TagReason
from nudges.tables import FEATURES, Type

_NUMERIC = {Type.INTEGER, Type.NUMBER, Type.FLAG}
# What our own messages did is no ground to choose by: those columns are consequences of earlier assignments. Nor is
# whether one flat of many has a contact.
_LEFT_OUT = frozenset(
    {
        "messages_4w",
        "messages_26w",
        "weeks_since_message",
        "delivered_26w",
        "clicked_26w",
        "opted_out",
        "has_sms",
        "has_email",
    }
)


def model_columns() -> Mapping[str, str]:
    """Model column to its SQL over `features AS f`, in order: numbers and flags, and the last tag's reason.

    Left out besides: ids, rounds and ward (names, not quantities) and dates (their age in weeks is a column already).
    """
    numbers = {
        column.name: f"CAST(f.{column.name} AS DOUBLE)"
        for column in FEATURES.columns
        if column.type in _NUMERIC and not column.key and column.name not in _LEFT_OUT
    }
    reasons = {
        f"last_tag_reason_{reason}": f"CAST(CASE WHEN f.last_tag_reason = '{reason}' THEN 1 ELSE 0 END AS DOUBLE)"
        for reason in TagReason
    }
    return numbers | reasons


def model_frame(block: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of `block` as float64, one column for each name, NaN where a number is unknown."""
    values = np.empty((block.num_rows, len(columns)))
    for index, name in enumerate(columns):
        values[:, index] = pc.fill_null(block.column(name), np.nan).to_numpy(zero_copy_only=False)
    return pd.DataFrame(values, columns=list(columns), copy=False)
