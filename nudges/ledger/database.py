"""Turns a database URL into short transactions that two processes can make at the same time."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from nudges.errors import ConfigError, UnsupportedError
from nudges.ledger.sqlite_file import POLL_SECONDS, WAIT_SECONDS, open_file

_POSTGRES = ("psycopg", "adbc_driver_postgresql")


class Database:
    """Connections to one ledger."""

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as problem:
            raise ConfigError("ledger: the database URL cannot be read. Write sqlite:////path/ledger.db.") from problem
        self.dialect = parsed.get_backend_name()
        if self.dialect == "sqlite":
            self.file = open_file(parsed.database or "")
            self.engine = self.file.engine
        elif self.dialect == "postgresql":
            _require_postgres()
            parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = sa.create_engine(parsed, pool_size=4, pool_pre_ping=True, hide_parameters=True)
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
    def connected(self) -> Iterator[sa.Connection]:
        """A connection outside any transaction."""
        if self.is_sqlite:
            with self.file.turn, self.engine.connect() as connection:
                yield connection
        else:
            with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the ledger."""
        with self.connected() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end of the block or rolled back on an error."""
        with self.connected() as connection, self.transaction(connection):
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
                time.sleep(POLL_SECONDS)
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(WAIT_SECONDS * 1000)}")


def _require_postgres() -> None:
    missing = [name for name in _POSTGRES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            f"ledger: PostgreSQL needs {', '.join(missing)}, not installed. Run: pip install 'nudges[postgres]'."
        )
