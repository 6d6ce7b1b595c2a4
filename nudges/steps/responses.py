"""Turn providers' callbacks and the answers folder into events of the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from nudges import channels
from nudges.channels import outbox
from nudges.domain import Event, EventKind, Summary
from nudges.errors import DataError, SignatureError
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

ANSWERS = "answers"
LINK = "link"  # provider of opt-outs by the link in a message
_LINES = 10_000  # events recorded in one transaction


def responses(ws: Workspace, week: Week, *, now: datetime) -> Summary:
    """Record every file of `var/outbox/answers/`, then put it away; a file no line of which can be read is set aside.

    A crash between the two records the same events again, which changes nothing.
    """
    folder = ws.var / "outbox" / ANSWERS
    kinds: Counter[str] = Counter()
    files, new, warnings = 0, 0, []
    for file in sorted(folder.glob("*.jsonl")):
        try:
            for events in _batches(file, ws.environment, now):
                new += ws.ledger.record_events(events, provider="outbox", now=now)
                kinds.update(str(event.kind) for event in events)
            files += 1
            _put(file, folder / "done")
        except DataError as error:
            _put(file, folder / "rejected")
            warnings.append(f"{file.name}: {error} The file is in answers/rejected.")
    headline = f"{new} new answers heard from {files} files." if files else "No answers waiting."
    counts = {"new": new, "files": files, "rejected": len(warnings), **kinds}
    return Summary("responses", str(week), headline, counts=counts, warnings=tuple(warnings))


def receive(ws: Workspace, provider: str, raw: bytes, headers: Mapping[str, str], *, url: str, now: datetime) -> int:
    """Record the events of one callback; returns how many were new, which are then on disk.

    Raises SignatureError, DataError, or ConfigError when there is no such channel. `headers` in lower case.
    """
    module = channels.load(provider)
    if not module.SIGNED:
        raise SignatureError(
            f"{provider}: its events are not signed, so the web cannot bring them. Nothing was stored."
        )
    events = module.events(raw, headers, url=url, environment=ws.environment, received_at=now)
    return ws.ledger.record_events(events, provider=provider, now=now)


def opt_out(ws: Workspace, message_id: str, *, now: datetime) -> bool:
    """Stop every message to the household that got this one; False when there is no such message. A repeat is fine."""
    found = ws.ledger.select("SELECT household_id FROM messages WHERE message_id = :id", id=message_id).to_pylist()
    if not found:
        return False
    rows = ws.ledger.suppressed().select(["household_id", "address_hash", "medium"]).to_pylist()
    if {"household_id": found[0]["household_id"], "address_hash": "", "medium": ""} not in rows:
        event = Event(f"{message_id}:{now.isoformat()}", EventKind.UNSUBSCRIBED, now, message_id=message_id)
        ws.ledger.record_events([event], provider=LINK, now=now)
    return True


def _batches(file: Path, environment: Mapping[str, str], now: datetime) -> Iterator[list[Event]]:
    lines = file.read_bytes().splitlines(keepends=True)
    for start in range(0, len(lines), _LINES):
        raw = b"".join(lines[start : start + _LINES])
        yield outbox.events(raw, {}, url="", environment=environment, received_at=now)


def _put(file: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    file.replace(folder / file.name)
