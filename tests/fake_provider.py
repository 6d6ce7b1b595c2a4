"""A stand-in for SendGrid and Twilio on loopback: a process of its own, stateful, with faults to order.

`python fake_provider.py PORT_FILE [PROVIDERS_FOLDER]` serves until killed. With the folder of official schemas each
request is checked against them, and everywhere by the hand rules that the schemas do not catch (lengths, time limits,
unknown fields). Faults are ordered at POST /_faults as {"provider", "kind", "times", "skip"}; kinds: 429, 500, 401,
a Twilio code such as 21610, "hang", "cut_before" and "cut_after" (accepting). GET /_accepted lists what was taken.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from twilio.request_validator import RequestValidator
from uvicorn.protocols.http.h11_impl import H11Protocol

ACCOUNT = "AC" + "0" * 32
SERVICE = "MG" + "b" * 32
API_KEY = "SG.fake"
TOKEN = "fake-token"
MAIL_FIELDS = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
}  # fmt: skip
FORBIDDEN_HEADERS = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip
TRANSPORTS: dict[tuple[str, int], asyncio.Transport] = {}


class CuttableProtocol(H11Protocol):
    """Lets the application find its own connection, to cut it."""

    def connection_made(self, transport):
        TRANSPORTS[transport.get_extra_info("peername")] = transport
        super().connection_made(transport)

    def connection_lost(self, exc):
        TRANSPORTS.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


# --- what the providers would say ------------------------------------------------------


class Schemas:
    """The official request schemas; without a folder everything passes."""

    def __init__(self, folder: Path | None):
        self.mail = self.sms = None
        self.sms_types: dict[str, str] = {}
        if folder is None:
            return
        import jsonschema_rs

        spec = json.loads((folder / "sendgrid_tsg_mail_v3.json").read_text())
        body = spec["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
        body["properties"]["custom_args"] = {"type": "object"}  # the specification says string, everything else object
        schema = {**body, "components": spec["components"]}
        self.mail = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        spec = json.loads((folder / "twilio_messages_v2010.json").read_text())
        post = spec["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]
        form = post["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        self.sms_types = {name: rule.get("type", "string") for name, rule in form["properties"].items()}
        self.sms = jsonschema_rs.Draft7Validator(
            {**form, "components": spec["components"], "additionalProperties": False}, validate_formats=True
        )

    def mail_errors(self, body) -> list[str]:
        return [] if self.mail is None else [error.message for error in self.mail.iter_errors(body)]

    def sms_errors(self, form) -> list[str]:
        if self.sms is None:
            return []
        typed = {name: self._typed(name, value) for name, value in form.items()}
        return [error.message for error in self.sms.iter_errors(typed)]

    def _typed(self, name, value):
        kind = self.sms_types.get(name)
        if kind == "integer" and re.fullmatch(r"-?\d+", value):
            return int(value)
        return value == "true" if kind == "boolean" and value in ("true", "false") else value


def mail_rule_errors(body, now: float) -> list[str]:
    """What SendGrid refuses although its schema allows it."""
    errors = [f"unknown field {name}" for name in set(body) - MAIL_FIELDS]
    people = body.get("personalizations") or []
    if not 1 <= len(people) <= 1000:
        errors.append("personalizations: 1 to 1000")
    if not (body.get("from") or {}).get("email", "").isascii():
        errors.append("from: no unicode")
    if not body.get("content") and not body.get("template_id"):
        errors.append("content is missing")
    order = [part.get("type") for part in body.get("content") or []]
    if "text/plain" in order[1:]:
        errors.append("text/plain must come first")
    categories = body.get("categories") or []
    if len(categories) > 10 or len(set(categories)) != len(categories):
        errors.append("categories: at most 10, unique")
    recipients = [address for person in people for kind in ("to", "cc", "bcc") for address in person.get(kind, [])]
    if len(recipients) > 1000:
        errors.append("recipients: at most 1000")
    for person in people:
        errors += _person_errors(person, body, now)
    return errors


def _person_errors(person, body, now: float) -> list[str]:
    errors = []
    if not person.get("subject") and not body.get("subject"):
        errors.append("subject is missing")
    for recipient in person.get("to", []):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", recipient.get("email", "")):
            errors.append(f"to: {recipient.get('email')!r} is no address")
        if set(";,") & set(recipient.get("name", "")):
            errors.append("to.name: no ; or ,")
    for name, value in {**body.get("headers", {}), **person.get("headers", {})}.items():
        if name.lower() in FORBIDDEN_HEADERS or not isinstance(value, str):
            errors.append(f"header {name} is not allowed")
    if len(json.dumps(person.get("custom_args", {}))) > 10_000:
        errors.append("custom_args: at most 10,000 bytes")
    send_at = person.get("send_at", body.get("send_at"))
    if isinstance(send_at, int) and send_at > now + 72 * 3600:
        errors.append("send_at: at most 72 hours ahead")
    return errors


def sms_rule_errors(form) -> tuple[int, str] | None:
    """Twilio's code and words for what its schema lets through."""
    if not form.get("To"):
        return 21604, "A 'To' phone number is required."
    if not re.fullmatch(r"\+[1-9]\d{6,14}", form["To"]):
        return 21211, f"The 'To' number {form['To']} is not a valid phone number."
    if not form.get("Body"):
        return 21602, "Message body is required."
    if len(form["Body"]) > 1600:
        return 21617, "The concatenated message body exceeds the 1600 character limit."
    if not form.get("From") and not re.fullmatch(r"MG[0-9a-fA-F]{32}", form.get("MessagingServiceSid", "")):
        return 21603, "A 'From' phone number or MessagingServiceSid is required."
    if not form.get("ValidityPeriod", "1").isdigit() or not 1 <= int(form.get("ValidityPeriod", "1")) <= 36_000:
        return 20422, "ValidityPeriod must be 1 to 36000."
    return None


