"""Turns the borough's tables into files as councils send them: CSV, Excel and Parquet in the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from nudges.sources.synthetic import WeekFacts
from nudges.weeks import Week

NAMES = ("lifts", "tags", "loads")


def drop_register(inbox: Path, register: dict[str, pa.Table], week: Week) -> None:
    """Households, contacts and calendar, one CSV each."""
    for name, rows in register.items():
        pc.write_csv(rows, inbox / f"{name}_{week}.csv")


def drop_history(inbox: Path, weeks: Sequence[WeekFacts], first: Week) -> None:
    """Many weeks at once, one Parquet file a table."""
    for name in NAMES:
        pq.write_table(
            pa.concat_tables([getattr(facts, name) for facts in weeks]), inbox / f"{name}_from_{first}.parquet"
        )


def drop_week(inbox: Path, facts: WeekFacts, week: Week, *, as_excel: bool = False) -> None:
    """One week: lifts as CSV; tags and loads as CSV too, or together in one Excel workbook."""
    pc.write_csv(facts.lifts, inbox / f"lifts_{week}.csv")
    if not as_excel:
        for name in ("tags", "loads"):
            pc.write_csv(getattr(facts, name), inbox / f"{name}_{week}.csv")
        return
    book = openpyxl.Workbook(write_only=True)
    for name in ("tags", "loads"):
        rows: pa.Table = getattr(facts, name)
        sheet = book.create_sheet(name)
        sheet.append(rows.column_names)
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            sheet.append(row)
    book.save(inbox / f"crew_and_bridge_{week}.xlsx")
