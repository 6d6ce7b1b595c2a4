"""How a table is declared: each column once, with type, unit, allowed values and meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Type(StrEnum):
    """Column types; SQL and Arrow names are given by the adapters."""

    TEXT = "text"
    INTEGER = "integer"  # 64 bit
    NUMBER = "number"  # double; NaN never enters a file
    DATE = "date"
    MOMENT = "moment"  # UTC, microseconds
    FLAG = "flag"  # 0 or 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `allowed` closes a text vocabulary; `low`/`high` bound a number, ends included."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    required: bool = False
    key: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""  # full-match regular expression on the cleaned text
    default: str | None = None  # used when a drop has no such column or no value


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `week_from` names the date or moment column whose ISO week a row is stored under."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    week_from: str = ""
    source: str = ""
    identity: tuple[str, ...] = ()  # columns that alone identify a row where the first of them is not empty (a ticket)

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that identify a row: a later drop with the same key replaces it."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")


@dataclass(frozen=True, slots=True)
class Register:
    """Tables by name."""

    tables: Mapping[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Iterable[Table]) -> Register:
        """Build from tables; their names are unique."""
        return cls({table.name: table for table in tables})