# --- the server ------------------------------------------------------------------------


class Fake:
    """State of the server: faults to come and messages taken."""

    def __init__(self, schemas: Schemas):
        self.schemas = schemas
        self.faults: list[dict] = []
        self.accepted: list[dict] = []
        self.opted_out: set[str] = set()
        self.serial = itertools.count(1)
        self.calls = 0

    def fault(self, provider: str):
        """The next fault ordered for the provider, one call used up."""
        self.calls += 1
        for fault in self.faults:
            if fault.get("provider", provider) != provider:
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
                return None
            if fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault["kind"]
        return None

    async def mail_send(self, request: Request) -> Response:
        fault = self.fault("sendgrid")
        if early := await disturbed(fault, request):
            return early
        if request.headers.get("authorization") != f"Bearer {API_KEY}" or fault == 401:
            return _mail_error(401, "authorization required")
        if fault in (429, 500, 503):
            return _mail_error(fault, "try later")
        body = json.loads(await request.body())
        errors = self.schemas.mail_errors(body) + mail_rule_errors(body, time.time())
        if errors:
            return _mail_error(400, "; ".join(errors))
        provider_id = f"fake{next(self.serial):08d}"
        for person in body["personalizations"]:
            self.accepted.append(
                {
                    "provider": "sendgrid",
                    "provider_id": provider_id,
                    "message_id": person.get("custom_args", {}).get("nudge_message_id", ""),
                    "to": person["to"][0]["email"],
                    "body": {**body, "personalizations": [person]},
                }
            )
        if fault == "cut_after":
            return cut(request)
        return Response(status_code=202, headers={"X-Message-Id": provider_id})

    async def sms_create(self, request: Request) -> Response:
        fault = self.fault("twilio")
        if early := await disturbed(fault, request):
            return early
        if not _is_authorised(request) or fault == 401:
            return _sms_error(401, 20003, "Authenticate")
        if fault in (429, 500, 503):
            return _sms_error(fault, 20429 if fault == 429 else fault, "Too Many Requests")
        if isinstance(fault, int):
            return _sms_error(400, fault, "ordered by the test")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        if errors := self.schemas.sms_errors(form):
            return _sms_error(400, 20422, "; ".join(errors))
        if problem := sms_rule_errors(form):
            return _sms_error(400, *problem)
        if form["To"] in self.opted_out:
            return _sms_error(400, 21610, f"Attempt to send to unsubscribed recipient {form['To']}")
        message = self._sms(form)
        if fault == "cut_after":
            return cut(request)
        return JSONResponse(message, status_code=201)

    def _sms(self, form) -> dict:
        sid = f"SM{next(self.serial):032x}"
        message = {
            "sid": sid,
            "account_sid": ACCOUNT,
            "to": form["To"],
            "body": form["Body"],
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "status": "accepted",
            "date_created": format_datetime(datetime.now(UTC)),
            "date_sent": None,
            "error_code": None,
            "num_segments": "0",
        }
        message_id = form.get("StatusCallback", "").rpartition("message_id=")[2]
        self.accepted.append(
            {"provider": "twilio", "provider_id": sid, "message_id": message_id, "to": form["To"], "body": message}
        )
        return message

    async def sms_list(self, request: Request) -> Response:
        if not _is_authorised(request):
            return _sms_error(401, 20003, "Authenticate")
        to = request.query_params.get("To")
        size = int(request.query_params.get("PageSize", "50"))
        listed = [entry["body"] for entry in reversed(self.accepted) if entry["provider"] == "twilio"]
        page = [message for message in listed if to in (None, message["to"])][:size]
        return JSONResponse({"messages": page, "next_page_uri": None, "page": 0, "page_size": size})

    async def order_faults(self, request: Request) -> Response:
        self.faults.extend(json.loads(await request.body()))
        return Response(status_code=204)

    async def opt_out(self, request: Request) -> Response:
        self.opted_out.update(json.loads(await request.body()))
        return Response(status_code=204)

    async def show(self, _request: Request) -> Response:
        return JSONResponse(self.accepted)

    async def reset(self, _request: Request) -> Response:
        self.faults.clear()
        self.accepted.clear()
        self.opted_out.clear()
        return Response(status_code=204)


