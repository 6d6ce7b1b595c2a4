"""Features as a council has them (numbers, flags, words, gaps) → a matrix of floats of the same width every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

MOST_LEVELS = 40
"""Levels of a text column that get a column of their own, the most frequent first."""

FEWEST_ROWS = 20
"""Rows a level needs for a column of its own; rarer ones and those never seen count as none of them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Turns a frame into floats: a number is itself, text becomes one 0/1 column a level.

    Attributes:
        levels: of each input column, its levels in order of frequency, or None for a column of numbers. A gap in a
            text column is a level (None).
        source: (q,) input column of each output column.
    """

    levels: tuple[tuple[str | None, ...] | None, ...]
    source: Indices

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Columns:
        """Learn which columns are text and their levels."""
        levels = tuple(
            None if _is_number(frame.iloc[:, at]) else _levels(frame.iloc[:, at]) for at in range(frame.shape[1])
        )
        widths = [1 if words is None else len(words) for words in levels]
        return cls(levels, np.repeat(np.arange(len(levels)), widths))

    @classmethod
    def numeric(cls, n_columns: int) -> Columns:
        """Columns that are numbers already."""
        return cls((None,) * n_columns, np.arange(n_columns))

    def __call__(self, frame: pd.DataFrame) -> Floats:
        """Matrix of floats, (n, q), NaN where a number is unknown.

        Raises:
            ValueError: text where the fit saw numbers.
        """
        out = np.empty((len(frame), len(self.source)))
        at = 0
        for number, levels in enumerate(self.levels):
            column = frame.iloc[:, number]
            if levels is None:
                out[:, at] = _numbers(column)
                at += 1
                continue
            words = _words(column)
            for level in levels:
                out[:, at] = words.isna() if level is None else (words == level).fillna(value=False)
                at += 1
        return out


def has_text(frame: pd.DataFrame) -> bool:
    """Whether some column is not a number."""
    return not all(_is_number(frame.iloc[:, at]) for at in range(frame.shape[1]))


def _is_number(column: pd.Series[Any]) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    return bool(pd.api.types.is_numeric_dtype(column.dtype)) or _all_numbers(column)


def _all_numbers(column: pd.Series[Any]) -> bool:
    """Whether an object column holds nothing but numbers and gaps."""
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in {
        "integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty",
    }  # fmt: skip


def _numbers(column: pd.Series[Any]) -> Floats:
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _words(column: pd.Series[Any]) -> pd.Series[Any]:
    kinds = pd.Series(column.dtype.categories) if isinstance(column.dtype, pd.CategoricalDtype) else column
    if pd.api.types.is_datetime64_any_dtype(kinds) or pd.api.types.is_timedelta64_dtype(kinds):
        raise ValueError(f"column {column.name!r} holds dates, must be numbers or text. Count weeks or days instead.")
    for value in kinds.dropna().head(1):
        if not isinstance(value, (str, bool, int, float, np.generic)):
            raise TypeError(
                f"column {column.name!r}: argument must be a string or a number, not {type(value).__name__}."
            )
    return column.astype("string")


def _levels(column: pd.Series[Any]) -> tuple[str | None, ...]:
    words = _words(column)
    enough = min(FEWEST_ROWS, max(len(column) // 10, 1))
    counts = words.value_counts()
    ranked = sorted((-int(count), str(level)) for level, count in counts.items())
    known = tuple(level for count, level in ranked[:MOST_LEVELS] if -count >= enough)
    return (*known, None) if int(words.isna().sum()) >= enough else known
