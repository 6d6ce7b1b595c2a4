"""Answers: files heard once, callbacks stored before the answer, opt-outs that hold."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from fake_provider import TOKEN, CallbackKey, twilio_headers
from sending_town import DUE, WEEK, add_contacts, add_messages, address, open_town, state_of

from nudges.domain import MessageState
from nudges.errors import ConfigError, DataError, SignatureError
from nudges.ledger import Ledger, address_hash
from nudges.steps.deliver import deliver
from nudges.steps.responses import opt_out, receive, responses

KEY = CallbackKey()
LATER = DUE + timedelta(hours=1)


@pytest.fixture
def town(tmp_path):
    ws = open_town(tmp_path, {"SENDGRID_WEBHOOK_PUBLIC_KEY": KEY.public, "TWILIO_AUTH_TOKEN": TOKEN})
    add_contacts(ws, 5)
    add_messages(ws, 5)
    deliver(ws, WEEK, now=DUE)
    return ws


def answer(ws, name, *lines):
    folder = ws.var / "outbox" / "answers"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return folder


def an_answer(event_id, kind, message_id):
    return {"event_id": event_id, "kind": kind, "occurred_at": LATER.isoformat(), "message_id": message_id}


def events(ws):
    return ws.ledger.select(
        "SELECT event_id, provider, kind, message_id, raw FROM events ORDER BY event_id"
    ).to_pylist()


# --- the folder


def test_files_are_heard_once_and_put_away(town):
    lines = [an_answer("e1", "delivered", "less000000sms"), an_answer("e2", "clicked", "less000001email")]
    folder = answer(town, "a.jsonl", *lines)
    summary = responses(town, WEEK, now=LATER)
    assert summary.counts == {"new": 2, "files": 1, "rejected": 0, "delivered": 1, "clicked": 1}
    assert [file.name for file in (folder / "done").iterdir()] == ["a.jsonl"]
    assert responses(town, WEEK, now=LATER).counts["files"] == 0
    answer(town, "again.jsonl", *lines)  # the same events in another file
    assert responses(town, WEEK, now=LATER).counts["new"] == 0
    assert len(events(town)) == 2


def test_stop_in_an_answer_suppresses_the_household(town):
    answer(town, "a.jsonl", an_answer("e1", "unsubscribed", "less000002sms"))
    responses(town, WEEK, now=LATER)
    add_messages(town, 5, campaign="other", due_at=LATER)
    deliver(town, WEEK, now=LATER)
    assert state_of(town, "other000002sms") == ("dropped", "suppressed")
    assert state_of(town, "other000002email") == ("dropped", "suppressed")
    assert state_of(town, "other000001sms")[0] == "accepted"


def test_crash_before_putting_away_changes_nothing(town, monkeypatch):
    folder = answer(town, "a.jsonl", an_answer("e1", "delivered", "less000000sms"))
    with monkeypatch.context() as patch:
        patch.setattr("nudges.steps.responses._put", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            responses(town, WEEK, now=LATER)
    assert (folder / "a.jsonl").exists()
    assert responses(town, WEEK, now=LATER).counts["new"] == 0
    assert len(events(town)) == 1


def test_file_is_not_put_away_when_the_ledger_fails(town, monkeypatch):
    folder = answer(town, "a.jsonl", an_answer("e1", "delivered", "less000000sms"))

    def full(*_args, **_kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_events", full)
        with pytest.raises(OSError, match="disk full"):
            responses(town, WEEK, now=LATER)
    assert (folder / "a.jsonl").exists()


def test_unreadable_file_is_set_aside_and_named(town):
    folder = answer(town, "bad.jsonl", "not json\n")
    answer(town, "good.jsonl", an_answer("e1", "delivered", "less000000sms"))
    summary = responses(town, WEEK, now=LATER)
    assert (summary.counts["new"], summary.counts["rejected"]) == (1, 1)
    assert "bad.jsonl: answers: line 1" in summary.warnings[0]
    assert (folder / "rejected" / "bad.jsonl").exists()


# --- callbacks


def mail_body(**fields):
    base = {"event": "delivered", "timestamp": 1790000000, "sg_event_id": "s1", "email": address(0, "email")}
    return json.dumps([{**base, "nudge_message_id": "less000000email", **fields}]).encode()


def test_callback_is_stored_once(town):
    body = mail_body()
    for new in (1, 0):
        assert receive(town, "sendgrid", body, KEY.headers(body), url="", now=LATER) == new
    [event] = events(town)
    assert (event["event_id"], event["kind"], event["message_id"]) == ("sendgrid:s1", "delivered", "less000000email")
    assert address(0, "email") not in event["raw"]


@pytest.mark.parametrize(("provider", "error"), [("outbox", SignatureError), ("pigeon", ConfigError)])
def test_only_signed_channels_come_in_by_the_web(town, provider, error):
    with pytest.raises(error):
        receive(town, provider, b"{}", {}, url="", now=LATER)


def test_forged_and_malformed_store_nothing(town):
    body = mail_body()
    with pytest.raises(SignatureError):
        receive(town, "sendgrid", body + b" ", KEY.headers(body), url="", now=LATER)
    with pytest.raises(DataError):
        receive(town, "sendgrid", b"[", KEY.headers(b"["), url="", now=LATER)
    assert events(town) == []


def test_permanent_bounce_closes_the_address_only(town):
    body = mail_body(event="bounce", type="bounce", status="5.1.1")
    receive(town, "sendgrid", body, KEY.headers(body), url="", now=LATER)
    add_messages(town, 1, campaign="other", due_at=LATER)
    deliver(town, WEEK, now=LATER)
    assert state_of(town, "other000000email") == ("dropped", "suppressed")
    assert state_of(town, "other000000sms")[0] == "accepted"


def test_inbound_stop_suppresses_the_number_and_start_undoes(town):
    url = "https://bins.mardale.example/events/twilio"
    for sid, word, suppressed in (("SM1", "STOP", True), ("SM2", "START", False)):
        fields = {"MessageSid": sid, "SmsStatus": "received", "From": address(3, "sms"), "Body": word}
        raw = urlencode(fields).encode()
        now = LATER + timedelta(minutes=int(sid[2]))
        receive(town, "twilio", raw, twilio_headers(url, fields), url=url, now=now)
        hashes = town.ledger.suppressed().column("address_hash").to_pylist()
        assert (address_hash(address(3, "sms")) in hashes) is suppressed


# --- the link


def test_link_stops_the_household_for_good(town):
    for _ in range(3):
        assert opt_out(town, "less000001email", now=LATER)
    assert len(events(town)) == 1
    add_messages(town, 2, campaign="other", due_at=LATER)
    deliver(town, WEEK, now=LATER)
    assert state_of(town, "other000001sms") == ("dropped", "suppressed")
    assert state_of(town, "other000000sms")[0] == str(MessageState.ACCEPTED)


def test_link_works_again_after_coming_back(town):
    opt_out(town, "less000001email", now=LATER)
    town.ledger.unsuppress(household_id="h1", source="Ann", now=LATER + timedelta(hours=1))
    assert town.ledger.suppressed().num_rows == 0
    opt_out(town, "less000001email", now=LATER + timedelta(hours=2))
    assert "h1" in town.ledger.suppressed().column("household_id").to_pylist()


def test_unknown_link(town):
    assert not opt_out(town, "nosuchmessage", now=LATER)
