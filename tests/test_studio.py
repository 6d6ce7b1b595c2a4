"""The web: the switch, opt-out links, callbacks, and what each refuses."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
import pytest
from fake_provider import TOKEN, CallbackKey, twilio_headers
from sending_town import DUE, WEEK, add_contacts, add_messages, open_town

from nudges.steps.workspace import open_workspace
from nudges.studio import create_app

KEY = CallbackKey()
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def town(tmp_path):
    ws = open_town(tmp_path, {"SENDGRID_WEBHOOK_PUBLIC_KEY": KEY.public, "TWILIO_AUTH_TOKEN": TOKEN})
    add_contacts(ws, 2)
    add_messages(ws, 2)
    return ws


class Web:
    """Requests to the application in this process; redirects are not followed."""

    def __init__(self, ws):
        self._app = create_app(ws, clock=lambda: DUE)

    def request(self, method, path, **options):
        async def ask():
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, **options):
        return self.request("POST", path, **options)


@pytest.fixture
def web(town):
    return Web(town)


# --- officers


def test_home_shows_state_campaigns_runs_and_reports(town, web):
    town.ledger.begin_run("choose", WEEK, now=DUE)
    (town.var / "reports/less").mkdir()
    (town.var / "reports/less/2026-W47.html").write_text("<p>impact</p>")
    text = web.get("/").text
    for words in (
        "Mardale Council",
        "Running.",
        "Less in the rubbish bin",
        "2026-W47",
        "choose",
        "/reports/less/2026-W47.html",
    ):
        assert words in text
    assert web.get("/reports/less/2026-W47.html").text == "<p>impact</p>"


def test_stop_and_resume(town, web):
    assert web.post("/stop", data={"by": "Ann", "scope": "all", "reason": "storm"}, headers=OURS).status_code == 303
    assert town.ledger.stopped()
    assert "No message leaves" in web.get("/").text
    assert web.post("/resume", data={"by": "Bob", "scope": "all"}, headers=OURS).status_code == 303
    assert not town.ledger.stopped()
    audit = town.ledger.select("SELECT who, what, subject FROM audit ORDER BY what DESC").to_pylist()
    assert [(row["who"], row["what"]) for row in audit] == [("Ann", "stop"), ("Bob", "resume")]


def test_one_campaign_is_stopped(town, web):
    web.post("/stop", data={"by": "Ann", "scope": "less"}, headers=OURS)
    assert town.ledger.stopped("less")
    assert not town.ledger.stopped("other")
    assert "Stopped in part" in web.get("/").text


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        ({"by": "", "scope": "all"}, OURS, 400),
        ({"scope": "all"}, OURS, 400),
        ({"by": "x" * 101}, OURS, 400),
        ({"by": "Ann", "scope": "nothing"}, OURS, 400),
        ({"by": "Ann"}, {"sec-fetch-site": "cross-site"}, 403),
        ({"by": "Ann"}, {"sec-fetch-site": "same-site"}, 403),
        ({"by": "Ann"}, {"origin": "https://evil.example"}, 403),
        ({"by": "Ann"}, {}, 403),
        ({"by": "Ann", "reason": "x" * 20_000}, OURS, 413),
    ],
)
def test_switch_refuses(town, web, data, headers, status):
    assert web.post("/stop", data=data, headers=headers).status_code == status
    assert not town.ledger.stopped()


def test_same_origin_without_fetch_metadata(town, web):
    assert web.post("/stop", data={"by": "Ann"}, headers={"origin": "http://testserver"}).status_code == 303


@pytest.mark.parametrize("name", ["../ledger.db", "less/../../ledger.db", "%2e%2e/ledger.db", "none.html"])
def test_only_reports_are_served(web, name):
    assert web.get(f"/reports/{name}").status_code == 404


def test_names_are_escaped(town, web):
    web.post("/stop", data={"by": "<script>alert(1)</script>", "scope": "<b>"}, headers=OURS)
    answer = web.post("/stop", data={"by": "Ann", "scope": "<b>"}, headers=OURS)
    assert "<b>" not in answer.text


# --- residents


def test_looking_at_the_link_changes_nothing(town, web):
    web.request("HEAD", "/s/less000000email")
    page = web.get("/s/less000000email")
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert town.ledger.suppressed().num_rows == 0


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"List-Unsubscribe=One-Click", {"content-type": "application/x-www-form-urlencoded"}),
        (b"", {}),
        (b"", {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}),
        (b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--',
         {"content-type": "multipart/form-data; boundary=x"}),
    ],
)  # fmt: skip
def test_press_stops_the_household(town, web, body, headers):
    answer = web.post("/s/less000001email", content=body, headers=headers)
    assert answer.status_code == 200
    assert "no more messages" in answer.text
    assert town.ledger.suppressed().column("household_id").to_pylist() == ["h1"]
    assert not answer.cookies


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/s/nosuchmessage", b"", 404), ("/s/BAD!", b"", 404), ("/s/less000001email", b"x" * 20_000, 413)],
)
def test_link_refuses(town, web, path, body, status):
    assert web.post(path, content=body).status_code == status
    assert town.ledger.suppressed().num_rows == 0


def test_welsh_first_where_the_council_has_it(tmp_path):
    open_town(tmp_path)
    text = (tmp_path / "council.toml").read_text()
    (tmp_path / "council.toml").write_text(text.replace("live =", 'languages = ["en", "cy"]\nlive ='))
    ws = open_workspace(tmp_path, {})
    page = Web(ws).get("/s/less000001email").text
    assert page.index("Stopio") < page.index("Stop messages")


# --- providers


def test_mail_callback(town, web):
    body = json.dumps([{"event": "delivered", "timestamp": 1790000000, "sg_event_id": "s1"}]).encode()
    assert web.post("/events/sendgrid", content=body, headers=KEY.headers(body)).status_code == 200
    assert web.post("/events/sendgrid", content=body + b" ", headers=KEY.headers(body)).status_code == 403
    assert web.post("/events/sendgrid", content=body).status_code == 403
    assert web.post("/events/sendgrid", content=b"[", headers=KEY.headers(b"[")).status_code == 400
    assert town.ledger.select("SELECT COUNT(*) AS n FROM events").to_pydict()["n"] == [1]


def test_sms_callback_is_checked_against_the_public_address(town, web):
    """The provider signed our public URL; the request reached us under another host."""
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+447700900001"}
    path = "/events/twilio?message_id=less000001sms"
    answer = web.post(
        path,
        content=urlencode(fields),
        headers={**twilio_headers(f"https://bins.mardale.example{path}", fields), "host": "10.0.0.7"},
    )
    assert answer.status_code == 200
    assert answer.text.endswith("<Response/>")
    forged = twilio_headers(f"http://10.0.0.7{path}", fields)
    assert web.post(path, content=urlencode(fields), headers={**forged, "host": "10.0.0.7"}).status_code == 403
    stored = town.ledger.select("SELECT message_id, kind FROM events").to_pylist()
    assert [(row["message_id"], row["kind"]) for row in stored] == [("less000001sms", "delivered")]


@pytest.mark.parametrize(("provider", "status"), [("outbox", 403), ("pigeon", 404)])
def test_other_callbacks_are_refused(web, provider, status):
    assert web.post(f"/events/{provider}", content=b"{}").status_code == status


def test_oversized_callback_is_not_read(town, web):
    async def endless():
        for _ in range(100):
            yield b"x" * 100_000

    assert web.post("/events/sendgrid", content=endless()).status_code == 413
    assert web.post("/events/sendgrid", content=b"x" * 2_000_001).status_code == 413


# --- every page


class Outline(HTMLParser):
    """Labels, fields, heading levels and table captions of a page."""

    def __init__(self):
        super().__init__()
        self.labels, self.fields, self.headings, self.tables, self.captions = set(), set(), [], 0, 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "label":
            self.labels.add(attrs["for"])
        elif tag in ("input", "select"):
            self.fields.add(attrs["id"])
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.tables += tag == "table"
        self.captions += tag == "caption"


@pytest.mark.parametrize("path", ["/", "/s/less000001email", "/reports/none.html"])
def test_pages_are_accessible_and_locked_down(web, path):
    answer = web.get(path)
    assert '<html lang="en-GB">' in answer.text
    assert "<title>" in answer.text
    outline = Outline()
    outline.feed(answer.text)
    assert outline.fields == outline.labels
    assert outline.headings[0] == 1
    assert outline.tables == outline.captions
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script|style=|onclick", answer.text)
