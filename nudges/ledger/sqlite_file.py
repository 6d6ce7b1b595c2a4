"""Turns a path into one SQLite connection that this process keeps open, and lets ADBC have the file in between."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError

from nudges.errors import UnsupportedError

WAIT_SECONDS = 30.0
"""How long a writer waits for another before it gives up."""

POLL_SECONDS = 0.003

_files: dict[str, SqliteFile] = {}
_files_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """One ledger file as this process shares it: whoever holds `turn` may use the one connection of `engine`."""

    path: Path
    turn: threading.Lock
    engine: sa.Engine

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The path, with no connection of ours open.

        Python's sqlite3 and the ADBC driver each carry a SQLite of their own. POSIX locks belong to the process and
        closing any handle of a file drops them all, so the two must never have the file open at the same time, or a
        commit can be lost (sqlite.org/howtocorrupt.html, 2.2.1).
        """
        with self.turn:
            self.engine.dispose()
            yield str(self.path)


def open_file(name: str) -> SqliteFile:
    """The file of that name, one object per process; its folder is made when missing."""
    if not name or name == ":memory:":
        raise UnsupportedError("ledger: an in-memory database is not shared between processes. Name a file.")
    path = Path(name).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _files_lock:
        if str(path) not in _files:
            _files[str(path)] = SqliteFile(path, threading.Lock(), _engine(path))
        return _files[str(path)]


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=sa.QueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,  # an error message is a log line: no household in it
        connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
    )

    def prepare(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None  # BEGIN comes from reading() and transaction()
        _enable_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        record.info["opened"] = (os.getpid(), _identity(path))

    def check(_connection: sqlite3.Connection, record: Any, proxy: Any) -> None:  # noqa: ANN401
        process, identity = record.info["opened"]
        if process != os.getpid():  # after a fork the connection stays the parent's
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("opened by the parent process")
        if identity != _identity(path):
            raise DisconnectionError("the file was replaced")

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "checkout", check)
    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino)


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; the switch itself ignores busy_timeout, so wait here."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return
