"""Rows of a table on the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One table row; `mark` is a CSS class."""

    label: str
    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table without its caption."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
