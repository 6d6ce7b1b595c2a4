"""What only PostgreSQL does: more than one machine on one ledger."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from nudges.errors import UnsupportedError
from nudges.ledger import Ledger, database
from nudges.weeks import Week

NOW = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def url(new_postgres: Callable[[], str]) -> str:
    return new_postgres()


def cards(count: int, *, backwards: bool = False) -> pa.Table:
    rows = pa.table(
        {
            "campaign": [f"c{number:06d}" for number in range(count)],
            "week_no": [Week.parse("2026-W48").number] * count,
            "policy": ["uniform"] * count,
            "card": ["{}"] * count,
        }
    )
    return rows.sort_by([("campaign", "descending")]) if backwards else rows


def due(count: int) -> pa.Table:
    words = {
        "campaign": "spring", "arm": "a", "medium": "sms", "template": "t", "language": "en", "template_hash": "0",
        "facts": "{}", "content_hash": "1", "state": "approved",
    }  # fmt: skip
    return pa.table(
        {
            "message_id": [f"m{number}" for number in range(count)],
            "household_id": [f"H{number}" for number in range(count)],
            "week_no": [1404] * count,
            "fragments": [1] * count,
            "cost_pence": [3.0] * count,
            "due_at": [NOW] * count,
            "changed_at": [NOW] * count,
            **{name: [word] * count for name, word in words.items()},
        }
    )


def test_a_plain_postgresql_url_is_taken_too(url: str) -> None:
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    Ledger.open(url).append("cards", cards(2))
    assert Ledger.open(plain).select("SELECT campaign FROM cards").num_rows == 2


def test_text_sorts_by_its_bytes_as_on_sqlite(url: str) -> None:
    ledger = Ledger.open(url)
    names = ["a", "B", "_", "A", "é", "z", "~1"]
    ledger.append("cards", cards(7).set_column(0, "campaign", [names]))
    found = ledger.select("SELECT campaign FROM cards ORDER BY campaign")["campaign"].to_pylist()
    assert found == sorted(names, key=str.encode)


def test_a_claim_passes_by_rows_that_another_holds(url: str) -> None:
    ledger = Ledger.open(url)
    ledger.append("messages", due(5))
    with sa.create_engine(url).begin() as other:
        other.execute(sa.text("SELECT 1 FROM messages WHERE message_id IN ('m1', 'm3') FOR UPDATE"))
        rows = ledger.claim(now=NOW, limit=10, media=["sms"], run_id="run")
        assert [row["message_id"] for row in rows] == ["m0", "m2", "m4"]
    assert len(ledger.claim(now=NOW, limit=10, media=["sms"], run_id="run")) == 2


def test_stops_pressed_at_once_are_all_kept(url: str) -> None:
    ledger = Ledger.open(url)
    threads = [
        threading.Thread(target=ledger.stop, args=("all", f"Ann {number}"), kwargs={"now": NOW}) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = ledger.select('SELECT stop_id, "by" FROM stops ORDER BY stop_id')
    assert found["stop_id"].to_pylist() == [f"{number:012d}" for number in range(1, 7)]
    assert len(set(found["by"].to_pylist())) == 6


def _append(url: str, backwards: bool) -> int:
    return Ledger.open(url).append("cards", cards(20_000, backwards=backwards))


def test_appends_of_the_same_rows_never_deadlock(url: str) -> None:
    Ledger.open(url)
    with SPAWN.Pool(2) as pool:
        assert sum(pool.starmap(_append, [(url, False), (url, True)])) == 20_000


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_POSTGRES", ("psycopg", "no_such_driver"))
    with pytest.raises(UnsupportedError, match=r"needs no_such_driver, not installed. Run: pip install 'nudges\[post"):
        Ledger.open("postgresql+psycopg://nobody@localhost/none")
