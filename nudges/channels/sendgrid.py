"""Turn emails into SendGrid Mail Send calls, and its signed event webhook into events."""

from __future__ import annotations

import binascii
import hashlib
import json
import logging
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook

from nudges.channels import PERMANENT, Answer, ChannelSettings, Doubt
from nudges.domain import Event, EventKind, Letter, Medium, Receipt, ReceiptStatus
from nudges.errors import DataError, SignatureError
from nudges.masking import mask_contacts

SIGNED = True
HOST = "https://api.sendgrid.com"
TIMEOUT_SECONDS = 20.0
MESSAGE_ARG = "nudge_message_id"
MOST_SECONDS = 100_000_000_000  # the year 5138

_ANSWER_OF_STATUS = {
    400: Answer.CONTENT,
    401: Answer.STOP,
    403: Answer.STOP,
    404: Answer.STOP,
    405: Answer.STOP,
    413: Answer.CONTENT,
    415: Answer.CONTENT,
    429: Answer.WAIT,
}
"""Anything else, 5xx above all, may have been taken: Mail Send has no idempotency key, so it is doubt."""

_KIND_OF_EVENT = {
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "bounce": EventKind.BOUNCED,
    "dropped": EventKind.FAILED,
    "spamreport": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
    "group_resubscribe": EventKind.RESUBSCRIBED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
}
_KIND_OF_DROP = {
    "Bounced Address": EventKind.BOUNCED,
    "Invalid": EventKind.BOUNCED,
    "Spam Reporting Address": EventKind.COMPLAINED,
    "Unsubscribed Address": EventKind.UNSUBSCRIBED,
}


def open_channel(settings: ChannelSettings) -> SendGridChannel:
    """Client with the key of the environment; SENDGRID_HOST chooses the EU host or a test server."""
    return SendGridChannel(settings)


class SendGridChannel:
    """Email through Mail Send, correlated by one opaque custom argument per personalisation."""

    media = (Medium.EMAIL,)
    batch_size = 1_000  # personalisations SendGrid takes in a call
    claim_size = 20
    leaves_building = True

    def __init__(self, settings: ChannelSettings) -> None:
        logging.getLogger("python_http_client").setLevel(logging.WARNING)  # it logs payloads, contacts included
        host = settings.environment.get("SENDGRID_HOST", HOST).rstrip("/")
        self._api = SendGridAPIClient(settings.need("SENDGRID_API_KEY"), host=host)
        self._api.client.timeout = TIMEOUT_SECONDS
        self._sender = {"email": settings.need("SENDGRID_FROM"), "name": settings.sender_name}

    def send(self, letters: Sequence[Letter]) -> list[Receipt]:
        """One call for letters that share their words; every letter gets the call's answer."""
        try:
            response = self._api.send(_payload(letters, self._sender))
        except HTTPError as error:
            return _refused(letters, int(error.status_code), _words(error.body))
        except (OSError, HTTPException) as error:
            answer = _answer_of_failure(error)
            return [answer.receipt(letter.message_id, type(error).__name__, str(error)) for letter in letters]
        if response.status_code != 202:  # Mail Send answers 202 and nothing else when it has taken a mail
            return _refused(letters, int(response.status_code), "unexpected answer")
        provider_id = response.headers.get("X-Message-Id", "")
        return [Receipt(letter.message_id, ReceiptStatus.ACCEPTED, provider_id) for letter in letters]

    def reconcile(self, doubts: Sequence[Doubt]) -> dict[str, Receipt]:  # noqa: ARG002
        """Nothing: SendGrid keeps no list to ask. Its events carry our id and settle a doubt when they come."""
        return {}


def events(
    raw: bytes,
    headers: Mapping[str, str],
    *,
    url: str,  # noqa: ARG001 - not part of this signature
    environment: Mapping[str, str],
    received_at: datetime,  # noqa: ARG001 - events carry their own time
) -> list[Event]:
    """Events of one signed batch; raises SignatureError, or DataError when it is not SendGrid's shape.

    No age limit: a batch is retried for 24 hours, and a replayed event is a no-op by its id.
    """
    _verify(raw, headers, environment)
    try:
        batch = json.loads(raw)
    except ValueError as error:
        raise DataError(f"sendgrid callback: not JSON ({error}). Nothing was stored.") from None
    if not isinstance(batch, list) or not all(isinstance(fields, dict) for fields in batch):
        raise DataError("sendgrid callback: must be a list of events. Nothing was stored.")
    return [_event(fields) for fields in batch]


