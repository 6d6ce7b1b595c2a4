"""Turn SMS into Twilio message calls, and its signed status and inbound callbacks into events."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit, urlunsplit

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client
from urllib3.exceptions import MaxRetryError, NewConnectionError

from nudges.channels import PERMANENT, Answer, ChannelSettings, Doubt
from nudges.domain import Event, EventKind, Letter, Medium, Receipt, ReceiptStatus
from nudges.errors import DataError, SignatureError
from nudges.masking import mask_contacts

SIGNED = True
TIMEOUT_SECONDS = 20.0
VALIDITY_SECONDS = 7_200  # Twilio gives up two hours on, so that nothing sent in the evening arrives in the night
SETTLED_AFTER = timedelta(minutes=15)  # from then on the message list is taken to be complete
MOST_LISTED = 50
MOST_CHARACTERS = 1_600
_UK_MOBILE = re.compile(r"\+447\d{9}")

_ANSWER_OF_CODE = {
    **dict.fromkeys((20003, 20404, 21212, 21408, 21606, 21703, 21704, 21705, 30002), Answer.STOP),
    **dict.fromkeys((20422, 21602, 21604, 21617, 21619, 30007, 30010, 35111, 35114, 35118), Answer.CONTENT),
    **dict.fromkeys((21211, 21608, 21612, 21614, 30004, 30005, 30006), Answer.ADDRESS),
    **dict.fromkeys((20429, 21611, 30001, 30410, 35125), Answer.WAIT),
    21610: Answer.SUPPRESS,
}
_ANSWER_OF_STATUS = {400: Answer.CONTENT, 401: Answer.STOP, 403: Answer.STOP, 404: Answer.STOP, 429: Answer.WAIT}

_KIND_OF_STATUS = {
    "delivered": EventKind.DELIVERED,
    "read": EventKind.OPENED,
    "undelivered": EventKind.FAILED,
    "failed": EventKind.FAILED,
    "canceled": EventKind.FAILED,
}
_DEAD_NUMBERS = ("21211", "21612", "21614", "30004", "30005", "30006")
_KIND_OF_OPT_OUT = {"STOP": EventKind.UNSUBSCRIBED, "START": EventKind.RESUBSCRIBED}
_STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
_START_WORDS = frozenset({"START", "UNSTOP"})


def open_channel(settings: ChannelSettings) -> TwilioChannel:
    """Client with the account of the environment; TWILIO_API_BASE points it at a test server."""
    return TwilioChannel(settings)


class RebasedHttpClient(TwilioHttpClient):  # type: ignore[misc]
    """The SDK's pooled client with scheme and host replaced, as `edge` and `region` cannot reach loopback."""

    def __init__(self, base: str) -> None:
        silent = logging.getLogger(f"{__name__}.requests")
        silent.disabled = True  # the SDK logs numbers and bodies
        super().__init__(timeout=TIMEOUT_SECONDS, logger=silent)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: object, **options: object) -> Response:
        """Send to the base given, or to Twilio itself when there is none."""
        if self._base.netloc:
            parts = urlsplit(url)
            url = urlunsplit((self._base.scheme, self._base.netloc, parts.path, parts.query, ""))
        return super().request(method, url, *args, **options)


class TwilioChannel:
    """SMS through a Messaging Service, correlated by our id in the status callback's query."""

    media = (Medium.SMS,)
    batch_size = 1
    claim_size = 1
    leaves_building = True

    def __init__(self, settings: ChannelSettings) -> None:
        self._service = settings.need("TWILIO_MESSAGING_SERVICE_SID")
        self._callback = f"{settings.public_url}/events/twilio?message_id="
        self._now = settings.now
        self._client = Client(
            settings.need("TWILIO_ACCOUNT_SID"),
            settings.need("TWILIO_AUTH_TOKEN"),
            http_client=RebasedHttpClient(settings.environment.get("TWILIO_API_BASE", "")),
        )

    def send(self, letters: Sequence[Letter]) -> list[Receipt]:
        """One call a letter: Twilio takes one recipient at a time."""
        return [self._send(letter) for letter in letters]

    def reconcile(self, doubts: Sequence[Doubt]) -> dict[str, Receipt]:
        """Look each message up in Twilio's own list by number, words and time."""
        found = {doubt.message_id: self._look_up(doubt) for doubt in doubts}
        return {message_id: receipt for message_id, receipt in found.items() if receipt is not None}

    def _send(self, letter: Letter) -> Receipt:
        if not _UK_MOBILE.fullmatch(letter.address):  # Twilio reads texts aloud to landlines
            return Answer.ADDRESS.receipt(letter.message_id, "not_a_uk_mobile", "number must be +447 and nine digits")
        if len(letter.text) > MOST_CHARACTERS:
            return Answer.CONTENT.receipt(letter.message_id, "21617", f"{len(letter.text)} characters, most is 1600")
        try:
            message = self._client.messages.create(
                to=letter.address,
                messaging_service_sid=self._service,
                body=letter.text,
                status_callback=self._callback + quote(letter.message_id),
                validity_period=VALIDITY_SECONDS,
            )
        except (TwilioException, requests.RequestException, ValueError) as error:
            return _answer_of(error).receipt(letter.message_id, _code_of(error), _words_of(error))
        return Receipt(letter.message_id, ReceiptStatus.ACCEPTED, str(message.sid))

    def _look_up(self, doubt: Doubt) -> Receipt | None:
        """Receipt with proof, or None: words withheld, Twilio silent, or too early to call it missing.

        The words hold the opt-out link with our id, so the same words to the same number are the same message.
        """
        if not doubt.text or self._now - doubt.since < SETTLED_AFTER:
            return None
        try:
            listed = self._client.messages.list(to=doubt.address, limit=MOST_LISTED)
        except (TwilioException, requests.RequestException, ValueError):
            return None
        same = [message for message in listed if message.body == doubt.text]
        if same:
            return Receipt(doubt.message_id, ReceiptStatus.ACCEPTED, str(same[0].sid))
        if len(listed) >= MOST_LISTED or any(not message.body for message in listed):  # more pages, or words discarded
            return None
        return Answer.WAIT.receipt(doubt.message_id, "not_listed", "Twilio has no such message")


