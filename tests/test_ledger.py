"""The ledger on SQLite and on PostgreSQL: the same rows, the same answers, whatever two processes do at once."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudges.domain import Event, EventKind, MessageState, Receipt, ReceiptStatus
from nudges.errors import ConfigError, DataError, UnsupportedError
from nudges.ledger import Ledger, address_hash, masked
from nudges.ledger.schema import METADATA
from nudges.tables import LEDGER
from nudges.weeks import Week

WEEK = Week.parse("2026-W48")  # Monday 23 November
NOW = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)  # Tuesday of the week after
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/ledger.db"
    return request.getfixturevalue("new_postgres")()


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blank") / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


def copy_of(blank: Path, folder: Path) -> Ledger:
    shutil.copy(blank, folder / "ledger.db")
    return Ledger.open(f"sqlite:///{folder}/ledger.db")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()


def assignments(count: int, *, week: Week = WEEK, campaign: str = "spring") -> pa.Table:
    households = [f"H{number:06d}" for number in range(count)]
    return pa.table(
        {
            "campaign": [campaign] * count,
            "week_no": [week.number] * count,
            "household_id": households,
            "unit_id": households,
            "lane": ["learn"] * count,
            "arm": ["norm_sms"] * count,
            "policy_arm": ["*"] * count,
            "draw": np.linspace(0, 0.999, count),
            "propensity": [0.5] * count,
            "is_contactable": [1] * count,
            "first_week_no": [week.number] * count,
        }
    )


def messages(count: int, *, state: str = "approved", campaign: str = "spring", medium: str = "sms") -> pa.Table:
    constant = {
        "campaign": campaign,
        "week_no": WEEK.number,
        "arm": "norm_sms",
        "medium": medium,
        "template": "norm",
        "language": "en",
        "template_hash": "0" * 16,
        "facts": '{"street": "Elm Road"}',
        "content_hash": "1" * 16,
        "fragments": 1,
        "cost_pence": 3.2,
        "due_at": NOW,
        "state": state,
        "changed_at": NOW - timedelta(hours=3),
    }
    return pa.table(
        {
            "message_id": [f"{campaign[0]}{medium[0]}{number:06d}" for number in range(count)],
            "household_id": [f"H{number:06d}" for number in range(count)],
            **{name: [value] * count for name, value in constant.items()},
        }
    )


def states(ledger: Ledger) -> dict[str, str]:
    found = ledger.select("SELECT message_id, state FROM messages ORDER BY message_id")
    return dict(zip(found["message_id"].to_pylist(), found["state"].to_pylist(), strict=True))


def accepted(rows: Sequence[dict[str, Any]]) -> list[Receipt]:
    return [Receipt(row["message_id"], ReceiptStatus.ACCEPTED, provider_id=f"p-{row['message_id']}") for row in rows]


def claim(ledger: Ledger, *, now: datetime = NOW, limit: int = 100) -> list[dict[str, Any]]:
    return ledger.claim(now=now, limit=limit, media=["sms"], run_id="run")


def event(name: str, kind: EventKind, message_id: str = "ss000000", **more: Any) -> Event:
    return Event(name, kind, more.pop("occurred_at", NOW), message_id=message_id, **more)


# --- opening and migrating ---------------------------------------------------------------


def test_models_equal_migrations(ledger: Ledger) -> None:
    with ledger._db.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        inspector = sa.inspect(connection)
        for table in LEDGER:
            found = {index["name"] for index in inspector.get_indexes(table.name)}
            assert found == {index.name for index in METADATA.tables[table.name].indexes}


def test_opening_again_keeps_rows(ledger: Ledger, url: str) -> None:
    ledger.append("assignments", assignments(3))
    assert Ledger.open(url).select("SELECT COUNT(*) AS n FROM assignments")["n"].to_pylist() == [3]


def test_a_newer_ledger_is_refused(ledger: Ledger, url: str) -> None:
    with ledger._db.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnsupportedError, match=r"'9999'.*newer version"):
        Ledger.open(url)


def _open(url: str) -> int:
    Ledger.open(url).record("runs", run_id=f"{time.time_ns()}", week_no=1, step="x", state="done", started_at=NOW)
    return 1


def test_processes_that_open_a_new_ledger_at_once(url: str) -> None:
    with SPAWN.Pool(2) as pool:
        assert pool.map(_open, [url] * 2, chunksize=1) == [1, 1]


@pytest.mark.parametrize(
    ("url", "error", "match"),
    [
        ("mysql://x/y", UnsupportedError, "'mysql', must be sqlite or postgresql"),
        ("sqlite://", UnsupportedError, "in-memory"),
        ("nonsense", ConfigError, "cannot be read"),
    ],
)
def test_urls_it_does_not_take(url: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Ledger.open(url)


# --- bulk --------------------------------------------------------------------------------


def test_append_is_idempotent_by_key(ledger: Ledger) -> None:
    assert ledger.append("assignments", assignments(1000)) == 1000
    assert ledger.append("assignments", assignments(1000)) == 0
    assert ledger.append("assignments", assignments(1500)) == 500
    assert ledger.append("assignments", assignments(1000, week=WEEK + 1)) == 1000
    twice = pa.concat_tables([assignments(3, campaign="other")] * 2)
    assert ledger.append("assignments", twice) == 3
    assert ledger.append("assignments", assignments(0)) == 0


def test_append_and_select_round_trip(ledger: Ledger) -> None:
    rows = assignments(50)
    ledger.append("assignments", rows)
    found = ledger.select(
        "SELECT * FROM assignments WHERE campaign = :campaign ORDER BY household_id", campaign="spring"
    )
    assert found.equals(rows.cast(found.schema))


def test_moments_come_back_as_utc(ledger: Ledger) -> None:
    summer = timezone(timedelta(hours=1))
    rows = messages(1).set_column(
        messages(1).schema.get_field_index("due_at"),
        "due_at",
        pa.array([datetime(2026, 7, 1, 19, 0, 0, 7, tzinfo=summer)], pa.timestamp("us", "Europe/London")),
    )
    ledger.append("messages", rows)
    found = ledger.select("SELECT due_at, provider, MAX(due_at) AS last_at FROM messages GROUP BY due_at, provider")
    assert [field.type for field in found.schema] == [pa.timestamp("us"), pa.string(), pa.timestamp("us")]
    assert found["due_at"].to_pylist() == found["last_at"].to_pylist() == [datetime(2026, 7, 1, 18, 0, 0, 7)]
    query = "SELECT message_id FROM messages WHERE due_at <= :now"
    assert ledger.select(query, now=datetime(2026, 7, 1, 19, 0, 0, 7, tzinfo=summer)).num_rows == 1
    assert ledger.select(query, now=datetime(2026, 7, 1, 18, 0, 0, 6, tzinfo=UTC)).num_rows == 0


def test_results_have_one_type_on_both_databases(ledger: Ledger) -> None:
    ledger.append("assignments", assignments(4))
    found = ledger.select(
        "SELECT COUNT(*) AS n, SUM(week_no) AS weeks, AVG(draw) AS mean, SUM(is_contactable) AS contactable, "
        "MAX(household_id) AS household_id FROM assignments"
    )
    assert [field.type for field in found.schema] == [pa.int64(), pa.int64(), pa.float64(), pa.int64(), pa.string()]
    assert found.to_pylist()[0]["weeks"] == 4 * WEEK.number
    empty = ledger.select("SELECT household_id, draw, week_no FROM assignments WHERE arm = :arm", arm="none")
    assert empty.num_rows == 0
    assert [field.type for field in empty.schema] == [pa.string(), pa.float64(), pa.int64()]


def test_a_column_that_is_empty_for_its_first_thousands_of_rows(ledger: Ledger) -> None:
    rows = messages(5000)
    reasons = pa.array([None] * 4999 + ["late"], pa.string())
    ledger.append("messages", rows.append_column("state_reason", reasons))
    found = ledger.select("SELECT state_reason FROM messages ORDER BY message_id")
    assert found["state_reason"].to_pylist() == reasons.to_pylist()


def test_select_takes_lists_and_cannot_write(ledger: Ledger) -> None:
    ledger.append("assignments", assignments(10))
    query = "SELECT household_id FROM assignments WHERE household_id IN :ids AND week_no = :week ORDER BY 1"
    found = ledger.select(query, ids=["H000003", "H000001", "'; DROP TABLE messages --"], week=WEEK.number)
    assert found["household_id"].to_pylist() == ["H000001", "H000003"]
    assert ledger.select(query, ids=[], week=WEEK.number).num_rows == 0
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        ledger.select("DELETE FROM assignments")
    assert ledger.select("SELECT COUNT(*) AS n FROM assignments")["n"].to_pylist() == [10]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows.append_column("colour", [["red"] * 2]), "column == 'colour', must be one of campaign"),
        (lambda rows: rows.drop_columns(["unit_id"]), "unit_id: 2 rows have no value"),
        (lambda rows: rows.set_column(7, "draw", [[float("nan"), 0.1]]), "draw: 1 rows have no value"),
        (lambda rows: rows.set_column(4, "lane", [["learn", "fast"]]), "lane == 'fast', must be one of holdout"),
        (lambda rows: rows.set_column(1, "week_no", [["a", "b"]]), "week_no: must be integer"),
    ],
)
def test_append_refuses_what_is_not_declared(
    ledger: Ledger, change: Callable[[pa.Table], pa.Table], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        ledger.append("assignments", change(assignments(2)))
    assert ledger.select("SELECT COUNT(*) AS n FROM assignments")["n"].to_pylist() == [0]


def test_append_refuses_an_unknown_table(ledger: Ledger) -> None:
    with pytest.raises(DataError, match="'lifts', must be one of choices"):
        ledger.append("lifts", assignments(1))


def test_record_and_replace(ledger: Ledger) -> None:
    card = {"campaign": "spring", "week_no": WEEK.number, "policy": "uniform", "card": "{}"}
    ledger.record("cards", **card)
    ledger.record("cards", **{**card, "policy": "none"})
    assert ledger.select("SELECT policy FROM cards")["policy"].to_pylist() == ["uniform"]
    better = pa.table({name: [value] for name, value in {**card, "policy": "arm:norm_sms"}.items()})
    assert ledger.replace("cards", better, campaign="spring", week_no=WEEK.number) == 1
    assert ledger.select("SELECT policy FROM cards")["policy"].to_pylist() == ["arm:norm_sms"]
    with pytest.raises(DataError, match="column == 'colour'"):
        ledger.record("cards", **card, colour="red")
    with pytest.raises(DataError, match="policy: has no value"):
        ledger.record("cards", campaign="x", week_no=1, card="{}")


# --- files -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    path: str
    table: str = "lifts"
    week: Week = WEEK
    rows: int = 10


def drop_row(drop_id: str) -> dict[str, object]:
    counts = {"accepted": 10, "replaced": 0, "quarantined": 1}
    return {"drop_id": drop_id, "table_name": "lifts", "file_name": "lifts.csv", "loaded_at": NOW, **counts}


def test_a_drop_and_its_files_come_and_go_together(ledger: Ledger) -> None:
    assert ledger.drop("d1") is None
    ledger.register_drop(drop_row("d1"), [Written("a"), Written("b", week=WEEK + 1)], [])
    found = ledger.drop("d1")
    assert found is not None
    assert (found.accepted, found.quarantined, found.loaded_at) == (10, 1, NOW)
    ledger.register_drop(drop_row("d2"), [Written("c")], ["a"])
    assert ledger.live_files() == {"lifts": ["b", "c"]}
    assert ledger.live_files(upto=WEEK) == {"lifts": ["c"]}
    assert ledger.live_files(tables=["tags"]) == {}
    kept = ledger.select("SELECT is_live, replaced_by FROM files WHERE path = 'a'").to_pylist()
    assert kept == [{"is_live": 0, "replaced_by": "d2"}]
    ledger.register_drop(drop_row("d1"), [Written("a")], ["c"])  # a repeat of old content brings nothing back
    assert ledger.live_files() == {"lifts": ["b", "c"]}


def test_a_failed_registration_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(DataError):
        ledger.register_drop(drop_row("d1"), [Written("a"), Written(None)], [])  # type: ignore[arg-type]
    assert ledger.drop("d1") is None
    assert ledger.live_files() == {}


def test_replacing_derived_files(ledger: Ledger) -> None:
    first = [Written("audience/week=2026-W48/spring-1.parquet", "audience")]
    other = [Written("audience/week=2026-W48/norms-1.parquet", "audience")]
    again = [Written("audience/week=2026-W48/spring-2.parquet", "audience")]
    assert ledger.replace_files("audience", WEEK, first, drop_id="choose", prefix="spring-") == []
    assert ledger.replace_files("audience", WEEK, other, drop_id="choose", prefix="norms-", now=NOW) == []
    assert ledger.replace_files("audience", WEEK, again, drop_id="choose", prefix="spring-") == [first[0].path]
    assert ledger.replace_files("audience", WEEK, again, drop_id="choose", prefix="spring-") == []
    assert ledger.live_files() == {"audience": [other[0].path, again[0].path]}
    assert ledger.replace_files("audience", WEEK, first, drop_id="choose") == [other[0].path, again[0].path]
    assert ledger.live_files() == {"audience": [first[0].path]}
    assert ledger.select("SELECT written_at FROM files")["written_at"].null_count == 0


# --- messages ----------------------------------------------------------------------------


def test_claim_writes_an_attempt_before_it_returns(ledger: Ledger) -> None:
    ledger.append("messages", messages(5))
    ledger.append("messages", messages(3, campaign="planned", state="planned"))
    ledger.append("messages", messages(3, medium="email"))
    assert claim(ledger, now=NOW - timedelta(seconds=1)) == []
    rows = claim(ledger, limit=2)
    assert [row["message_id"] for row in rows] == sorted(row["message_id"] for row in rows)
    assert {row["state"] for row in rows} == {"claimed"}
    assert rows[0]["due_at"] == NOW
    attempts = ledger.select("SELECT attempt_id, message_id, run_id, finished_at, status FROM attempts").to_pylist()
    assert {row["message_id"] for row in attempts} == {row["message_id"] for row in rows}
    assert {(row["run_id"], row["finished_at"], row["status"]) for row in attempts} == {("run", None, None)}
    assert len(claim(ledger)) == 3
    assert claim(ledger) == []


def test_the_longest_due_goes_first(ledger: Ledger) -> None:
    rows = messages(6)
    due = [NOW - timedelta(minutes=minutes) for minutes in (3, 9, 1, 7, 5, 0)]
    ledger.append("messages", rows.set_column(rows.schema.get_field_index("due_at"), "due_at", pa.array(due)))
    assert [row["household_id"] for row in claim(ledger, limit=3)] == ["H000001", "H000003", "H000004"]


def test_settle_moves_each_message_once(ledger: Ledger) -> None:
    ledger.append("messages", messages(4))
    claim(ledger)
    receipts = [
        Receipt("ss000000", ReceiptStatus.ACCEPTED, provider_id="SM1"),
        Receipt("ss000001", ReceiptStatus.REFUSED, code="21211", detail="no such number +447700900123"),
        Receipt("ss000002", ReceiptStatus.RETRY, code="429"),
        Receipt("ss000003", ReceiptStatus.IN_DOUBT, code="timeout"),
    ]
    ledger.settle(receipts, now=NOW, provider="twilio")
    expected = {"ss000000": "accepted", "ss000001": "refused", "ss000002": "retry", "ss000003": "in_doubt"}
    assert states(ledger) == expected
    late = [Receipt(message_id, ReceiptStatus.IN_DOUBT) for message_id in expected]
    ledger.settle(late, now=NOW, provider="twilio")
    ledger.settle([Receipt("ss000000", ReceiptStatus.REFUSED)], now=NOW, provider="twilio")
    assert states(ledger) == expected
    refused = ledger.select(
        "SELECT a.detail, a.code, m.state_reason FROM attempts a JOIN messages m "
        "ON m.message_id = a.message_id WHERE a.message_id = 'ss000001'"
    ).to_pylist()
    assert refused == [{"detail": "no such number [contact]", "code": "21211", "state_reason": "21211"}]
    ledger.settle([Receipt("ss000003", ReceiptStatus.ACCEPTED, provider_id="SM4")], now=NOW, provider="twilio")
    assert states(ledger)["ss000003"] == "accepted"


def test_a_retry_is_claimed_again_with_a_new_attempt(ledger: Ledger) -> None:
    ledger.append("messages", messages(1))
    for number in (1, 2):
        (row,) = claim(ledger)
        assert row["attempt_id"] == f"ss000000.{number}"
        ledger.settle([Receipt("ss000000", ReceiptStatus.RETRY, code="429")], now=NOW, provider="twilio")
    claim(ledger)
    ledger.settle(accepted([row]), now=NOW, provider="twilio")
    assert claim(ledger) == []
    said = ledger.select("SELECT status FROM attempts ORDER BY attempt_id")["status"].to_pylist()
    assert said == ["retry", "retry", "accepted"]


def test_stops_hold_back_claims(ledger: Ledger) -> None:
    ledger.append("messages", messages(2))
    ledger.append("messages", messages(2, campaign="norms"))
    ledger.stop("spring", "Ann", "complaints", now=NOW)
    assert (ledger.stopped(), ledger.stopped("spring"), ledger.stopped("norms")) == (False, True, False)
    assert {row["campaign"] for row in claim(ledger, limit=1)} == {"norms"}
    ledger.stop("all", "Ann", now=NOW)
    assert (ledger.stopped(), ledger.stopped("norms")) == (True, True)
    assert claim(ledger) == []
    ledger.resume("all", "Ann", now=NOW)
    ledger.resume("spring", "Ann", now=NOW - timedelta(days=9))  # a wrong clock: the last turn still counts
    assert (ledger.stopped(), ledger.stopped("spring")) == (False, False)
    assert len(claim(ledger)) == 3


def test_set_state_only_from(ledger: Ledger) -> None:
    ledger.append("messages", messages(3, state="planned"))
    ids = list(states(ledger))
    change = {"reason": "over cap", "now": NOW, "only_from": [MessageState.PLANNED]}
    assert ledger.set_state(ids[:1], MessageState.DROPPED, **change) == 1
    assert ledger.set_state(ids[:1], MessageState.DROPPED, **change) == 0
    approve = {"reason": "", "now": NOW, "only_from": [MessageState.PLANNED]}
    assert ledger.set_campaign_state("spring", WEEK, MessageState.APPROVED, **approve) == 2
    assert ledger.set_campaign_state("spring", WEEK + 1, MessageState.APPROVED, **approve) == 0
    assert sorted(states(ledger).values()) == ["approved", "approved", "dropped"]


@pytest.mark.parametrize("known", list(MessageState))
@pytest.mark.parametrize("state", list(MessageState))
def test_states_only_move_forward(known: MessageState, state: MessageState, tmp_path: Path, blank: Path) -> None:
    ledger = copy_of(blank, tmp_path)
    ledger.append("messages", messages(1, state=known))
    order = list(MessageState)
    may_go_back = {("claimed", "retry"), ("in_doubt", "retry"), ("approved", "planned")}
    final = known in {"dropped", "refused", "accepted"}
    change = {"reason": "", "now": NOW, "only_from": [known]}
    if (known, state) in may_go_back or (not final and order.index(known) <= order.index(state)):
        assert ledger.set_state(["ss000000"], state, **change) == int(known is not state)
    else:
        with pytest.raises(DataError, match="never back"):
            ledger.set_state(["ss000000"], state, **change)


def test_a_claim_given_up_can_be_claimed_again(ledger: Ledger) -> None:
    ledger.append("messages", messages(2))
    claim(ledger)
    given_up = {"reason": "stopped", "now": NOW, "only_from": [MessageState.CLAIMED]}
    assert ledger.set_state(["ss000000"], MessageState.RETRY, **given_up) == 1
    later = NOW + timedelta(hours=1)
    assert [row["attempt_id"] for row in claim(ledger, now=later)] == ["ss000000.2"]
    assert [row["message_id"] for row in ledger.abandoned(before=later)] == ["ss000001"]


def test_abandoned_claims(ledger: Ledger) -> None:
    ledger.append("messages", messages(3))
    rows = claim(ledger)
    ledger.settle(accepted(rows[:1]), now=NOW, provider="outbox")
    assert ledger.abandoned(before=NOW) == []
    left = ledger.abandoned(before=NOW + timedelta(minutes=1))
    assert [row["message_id"] for row in left] == [row["message_id"] for row in rows[1:]]
    assert {row["run_id"] for row in left} == {"run"}
    in_doubt = [Receipt(row["message_id"], ReceiptStatus.IN_DOUBT, code="crash") for row in left]
    ledger.settle(in_doubt, now=NOW, provider="outbox")
    assert ledger.abandoned(before=NOW + timedelta(minutes=1)) == []
    assert claim(ledger) == []


def _claim_all(url: str, name: str) -> list[str]:
    ledger = Ledger.open(url)
    taken: list[str] = []
    while rows := ledger.claim(now=NOW, limit=40, media=["sms"], run_id=name):
        taken += [row["message_id"] for row in rows]
        ledger.settle(accepted(rows), now=NOW, provider="outbox")
    return taken


def test_two_processes_never_claim_the_same_message(ledger: Ledger, url: str) -> None:
    ledger.append("messages", messages(600))
    with SPAWN.Pool(2) as pool:
        taken = pool.starmap(_claim_all, [(url, "one"), (url, "two")])
    every = list(itertools.chain(*taken))
    assert len(every) == len(set(every)) == 600
    assert ledger.select("SELECT COUNT(*) AS n FROM attempts")["n"].to_pylist() == [600]
    assert set(states(ledger).values()) == {"accepted"}


# --- events and consent ------------------------------------------------------------------


def test_events_are_recorded_once(ledger: Ledger) -> None:
    ledger.append("messages", messages(2))
    claim(ledger)
    delivered = event("e1", EventKind.DELIVERED, raw='{"To": "+447700900123", "cc": "a.b@c.org"}')
    assert ledger.record_events([delivered, delivered], provider="twilio", now=NOW) == 1
    assert ledger.record_events([delivered], provider="twilio", now=NOW) == 0
    assert ledger.record_events([delivered], provider="sendgrid", now=NOW) == 1  # another provider, another event
    assert ledger.record_events([event("e2", EventKind.CLICKED, "nobody")], provider="twilio", now=NOW) == 1
    raw = ledger.select("SELECT raw FROM events WHERE event_id = 'twilio:e1'")["raw"].to_pylist()
    assert raw == ['{"To": "[contact]", "cc": "[contact]"}']


def test_an_event_proves_a_message_was_accepted(ledger: Ledger) -> None:
    ledger.append("messages", messages(5))
    claim(ledger, limit=4)
    ledger.settle([Receipt("ss000000", ReceiptStatus.IN_DOUBT)], now=NOW, provider="twilio")
    ledger.settle([Receipt("ss000001", ReceiptStatus.REFUSED)], now=NOW, provider="twilio")
    heard = [event(f"e{number}", EventKind.DELIVERED, f"ss00000{number}") for number in (0, 1, 2, 4)]
    heard.append(event("e3", EventKind.UNKNOWN, "ss000003"))
    ledger.record_events(heard, provider="twilio", now=NOW)
    assert list(states(ledger).values()) == ["accepted", "refused", "accepted", "claimed", "approved"]
    ledger.settle([Receipt("ss000002", ReceiptStatus.IN_DOUBT)], now=NOW, provider="twilio")
    assert states(ledger)["ss000002"] == "accepted"


def test_an_event_may_come_before_the_receipt(ledger: Ledger) -> None:
    ledger.append("messages", messages(1))
    claim(ledger)
    bounced = event("e1", EventKind.BOUNCED, "", provider_id="SM1", code="permanent")
    ledger.record_events([bounced], provider="twilio", now=NOW)
    assert ledger.suppressed().num_rows == 0
    ledger.settle([Receipt("ss000000", ReceiptStatus.ACCEPTED, provider_id="SM1")], now=NOW, provider="twilio")
    assert ledger.suppressed().to_pylist() == [{"household_id": "H000000", "address_hash": "", "medium": "sms"}]
    assert [row["kind"] for row in ledger.household_trail("H000000")["events"]] == ["bounced"]


def test_opt_outs_complaints_and_bounces_suppress(ledger: Ledger) -> None:
    ledger.append("messages", messages(4))
    heard = [
        event("e0", EventKind.UNSUBSCRIBED, "ss000000"),
        event("e1", EventKind.COMPLAINED, "ss000001", address="Ann@Example.org "),
        event("e2", EventKind.BOUNCED, "ss000002", address="+447700900123", code="permanent-failure"),
        event("e3", EventKind.BOUNCED, "ss000003", code="temporary"),
        event("e4", EventKind.UNSUBSCRIBED, "", address="+447700900456"),
    ]
    ledger.record_events(heard, provider="twilio", now=NOW)
    found = {(row["household_id"], row["address_hash"], row["medium"]) for row in ledger.suppressed().to_pylist()}
    assert found == {
        ("H000000", "", ""),
        ("H000001", "", ""),
        ("", address_hash("ann@example.org"), ""),
        ("H000002", address_hash("+447700900123"), "sms"),
        ("", address_hash("+447700900456"), ""),
    }
    ledger.record_events(
        [event("e5", EventKind.RESUBSCRIBED, "ss000000", occurred_at=NOW + timedelta(days=1))],
        provider="twilio",
        now=NOW,
    )
    assert "H000000" not in ledger.suppressed()["household_id"].to_pylist()


def test_an_officer_suppresses_and_undoes(ledger: Ledger) -> None:
    ledger.suppress(household_id="H1", source="Ann", now=NOW)
    ledger.record_events([event("e", EventKind.UNSUBSCRIBED, "", address="a@b.org")], provider="sendgrid", now=NOW)
    assert ledger.suppressed().num_rows == 2
    later = [event("f", EventKind.RESUBSCRIBED, "", address="a@b.org", occurred_at=NOW + timedelta(days=1))]
    ledger.record_events(later, provider="sendgrid", now=NOW)
    assert ledger.suppressed()["household_id"].to_pylist() == ["H1"]
    ledger.unsuppress(household_id="H1", source="Ann", now=NOW)
    assert ledger.suppressed().num_rows == 0
    ledger.suppress(household_id="H1", medium="sms", source="Ann", now=NOW)
    assert ledger.suppressed().to_pylist() == [{"household_id": "H1", "address_hash": "", "medium": "sms"}]
    with pytest.raises(DataError, match="one must be given"):
        ledger.suppress(source="Ann", now=NOW)


CONSENT_EVENTS = st.lists(
    st.tuples(
        st.sampled_from([EventKind.UNSUBSCRIBED, EventKind.COMPLAINED, EventKind.RESUBSCRIBED, EventKind.BOUNCED]),
        st.sampled_from(["ss000000", "ss000001", ""]),
        st.sampled_from(["a@b.org", ""]),
        st.integers(0, 5),
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=CONSENT_EVENTS, data=st.data())
def test_the_order_of_events_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    blank: Path,
    drawn: list[tuple[EventKind, str, str, int]],
    data: st.DataObject,
) -> None:
    heard = [
        event(f"e{number}", kind, message, address=address, code="permanent", occurred_at=NOW + timedelta(days=days))
        for number, (kind, message, address, days) in enumerate(drawn)
    ]
    outcomes = []
    for order in (heard, data.draw(st.permutations(heard))):
        ledger = copy_of(blank, tmp_path_factory.mktemp("order"))
        ledger.append("messages", messages(2))
        claim(ledger)
        for one in order:
            ledger.record_events([one, *order[:1]], provider="twilio", now=NOW)
        outcomes.append((ledger.suppressed().to_pylist(), states(ledger)))
    assert outcomes[0] == outcomes[1]


def test_no_contact_enters_the_ledger(ledger: Ledger) -> None:
    ledger.append("messages", messages(1))
    claim(ledger)
    secret = "+447700900999"
    ledger.settle([Receipt("ss000000", ReceiptStatus.REFUSED, code="1", detail=f"To {secret}")], now=NOW, provider="t")
    ledger.record_events(
        [event("e", EventKind.FAILED, address=secret, raw=f"To=%2B{secret[1:]}&x=1")], provider="t", now=NOW
    )
    for table in METADATA.tables:
        assert "7700900999" not in json.dumps(ledger.select(f"SELECT * FROM {table}").to_pylist(), default=str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to ann.o'neill+x@leeds.gov.uk!", "to ann.o'[contact]!"),
        ("call 07700900123 or +447700900123", "call [contact] or [contact]"),
        ("SM0700aa07700900123bb at 1764612000", "SM0700aa07700900123bb at 1764612000"),
    ],
)
def test_masking(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_one_address_has_one_hash() -> None:
    assert address_hash(" Ann@Example.org") == address_hash("ann@example.ORG ")
    assert address_hash("+44 7700 900123") == address_hash("+447700900123")
    assert address_hash("") == ""


# --- history -----------------------------------------------------------------------------


def test_history_never_knows_the_future(ledger: Ledger) -> None:
    ledger.append("messages", messages(3))
    rows = claim(ledger)
    ledger.settle(accepted(rows), now=NOW, provider="outbox")  # week 49
    ledger.record_events(
        [
            event("e0", EventKind.DELIVERED, "ss000000"),
            event("e1", EventKind.CLICKED, "ss000000", occurred_at=datetime(2026, 12, 6, 23, 59, 59, 999999, UTC)),
            event("e2", EventKind.UNSUBSCRIBED, "ss000001", occurred_at=datetime(2026, 12, 7, tzinfo=UTC)),
        ],
        provider="outbox",
        now=NOW,
    )

    def history(week: Week) -> list[tuple[int, ...]]:
        found = ledger.message_history(upto=week).sort_by("household_id")
        assert [field.type for field in found.schema][-4:] == [pa.int64()] * 4
        names = ("accepted", "delivered", "clicked", "opted_out")
        return [tuple(row[name] for name in names) for row in found.to_pylist()]

    assert history(WEEK - 1) == []
    assert history(WEEK) == [(0, 0, 0, 0)] * 3
    assert history(WEEK + 1) == [(1, 1, 1, 0), (1, 0, 0, 0), (1, 0, 0, 0)]
    assert history(WEEK + 2) == [(1, 1, 1, 0), (1, 0, 0, 1), (1, 0, 0, 0)]
    first = ledger.message_history(upto=WEEK + 2).sort_by("household_id").to_pylist()[0]
    assert (first["week_no"], first["medium"], first["campaign"]) == (WEEK.number, "sms", "spring")


def test_a_household_has_its_whole_trail(ledger: Ledger) -> None:
    ledger.append("assignments", assignments(5))
    ledger.append("messages", messages(5))
    ledger.settle(accepted(claim(ledger)), now=NOW, provider="outbox")
    ledger.record_events([event("e", EventKind.UNSUBSCRIBED, "ss000002")], provider="outbox", now=NOW)
    trail = ledger.household_trail("H000002")
    assert {name: len(rows) for name, rows in trail.items()} == {
        "assignments": 1, "messages": 1, "attempts": 1, "events": 1, "suppressions": 1,
    }  # fmt: skip
    assert trail["messages"][0]["changed_at"] == NOW
    assert all(rows == [] for rows in ledger.household_trail("nobody").values())


# --- approvals, runs, audit --------------------------------------------------------------


def test_the_newest_approval_counts(ledger: Ledger) -> None:
    assert ledger.approval("spring") is None
    ledger.approve("spring", "abc", 100, 5000, "Ann", "go", now=NOW)
    ledger.approve("spring", "def", 200, 9000, "Bob", now=NOW)
    ledger.approve("norms", "ghi", 1, 1, "Bob", now=NOW)
    found = ledger.approval("spring")
    assert found is not None
    assert (found.fingerprint, found.max_messages, found.approved_by, found.approved_at) == ("def", 200, "Bob", NOW)


def test_runs_and_audit(ledger: Ledger) -> None:
    run_id = ledger.begin_run("choose", WEEK, "spring", now=NOW)
    ledger.finish_run(run_id, "done", {"counts": {"chosen": 3}}, now=NOW + timedelta(seconds=5))
    ledger.finish_run(run_id, "failed", "{}", now=NOW + timedelta(seconds=9))
    (run,) = ledger.select("SELECT step, week_no, state, summary FROM runs").to_pylist()
    assert run == {"step": "choose", "week_no": WEEK.number, "state": "done", "summary": '{"counts": {"chosen": 3}}'}
    ledger.audit("Ann", "stop", "spring", {"why": "complaints"}, now=NOW)
    (row,) = ledger.select("SELECT who, what, subject, detail, at FROM audit").to_pylist()
    assert row == {"who": "Ann", "what": "stop", "subject": "spring", "detail": '{"why": "complaints"}',
                   "at": NOW.replace(tzinfo=None)}  # fmt: skip
    with pytest.raises(DataError, match="must be done or failed"):
        ledger.finish_run(run_id, "fine", now=NOW)
    with pytest.raises(DataError, match="must carry a time zone"):
        ledger.stop("all", "Ann", now=NOW.replace(tzinfo=None))


# --- at the same time --------------------------------------------------------------------


def _append_many(url: str, ready: Any, done: Any) -> None:
    rows = assignments(200_000)
    ledger = Ledger.open(url)
    ready.set()
    ledger.append("assignments", rows)
    done.set()


def test_a_stop_is_not_kept_waiting_by_a_bulk_append(ledger: Ledger, url: str) -> None:
    ready, done = SPAWN.Event(), SPAWN.Event()
    writer = SPAWN.Process(target=_append_many, args=(url, ready, done))
    writer.start()
    assert ready.wait(60)
    waits = []
    while not done.is_set():
        began = time.perf_counter()
        ledger.stop("spring", "Ann", now=NOW)
        waits.append(time.perf_counter() - began)
        time.sleep(0.01)
    writer.join(30)
    assert writer.exitcode == 0
    assert max(waits) < 1.0
    counts = ledger.select("SELECT (SELECT COUNT(*) FROM stops) AS stopped, (SELECT COUNT(*) FROM assignments) AS n")
    assert counts.to_pylist() == [{"stopped": len(waits), "n": 200_000}]


def _append_and_never_finish(url: str, ready: Any) -> None:
    rows = assignments(200_000)
    ledger = Ledger.open(url)
    ready.set()
    while True:
        ledger.append("assignments", rows)


def test_an_append_killed_half_way_is_finished_by_the_next(ledger: Ledger, url: str) -> None:
    ready = SPAWN.Event()
    writer = SPAWN.Process(target=_append_and_never_finish, args=(url, ready))
    writer.start()
    assert ready.wait(60)
    time.sleep(0.3)
    writer.kill()
    writer.join(30)
    there = ledger.select("SELECT COUNT(*) AS n FROM assignments")["n"][0].as_py()
    assert ledger.append("assignments", assignments(200_000)) == 200_000 - there
    if ledger._db.is_sqlite:
        assert not list(ledger._db.file.path.parent.glob("*staging*"))
    assert ledger.select("SELECT COUNT(*) AS n FROM assignments")["n"].to_pylist() == [200_000]


def test_threads_may_read_in_bulk_while_others_write(ledger: Ledger) -> None:
    """Two SQLites in one process would drop each other's file locks; no commit may be lost."""
    from concurrent.futures import ThreadPoolExecutor

    def write(number: int) -> None:
        ledger.audit("Ann", "edit", str(number), now=NOW)

    def read(_: int) -> int:
        return ledger.select("SELECT audit_id FROM audit").num_rows

    with ThreadPoolExecutor(4) as threads:
        writes = threads.map(write, range(60))
        reads = list(threads.map(read, range(60)))
        list(writes)
    assert max(reads) <= 60
    assert ledger.select("SELECT DISTINCT subject FROM audit").num_rows == 60


def test_a_ledger_of_before_there_were_turns_is_brought_up_and_keeps_its_rows(tmp_path: Path) -> None:
    """The tables as the first revision made them, with a choice and an assignment in them."""
    from alembic import command
    from alembic.config import Config

    from nudges.ledger import migrating

    url = f"sqlite:///{tmp_path / 'old.db'}"
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO choices VALUES ('c', 1400, '[\"control\", \"a\"]', 0.05, 0.25, 0.35, 0.4, 'uniform', 0.0, "
            "'2026-11-02 06:00:00')"
        )
        connection.exec_driver_sql(
            "INSERT INTO assignments VALUES ('c', 1400, 'H1', 'H1', 'learn', 'a', '*', 0.5, 0.3, 1)"
        )
    engine.dispose()
    ledger = Ledger.open(url)
    [choice] = ledger.select("SELECT * FROM choices").to_pylist()
    assert (choice["policy"], choice["turn"], choice["stops"]) == ("uniform", None, None)
    [row] = ledger.select("SELECT * FROM assignments").to_pylist()
    assert (row["arm"], row["first_week_no"]) == ("a", None)
    test_models_equal_migrations(ledger)
    ledger.close()
