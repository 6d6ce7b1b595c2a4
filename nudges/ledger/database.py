"""Turns a database URL into short transactions that two processes can make at the same time."""

from __future__ import annotations

import importlib.util
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from nudges.errors import ConfigError, UnsupportedError

WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.003
_POSTGRES = ("psycopg", "adbc_driver_postgresql")

# Python's sqlite3 and the ADBC driver each carry their own SQLite. POSIX file locks belong to the process, and closing
# any handle on a file drops them all, so two SQLites in one process must never have the same file open at once
# (sqlite.org/howtocorrupt.html, 2.2.1). One turn per file: whoever holds it opens, works and closes.
_turns: dict[str, threading.Lock] = {}
_turns_lock = threading.Lock()


class Database:
    """Connections to one ledger. No connection outlives its `with` block on SQLite."""

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as problem:
            raise ConfigError("ledger: the database URL cannot be read. Write sqlite:////path/ledger.db.") from problem
        self.dialect = parsed.get_backend_name()
        if self.dialect == "sqlite":
            self.path = _sqlite_path(parsed)
            with _turns_lock:
                self._turn = _turns.setdefault(str(self.path), threading.Lock())
            self.engine = _sqlite_engine(self.path)
        elif self.dialect == "postgresql":
            _require_postgres()
            parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = sa.create_engine(parsed, pool_size=4, pool_pre_ping=True)
        else:
            raise UnsupportedError(f"ledger: database == {self.dialect!r}, must be sqlite or postgresql.")
        self._url = parsed

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the one-file database."""
        return self.dialect == "sqlite"

    @property
    def libpq_url(self) -> str:
        """The PostgreSQL URL as its own C library reads it. Holds the password: never log it."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the two SQLites of this process off the file at the same time; nothing on PostgreSQL."""
        if not self.is_sqlite:
            yield
            return
        with self._turn:
            yield

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the ledger."""
        with self.turn(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end of the block or rolled back on an error."""
        with self.turn(), self.engine.connect() as connection, self.transaction(connection):
            yield connection

    @contextmanager
    def transaction(self, connection: sa.Connection) -> Iterator[None]:
        """One of several transactions on an open connection."""
        self._begin_write(connection)
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def clock(self, connection: sa.Connection) -> datetime:
        """The database's own time, for the few columns that only say when a row was written."""
        sql = "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')" if self.is_sqlite else "SELECT timezone('utc', now())"
        told = connection.exec_driver_sql(sql).scalar_one()
        return (datetime.fromisoformat(told) if isinstance(told, str) else told).replace(tzinfo=UTC)

    def _begin_write(self, connection: sa.Connection) -> None:
        """Take SQLite's write lock before the first read, polling closely: a stop must slip between bulk chunks."""
        if not self.is_sqlite:
            return
        deadline = time.monotonic() + WAIT_SECONDS
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                break
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(WAIT_SECONDS * 1000)}")


def _sqlite_path(url: sa.URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise UnsupportedError("ledger: an in-memory database is not shared between processes. Name a file.")
    path = Path(url.database).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=sa.NullPool,
        connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
    )

    def prepare(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None  # SQLAlchemy's BEGIN comes from reading() and writing()
        _enable_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")

    sa.event.listen(engine, "connect", prepare)
    return engine


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; the switch itself ignores busy_timeout, so wait here."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _require_postgres() -> None:
    missing = [name for name in _POSTGRES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            f"ledger: PostgreSQL needs {', '.join(missing)}, not installed. Run: pip install 'nudges[postgres]'."
        )
