"""Delivery: guards, drops, the stop switch, doubt, and a sender killed at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from fake_provider import running_fake
from sending_town import (
    DUE,
    PLANNED_AT,
    WEEK,
    add_contacts,
    add_messages,
    address,
    open_town,
    outbox_files,
    state_of,
    states,
)

from nudges import sending
from nudges.channels.outbox import OutboxChannel
from nudges.domain import Event, EventKind, Lead, Medium, MessageState, Receipt, ReceiptStatus
from nudges.errors import ConfigError, LateRunError, ProviderError
from nudges.ledger import address_hash
from nudges.steps.deliver import deliver, handing
from nudges.steps.workspace import open_workspace

LATER = DUE + timedelta(minutes=20)  # long enough to call a message missing from Twilio's list missing


@pytest.fixture
def town(tmp_path):
    ws = open_town(tmp_path)
    add_contacts(ws, 20)
    return ws


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_fake(tmp_path_factory.mktemp("fake"), None) as fake:
        yield fake


@pytest.fixture
def fake(server):
    server.reset()
    return server


@pytest.fixture
def live(tmp_path, fake):
    ws = open_town(tmp_path, fake.environment, sms="twilio", email="sendgrid")
    add_contacts(ws, 20)
    return ws


# --- what goes


def test_due_messages_become_files(town):
    add_messages(town, 5)
    add_messages(town, 3, campaign="other", due_at=DUE + timedelta(hours=1))
    summary = deliver(town, WEEK, now=DUE)
    assert summary.counts["accepted"] == len(outbox_files(town)) == 10
    assert summary.counts["waiting"] == 0
    assert states(town) == {"accepted": 10, "approved": 6}
    sms = json.loads(next(file for file in outbox_files(town) if file.suffix == ".json").read_text())
    assert sms["text"].startswith("Mardale Council: hello Name0. Stop: https://bins.mardale.example/s/less000000sms")
    assert sms["to"] == "+447700900000"


def test_again_sends_nothing(town):
    add_messages(town, 5)
    deliver(town, WEEK, now=DUE)
    before = [file.stat().st_mtime_ns for file in outbox_files(town)]
    assert deliver(town, WEEK, now=LATER).counts["accepted"] == 0
    assert [file.stat().st_mtime_ns for file in outbox_files(town)] == before


def test_only_approved_messages_go(town):
    add_messages(town, 3, state=MessageState.PLANNED)
    deliver(town, WEEK, now=DUE)
    assert outbox_files(town) == []
    assert states(town) == {"planned": 6}


def test_limit_is_kept(town):
    add_messages(town, 10)
    summary = deliver(town, WEEK, now=DUE, limit=7)
    assert (summary.counts["accepted"], summary.counts["waiting"]) == (7, 13)
    assert "13 messages that were due are not out" in summary.warnings[-1]


def test_address_is_the_latest_known(town):
    add_messages(town, 1, media=[Medium.EMAIL])
    add_contacts(town, 1, known_on=date(2026, 11, 9), name="new")
    add_contacts(town, 20, known_on=date(2026, 11, 30), name="future")  # not known yet
    rows = town.warehouse.read(town.ledger.live_files(tables=["contacts"])["contacts"])
    assert rows.num_rows == 40 + 2 + 40
    deliver(town, WEEK, now=DUE)
    assert b"To: h0@example.org" in outbox_files(town)[0].read_bytes()


def test_no_contact_in_ledger_or_summary(town):
    add_messages(town, 5)
    summary = deliver(town, WEEK, now=DUE)
    stored = (town.var / "ledger.db").read_bytes() + str(summary).encode()
    wal = town.var / "ledger.db-wal"
    stored += wal.read_bytes() if wal.exists() else b""
    for number in range(5):
        for medium in Medium:
            assert address(number, medium).encode() not in stored


# --- guards


def test_a_late_run_asks(town):
    add_messages(town, 2)
    with pytest.raises(LateRunError, match="Nothing was sent"):
        deliver(town, WEEK, now=DUE, scheduled_at=DUE - timedelta(minutes=181))
    assert states(town) == {"approved": 4}
    assert deliver(town, WEEK, now=DUE, scheduled_at=DUE - timedelta(minutes=180)).counts["accepted"] == 4


def test_quiet_hours_defer(town):
    add_messages(town, 2)
    summary = deliver(town, WEEK, now=DUE.replace(hour=20))
    assert summary.counts["waiting"] == 4
    assert "wait until 2026-11-24 08:00" in summary.notes[0]
    assert deliver(town, WEEK, now=DUE + timedelta(hours=14)).counts["accepted"] == 4


def test_a_trial_lets_only_the_allow_list_out(tmp_path, fake):
    ws = open_town(tmp_path, fake.environment, live=False, sms="twilio", email="sendgrid")
    add_contacts(ws, 3)
    add_messages(ws, 3)
    summary = deliver(ws, WEEK, now=DUE)
    assert sorted(entry["to"] for entry in fake.accepted()) == ["+447700900000", "h0@example.org"]
    assert summary.facts == {"dropped_trial": 4}


def test_the_outbox_takes_everyone_in_a_trial(tmp_path):
    ws = open_town(tmp_path, live=False)
    add_contacts(ws, 3)
    add_messages(ws, 3)
    assert deliver(ws, WEEK, now=DUE).counts["accepted"] == 6


def test_expired_messages_are_dropped(town):
    add_messages(town, 1, due_at=DUE - timedelta(days=3))
    add_messages(town, 1, due_at=DUE - timedelta(days=3), campaign="other", state=MessageState.PLANNED)
    summary = deliver(town, WEEK, now=DUE)
    assert summary.facts == {"dropped_expired": 4}
    assert outbox_files(town) == []


def test_a_message_for_the_evening_before_is_not_sent_the_morning_after(town):
    add_messages(town, 1)
    tonight = {key: replace(template, lead=Lead.EVENING_BEFORE) for key, template in town.templates.items()}
    town = replace(town, templates=tonight)
    morning = (DUE + timedelta(days=1)).replace(hour=9)
    assert deliver(town, WEEK, now=morning).facts == {"dropped_expired": 2}
    assert outbox_files(town) == []


def test_suppressed_after_approval_gets_nothing(town):
    add_messages(town, 4)
    town.ledger.suppress(household_id="h1", source="test", now=PLANNED_AT)
    town.ledger.suppress(address_hash=address_hash("h2@example.org"), medium="email", source="test", now=PLANNED_AT)
    summary = deliver(town, WEEK, now=DUE)
    assert summary.facts == {"dropped_suppressed": 3}
    assert {file.stem for file in outbox_files(town)} == {
        "less000000sms", "less000000email", "less000002sms", "less000003sms", "less000003email",
    }  # fmt: skip


def test_without_contact_dropped_with_the_reason(town):
    ids = add_messages(town, 21)
    deliver(town, WEEK, now=DUE)
    assert state_of(town, ids[-1]) == ("dropped", "no_contact")
    assert states(town) == {"accepted": 40, "dropped": 2}


def test_words_edited_since_approval_are_not_sent(town):
    ids = add_messages(town, 2)
    template = town.home / "templates/tip.j2"
    template.write_text(template.read_text().replace("hello", "goodbye"))
    again = open_workspace(town.home, {})
    deliver(again, WEEK, now=DUE)
    assert state_of(again, ids[0]) == ("dropped", "changed")
    assert outbox_files(again) == [file for file in outbox_files(again) if file.suffix == ".eml"]


def test_unknown_channel_is_a_config_error(tmp_path):
    ws = open_town(tmp_path, sms="pigeon")
    add_contacts(ws, 1)
    add_messages(ws, 1)
    with pytest.raises(ConfigError, match="pigeon"):
        deliver(ws, WEEK, now=DUE)
    runs = ws.ledger.select("SELECT state FROM runs WHERE step = 'deliver'").to_pydict()
    assert runs["state"] == ["failed"]


# --- the stop switch


def test_everything_stopped(town):
    add_messages(town, 2)
    town.ledger.stop("all", "Ann", now=PLANNED_AT)
    summary = deliver(town, WEEK, now=DUE)
    assert summary.counts["accepted"] == 0
    assert "Everything is stopped" in summary.notes[0]
    town.ledger.resume("all", "Ann", now=DUE)
    assert deliver(town, WEEK, now=DUE).counts["accepted"] == 4


@pytest.mark.parametrize("scope", ["all", "less"])
def test_stop_takes_effect_before_the_next_message(town, monkeypatch, scope):
    """Stopped while the third message is being written: exactly three leave, the claimed rest is given back."""
    add_messages(town, 10, media=[Medium.SMS])
    write = OutboxChannel.send
    sent = []

    def send(self, letters):
        sent.extend(letters)
        if len(sent) == 3:
            town.ledger.stop(scope, "Ann", now=DUE)
        return write(self, letters)

    monkeypatch.setattr(OutboxChannel, "send", send)
    summary = deliver(town, WEEK, now=DUE)
    assert (summary.counts["accepted"], summary.counts["waiting"]) == (3, 7)
    assert len(outbox_files(town)) == 3
    assert summary.notes[0] == "less was stopped during this run; nothing of it left after that."
    town.ledger.resume(scope, "Ann", now=DUE)
    assert deliver(town, WEEK, now=DUE).counts["accepted"] == 7
    assert len(outbox_files(town)) == 10


def test_opt_out_between_messages_counts(live, fake, monkeypatch):
    """Suppression is looked up again before each call, not once a run."""
    add_messages(live, 3, media=[Medium.SMS])
    from nudges.channels.twilio import TwilioChannel

    real = TwilioChannel.send

    def send(self, letters):
        live.ledger.suppress(household_id="h1", source="test", now=DUE)
        return real(self, letters)

    monkeypatch.setattr(TwilioChannel, "send", send)
    deliver(live, WEEK, now=DUE)
    assert [entry["to"] for entry in fake.accepted()] == [address(0, "sms"), address(2, "sms")]


# --- providers


def test_both_providers(live, fake):
    add_messages(live, 3)
    summary = deliver(live, WEEK, now=DUE)
    assert summary.counts["accepted"] == 6
    assert (summary.counts["sms_accepted"], summary.counts["email_accepted"]) == (3, 3)
    taken = fake.accepted()
    assert len({entry["message_id"] for entry in taken}) == 6
    stored = live.ledger.select("SELECT message_id, provider, provider_id FROM messages").to_pylist()
    assert {(row["message_id"], row["provider"], row["provider_id"]) for row in stored} == {
        (entry["message_id"], entry["provider"], entry["provider_id"]) for entry in taken
    }


def test_throttled_channel_rests_until_the_next_run(live, fake):
    add_messages(live, 3, media=[Medium.SMS])
    fake.order({"provider": "twilio", "kind": 429, "skip": 1})
    summary = deliver(live, WEEK, now=DUE)
    assert (summary.counts["accepted"], summary.counts["retry"], summary.counts["waiting"]) == (1, 1, 2)
    assert "twilio asked to wait" in summary.warnings[0]
    assert deliver(live, WEEK, now=LATER).counts["accepted"] == 2
    assert len(fake.accepted()) == 3


def test_put_off_five_times_is_refused(live, fake):
    ids = add_messages(live, 1, media=[Medium.SMS])
    fake.order({"provider": "twilio", "kind": 429, "times": 9})
    for number in range(6):
        deliver(live, WEEK, now=DUE + timedelta(minutes=5 * number))
    assert state_of(live, ids[0]) == ("refused", "wait 20429")
    attempts = live.ledger.select("SELECT COUNT(*) AS n FROM attempts").to_pydict()
    assert attempts["n"] == [5]


def test_quiet_hours_end_a_long_run(live, fake, monkeypatch):
    """A run that begins at 19:30 and needs ten minutes a message has given away three by 20:00."""
    minutes = iter(range(0, 10_000, 5))  # the watch is read at claiming and at recording
    monkeypatch.setattr(handing, "monotonic", lambda: 60.0 * next(minutes))
    add_messages(live, 20, media=[Medium.SMS])
    summary = deliver(live, WEEK, now=DUE.replace(hour=19, minute=30))
    assert summary.counts["accepted"] == 3
    assert "Quiet hours began" in summary.notes[0]
    monkeypatch.undo()
    assert deliver(live, WEEK, now=DUE + timedelta(hours=14)).counts["waiting"] == 0
    assert len(fake.accepted()) == 20


def test_attempts_of_a_long_run_carry_their_own_time(live, fake, monkeypatch):
    """Doubt is judged by the age of the call, not of the run."""
    minutes = iter(range(1_000))
    monkeypatch.setattr(handing, "monotonic", lambda: 60.0 * next(minutes))
    add_messages(live, 3, media=[Medium.SMS])
    deliver(live, WEEK, now=DUE)
    started = live.ledger.select("SELECT started_at FROM attempts ORDER BY started_at").to_pydict()["started_at"]
    assert len(set(started)) == 3


def test_what_falls_due_during_a_long_run_is_sent_to_its_own_contacts(live, fake, monkeypatch):
    """Households that had nothing due when the run began: claimed later on, they are looked up then."""
    minutes = iter(range(0, 10_000, 5))
    monkeypatch.setattr(handing, "monotonic", lambda: 60.0 * next(minutes))
    add_messages(live, 2, media=[Medium.SMS])
    add_messages(live, 5, media=[Medium.SMS], campaign="other", due_at=DUE + timedelta(minutes=10))
    summary = deliver(live, WEEK, now=DUE)
    assert states(live) == {"accepted": 7}
    assert summary.counts["dropped"] == 0
    assert {entry["to"] for entry in fake.accepted()} == {address(number, "sms") for number in range(5)}


def test_bad_key_stops_the_run_and_says_so(live, fake):
    add_messages(live, 3)
    fake.order({"provider": "twilio", "kind": 401, "skip": 1})
    with pytest.raises(ProviderError, match="1 messages had left"):
        deliver(live, WEEK, now=DUE)
    assert states(live) == {"accepted": 1, "retry": 1, "approved": 4}
    assert deliver(live, WEEK, now=LATER).counts["accepted"] == 5


def test_opted_out_at_twilio_is_suppressed_everywhere(live, fake):
    ids = add_messages(live, 1, campaign="less")
    fake.opt_out(address(0, "sms"))
    deliver(live, WEEK, now=DUE)
    assert state_of(live, ids[0])[0] == "refused"
    assert state_of(live, ids[1]) == ("dropped", "suppressed")  # the email of the same household, in the same run
    suppressed = live.ledger.suppressed().to_pylist()
    assert {(row["household_id"], row["address_hash"]) for row in suppressed} == {
        ("h0", ""),
        ("", address_hash(address(0, "sms"))),
    }


def test_silence_five_times_rests(live, fake):
    add_messages(live, 10, media=[Medium.SMS])
    fake.order({"provider": "twilio", "kind": "cut_before", "times": 99})
    summary = deliver(live, WEEK, now=DUE)
    assert (summary.counts["in_doubt"], summary.counts["waiting"]) == (5, 5)
    assert "5 calls in a row unanswered" in summary.warnings[0]


def test_sms_doubt_is_settled_by_the_list(live, fake):
    """One cut after accepting, one before: the list proves which was sent, and only the other goes again."""
    ids = add_messages(live, 2, media=[Medium.SMS])
    fake.order({"provider": "twilio", "kind": "cut_after"}, {"provider": "twilio", "kind": "cut_before"})
    assert deliver(live, WEEK, now=DUE).counts["in_doubt"] == 2
    assert deliver(live, WEEK, now=DUE + timedelta(minutes=5)).counts["left_in_doubt"] == 2
    summary = deliver(live, WEEK, now=LATER)
    assert (summary.counts["found_accepted"], summary.counts["found_not_sent"]) == (1, 1)
    assert summary.counts["accepted"] == 1
    assert states(live) == {"accepted": 2}
    assert Counter(entry["message_id"] for entry in fake.accepted()) == dict.fromkeys(ids, 1)


def test_email_doubt_is_never_resent_and_settled_by_an_event(live, fake):
    ids = add_messages(live, 2, media=[Medium.EMAIL])
    fake.order({"provider": "sendgrid", "kind": "cut_after"})
    deliver(live, WEEK, now=DUE)
    for hours in (1, 12, 24):
        deliver(live, WEEK, now=DUE + timedelta(hours=hours))
    assert Counter(entry["message_id"] for entry in fake.accepted()) == dict.fromkeys(ids, 1)
    assert state_of(live, ids[0])[0] == "in_doubt"
    event = Event("e1", EventKind.DELIVERED, LATER, message_id=ids[0])
    live.ledger.record_events([event], provider="sendgrid", now=LATER)
    assert state_of(live, ids[0])[0] == "accepted"


# --- crashes


def test_claims_of_a_living_sender_are_left_alone(town):
    from nudges.steps.deliver.senders import living

    add_messages(town, 2)
    run_id = town.ledger.begin_run("deliver", WEEK, now=DUE)
    with living(town.var / "senders", run_id):
        town.ledger.claim(now=DUE, limit=1, media=list(Medium), run_id=run_id)
        summary = deliver(town, WEEK, now=LATER)
    assert (summary.counts["accepted"], summary.counts["claimed"]) == (3, 1)


def test_claims_of_another_machine_are_taken_over_after_a_while(town):
    add_messages(town, 1, media=[Medium.SMS])
    town.ledger.claim(now=DUE, limit=1, media=list(Medium), run_id="elsewhere")
    assert deliver(town, WEEK, now=DUE + timedelta(minutes=14)).counts["claimed"] == 1
    assert deliver(town, WEEK, now=DUE + timedelta(minutes=15)).counts["accepted"] == 1


def test_broken_channel_leaves_claims_that_are_taken_over(town, monkeypatch):
    """An exception in the middle: what was written is found in the folder, the rest is sent, nothing twice."""
    ids = add_messages(town, 6)
    write = OutboxChannel.send
    calls = []

    def send(self, letters):
        calls.append(letters)
        if len(calls) == 4:
            raise RuntimeError("a bug")
        return write(self, letters)

    monkeypatch.setattr(OutboxChannel, "send", send)
    with pytest.raises(RuntimeError):
        deliver(town, WEEK, now=DUE)
    monkeypatch.undo()
    assert states(town) == {"accepted": 3, "claimed": 9}
    summary = deliver(town, WEEK, now=DUE)
    assert summary.counts["taken_over"] == 9
    assert [file.name for file in (town.var / "senders").iterdir()] == [".doubts"]
    assert states(town) == {"accepted": 12}
    assert sorted(file.stem for file in outbox_files(town)) == sorted(ids)


KILLED = """
import os, sys
sys.path[:0] = {paths!r}
from sending_town import WEEK, DUE
from pathlib import Path
from nudges.channels.outbox import OutboxChannel
from nudges.ledger import Ledger
from nudges.steps.deliver import deliver
from nudges.steps.workspace import open_workspace

