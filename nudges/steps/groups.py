"""Units of a week → flags by group: segments as they were, and groups of homes that fairness is looked at in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Flags = NDArray[np.bool_]

HOMES: Mapping[str, str] = MappingProxyType(
    {
        "homes in flats": "f.is_flat = 1",
        "most deprived areas": "f.deprivation_decile <= 3",
        "homes that chose Welsh": "f.language = 'cy'",
    }
)
"""Groups by what is known of a home, as SQL over `features AS f`. Deprivation: the three most deprived deciles.
Their names have spaces, which no segment's id has."""


def group_flags(
    connection: duckdb.DuckDBPyConnection, homes: pa.Array, week_no: int, names: Sequence[str] | None = None
) -> dict[str, Flags]:
    """Flags (n,) of `homes` at the end of a week for the groups named, or for every group that has somebody in it.

    A named group without anybody, or that is gone, has no flag set. One home speaks for a unit.
    """
    connection.register("group_homes", pa.table({"row_no": np.arange(len(homes)), "household_id": homes}))
    found = _segments(connection, len(homes), week_no, names)
    wanted = {name: rule for name, rule in HOMES.items() if names is None or name in names}
    if wanted:
        found |= _homes(connection, len(homes), week_no, wanted)
    connection.unregister("group_homes")
    if names is None:
        return {name: flags for name, flags in sorted(found.items()) if flags.any()}
    return {name: found.get(name, np.zeros(len(homes), dtype=bool)) for name in names}


def _segments(
    connection: duckdb.DuckDBPyConnection, n: int, week_no: int, names: Sequence[str] | None
) -> dict[str, Flags]:
    only = "" if names is None else "AND list_contains($names, m.segment)"
    given = {"week": week_no} | ({} if names is None else {"names": list(names)})
    rows = connection.execute(
        "SELECT m.segment, h.row_no FROM membership AS m JOIN group_homes AS h "  # noqa: S608
        f"ON h.household_id = m.household_id WHERE m.week_no = $week {only}",
        given,
    ).to_arrow_table()
    coded = rows["segment"].combine_chunks().dictionary_encode()
    code, row_no = coded.indices.to_numpy(zero_copy_only=False), rows["row_no"].to_numpy()
    inside = np.zeros((len(coded.dictionary), n), dtype=bool)
    inside[code, row_no] = True
    return dict(zip(coded.dictionary.to_pylist(), inside, strict=True))


def _homes(connection: duckdb.DuckDBPyConnection, n: int, week_no: int, rules: Mapping[str, str]) -> dict[str, Flags]:
    columns = ", ".join(f"COALESCE({rule}, FALSE)" for rule in rules.values())
    rows = connection.execute(
        f"SELECT h.row_no, {columns} FROM features AS f JOIN group_homes AS h "  # noqa: S608
        "ON h.household_id = f.household_id WHERE f.week_no = ?",
        [week_no],
    ).to_arrow_table()
    row_no = rows.column(0).to_numpy()
    found = {}
    for index, name in enumerate(rules, start=1):
        found[name] = np.zeros(n, dtype=bool)
        found[name][row_no] = rows.column(index).to_numpy()
    return found
