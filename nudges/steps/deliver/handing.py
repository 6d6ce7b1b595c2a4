"""Turn due messages into claims, calls and receipts, one channel at a time: claim, look again, send, record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from nudges.channels import Answer, Channel
from nudges.domain import Letter, Medium, MessageState, Receipt, ReceiptStatus
from nudges.ledger import address_hash
from nudges.sending import ERROR_BUDGET, batches, in_quiet_hours, may_try_again
from nudges.steps.deliver.letters import AddressBook, FreshSuppressions, Words, prepare
from nudges.steps.workspace import Workspace

STOPPED = "stopped"
NOT_TRIED = "not_tried"

_WAITS = """
SELECT message_id, COUNT(*) AS n FROM attempts
WHERE message_id IN :ids AND status = 'retry' AND code LIKE 'wait %' GROUP BY message_id
"""

Row = Mapping[str, Any]


@dataclass(slots=True)
class Handover:
    """One delivery run at work. `counts` are messages; `broken` is why no message at all can go."""

    ws: Workspace
    run_id: str
    now: datetime
    words: Words
    addresses: AddressBook
    suppressions: FreshSuppressions
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    broken: str = ""
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = monotonic()

    def moment(self, channel: Channel) -> datetime:
        """Now, moving on while a provider is called for hours; a folder has no hours, so its files have one moment."""
        return self.now + timedelta(seconds=monotonic() - self._begun) if channel.leaves_building else self.now

    def note(self, words: str) -> None:
        """Say something once."""
        if words not in self.notes:
            self.notes.append(words)

    def send_due(self, provider: str, channel: Channel, media: Sequence[Medium], room: int) -> int:
        """Send what is due by this channel, at most `room` messages; returns how many it claimed."""
        claimed, line = 0, _Line(self, provider, channel)
        while claimed < room and not line.rests:
            moment, limit = self.moment(channel), min(room - claimed, channel.claim_size)
            if in_quiet_hours(moment, self.ws.council.quiet_hours, self.ws.council.timezone):
                self.note(f"Quiet hours began during this run: what {provider} has not been given waits.")
                break
            rows = self.ws.ledger.claim(now=moment, limit=limit, media=media, run_id=self.run_id)
            if not rows:
                break
            claimed += len(rows)
            line.send(rows)
        return claimed


@dataclass(slots=True)
class _Line:
    """One channel during one run: how many calls in a row went unanswered, and why it rests."""

    run: Handover
    provider: str
    channel: Channel
    rests: str = ""
    unanswered: int = 0

    def send(self, rows: Sequence[Row]) -> None:
        """Send the claimed messages that may still go, then record what the provider said."""
        run, row_of = self.run, {row["message_id"]: row for row in rows}
        outside = self.channel.leaves_building
        addresses = run.addresses.of(row["household_id"] for row in rows)
        suppressions = run.suppressions.now()
        prepared = prepare(run.ws, rows, addresses, run.words, suppressions, outside=outside)
        self._drop(prepared.dropped)
        receipts: list[Receipt] = []
        try:
            for batch in batches(prepared.letters, self.channel.batch_size):
                receipts += self._call(batch, row_of)
        finally:
            self._settle(receipts, row_of)

    def _call(self, batch: Sequence[Letter], row_of: Mapping[str, Row]) -> list[Receipt]:
        """One call, the stop switch read just before it."""
        if self.rests:
            return [_held(letter, NOT_TRIED) for letter in batch]
        campaigns = {row_of[letter.message_id]["campaign"] for letter in batch}
        stopped = {campaign for campaign in campaigns if self.run.ws.ledger.stopped(campaign)}
        going = [letter for letter in batch if row_of[letter.message_id]["campaign"] not in stopped]
        held = [_held(letter, STOPPED) for letter in batch if row_of[letter.message_id]["campaign"] in stopped]
        for campaign in sorted(stopped):
            self.run.note(f"{campaign} was stopped during this run; nothing of it left after that.")
        receipts = self.channel.send(going) if going else []
        self._suppress(receipts, going, row_of)
        self._judge(receipts)
        return receipts + held

    def _judge(self, receipts: Sequence[Receipt]) -> None:
        """Rest when the provider asks for it, has stopped answering, or refuses everything."""
        statuses = {receipt.status for receipt in receipts}
        stopping = [receipt for receipt in receipts if receipt.stops_run]
        if statuses:
            self.unanswered = self.unanswered + 1 if statuses == {ReceiptStatus.IN_DOUBT} else 0
        if stopping:
            self.rests = self.run.broken = f"{self.provider}: {stopping[0].code}: {stopping[0].detail}"
        elif ReceiptStatus.RETRY in statuses:
            self.rests = f"{self.provider} asked to wait; the next delivery goes on."
        elif self.unanswered >= ERROR_BUDGET:
            self.rests = f"{self.provider} left {self.unanswered} calls in a row unanswered; the next delivery goes on."
        if self.rests and self.rests not in self.run.warnings:
            self.run.warnings.append(self.rests)

    def _settle(self, receipts: Sequence[Receipt], row_of: Mapping[str, Row]) -> None:
        final = self._give_up(receipts)
        self.run.ws.ledger.settle(final, now=self.run.moment(self.channel), provider=self.provider)
        for receipt in final:
            self.run.counts[str(receipt.status)] += 1
            if receipt.status is ReceiptStatus.ACCEPTED:
                self.run.counts[f"{row_of[receipt.message_id]['medium']}_accepted"] += 1

    def _give_up(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Refuse for good what the provider has put off too often."""
        waiting = [receipt.message_id for receipt in receipts if receipt.code.startswith(f"{Answer.WAIT} ")]
        if not waiting:
            return list(receipts)
        counted = self.run.ws.ledger.select(_WAITS, ids=waiting).to_pydict()
        waits = dict(zip(counted["message_id"], counted["n"], strict=True))
        over = {message_id for message_id in waiting if not may_try_again(waits.get(message_id, 0) + 1)}
        return [replace(r, status=ReceiptStatus.REFUSED) if r.message_id in over else r for r in receipts]

    def _suppress(self, receipts: Sequence[Receipt], letters: Sequence[Letter], row_of: Mapping[str, Row]) -> None:
        """A person who told the provider to stop has told us: every channel, household and contact."""
        for receipt, letter in zip(receipts, letters, strict=True):
            if receipt.suppresses:
                self._opt_out(row_of[receipt.message_id]["household_id"], "", receipt)
                self._opt_out("", address_hash(letter.address), receipt)

    def _opt_out(self, household_id: str, hashed: str, receipt: Receipt) -> None:
        self.run.ws.ledger.suppress(
            household_id=household_id,
            address_hash=hashed,
            reason="unsubscribed",
            source=f"{self.provider} {receipt.code}",
            now=self.run.moment(self.channel),
        )

    def _drop(self, dropped: Mapping[str, Sequence[str]]) -> None:
        for reason, ids in dropped.items():
            self.run.dropped[reason] += self.run.ws.ledger.set_state(
                ids,
                MessageState.DROPPED,
                reason=reason,
                now=self.run.moment(self.channel),
                only_from=[MessageState.CLAIMED],
            )


def _held(letter: Letter, code: str) -> Receipt:
    """Claimed, and certainly not sent."""
    return Receipt(letter.message_id, ReceiptStatus.RETRY, code=code)
