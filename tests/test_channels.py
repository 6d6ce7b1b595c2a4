"""Channels: the contract of the folder, files of the outbox, both providers against the fake, and their callbacks."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import logging
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from fake_provider import TOKEN, CallbackKey, running_fake, twilio_headers
from hypothesis import given
from hypothesis import strategies as st

from nudges import channels
from nudges.channels import ChannelSettings, Doubt, outbox, sendgrid, twilio
from nudges.domain import EventKind, Letter, Medium, ReceiptStatus
from nudges.errors import ConfigError, DataError, SignatureError

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
PROVIDERS = Path(os.environ.get("NUDGES_REAL_DATA", "/nowhere")) / "providers"
OFFICIAL = "official schemas and samples are not here: set NUDGES_REAL_DATA"


def settings(home=Path("/nowhere"), environment=None):
    return ChannelSettings(home, environment or {}, "Cyngor Môn", "https://bins.example.org", NOW)


def an_email(message_id="emailmessage0001", address="mary@example.org", **changes):
    words = {
        "text": "Line one\n.\n" + "long " * 60 + "ŵ £\n",
        "subject": "Your bin, ŷ “quoted”",
        "html": "<p>Helô =3D</p>\n",
        "unsubscribe_url": f"https://bins.example.org/s/{message_id}",
    }
    return Letter(message_id, Medium.EMAIL, address, **{**words, **changes})


def an_sms(message_id="smsmessage000001", address="+447700900123", text="Your bin goes out tonight"):
    return Letter(message_id, Medium.SMS, address, text)


# --- the folder


@pytest.mark.parametrize("name", channels.names())
def test_each_file_keeps_the_contract(name, tmp_path):
    module = channels.load(name)
    where = f"nudges/channels/{name}.py"
    environment = {
        "SENDGRID_API_KEY": "k",
        "SENDGRID_FROM": "a@b.example",
        "TWILIO_ACCOUNT_SID": "AC",
        "TWILIO_AUTH_TOKEN": "t",
        "TWILIO_MESSAGING_SERVICE_SID": "MG",
    }
    channel = module.open_channel(settings(tmp_path, environment))
    assert set(channel.media) <= set(Medium), where
    assert channel.media, where
    assert channel.batch_size >= 1, where
    assert channel.claim_size >= 1, where
    assert module.SIGNED or not channel.leaves_building, where
    assert channel.reconcile([]) == {}, where
    if module.SIGNED:
        with pytest.raises(SignatureError):
            module.events(b"", {}, url="https://x", environment={}, received_at=NOW)


def test_unknown_channel_names_the_choices():
    with pytest.raises(ConfigError, match="outbox, sendgrid, twilio"):
        channels.load("pigeon")


@pytest.mark.parametrize(("module", "key"), [(sendgrid, "SENDGRID_API_KEY"), (twilio, "TWILIO_MESSAGING_SERVICE_SID")])
def test_missing_key_is_named(module, key):
    with pytest.raises(ConfigError, match=key):
        module.open_channel(settings())


# --- outbox


def test_email_file_parses_back(tmp_path):
    letter = an_email()
    [receipt] = outbox.open_channel(settings(tmp_path)).send([letter])
    assert receipt.status is ReceiptStatus.ACCEPTED
    file = tmp_path / "var/outbox/2026-11-23/emailmessage0001.eml"
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert not message.defects
    assert message["subject"] == letter.subject
    assert message["to"] == letter.address
    assert message["from"].addresses[0].display_name == "Cyngor Môn"
    assert message["message-id"] == "<emailmessage0001@bins.example.org>"
    assert message["list-unsubscribe"] == f"<{letter.unsubscribe_url}>"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    plain, html = message.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == letter.text
    assert html.get_content().replace("\r\n", "\n") == letter.html
    assert max(map(len, file.read_bytes().split(b"\r\n"))) <= 998


@given(st.text(max_size=200), st.text(max_size=300), st.text(max_size=120))
def test_any_words_survive_the_email(tmp_path_factory, subject, text, name):
    """Whatever the words, headers stay one line each and the text comes back (newlines as one kind)."""
    home = tmp_path_factory.getbasetemp() / "any"
    channel = outbox.OutboxChannel(ChannelSettings(home, {}, name, "https://bins.example.org", NOW))
    try:
        text.encode(), subject.encode(), name.encode()
    except UnicodeEncodeError:
        return
    channel.send([an_email(text=text, subject=subject)])
    raw = (home / "var/outbox/2026-11-23/emailmessage0001.eml").read_bytes()
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert not message.defects
    assert message["to"] == "mary@example.org"
    plain = message.get_payload()[0].get_payload(decode=True).decode()
    assert plain.removesuffix("\r\n").replace("\r\n", "\n") == text.replace("\r\n", "\n").replace(
        "\r", "\n"
    ).removesuffix("\n")


def test_header_cannot_be_injected(tmp_path):
    letter = an_email(subject="hello\r\nBcc: all@example.org", address="a@example.org\nBcc: all@example.org")
    outbox.open_channel(settings(tmp_path)).send([letter])
    raw = (tmp_path / "var/outbox/2026-11-23/emailmessage0001.eml").read_bytes()
    assert "bcc" not in email.message_from_bytes(raw)


def test_sms_file_is_json_and_written_once(tmp_path):
    channel = outbox.open_channel(settings(tmp_path))
    channel.send([an_sms()])
    channel.send([an_sms()])
    [file] = (tmp_path / "var/outbox/2026-11-23").iterdir()
    body = json.loads(file.read_text())
    assert file.name == "smsmessage000001.json"
    assert (body["to"], body["text"]) == ("+447700900123", "Your bin goes out tonight")


def test_outbox_decides_every_doubt_by_the_file(tmp_path):
    outbox.open_channel(settings(tmp_path)).send([an_sms("sent")])
    doubts = [Doubt(name, Medium.SMS, "+447700900123", "", NOW) for name in ("sent", "notsent")]
    tomorrow = ChannelSettings(tmp_path, {}, "x", "https://bins.example.org", NOW + timedelta(days=1))
    found = outbox.open_channel(tomorrow).reconcile(doubts)
    assert found["sent"].status is ReceiptStatus.ACCEPTED
    assert found["notsent"].status is ReceiptStatus.RETRY


def test_full_disk_stops_the_run(tmp_path):
    channel = outbox.open_channel(settings(tmp_path))
    channel.send([an_sms()])
    (tmp_path / "var/outbox/2026-11-23/other.json").mkdir()  # a rename onto a folder fails as a full disk would
    [receipt] = channel.send([an_sms("other")])
    assert receipt.stops_run


def test_outbox_writes_thousands_a_second(tmp_path):
    """20,000 in several seconds means at least 3,000 a second; a third of that passes on a busy machine."""
    channel = outbox.open_channel(settings(tmp_path))
    letters = [an_email(f"m{number}") for number in range(1_000)]
    began = time.perf_counter()
    channel.send(letters)
    assert time.perf_counter() - began < 1


def test_answers_are_json_lines():
    line = {"event_id": "e1", "kind": "clicked", "occurred_at": "2026-11-23T19:00:00+00:00", "message_id": "m1"}
    odd = {**line, "event_id": "e2", "kind": "waved", "address": "mary@example.org"}
    raw = f"{json.dumps(line)}\n\n{json.dumps(odd)}\n".encode()
    first, second = outbox.events(raw, {}, url="", environment={}, received_at=NOW)
    assert (first.kind, first.message_id, first.occurred_at.hour) == (EventKind.CLICKED, "m1", 19)
    assert second.kind is EventKind.UNKNOWN
    assert second.address == "mary@example.org"
    assert "mary" not in second.raw


def test_bad_answer_names_the_line():
    with pytest.raises(DataError, match="line 2"):
        outbox.events(
            b'{"event_id": 1, "kind": "opened", "occurred_at": "2026-11-23"}\n{}',
            {}, url="", environment={}, received_at=NOW,
        )  # fmt: skip


# --- providers against the fake server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_fake(tmp_path_factory.mktemp("hand"), None) as fake:
        yield fake


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    if not PROVIDERS.exists():
        pytest.skip(OFFICIAL)
    with running_fake(tmp_path_factory.mktemp("official"), PROVIDERS) as fake:
        yield fake


@pytest.fixture
def fake(server):
    server.reset()
    return server


def mail(fake):
    return sendgrid.open_channel(settings(environment=fake.environment))


def sms(fake, **changes):
    return twilio.open_channel(settings(environment={**fake.environment, **changes}))


@pytest.mark.parametrize("kind", ["server", "official"])
def test_requests_are_what_the_providers_take(kind, request):
    fake = request.getfixturevalue(kind)
    fake.reset()
    assert mail(fake).send([an_email()])[0].status is ReceiptStatus.ACCEPTED
    assert sms(fake).send([an_sms()])[0].status is ReceiptStatus.ACCEPTED
    posted, texted = fake.accepted()
    assert posted["message_id"] == "emailmessage0001"
    person = posted["body"]["personalizations"][0]
    assert person["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert not posted["body"]["tracking_settings"]["open_tracking"]["enable"]
    assert "example.org" not in json.dumps(person["custom_args"])
    assert texted["message_id"] == "smsmessage000001"


def test_same_words_go_in_one_call(fake):
    letters = [an_email(f"m{number}", f"h{number}@example.org", html="", text="same") for number in range(3)]
    receipts = mail(fake).send(letters)
    assert [receipt.message_id for receipt in receipts] == ["m0", "m1", "m2"]
    assert len({receipt.provider_id for receipt in receipts}) == 1
    assert [entry["to"] for entry in fake.accepted()] == [letter.address for letter in letters]


@pytest.mark.parametrize(
    ("kind", "status", "stops", "taken"),
    [
        (429, ReceiptStatus.RETRY, False, 0),
        (401, ReceiptStatus.RETRY, True, 0),
        (500, ReceiptStatus.IN_DOUBT, False, 0),
        ("cut_before", ReceiptStatus.IN_DOUBT, False, 0),
        ("cut_after", ReceiptStatus.IN_DOUBT, False, 1),
    ],
)
@pytest.mark.parametrize("provider", ["sendgrid", "twilio"])
def test_each_fault_has_its_receipt(fake, provider, kind, status, stops, taken):
    fake.order({"provider": provider, "kind": kind})
    channel, letter = (mail(fake), an_email()) if provider == "sendgrid" else (sms(fake), an_sms())
    [receipt] = channel.send([letter])
    assert (receipt.status, receipt.stops_run) == (status, stops)
    assert len(fake.accepted()) == taken


@pytest.mark.parametrize(("module", "letter"), [(sendgrid, an_email()), (twilio, an_sms())])
def test_silence_is_doubt(fake, module, letter, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    fake.order({"kind": "hang"})
    [receipt] = module.open_channel(settings(environment=fake.environment)).send([letter])
    assert receipt.status is ReceiptStatus.IN_DOUBT


@pytest.mark.parametrize(("module", "letter"), [(sendgrid, an_email()), (twilio, an_sms())])
def test_nobody_there_is_certainly_not_sent(fake, module, letter):
    nowhere = {"SENDGRID_HOST": "http://127.0.0.1:9", "TWILIO_API_BASE": "http://127.0.0.1:9"}
    [receipt] = module.open_channel(settings(environment={**fake.environment, **nowhere})).send([letter])
    assert receipt.status is ReceiptStatus.RETRY


@pytest.mark.parametrize(
    ("code", "status", "stops", "suppresses"),
    [
        (21610, ReceiptStatus.REFUSED, False, True),
        (21614, ReceiptStatus.REFUSED, False, False),
        (30007, ReceiptStatus.REFUSED, False, False),
        (21611, ReceiptStatus.RETRY, False, False),
        (21703, ReceiptStatus.RETRY, True, False),
        (99999, ReceiptStatus.REFUSED, False, False),  # a 400 nobody knows
    ],
)
def test_twilio_codes(fake, code, status, stops, suppresses):
    fake.order({"provider": "twilio", "kind": code})
    [receipt] = sms(fake).send([an_sms()])
    assert (receipt.status, receipt.stops_run, receipt.suppresses) == (status, stops, suppresses)
    assert receipt.code.split()[1] == str(code)


def test_opted_out_number_is_masked_in_the_answer(fake):
    fake.opt_out("+447700900123")
    [receipt] = sms(fake).send([an_sms()])
    assert receipt.suppresses
    assert "+447***123" in receipt.detail


@pytest.mark.parametrize("letter", [an_sms(address="+441632960123"), an_sms(text="x" * 1601)])
def test_what_twilio_would_read_aloud_or_refuse_never_leaves(fake, letter):
    [receipt] = sms(fake).send([letter])
    assert receipt.status is ReceiptStatus.REFUSED
    assert fake.accepted() == []


@pytest.mark.parametrize("address", ["not an address", "a@b"])
def test_bad_address_is_refused_for_good(fake, address):
    [receipt] = mail(fake).send([an_email(address=address)])
    assert receipt.status is ReceiptStatus.REFUSED


def test_sdks_log_no_contact(fake, caplog):
    with caplog.at_level(logging.DEBUG):
        mail(fake).send([an_email()])
        sms(fake).send([an_sms()])
    assert "mary@example.org" not in caplog.text
    assert "+447700900123" not in caplog.text
    assert "goes out tonight" not in caplog.text


def doubt(text="Your bin goes out tonight", since=None, address="+447700900123"):
    return Doubt("smsmessage000001", Medium.SMS, address, text, since or datetime.now(UTC))


def test_twilio_finds_what_was_taken(fake):
    fake.order({"provider": "twilio", "kind": "cut_after"})
    channel = sms(fake)
    channel.send([an_sms()])
    assert channel.reconcile([doubt(since=NOW - timedelta(minutes=14))]) == {}  # not asked so soon
    found = channel.reconcile([doubt(since=NOW - timedelta(days=1))])
    assert found["smsmessage000001"].status is ReceiptStatus.ACCEPTED
    assert found["smsmessage000001"].provider_id == fake.accepted()[0]["provider_id"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (doubt(since=NOW - timedelta(minutes=16)), ReceiptStatus.RETRY),
        (doubt(since=NOW - timedelta(minutes=14)), None),  # may still come
        (doubt(text="", since=NOW - timedelta(minutes=16)), None),  # nothing to compare
    ],
)
def test_twilio_calls_missing_only_what_it_can_prove(fake, asked, status):
    channel = sms(fake)
    channel.send([an_sms(text="other words")])
    found = channel.reconcile([asked])
    assert (found["smsmessage000001"].status if found else None) == status


def test_doubt_stays_when_twilio_does_not_answer(fake):
    channel = sms(fake, TWILIO_API_BASE="http://127.0.0.1:9")
    assert channel.reconcile([doubt(since=NOW - timedelta(days=1))]) == {}


def test_sendgrid_has_no_list_to_ask(fake):
    assert mail(fake).reconcile([Doubt("m", Medium.EMAIL, "a@example.org", "x", NOW)]) == {}


# --- the fake itself refuses what the providers refuse

PERSON = {"to": [{"email": "a@example.org"}], "subject": "s"}
MAIL = {
    "personalizations": [PERSON],
    "from": {"email": "b@example.org"},
    "content": [{"type": "text/plain", "value": "x"}],
}
BY_HAND = [
    {"personalizations": []},
    {"personalizations": [PERSON] * 1001},
    {"personalizations": [{"to": [{"email": "a@example.org"}]}]},  # no subject anywhere
    {"personalizations": [{**PERSON, "headers": {"Subject": "x"}}]},
    {"personalizations": [{**PERSON, "headers": {"X-N": 1}}]},
    {"personalizations": [{**PERSON, "to": [{"email": "a@example.org", "name": "A; B"}]}]},
    {"personalizations": [{**PERSON, "custom_args": {"a": "x" * 10_000}}]},
    {"personalizations": [{**PERSON, "send_at": 4_000_000_000}]},
    {"from": {"email": "ŵ@example.org"}},
    {"content": []},
    {"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]},
    {"categories": ["a", "a"]},
    {"colour": "red"},
]
BY_SCHEMA = [
    {"personalizations": [{**PERSON, "send_at": "soon"}]},
    {"from": {}},
    {"from": {"email": "nobody"}},
    {"categories": [str(number) for number in range(11)]},
    {"asm": {"groups_to_display": [1]}},
    {"content": [{"type": "text/plain", "value": ""}]},
]


def post_mail(fake, body):
    headers = {"authorization": f"Bearer {fake.environment['SENDGRID_API_KEY']}"}
    return httpx.post(f"{fake.base}/v3/mail/send", json=body, headers=headers).status_code


@pytest.mark.parametrize("changes", BY_HAND)
def test_fake_mail_rules(fake, changes):
    assert post_mail(fake, MAIL) == 202
    assert post_mail(fake, {**MAIL, **changes}) == 400


@pytest.mark.parametrize("changes", BY_SCHEMA)
def test_official_mail_schema(official, changes):
    assert post_mail(official, MAIL) == 202
    assert post_mail(official, {**MAIL, **changes}) == 400


TEXT = {"To": "+447700900123", "Body": "x", "MessagingServiceSid": "MG" + "b" * 32}


def post_sms(fake, form):
    auth = (fake.environment["TWILIO_ACCOUNT_SID"], fake.environment["TWILIO_AUTH_TOKEN"])
    answer = httpx.post(f"{fake.base}/2010-04-01/Accounts/{auth[0]}/Messages.json", data=form, auth=auth)
    return answer.json().get("code")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"To": ""}, 21604),
        ({"To": "07700 900123"}, 21211),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MessagingServiceSid": ""}, 21603),
        ({"ValidityPeriod": "99999"}, 20422),
    ],
)
def test_fake_sms_rules(fake, changes, code):
    assert post_sms(fake, {**TEXT, **changes}) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"MessagingServiceSid": "MG1"}, 20422),
        ({"ValidityPeriod": "abc"}, 20422),
        ({"StatusCallback": "not a uri"}, 20422),
        ({"ScheduleType": "never"}, 20422),
        ({"Colour": "red"}, 20422),
    ],
)
def test_official_sms_schema(official, changes, code):
    assert post_sms(official, {**TEXT, **changes}) == code


# --- callbacks

KEY = CallbackKey()


def mail_events(body, headers=None, key=None):
    environment = {"SENDGRID_WEBHOOK_PUBLIC_KEY": KEY.public if key is None else key}
    headers = KEY.headers(body) if headers is None else headers
    return sendgrid.events(body, headers, url="", environment=environment, received_at=NOW)


def a_mail_event(**fields):
    base = {"email": "mary@example.org", "timestamp": 1513299569, "event": "delivered", "sg_event_id": "e1"}
    return json.dumps([{**base, "nudge_message_id": "m1", **fields}]).encode() + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"event": "delivered"}, EventKind.DELIVERED),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, EventKind.BOUNCED),
        ({"event": "bounce", "type": "blocked"}, EventKind.FAILED),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, EventKind.UNSUBSCRIBED),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, EventKind.COMPLAINED),
        ({"event": "dropped", "reason": "SMTPAPI error"}, EventKind.FAILED),
        ({"event": "open", "sg_machine_open": True}, EventKind.OPENED),
        ({"event": "group_resubscribe"}, EventKind.RESUBSCRIBED),
        ({"event": "processed"}, EventKind.UNKNOWN),
        ({"event": "account_status_change", "email": None, "nudge_message_id": ""}, EventKind.UNKNOWN),
    ],
)
def test_sendgrid_words(fields, kind):
    [event] = mail_events(a_mail_event(**fields))
    assert event.kind is kind
    assert event.code.startswith("permanent ") is (kind is EventKind.BOUNCED)
    assert event.occurred_at == datetime.fromtimestamp(1513299569, UTC)
    assert "mary@" not in event.raw


def test_machine_opens_are_marked():
    [event] = mail_events(a_mail_event(event="open", sg_machine_open=True))
    assert event.code == "machine"


def test_event_without_id_gets_one_of_its_content():
    [first] = mail_events(a_mail_event(sg_event_id=None))
    [again] = mail_events(a_mail_event(sg_event_id=None))
    [other] = mail_events(a_mail_event(sg_event_id=None, timestamp=1))
    assert first.event_id == again.event_id != other.event_id


GOOD = a_mail_event()
SIGNED = KEY.headers(GOOD)
SIGNATURE, TIMESTAMP = SIGNED


@pytest.mark.parametrize(
    ("body", "headers", "key"),
    [
        (GOOD + b" ", SIGNED, None),  # one byte more
        (GOOD.strip(), SIGNED, None),  # the trailing line end is signed too
        (GOOD, {**SIGNED, TIMESTAMP: "1"}, None),
        (GOOD, {SIGNATURE: SIGNED[SIGNATURE]}, None),
        (GOOD, {**SIGNED, SIGNATURE: "!!!"}, None),
        (GOOD, {**SIGNED, SIGNATURE: "ŵ"}, None),
        (GOOD, CallbackKey().headers(GOOD), None),
        (b"\xff\xfe", SIGNED, None),
        (GOOD, SIGNED, ""),
        (GOOD, SIGNED, "no key at all"),
    ],
)
def test_forged_mail_callbacks_raise(body, headers, key):
    with pytest.raises(SignatureError):
        mail_events(body, headers, key)


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[1]", b'[{"event": "open"}]', b'[{"timestamp": 1e999}]'])
def test_signed_nonsense_is_a_data_error(body):
    with pytest.raises(DataError):
        mail_events(body)


@given(st.binary(max_size=300))
def test_any_signed_bytes_are_events_or_a_known_error(body):
    with contextlib.suppress(DataError, SignatureError):
        mail_events(body)


URL = "https://bins.example.org/events/twilio?message_id=smsmessage000001"


def sms_events(fields, url=URL, headers=None, environment=None):
    headers = twilio_headers(url, fields) if headers is None else headers
    environment = {"TWILIO_AUTH_TOKEN": TOKEN} if environment is None else environment
    raw = urlencode(fields).encode()
    return twilio.events(raw, headers, url=url, environment=environment, received_at=NOW)


STATUS = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+447700900123", "AccountSid": "AC0", "Blank": ""}
INBOUND = {"MessageSid": "SM2", "SmsStatus": "received", "From": "+447700900123", "To": "+447700900999"}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"MessageStatus": "delivered"}, EventKind.DELIVERED),
        ({"MessageStatus": "undelivered", "ErrorCode": "30005"}, EventKind.BOUNCED),
        ({"MessageStatus": "undelivered", "ErrorCode": "30003"}, EventKind.FAILED),
        ({"MessageStatus": "failed", "ErrorCode": "21610"}, EventKind.UNSUBSCRIBED),
        ({"MessageStatus": "sent"}, EventKind.UNKNOWN),
        ({"MessageStatus": "teleported"}, EventKind.UNKNOWN),
    ],
)
def test_twilio_statuses(fields, kind):
    [event] = sms_events({**STATUS, **fields})
    assert (event.kind, event.message_id, event.occurred_at) == (kind, "smsmessage000001", NOW)
    assert event.code.startswith("permanent ") is (kind is EventKind.BOUNCED)
    assert "900123" not in event.raw


def test_repeats_share_an_id_and_steps_do_not():
    ids = {sms_events({**STATUS, "MessageStatus": word})[0].event_id for word in ("sent", "delivered", "sent")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"Body": "STOP", "OptOutType": "STOP"}, EventKind.UNSUBSCRIBED),
        ({"Body": "please", "OptOutType": "STOP"}, EventKind.UNSUBSCRIBED),
        ({"Body": "Stop."}, EventKind.UNSUBSCRIBED),
        ({"Body": " opt out "}, EventKind.UNSUBSCRIBED),
        ({"Body": "START", "OptOutType": "START"}, EventKind.RESUBSCRIBED),
        ({"Body": "unstop"}, EventKind.RESUBSCRIBED),
        ({"Body": "HELP", "OptOutType": "HELP"}, EventKind.UNKNOWN),
        ({"Body": "when does it stop?"}, EventKind.UNKNOWN),
        ({"Body": ""}, EventKind.UNKNOWN),
    ],
)
def test_inbound_words(fields, kind):
    [event] = sms_events({**INBOUND, **fields}, url="https://bins.example.org/events/twilio")
    assert (event.kind, event.address) == (kind, "+447700900123")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": URL.replace("0001", "0002")},
        {"headers": {}},
        {"headers": {"x-twilio-signature": "x"}},
        {"environment": {}},
        {"environment": {"TWILIO_AUTH_TOKEN": "other"}},
    ],
)
def test_forged_sms_callbacks_raise(changes):
    signed = twilio_headers(URL, STATUS)
    with pytest.raises(SignatureError):
        sms_events(STATUS, **{"headers": signed, **changes})


def test_callback_without_sid_says_where_to_look():
    with pytest.raises(DataError, match="MessageSid is missing"):
        sms_events({"To": "+447700900123"})


@pytest.mark.skipif(not PROVIDERS.exists(), reason=OFFICIAL)
def test_official_samples_are_understood():
    documented = json.loads((PROVIDERS / "sendgrid_events.json").read_text())
    batch = documented["events_from_docs"] + documented["events_newer_fields_hand_made"]["events"]
    events = mail_events(json.dumps(batch).encode())
    assert len(events) == len(batch)
    expected = {"delivered", "deferred", "bounce", "dropped", "spamreport", "unsubscribe", "open", "click"}
    words = {
        fields["event"] for fields, event in zip(batch, events, strict=True) if event.kind is not EventKind.UNKNOWN
    }
    assert expected <= words
    samples = json.loads((PROVIDERS / "twilio_webhooks.json").read_text())
    for fields in samples["status_callbacks"] + samples["inbound"]:
        assert len(sms_events(fields)) == 1
    stops = [fields for fields in samples["inbound"] if fields.get("OptOutType") == "STOP"]
    assert all(sms_events(fields)[0].kind is EventKind.UNSUBSCRIBED for fields in stops)


@pytest.mark.skipif(not PROVIDERS.exists(), reason=OFFICIAL)
def test_every_documented_code_is_classed_alike():
    """The list's own suggested classes against ours."""
    codes = json.loads((PROVIDERS / "twilio_error_codes_subset.json").read_text())["codes"]
    alike = {
        "fatal": "stop",
        "permanent": "content",
        "permanent_address": "address",
        "suppress": "suppress",
        "retry": "wait",
    }
    for entry in codes:
        if entry["suggested_class"] in alike:
            assert twilio._ANSWER_OF_CODE[entry["code"]] == alike[entry["suggested_class"]], entry
