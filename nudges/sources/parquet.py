"""Turn a Parquet file into a raw table: every column written out as text, NaN as blank.

Row numbers count the header as row 1, though Parquet has none, so that every drop counts alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nudges.errors import DataError
from nudges.sources import RawTable


def matches(path: Path) -> bool:
    """Whether the name says Parquet."""
    return path.is_file() and path.suffix.lower() == ".parquet"


def read(path: Path) -> Iterator[RawTable]:
    """Read the one table of the file; raises DataError when it is no Parquet or a column is no plain value."""
    try:
        rows = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path.name}: not a whole Parquet file. Write it again.") from error
    texts = {name: _texts(path, name, rows.column(name)) for name in rows.column_names}
    yield RawTable("", pa.table(texts), pa.array(np.arange(2, rows.num_rows + 2, dtype=np.int64)))


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DataError(f"{path.name}: column {name} is {kind}, must be a plain value. Leave it out.") from error
