"""Reads two exports of one city's monthly tonnages by district as one table of districts by months.

The exports drifted apart: districts are numbers in one and '01' in the other, one has a column more, and the months
between them are in neither. An empty organics cell means that the district had no such collection, so nothing was
collected: zero. An empty or absent refuse cell means that nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FILES = ("DSNY_Monthly_Tonnage_Data.csv", "DSNY_Monthly_Tonnage_Data_20251208.csv")
_COLUMNS = {
    "MONTH": "month",
    "BOROUGH": "borough",
    "COMMUNITYDISTRICT": "district",
    "REFUSETONSCOLLECTED": "refuse",
    "RESORGANICSTONS": "organics",
}


@dataclass(frozen=True, slots=True)
class Districts:
    """D districts by M months without a gap in the calendar.

    Attributes:
        names: borough and number.
        boroughs: (D,).
        months: (M,) as year x 12 + month - 1.
        refuse: (D, M) tons, NaN where not known.
        organics: (D, M) tons of residents' organics, 0 where there was no collection, NaN where refuse is not known.
    """

    names: tuple[str, ...]
    boroughs: NDArray[np.str_]
    months: NDArray[np.int64]
    refuse: Floats
    organics: Floats

    def column(self, year: int, month: int) -> int:
        """Position of a month."""
        return int(year * 12 + month - 1 - self.months[0])


def read_districts(folder: Path) -> Districts:
    """Both exports, one row a district and month; raises ValueError when a column is gone or a row comes twice."""
    rows = pd.concat([_one(folder / name) for name in FILES])
    twice = rows.duplicated(["name", "month"]).sum()
    if twice:
        raise ValueError(f"{folder}: {twice} district-months come twice. The exports overlap: read one of them only.")
    names = sorted(rows["name"].unique())
    months = np.arange(rows["month"].min(), rows["month"].max() + 1)

    def matrix(column: str) -> Floats:
        table = rows.pivot_table(index="name", columns="month", values=column, aggfunc="sum", min_count=1)
        return table.reindex(index=names, columns=months).to_numpy(dtype=np.float64)

    refuse, organics = matrix("refuse"), matrix("organics")
    return Districts(
        names=tuple(names),
        boroughs=np.array([name.rsplit(" ", 1)[0] for name in names]),
        months=months,
        refuse=refuse,
        organics=np.where(np.isfinite(refuse), np.nan_to_num(organics, nan=0.0), np.nan),
    )


def _one(path: Path) -> pd.DataFrame:
    raw = pd.read_csv(path, dtype={"COMMUNITYDISTRICT": str})
    gone = sorted(set(_COLUMNS) - set(raw.columns))
    if gone:
        raise ValueError(f"{path}: no column {', '.join(gone)}. It has: {', '.join(raw.columns)}.")
    rows = raw.rename(columns=_COLUMNS)[list(_COLUMNS.values())]
    parts = rows["month"].str.split("/", expand=True).astype(int)
    name = rows["borough"].str.strip() + " " + rows["district"].astype(int).map("{:02d}".format)
    return rows.assign(month=parts[0] * 12 + parts[1] - 1, name=name)
