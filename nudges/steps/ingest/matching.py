"""Turn a file's name and columns into a plan: which declared table, and which column of the file feeds which of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from nudges.domain import ColumnRule, IngestRule
from nudges.errors import ConfigError, DataError
from nudges.tables import FACTS, Column, Table

_LOADABLE = {table.name: table for table in FACTS}
_HASHED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a declared column's text comes from: column number `index` of the file, or nowhere."""

    column: Column
    index: int | None
    rule: ColumnRule


@dataclass(frozen=True, slots=True)
class Plan:
    """A table's columns, each with its feed; `ignored` are columns of the file that nothing reads."""

    table: Table
    feeds: tuple[Feed, ...]
    ignored: tuple[str, ...]


def rule_for(file_name: str, table: str, rules: Sequence[IngestRule]) -> IngestRule:
    """The rule of a file: the first that matches its name, else its name begins with that of a table.

    `table` is what the source knows the table to be, or empty. Raises DataError when nothing says which table it is.
    """
    for rule in rules:
        if fnmatchcase(file_name.lower(), rule.match.lower()) and table in ("", rule.table):
            return rule
    found = table or _named_in(file_name)
    if found in _LOADABLE:
        return IngestRule(match=file_name, table=found, columns={})
    raise DataError(
        f"{file_name}: which table is it? The name must begin with one of {', '.join(_LOADABLE)}. "
        "Rename it, or add an [[ingest]] rule to council.toml."
    )


def plan_for(file_name: str, rule: IngestRule, names: Sequence[str]) -> Plan:
    """Match the columns of a file to those of its table.

    Raises DataError when a column the rule names, or one that every row must have, is not in the file.
    """
    table = _LOADABLE.get(rule.table)
    if table is None:
        raise ConfigError(f"council.toml: ingest.table == {rule.table!r}, must be one of {', '.join(_LOADABLE)}.")
    unknown = sorted(set(rule.columns) - set(table.names))
    if unknown:
        raise ConfigError(
            f"council.toml: ingest.columns.{unknown[0]}, must be a column of {table.name}: {', '.join(table.names)}."
        )
    feeds = tuple(_feed(file_name, column, rule, names) for column in table.columns)
    used = {feed.index for feed in feeds}
    return Plan(table, feeds, tuple(name for index, name in enumerate(names) if index not in used))


def drop_id(content: str, rule: IngestRule) -> str:
    """Identity of a drop: its content, the table it goes to and how its columns are read."""
    mapping = {
        name: [column.column, column.times, sorted(column.values.items())] for name, column in rule.columns.items()
    }
    return sha256(json.dumps([content, rule.table, mapping], sort_keys=True).encode()).hexdigest()


def content_hash(parts: Sequence[Path]) -> str:
    """sha256 over the files, whatever they are called."""
    digest = sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(_HASHED_AT_ONCE):
                digest.update(block)
        digest.update(b"\0")
    return digest.hexdigest()


def _named_in(file_name: str) -> str:
    stem = file_name.lower()
    fitting = [name for name in _LOADABLE if re.match(rf"{name}(?![a-z])", stem)]
    return max(fitting, key=len, default="")


def _feed(file_name: str, column: Column, rule: IngestRule, names: Sequence[str]) -> Feed:
    mapped = rule.columns.get(column.name)
    if mapped is None:
        index = _find(column.name, names)
        if index is None and column.required and column.default is None and not column.name == "known_on":
            raise DataError(
                f"{file_name}: no column {column.name}; it has {', '.join(names)}. "
                f"Say in council.toml which of them is {column.name}."
            )
        return Feed(column, index, ColumnRule(column.name))
    index = _find(mapped.column, names)
    if index is None:
        raise DataError(
            f"{file_name}: no column {mapped.column!r}, which council.toml reads as {column.name}; "
            f"it has {', '.join(names)}. Correct the file or the [[ingest]] rule."
        )
    return Feed(column, index, mapped)


def _find(name: str, names: Sequence[str]) -> int | None:
    """The column so called, else the one column so called but for case, blanks and dashes."""
    if name in names:
        return list(names).index(name)
    like = [index for index, other in enumerate(names) if _plain(other) == _plain(name)]
    return like[0] if len(like) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
