"""Turn messages that may have been sent into accepted or to be sent again, where the channel can prove which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nudges.channels import Channel, Doubt
from nudges.domain import Medium, MessageState, Receipt, ReceiptStatus
from nudges.errors import NudgesError
from nudges.steps.deliver.letters import Addresses, Words
from nudges.steps.deliver.senders import is_dead, sweep
from nudges.steps.workspace import Workspace

_IN_DOUBT = """
SELECT m.*, (SELECT MAX(a.started_at) FROM attempts a WHERE a.message_id = m.message_id) AS started_at
FROM messages m WHERE m.state = 'in_doubt' ORDER BY m.message_id
"""
_EVER = timedelta(days=366)

Row = Mapping[str, Any]


def take_over(ws: Workspace, senders: Path, provider_of: Mapping[Medium, str], *, now: datetime) -> int:
    """Put what dead runs had claimed into doubt; returns how many messages."""
    rows = ws.ledger.abandoned(before=now + _EVER)
    last: dict[str, datetime] = {}
    for row in rows:
        last[row["run_id"]] = max(aware(row["started_at"]), last.get(row["run_id"], aware(row["started_at"])))
    dead = {run_id for run_id, since in last.items() if is_dead(senders, run_id, since, now)}
    for medium, provider in provider_of.items():
        receipts = [
            Receipt(row["message_id"], ReceiptStatus.IN_DOUBT, code="abandoned", detail="the sender died")
            for row in rows
            if row["run_id"] in dead and row["medium"] == medium
        ]
        ws.ledger.settle(receipts, now=now, provider=provider)
    sweep(senders)
    return sum(row["run_id"] in dead for row in rows)


def in_doubt(ws: Workspace) -> list[Row]:
    """Messages in doubt, with the moment of their last attempt."""
    return list(ws.ledger.select(_IN_DOUBT).to_pylist())


def resolve(
    ws: Workspace,
    rows: Sequence[Row],
    addresses: Addresses,
    words: Words,
    channel_of: Mapping[Medium, tuple[str, Channel]],
    *,
    now: datetime,
) -> Mapping[str, int]:
    """Ask each channel what became of its messages; returns how many were accepted, refused, or certainly not sent."""
    counts = {"found_accepted": 0, "found_refused": 0, "found_not_sent": 0}
    for medium, (provider, channel) in channel_of.items():
        mine = [_doubt(row, addresses, words) for row in rows if row["medium"] == medium]
        found = channel.reconcile(mine) if mine else {}
        settled = [receipt for receipt in found.values() if receipt.status in _FINAL]
        ws.ledger.settle(settled, now=now, provider=provider)
        not_sent = [message_id for message_id, receipt in found.items() if receipt.status is ReceiptStatus.RETRY]
        counts["found_not_sent"] += ws.ledger.set_state(
            not_sent, MessageState.RETRY, reason="proved not sent", now=now, only_from=[MessageState.IN_DOUBT]
        )
        counts["found_accepted"] += sum(receipt.status is ReceiptStatus.ACCEPTED for receipt in settled)
        counts["found_refused"] += sum(receipt.status is ReceiptStatus.REFUSED for receipt in settled)
    return counts


_FINAL = (ReceiptStatus.ACCEPTED, ReceiptStatus.REFUSED)


def _doubt(row: Row, addresses: Addresses, words: Words) -> Doubt:
    try:
        text = words.of(row).text
    except NudgesError:  # edited since: the channel must decide without the words, or not at all
        text = ""
    medium = Medium(row["medium"])
    address = addresses.get((row["household_id"], medium), "")
    return Doubt(row["message_id"], medium, address, text, aware(row["started_at"] or row["changed_at"]))


def aware(moment: datetime) -> datetime:
    """Moments of the ledger are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
