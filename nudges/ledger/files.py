"""Turns written Parquet files into the register that says which of them readers may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Protocol

import sqlalchemy as sa

from nudges.ledger.database import Database
from nudges.ledger.rows import aware, insert_missing
from nudges.ledger.schema import TABLES
from nudges.weeks import Week

_DROPS = TABLES["drops"]
_FILES = TABLES["files"]


class Written(Protocol):
    """A file the warehouse has written and synced to disk."""

    @property
    def path(self) -> str:
        """Path below the warehouse."""

    @property
    def table(self) -> str:
        """Table it holds rows of."""

    @property
    def week(self) -> Week:
        """Partition it is in."""

    @property
    def rows(self) -> int:
        """How many."""


@dataclass(frozen=True, slots=True)
class Drop:
    """One file that was loaded, by content."""

    drop_id: str
    table_name: str
    file_name: str
    accepted: int
    replaced: int
    quarantined: int
    loaded_at: datetime


class FileRegister:
    """Drops, and the files that are live."""

    _db: Database

    def drop(self, drop_id: str) -> Drop | None:
        """The drop of this content, when it was loaded before."""
        with self._db.reading() as connection:
            row = connection.execute(sa.select(_DROPS).where(_DROPS.c.drop_id == drop_id)).mappings().first()
        return None if row is None else Drop(**row)

    def register_drop(self, drop: Mapping[str, Any], added: Sequence[Written], retired: Sequence[str]) -> None:
        """Make a drop's files live and retire what they correct, in one transaction; a repeat changes nothing."""
        loaded_at = aware(drop["loaded_at"])
        with self._db.writing() as connection:
            if not insert_missing(connection, _DROPS, [{**drop, "loaded_at": loaded_at}]):
                return
            _retire(connection, [path for path in retired if path not in _paths(added)], drop["drop_id"])
            _enliven(connection, added, drop["drop_id"], loaded_at)

    def replace_files(
        self,
        table: str,
        week: Week,
        added: Sequence[Written],
        *,
        drop_id: str,
        now: datetime | None = None,
        prefix: str = "",
    ) -> list[str]:
        """Make these the only live files of a derived table and week; returns the paths that were retired.

        With `prefix` only files whose name starts with it are replaced (`audience` has one file a campaign).
        `written_at` is the database's own time when `now` is not given.
        """
        with self._db.writing() as connection:
            live = connection.execute(
                sa.select(_FILES.c.path).where(
                    _FILES.c.table_name == table, _FILES.c.week_no == week.number, _FILES.c.is_live == 1
                )
            ).scalars()
            kept = _paths(added)
            gone = [path for path in live if path not in kept and PurePosixPath(path).name.startswith(prefix)]
            _retire(connection, gone, drop_id)
            _enliven(connection, added, drop_id, now or self._db.clock(connection))
        return gone

    def live_files(self, *, upto: Week | None = None, tables: Sequence[str] | None = None) -> dict[str, list[str]]:
        """Live paths by table in path order, of partitions up to and including `upto`."""
        query = sa.select(_FILES.c.table_name, _FILES.c.path).where(_FILES.c.is_live == 1)
        if upto is not None:
            query = query.where(_FILES.c.week_no <= upto.number)
        if tables is not None:
            query = query.where(_FILES.c.table_name.in_(list(tables)))
        found: dict[str, list[str]] = {}
        with self._db.reading() as connection:
            for table, path in connection.execute(query.order_by(_FILES.c.table_name, _FILES.c.path)):
                found.setdefault(table, []).append(path)
        return found


def _paths(added: Sequence[Written]) -> set[str]:
    return {file.path for file in added}


def _retire(connection: sa.Connection, paths: Sequence[str], replaced_by: str) -> None:
    if paths:
        connection.execute(
            sa.update(_FILES)
            .where(_FILES.c.path == sa.bindparam("gone"), _FILES.c.is_live == 1)
            .values(is_live=0, replaced_by=replaced_by),
            [{"gone": path} for path in paths],
        )


def _enliven(connection: sa.Connection, added: Sequence[Written], drop_id: str, written_at: Any) -> None:  # noqa: ANN401
    """A path that is registered already (same content, so same name) becomes live again."""
    rows = [
        {
            "path": file.path,
            "table_name": file.table,
            "week_no": file.week.number,
            "drop_id": drop_id,
            "row_count": file.rows,
            "is_live": 1,
            "written_at": written_at,
        }
        for file in added
    ]
    insert_missing(connection, _FILES, rows)
    if rows:
        connection.execute(
            sa.update(_FILES)
            .where(_FILES.c.path == sa.bindparam("again"), _FILES.c.is_live == 0)
            .values(is_live=1, replaced_by=None, drop_id=drop_id, row_count=sa.bindparam("rows")),
            [{"again": file.path, "rows": file.rows} for file in added],
        )