async def disturbed(fault, request: Request) -> Response | None:
    if fault == "hang":
        await asyncio.sleep(30)
        return cut(request)
    return cut(request) if fault == "cut_before" else None


def cut(request: Request) -> Response:
    """Reset the connection; what is returned never gets out."""
    TRANSPORTS[request.scope["client"]].abort()
    return Response(status_code=500)


def _mail_error(status: int, words: str) -> Response:
    return JSONResponse({"errors": [{"message": words, "field": None}]}, status_code=status)


def _sms_error(status: int, code: int, words: str) -> Response:
    return JSONResponse({"code": code, "message": words, "status": status}, status_code=status)


def _is_authorised(request: Request) -> bool:
    expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    return request.headers.get("authorization") == f"Basic {expected}"


def application(folder: Path | None) -> Starlette:
    fake = Fake(Schemas(folder))
    messages = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    return Starlette(
        routes=[
            Route("/v3/mail/send", fake.mail_send, methods=["POST"]),
            Route(messages, fake.sms_create, methods=["POST"]),
            Route(messages, fake.sms_list, methods=["GET"]),
            Route("/_faults", fake.order_faults, methods=["POST"]),
            Route("/_opted_out", fake.opt_out, methods=["POST"]),
            Route("/_accepted", fake.show),
            Route("/_reset", fake.reset, methods=["POST"]),
        ]
    )


# --- signed callbacks and the process, for tests ---------------------------------------


class CallbackKey:
    """A key pair as SendGrid's event webhook has one."""

    def __init__(self):
        self._private = ec.generate_private_key(ec.SECP256R1())
        der = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = base64.b64encode(der).decode()

    def headers(self, body: bytes, timestamp: str = "1790000000") -> dict[str, str]:
        signature = self._private.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": timestamp,
        }


def twilio_headers(url: str, fields: dict[str, str], token: str = TOKEN) -> dict[str, str]:
    return {"x-twilio-signature": RequestValidator(token).compute_signature(url, fields)}


class RunningFake:
    """The server's process seen from a test."""

    def __init__(self, port: int):
        import httpx

        self.base = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(base_url=self.base, timeout=10)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SENDGRID_HOST": self.base,
            "SENDGRID_API_KEY": API_KEY,
            "SENDGRID_FROM": "recycling@council.example",
            "TWILIO_API_BASE": self.base,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_MESSAGING_SERVICE_SID": SERVICE,
        }

    def order(self, *faults: dict) -> None:
        self._http.post("/_faults", json=list(faults)).raise_for_status()

    def opt_out(self, *numbers: str) -> None:
        self._http.post("/_opted_out", json=list(numbers)).raise_for_status()

    def accepted(self) -> list[dict]:
        return self._http.get("/_accepted").raise_for_status().json()

    def reset(self) -> None:
        self._http.post("/_reset").raise_for_status()

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_fake(tmp: Path, folder: Path | None) -> Iterator[RunningFake]:
    """Start the server as a process, wait until it listens, end it afterwards."""
    port_file = tmp / "port"
    command = [sys.executable, __file__, str(port_file), *([str(folder)] if folder else [])]
    process = subprocess.Popen(command)
    try:
        for _ in range(300):
            if port_file.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        fake = RunningFake(int(port_file.read_text()))
        yield fake
        fake.close()
    finally:
        process.kill()
        process.wait()


def main(port_file: str, folder: str | None = None) -> None:
    config = uvicorn.Config(
        application(Path(folder) if folder else None),
        host="127.0.0.1",
        port=0,
        http=CuttableProtocol,
        log_level="critical",
        lifespan="off",
    )
    socket = config.bind_socket()
    temporary = Path(port_file).with_suffix(".tmp")
    socket.listen()
    temporary.write_text(str(socket.getsockname()[1]))
    temporary.rename(port_file)
    uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    main(*sys.argv[1:])