point, countdown = sys.argv[2], [int(sys.argv[3])]

def die_at(owner, name, *, after):
    real = getattr(owner, name)
    def called(*args, **kwargs):
        countdown[0] -= 1
        if countdown[0] <= 0 and not after:
            os.kill(os.getpid(), 9)
        result = real(*args, **kwargs)
        if countdown[0] <= 0:
            os.kill(os.getpid(), 9)
        return result
    setattr(owner, name, called)

where = {{"claim": (Ledger, "claim"), "send": (OutboxChannel, "send"), "settle": (Ledger, "settle")}}
owner, name = where[point.removesuffix("_after")]
die_at(owner, name, after=point.endswith("_after"))
deliver(open_workspace(Path(sys.argv[1]), {{}}), WEEK, now=DUE)
"""
PATHS = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]


@pytest.mark.parametrize(
    ("point", "calls"),
    [
        ("claim", 1),
        ("claim_after", 1),
        ("send", 1),
        ("send_after", 1),
        ("send", 25),
        ("settle", 1),
        ("settle_after", 1),
    ],
)
def test_killed_at_each_point(tmp_path, point, calls):
    """Killed before or after claim, send and record, then run again: each message there once, all accepted."""
    ws = open_town(tmp_path)
    add_contacts(ws, 20)
    ids = add_messages(ws, 20)
    ws.ledger.close()
    command = [sys.executable, "-c", KILLED.format(paths=PATHS), str(tmp_path), point, str(calls)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    written = {file: file.stat().st_ino for file in outbox_files(ws)}
    again = open_workspace(tmp_path, {})
    deliver(again, WEEK, now=DUE)
    assert states(again) == {"accepted": 40}
    assert sorted(file.stem for file in outbox_files(again)) == sorted(ids)
    assert all(file.stat().st_ino == inode for file, inode in written.items())  # no file was written a second time


def test_killed_at_random_times(tmp_path):
    """One message a claim, so that kills fall between any two writes; seeds named, nothing twice and nothing lost."""
    ws = open_town(tmp_path)
    add_contacts(ws, 150)
    ids = add_messages(ws, 150)
    ws.ledger.close()
    script = (
        f"import sys; sys.path[:0] = {PATHS!r}\n"
        "from pathlib import Path\n"
        "from sending_town import WEEK, DUE\n"
        "from nudges.channels.outbox import OutboxChannel\n"
        "from nudges.steps.deliver import deliver\n"
        "from nudges.steps.workspace import open_workspace\n"
        "OutboxChannel.claim_size = 3\n"
        "ws = open_workspace(Path(sys.argv[1]), {})\n"
        "print('go', flush=True)\n"
        "deliver(ws, WEEK, now=DUE)\n"
    )
    inodes: dict[str, int] = {}
    chance, kills = random.Random(5), 0
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.2))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
        for file in outbox_files(ws):
            assert inodes.setdefault(file.name, file.stat().st_ino) == file.stat().st_ino
    again = open_workspace(tmp_path, {})
    deliver(again, WEEK, now=DUE)
    assert kills
    assert states(again) == {"accepted": 300}
    assert sorted(file.stem for file in outbox_files(again)) == sorted(ids)


def test_two_senders_at_once_send_each_once(tmp_path, fake):
    ws = open_town(tmp_path, fake.environment, sms="twilio")
    add_contacts(ws, 40)
    ids = add_messages(ws, 40, media=[Medium.SMS])
    other = open_workspace(tmp_path, fake.environment)
    threads = [threading.Thread(target=deliver, args=(one, WEEK), kwargs={"now": DUE}) for one in (ws, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(entry["message_id"] for entry in fake.accepted()) == dict.fromkeys(ids, 1)
    assert states(ws) == {"accepted": 40}


@pytest.mark.parametrize("status", ReceiptStatus)
def test_every_receipt_becomes_a_state(town, monkeypatch, status):
    [message_id] = add_messages(town, 1, media=[Medium.SMS])
    monkeypatch.setattr(OutboxChannel, "send", lambda self, letters: [Receipt(letters[0].message_id, status, code="c")])
    deliver(town, WEEK, now=DUE)
    assert state_of(town, message_id)[0] == str(sending.state_after(Receipt(message_id, status)))
