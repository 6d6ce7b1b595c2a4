"""Turn letters into files under `var/outbox/<day>/`: .eml for email, .json for SMS; nothing leaves the building."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

from nudges.channels import Answer, ChannelSettings, Doubt
from nudges.domain import Event, EventKind, Letter, Medium, Receipt, ReceiptStatus
from nudges.errors import DataError
from nudges.masking import mask_contacts

SIGNED = False
FOLDER = ("var", "outbox")
_SUFFIX = {Medium.EMAIL: ".eml", Medium.SMS: ".json"}
_KINDS = {kind.value: kind for kind in EventKind}


def open_channel(settings: ChannelSettings) -> OutboxChannel:
    """The folder of this workspace; needs no key."""
    return OutboxChannel(settings)


class OutboxChannel:
    """A file's name is the message id, so the same message twice is the same file."""

    media = (Medium.SMS, Medium.EMAIL)
    batch_size = 1
    claim_size = 500
    leaves_building = False

    def __init__(self, settings: ChannelSettings) -> None:
        self._root = settings.home.joinpath(*FOLDER)
        self._day = self._root / settings.now.date().isoformat()
        self._now = settings.now
        self._date = format_datetime(settings.now)
        self._host = urlsplit(settings.public_url).hostname or "localhost"
        self._from = f"{_encoded(_one_line(settings.sender_name), phrase=True)} <no-reply@{self._host}>"

    def send(self, letters: Sequence[Letter]) -> list[Receipt]:
        """Write each letter under a temporary name, then rename: a file is there whole or not at all."""
        self._day.mkdir(parents=True, exist_ok=True)
        return [self._write(letter) for letter in letters]

    def reconcile(self, doubts: Sequence[Doubt]) -> dict[str, Receipt]:
        """Accepted when the file is there, otherwise certainly not sent."""
        wanted = {doubt.message_id + _SUFFIX[doubt.medium]: doubt.message_id for doubt in doubts}
        there = {wanted[name] for name in _names(self._root) if name in wanted}
        return {
            doubt.message_id: Receipt(doubt.message_id, ReceiptStatus.ACCEPTED, doubt.message_id)
            if doubt.message_id in there
            else Answer.WAIT.receipt(doubt.message_id, "not_there", "no such file in the outbox")
            for doubt in doubts
        }

    def _write(self, letter: Letter) -> Receipt:
        name = letter.message_id + _SUFFIX[letter.medium]
        try:
            content = self._email(letter) if letter.medium is Medium.EMAIL else self._sms(letter)
            temporary = self._day / f".{name}.tmp"
            temporary.write_bytes(content)
            os.replace(temporary, self._day / name)
        except OSError as error:
            return Answer.STOP.receipt(letter.message_id, "disk", f"{type(error).__name__}: {error.strerror}")
        return Receipt(letter.message_id, ReceiptStatus.ACCEPTED, letter.message_id)

    def _sms(self, letter: Letter) -> bytes:
        body = {
            "message_id": letter.message_id,
            "to": letter.address,
            "text": letter.text,
            "sent_at": self._now.isoformat(),
        }
        return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()

    def _email(self, letter: Letter) -> bytes:
        """MIME by hand: a thirtieth of the time that email.message takes, and parses back the same."""
        boundary = f"=_{letter.message_id}"
        lines = [
            f"From: {self._from}",
            f"To: {_one_line(letter.address)}",
            f"Subject: {_encoded(_one_line(letter.subject))}",
            f"Date: {self._date}",
            f"Message-ID: <{letter.message_id}@{self._host}>",
        ]
        if letter.unsubscribe_url:
            lines += [
                f"List-Unsubscribe: <{_one_line(letter.unsubscribe_url)}>",
                "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            ]
        lines += ["MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{boundary}"', ""]
        parts = [("plain", letter.text)] + ([("html", letter.html)] if letter.html else [])
        for subtype, text in parts:
            lines += [f"--{boundary}", f"Content-Type: text/{subtype}; charset=utf-8"]
            lines += ["Content-Transfer-Encoding: quoted-printable", "", _quoted(text)]
        return ("\r\n".join([*lines, f"--{boundary}--", ""])).encode("ascii")


def events(
    raw: bytes,
    headers: Mapping[str, str],  # noqa: ARG001 - a file has none
    *,
    url: str,  # noqa: ARG001
    environment: Mapping[str, str],  # noqa: ARG001
    received_at: datetime,  # noqa: ARG001
) -> list[Event]:
    """Events of a file of JSON lines; raises DataError with the line that is none."""
    return [_event(number, line) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]


def _event(number: int, line: bytes) -> Event:
    try:
        fields = json.loads(line)
        occurred_at = datetime.fromisoformat(fields["occurred_at"])
        return Event(
            event_id=str(fields["event_id"]),
            kind=_KINDS.get(fields["kind"], EventKind.UNKNOWN),
            occurred_at=occurred_at if occurred_at.tzinfo else occurred_at.replace(tzinfo=UTC),
            message_id=str(fields.get("message_id", "")),
            address=str(fields.get("address", "")),
            code=str(fields.get("code", "")),
            raw=mask_contacts(line.decode()),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"answers: line {number} is no event ({type(error).__name__}: {error}). "
            "Each line needs event_id, kind and occurred_at as JSON."
        ) from None


def _names(root: Path) -> Iterator[str]:
    if not root.exists():
        return
    for day in os.scandir(root):
        if day.is_dir():
            yield from os.listdir(day.path)


def _one_line(text: str) -> str:
    """A header value cannot start another header."""
    return " ".join(text.split())


def _encoded(text: str, *, phrase: bool = False) -> str:
    """A header value as it is when ASCII, else RFC 2047 words of at most 75 characters."""
    if text.isascii():
        return '"' + text.replace("\\", "").replace('"', "") + '"' if phrase else text
    words, chunk = [], b""
    for character in text:
        code = character.encode()
        if len(chunk) + len(code) > 45:
            words.append(chunk)
            chunk = b""
        chunk += code
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in [*words, chunk])


def _quoted(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
    return binascii.b2a_qp(lines, istext=True).decode("ascii")
