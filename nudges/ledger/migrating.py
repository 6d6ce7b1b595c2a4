"""Turns an empty or older database into the present schema, once, however many processes open it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from nudges.errors import UnsupportedError
from nudges.ledger.database import Database

HEAD = "0004"
_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x6E75_6467  # "nudg": PostgreSQL advisory lock of this product's migrations


def migrate(database: Database) -> None:
    """Bring the tables to `HEAD`; a database that is there already costs one query.

    Raises:
        UnsupportedError: the ledger was written by a newer version.
    """
    with database.reading() as connection:
        if _revision(connection) == HEAD:
            return
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if _revision(connection) != HEAD:
            _upgrade(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(connection: sa.Connection) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    present = _revision(connection)
    try:
        script.get_revisions(present or ())
    except CommandError as problem:
        raise UnsupportedError(
            f"ledger: schema revision == {present!r}, must be one this version knows (newest {HEAD}). "
            "It was written by a newer version: install that one."
        ) from problem
    config.attributes["connection"] = connection
    from alembic import command

    command.upgrade(config, "head")
