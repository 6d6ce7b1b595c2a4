"""Turns New York's monthly tonnage exports into refuse and organics by community district and month.

Any number of exports are joined. Between them the columns drift: a district is 1 or 01, numbers are quoted or not,
`OTHERORGANICSTONS` comes late, columns are in another order, and a stretch of months (2020-07 to 2021-12) is in none.
Columns are found by name, and those not needed are not read. An empty cell means that there was no programme in the
month, and a district with no row was not recorded: both are missing, NaN, never zero.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nudges.errors import DataError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FULL_FROM = "1993-01"
"""Recording began district by district from 1990 to early 1992, each with part months: refuse before is left out."""

_KEYS = ("MONTH", "BOROUGH", "COMMUNITYDISTRICT")
_REFUSE, _ORGANICS = "REFUSETONSCOLLECTED", "RESORGANICSTONS"
_NEEDED = (*_KEYS, _REFUSE, _ORGANICS)


@dataclass(frozen=True, slots=True)
class Districts:
    """D districts by M months in a row, first export to last.

    Attributes:
        names: (D,) such as "Bronx 01", sorted.
        months: (M,) such as "2022-01".
        refuse: (D, M) tonnes of refuse, NaN where not recorded or recorded before `FULL_FROM`.
        organics: (D, M) tonnes of organics from homes, NaN where there was no programme.
    """

    names: tuple[str, ...]
    months: tuple[str, ...]
    refuse: Floats
    organics: Floats

    def column(self, month: str) -> int:
        """Column of a month such as "2022-01"."""
        return self.months.index(month)

    def scaled(self) -> Floats:
        """(D, M) refuse over the district's own mean: the exports hold no population and no households."""
        return np.asarray(self.refuse / np.nanmean(self.refuse, axis=1, keepdims=True), dtype=np.float64)

    def recorded(self) -> Flags:
        """(M,) months with refuse of every district."""
        return np.asarray(np.isfinite(self.refuse).all(axis=0))


def read() -> Districts:
    """The districts of the exports under the folder named by NUDGES_REAL_DATA."""
    root = os.environ.get("NUDGES_REAL_DATA")
    if not root:
        raise SystemExit("Set NUDGES_REAL_DATA to a folder that holds New York's *Monthly_Tonnage*.csv.")
    return districts(sorted(Path(root).rglob("*Monthly_Tonnage*.csv")))


def districts(files: list[Path]) -> Districts:
    """Join exports.

    Raises:
        DataError: no files, a column is missing, or a district has two rows in a month.
    """
    if not files:
        raise DataError("nyc: no *Monthly_Tonnage*.csv found. Point NUDGES_REAL_DATA at the folder above them.")
    rows = pd.concat([_export(file) for file in files], ignore_index=True)
    twice = rows.duplicated(["name", "month"])
    if twice.any():
        one = rows[twice].iloc[0]
        raise DataError(
            f"nyc: {one['name']} has two rows in {one['month']}. Leave out one of the exports that overlap."
        )
    months = pd.period_range(rows["month"].min(), rows["month"].max(), freq="M").astype(str)
    refuse, organics = (
        rows.pivot_table(index="name", columns="month", values=value, dropna=False).reindex(columns=months)
        for value in (_REFUSE, _ORGANICS)
    )
    kept = np.where(np.asarray(months) >= FULL_FROM, refuse.to_numpy(np.float64), np.nan)
    return Districts(tuple(refuse.index), tuple(months), kept, organics.reindex(refuse.index).to_numpy(np.float64))


def _export(file: Path) -> pd.DataFrame:
    """name, month, refuse and organics of one export."""
    raw = pd.read_csv(file, dtype=str)
    missing = [column for column in _NEEDED if column not in raw.columns]
    if missing:
        raise DataError(f"nyc: {file.name} has no column {', '.join(missing)}. Export it again with these columns.")
    district = raw["COMMUNITYDISTRICT"].astype(int).astype(str).str.zfill(2)
    return pd.DataFrame(
        {
            "name": raw["BOROUGH"].str.strip() + " " + district,
            "month": raw["MONTH"].str.replace(r"\s*/\s*", "-", regex=True).str.strip(),
            _REFUSE: pd.to_numeric(raw[_REFUSE]),
            _ORGANICS: pd.to_numeric(raw[_ORGANICS]),
        }
    )