def _payload(letters: Sequence[Letter], sender: Mapping[str, str]) -> dict[str, Any]:
    first = letters[0]
    content = [{"type": "text/plain", "value": first.text}]
    if first.html:
        content.append({"type": "text/html", "value": first.html})
    return {
        "personalizations": [_personalization(letter) for letter in letters],
        "from": dict(sender),
        "subject": first.subject,
        "content": content,
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }


def _personalization(letter: Letter) -> dict[str, Any]:
    personalization: dict[str, Any] = {
        "to": [{"email": letter.address}],
        "subject": letter.subject,
        "custom_args": {MESSAGE_ARG: letter.message_id},
    }
    if letter.unsubscribe_url:
        personalization["headers"] = {
            "List-Unsubscribe": f"<{letter.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    return personalization


def _refused(letters: Sequence[Letter], status: int, detail: str) -> list[Receipt]:
    answer = _ANSWER_OF_STATUS.get(status, Answer.DOUBT)
    return [answer.receipt(letter.message_id, str(status), detail) for letter in letters]


def _answer_of_failure(error: Exception) -> Answer:
    """Doubt, unless the connection was never made."""
    reason = error.reason if isinstance(error, URLError) else None
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Answer.STOP
    return Answer.WAIT if isinstance(reason, (ConnectionRefusedError, socket.gaierror)) else Answer.DOUBT


def _words(body: object) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


def _verify(raw: bytes, headers: Mapping[str, str], environment: Mapping[str, str]) -> None:
    key = environment.get("SENDGRID_WEBHOOK_PUBLIC_KEY", "")
    signature = headers.get("x-twilio-email-event-webhook-signature", "")
    timestamp = headers.get("x-twilio-email-event-webhook-timestamp", "")
    if not (key and signature and timestamp):
        missing = "signature headers" if key else "SENDGRID_WEBHOOK_PUBLIC_KEY"
        raise SignatureError(f"sendgrid callback: {missing} missing, nothing was stored.")
    try:
        is_genuine = EventWebhook(key).verify_signature(raw.decode("utf-8"), signature, timestamp)
    except (ValueError, TypeError, binascii.Error) as error:
        raise SignatureError(f"sendgrid callback: signature unreadable ({type(error).__name__}).") from None
    if not is_genuine:
        raise SignatureError("sendgrid callback: signature is wrong, nothing was stored.")


def _event(fields: Mapping[str, Any]) -> Event:
    word = str(fields.get("event", ""))
    raw = json.dumps(fields, ensure_ascii=False, sort_keys=True)
    kind = _kind(word, fields)
    return Event(
        event_id=str(fields.get("sg_event_id") or hashlib.sha256(raw.encode()).hexdigest()),
        kind=kind,
        occurred_at=_moment(fields.get("timestamp")),
        message_id=str(fields.get(MESSAGE_ARG, "")),
        provider_id=str(fields.get("sg_message_id", "")),
        address=str(fields.get("email", "")),
        code=_code(word, kind, fields),
        raw=mask_contacts(raw),
    )


def _kind(word: str, fields: Mapping[str, Any]) -> EventKind:
    if word == "dropped":
        return _KIND_OF_DROP.get(str(fields.get("reason", "")), EventKind.FAILED)
    if word == "bounce" and fields.get("type") == "blocked":  # refused for now, the address itself is good
        return EventKind.FAILED
    return _KIND_OF_EVENT.get(word, EventKind.UNKNOWN)


def _code(word: str, kind: EventKind, fields: Mapping[str, Any]) -> str:
    if word == "open" and fields.get("sg_machine_open"):
        return "machine"
    code = str(fields.get("status") or fields.get("bounce_classification") or word)
    return f"{PERMANENT} {code}" if kind is EventKind.BOUNCED else code


def _moment(timestamp: object) -> datetime:
    try:
        seconds = int(str(timestamp))
        if seconds > MOST_SECONDS:  # some documented events have milliseconds
            seconds //= 1_000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise DataError(
            f"sendgrid callback: timestamp == {timestamp!r}, must be seconds since 1970. Nothing was stored."
        ) from None