def events(
    raw: bytes,
    headers: Mapping[str, str],
    *,
    url: str,
    environment: Mapping[str, str],
    received_at: datetime,
) -> list[Event]:
    """The event of one signed callback; raises SignatureError, or DataError when it is not Twilio's shape.

    Twilio signs the public URL and the sorted form fields, so the form is split before it is trusted; `url` is made
    from the configured public address, never from the Host header.
    """
    fields = _verified(raw, headers, url, environment)
    sid = fields.get("MessageSid") or fields.get("SmsSid", "")
    if not sid:
        raise DataError("twilio callback: MessageSid is missing. Is the Messaging Service pointed at another address?")
    if fields.get("SmsStatus") == "received" or "Body" in fields:
        return [_inbound(sid, fields, received_at)]
    return [_status(sid, fields, url, received_at)]


class _Fields(dict[str, str]):
    """Form fields, the first value of each; `getlist` gives all, as the SDK's verifier asks for them."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._lists: dict[str, list[str]] = {}
        for name, value in pairs:
            self._lists.setdefault(name, []).append(value)
        super().__init__({name: values[0] for name, values in self._lists.items()})

    def getlist(self, name: str) -> list[str]:
        """Every value of a field."""
        return self._lists[name]


def _verified(raw: bytes, headers: Mapping[str, str], url: str, environment: Mapping[str, str]) -> _Fields:
    token = environment.get("TWILIO_AUTH_TOKEN", "")
    signature = headers.get("x-twilio-signature", "")
    if not (token and signature):
        missing = "X-Twilio-Signature" if token else "TWILIO_AUTH_TOKEN"
        raise SignatureError(f"twilio callback: {missing} missing, nothing was stored.")
    try:
        fields = _Fields(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=200))
        algorithm = get_signature_algorithm(headers.get("x-twilio-webhooks-signature-settings"))
        is_genuine = RequestValidator(token).validate(url, fields, signature, algorithm)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"twilio callback: unreadable ({type(error).__name__}), nothing was stored.") from None
    if not is_genuine:
        raise SignatureError("twilio callback: signature is wrong, nothing was stored.")
    return fields


def _status(sid: str, fields: Mapping[str, str], url: str, received_at: datetime) -> Event:
    word = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    code = fields.get("ErrorCode", "")
    kind = _KIND_OF_STATUS.get(word, EventKind.UNKNOWN)
    if code == "21610":
        kind = EventKind.UNSUBSCRIBED
    elif kind is EventKind.FAILED and code in _DEAD_NUMBERS:
        kind = EventKind.BOUNCED
    return Event(
        event_id=f"{sid}:{word}:{code}",  # Twilio gives no id of its own
        kind=kind,
        occurred_at=received_at,
        message_id=parse_qs(urlsplit(url).query).get("message_id", [""])[0],
        provider_id=sid,
        address=fields.get("To", ""),
        code=f"{PERMANENT} {code}" if kind is EventKind.BOUNCED else code or word,
        raw=_raw(fields),
    )


def _inbound(sid: str, fields: Mapping[str, str], received_at: datetime) -> Event:
    return Event(
        event_id=f"{sid}:inbound",
        kind=_kind_of_words(fields),
        occurred_at=received_at,
        provider_id=sid,
        address=fields.get("From", ""),
        code="inbound",
        raw=_raw(fields),
    )


def _kind_of_words(fields: Mapping[str, str]) -> EventKind:
    """Twilio's own reading where Advanced Opt-Out is on, else the whole text as one word."""
    opt_out = fields.get("OptOutType", "").upper()
    if opt_out:
        return _KIND_OF_OPT_OUT.get(opt_out, EventKind.UNKNOWN)
    word = re.sub(r"[^A-Z]", "", fields.get("Body", "").upper())
    if word in _STOP_WORDS:
        return EventKind.UNSUBSCRIBED
    return EventKind.RESUBSCRIBED if word in _START_WORDS else EventKind.UNKNOWN


def _raw(fields: Mapping[str, str]) -> str:
    return mask_contacts(json.dumps(dict(fields), ensure_ascii=False, sort_keys=True))


def _answer_of(error: Exception) -> Answer:
    if isinstance(error, (TwilioRestException, TwilioServiceException)):
        by_status = _ANSWER_OF_STATUS.get(error.status, Answer.CONTENT if error.status < 500 else Answer.DOUBT)
        return _ANSWER_OF_CODE.get(int(error.code or 0), by_status)
    if isinstance(error, requests.exceptions.SSLError):
        return Answer.STOP
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Answer.WAIT
    cause = error.args[0] if error.args else None
    never_connected = isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
    return Answer.WAIT if never_connected else Answer.DOUBT


def _code_of(error: Exception) -> str:
    return str(getattr(error, "code", None) or type(error).__name__)


def _words_of(error: Exception) -> str:
    return str(getattr(error, "msg", None) or getattr(error, "detail", None) or type(error).__name__)
