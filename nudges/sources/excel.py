"""Turn an Excel workbook (.xlsx) into raw tables: each sheet named like a table, else the first sheet.

Cells become text as a person would write them: dates in ISO form, whole numbers without a decimal point.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
from openpyxl.utils.exceptions import InvalidFileException

from nudges.errors import DataError
from nudges.sources import RawTable, Rejected
from nudges.tables import TABLES

HOLDS_SEVERAL = True


def matches(path: Path) -> bool:
    """Whether the name says Excel workbook (not its lock file)."""
    return path.is_file() and path.suffix.lower() == ".xlsx" and not path.name.startswith("~$")


def read(path: Path) -> Iterator[RawTable]:
    """Read the sheets; raises DataError when the file is no workbook or a sheet has no header."""
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError) as error:
        raise DataError(f"{path.name}: not an Excel workbook. Save it as .xlsx again.") from error
    try:
        known = {name: name.strip().lower() for name in book.sheetnames if name.strip().lower() in TABLES.tables}
        for sheet in known or {book.sheetnames[0]: ""}:
            yield _raw_table(
                f"{path.name}, sheet {sheet}", known.get(sheet, ""), book[sheet].iter_rows(values_only=True)
            )
    finally:
        book.close()


def _raw_table(where: str, table: str, rows: Iterable[Sequence[Any]]) -> RawTable:
    lines = iter(rows)
    names = _header(where, next(lines, ()))
    good: list[list[str | None]] = []
    numbers: list[int] = []
    rejected: list[Rejected] = []
    for number, cells in enumerate(lines, start=2):
        values = [_cell_text(cell) for cell in cells]
        if any(values[len(names) :]):
            text = ",".join(value or "" for value in values)
            rejected.append(Rejected(number, text, f"a value beyond the last named column, {names[-1]}"))
        elif any(values):
            good.append((values + [None] * len(names))[: len(names)])
            numbers.append(number)
    columns = {name: pa.array([row[at] for row in good], pa.string()) for at, name in enumerate(names)}
    return RawTable(table, pa.table(columns), pa.array(numbers, pa.int64()), tuple(rejected))


def _header(where: str, cells: Sequence[Any]) -> list[str]:
    names = [_cell_text(cell) or "" for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{where}: row 1 is empty, must be a header with column names. Add one.")
    twice = [name for name in names if names.count(name) > 1 or not name]
    if twice:
        raise DataError(f"{where}: column name {twice[0]!r}, must be there once. Rename a column.")
    return names


def _cell_text(cell: object) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time.min else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip() or None
