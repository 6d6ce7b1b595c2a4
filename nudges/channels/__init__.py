"""What every channel module here offers; a file's stem is the channel's name and this folder the registry.

A module has `open_channel(settings) -> Channel`, `SIGNED` (whether its callbacks prove who sent them, so that the
web may take them) and `events(raw, headers, *, url, environment, received_at) -> list[Event]`, which checks the
signature before it trusts a byte and raises SignatureError or DataError.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast

from nudges.domain import Event, Letter, Medium, Receipt, ReceiptStatus
from nudges.errors import ConfigError
from nudges.masking import mask_contacts


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What a channel is opened with. `environment` holds keys: never log it."""

    home: Path
    environment: Mapping[str, str]
    sender_name: str
    public_url: str
    now: datetime

    def need(self, key: str) -> str:
        """A value of the environment; raises ConfigError that says how to set it."""
        value = self.environment.get(key, "").strip()
        if not value:
            raise ConfigError(f"{key} is not set, this channel cannot send without it. Set {key} where nudges runs.")
        return value


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message that may have been sent. `text` is empty when its words can no longer be rebuilt."""

    message_id: str
    medium: Medium
    address: str
    text: str
    since: datetime  # when the attempt began


class Channel(Protocol):
    """One way for words to reach a household."""

    @property
    def media(self) -> tuple[Medium, ...]:
        """Media it carries."""

    @property
    def batch_size(self) -> int:
        """Most letters of the same words in one call."""

    @property
    def claim_size(self) -> int:
        """Most messages claimed at once, which is the most a crash can leave in doubt."""

    @property
    def leaves_building(self) -> bool:
        """Whether what is sent reaches someone outside."""

    def send(self, letters: Sequence[Letter]) -> list[Receipt]:
        """One receipt a letter, in order; letters share text and html. Doubt is a receipt, never an exception."""

    def reconcile(self, doubts: Sequence[Doubt]) -> dict[str, Receipt]:
        """What became of messages in doubt, by message id; only those that can be decided with proof."""


class ChannelModule(Protocol):
    """A file of this folder."""

    SIGNED: bool

    def open_channel(self, settings: ChannelSettings) -> Channel:
        """Channel ready to send; raises ConfigError when a key is missing."""

    def events(
        self,
        raw: bytes,
        headers: Mapping[str, str],
        *,
        url: str,
        environment: Mapping[str, str],
        received_at: datetime,
    ) -> list[Event]:
        """Events of one callback; header names in lower case."""


PERMANENT = "permanent"
"""First word of the code of a bounce that will happen again: the ledger then suppresses the address."""


class Answer(StrEnum):
    """Classes of refusal, alike for every provider."""

    STOP = "stop"  # key, account or sender is wrong: concerns every message
    CONTENT = "content"  # these words will never be taken
    ADDRESS = "address"  # this contact cannot be reached
    SUPPRESS = "suppress"  # the person told the provider to stop
    WAIT = "wait"  # refused for now, certainly not sent
    DOUBT = "doubt"  # may have been sent

    def receipt(self, message_id: str, code: str, detail: str) -> Receipt:
        """Receipt whose code is this class, then the provider's own; contacts in `detail` are masked."""
        return Receipt(
            message_id=message_id,
            status=_STATUS_OF[self],
            code=f"{self} {code}",
            detail=mask_contacts(detail)[:500],
            stops_run=self is Answer.STOP,
            suppresses=self is Answer.SUPPRESS,
        )


_STATUS_OF = {
    Answer.STOP: ReceiptStatus.RETRY,
    Answer.CONTENT: ReceiptStatus.REFUSED,
    Answer.ADDRESS: ReceiptStatus.REFUSED,
    Answer.SUPPRESS: ReceiptStatus.REFUSED,
    Answer.WAIT: ReceiptStatus.RETRY,
    Answer.DOUBT: ReceiptStatus.IN_DOUBT,
}


def names() -> tuple[str, ...]:
    """Every channel there is."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def load(name: str) -> ChannelModule:
    """Module of a channel; raises ConfigError with the choices."""
    if name not in names():
        raise ConfigError(f"channel == {name!r}, must be one of: {', '.join(names())}. Change [channels].")
    return cast("ChannelModule", importlib.import_module(f"{__name__}.{name}"))
