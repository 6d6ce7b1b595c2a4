"""Turn files of many kinds into raw tables: all text, with the row numbers of the file.

The folder is the registry: a module with `matches(path) -> bool` and `read(path) -> Iterator[RawTable]` is a source.
One that reads several files as one adds `parts(path) -> tuple[Path, ...]`, all the files it would read; one whose file
can hold several tables says `HOLDS_SEVERAL = True`.
A row number counts as a spreadsheet does: the header is row 1, the first row of data is row 2.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from nudges.errors import DataError


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line that cannot be split into columns."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """One table as it lies in a file. `rows` is all text, blank is null; `numbers` (int64) has one rising number a row.

    `table` is the declared table the source knows this to be, or empty when only the file's name can say.
    """

    table: str
    rows: pa.Table
    numbers: pa.Array
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One module of this folder."""

    name: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Iterator[RawTable]]
    parts: Callable[[Path], tuple[Path, ...]]
    holds_several: bool


@cache
def sources() -> tuple[Source, ...]:
    """Every source of the folder, in order of name."""
    found = []
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{module_info.name}")
        if hasattr(module, "matches") and hasattr(module, "read"):
            parts = getattr(module, "parts", _only_itself)
            several = getattr(module, "HOLDS_SEVERAL", False)
            found.append(Source(module_info.name, module.matches, module.read, parts, several))
    return tuple(sorted(found, key=lambda source: source.name))


def source_of(path: Path) -> Source:
    """The source that reads `path`: of several, the one that reads most files as one. Raises DataError when unclear."""
    if not path.exists():
        raise DataError(f"{path}: no such file. Check the name.")
    fitting = [source for source in sources() if source.matches(path)]
    most = max((len(source.parts(path)) for source in fitting), default=0)
    fitting = [source for source in fitting if len(source.parts(path)) == most]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(source.name for source in sources())
    if fitting:
        names = " and ".join(source.name for source in fitting)
        raise DataError(f"{path.name}: read by {names}, must be read by one. Give the file a plainer name.")
    raise DataError(f"{path.name}: read by none of {known}. Save it as .csv, .csv.gz, .xlsx or .parquet.")


def _only_itself(path: Path) -> tuple[Path, ...]:
    return (path,)
