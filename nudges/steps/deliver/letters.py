"""Turn claimed messages into letters, each with its contact and its words, or into the reason it is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from nudges.domain import Letter, Medium
from nudges.errors import NudgesError
from nudges.ledger import address_hash
from nudges.rendering import CompiledTemplate, Content, compile_for, rebuild, stop_link
from nudges.sending import Suppressions, may_leave
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

NO_CONTACT = "no_contact"
SUPPRESSED = "suppressed"
TRIAL = "trial"
CHANGED = "changed"

_CONTACTS = """
SELECT contacts.household_id, contacts.medium, arg_max(contacts.address, contacts.known_on) AS address
FROM contacts SEMI JOIN wanted ON contacts.household_id = wanted.household_id
WHERE contacts.known_on <= ?
GROUP BY ALL
"""

Row = Mapping[str, Any]
Addresses = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Letters ready to go, their rows by message id, and ids to drop by reason."""

    letters: Sequence[Letter]
    dropped: Mapping[str, Sequence[str]]


def latest_addresses(ws: Workspace, households: Iterable[str], now: datetime) -> dict[tuple[str, str], str]:
    """Latest known contact by (household, medium): the one place where sending looks contacts up."""
    today = now.astimezone(ZoneInfo(ws.council.timezone)).date()
    wanted = pa.table({"household_id": pa.array(sorted(set(households)), pa.string())})
    if not wanted.num_rows:
        return {}
    files = ws.ledger.live_files(upto=Week.containing(today), tables=["contacts"])
    with ws.warehouse.connect(files) as database:
        database.register("wanted", wanted)
        found = database.execute(_CONTACTS, [today]).to_arrow_table().to_pydict()
    keys = zip(found["household_id"], found["medium"], strict=True)
    return dict(zip(keys, found["address"], strict=True))


@dataclass(slots=True)
class AddressBook:
    """Latest contacts, looked up when a household first comes up: more falls due, or is approved, during a run."""

    ws: Workspace
    now: datetime
    _found: dict[tuple[str, str], str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def of(self, households: Iterable[str]) -> Addresses:
        """Contacts by (household, medium), of these households and of all that came up before."""
        fresh = set(households) - self._asked
        if fresh:
            self._found |= latest_addresses(self.ws, fresh, self.now)
            self._asked |= fresh
        return self._found


class Words:
    """Words of messages, written again from template and stored facts; each template is compiled once."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._compiled: dict[tuple[str, str], CompiledTemplate] = {}

    def of(self, row: Row) -> Content:
        """The words as planned; raises NudgesError when they cannot be had any more."""
        key = (row["template"], row["language"])
        if key not in self._compiled:
            self._compiled[key] = compile_for(self._ws.templates, *key, self._ws.council)
        return rebuild(self._compiled[key], row)


@dataclass(slots=True)
class FreshSuppressions:
    """Suppressions in force, read again only when a row was added: asked before every call."""

    ws: Workspace
    _seen: int = -1
    _index: Suppressions = field(default_factory=lambda: Suppressions.of(()))

    def now(self) -> Suppressions:
        """As of this moment."""
        written = self.ws.ledger.select("SELECT COUNT(*) AS n FROM suppressions").column("n")[0].as_py()
        if written != self._seen:
            rows = self.ws.ledger.suppressed().select(["household_id", "address_hash", "medium"]).to_pydict()
            columns = ([value or "" for value in values] for values in rows.values())
            self._index = Suppressions.of(zip(*columns, strict=True))
            self._seen = written
        return self._index


def prepare(
    ws: Workspace, rows: Sequence[Row], addresses: Addresses, words: Words, suppressions: Suppressions, *, outside: bool
) -> Prepared:
    """Letters of the rows that may go. `outside` says whether the channel reaches people."""
    letters: list[Letter] = []
    dropped: dict[str, list[str]] = {}
    for row in rows:
        address = addresses.get((row["household_id"], row["medium"]), "")
        reason = _why_not(ws, row, address, suppressions, outside=outside)
        letter = None if reason else _letter(ws, row, address, words.of)
        if letter:
            letters.append(letter)
        else:
            dropped.setdefault(reason or CHANGED, []).append(row["message_id"])
    return Prepared(letters, dropped)


def _why_not(ws: Workspace, row: Row, address: str, suppressions: Suppressions, *, outside: bool) -> str:
    if not address:
        return NO_CONTACT
    if suppressions.hold(row["household_id"], address_hash(address), row["medium"]):
        return SUPPRESSED
    if outside and not may_leave(address, live=ws.council.live, allow_list=ws.council.allow_list):
        return TRIAL
    return ""


def _letter(ws: Workspace, row: Row, address: str, words: Callable[[Row], Content]) -> Letter | None:
    try:
        content = words(row)
    except NudgesError:
        return None
    medium = Medium(row["medium"])
    return Letter(
        message_id=row["message_id"],
        medium=medium,
        address=address,
        text=content.text,
        subject=content.subject,
        html=content.html,
        unsubscribe_url=stop_link(ws.council.public_url, row["message_id"]) if medium is Medium.EMAIL else "",
    )
