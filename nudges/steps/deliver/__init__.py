"""Turn approved messages that are due into calls to a channel: at most once each, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from nudges import channels
from nudges.channels import Channel, ChannelSettings
from nudges.domain import Lead, Medium, MessageState, Summary
from nudges.errors import LateRunError, ProviderError
from nudges.sending import in_quiet_hours, is_late, over_before, quiet_until
from nudges.steps.deliver.doubts import in_doubt, resolve, take_over
from nudges.steps.deliver.handing import Handover
from nudges.steps.deliver.letters import AddressBook, FreshSuppressions, Words, latest_addresses
from nudges.steps.deliver.senders import alone, living
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_DUE = """
SELECT household_id, medium, COUNT(*) AS n FROM messages
WHERE state IN ('approved', 'retry') AND due_at <= :now GROUP BY household_id, medium
"""
_OVER = """
SELECT message_id FROM messages
WHERE state IN ('planned', 'approved', 'retry') AND due_at < :before AND template IN :templates
"""
_LEFT = """
SELECT state, COUNT(*) AS n FROM messages
WHERE due_at <= :now AND state IN ('approved', 'retry', 'claimed', 'in_doubt') GROUP BY state
"""
_NO_LIMIT = 1_000_000_000
_EXPIRED = "expired"


def deliver(
    ws: Workspace, week: Week, *, now: datetime, scheduled_at: datetime | None = None, limit: int | None = None
) -> Summary:
    """Send what is approved and due, at most `limit` messages, whatever week planned it.

    Raises LateRunError when a scheduled run fires too late, before anything is sent, and ProviderError when a provider
    refuses everything, after what had left is recorded.
    """
    _guard_late(ws, now, scheduled_at)
    run_id = ws.ledger.begin_run("deliver", week, now=now)
    run = Handover(ws, run_id, now, Words(ws), AddressBook(ws, now), FreshSuppressions(ws))
    try:
        with living(_senders(ws), run_id):
            _work(run, _NO_LIMIT if limit is None else limit)
        _guard_provider(run)
    except BaseException as error:
        words = json.dumps({"error": f"{type(error).__name__}: {error}"})
        ws.ledger.finish_run(run_id, state="failed", summary=words, now=now)
        raise
    summary = _summary(run, week)
    ws.ledger.finish_run(run_id, state="done", summary=json.dumps(asdict(summary)), now=now)
    return summary


def _guard_late(ws: Workspace, now: datetime, scheduled_at: datetime | None) -> None:
    if is_late(scheduled_at, now, ws.council.late_after_minutes):
        raise LateRunError(
            f"deliver: was due at {scheduled_at:%Y-%m-%d %H:%M} and fired at {now:%Y-%m-%d %H:%M} UTC, "
            f"must start within {ws.council.late_after_minutes} minutes. "
            "Nothing was sent. Look, then send with `nudges deliver`."
        )


def _guard_provider(run: Handover) -> None:
    if run.broken:
        raise ProviderError(
            f"{run.broken} {run.counts['accepted']} messages had left, the rest wait. "
            "Put the account right, then `nudges deliver`."
        )


def _work(run: Handover, limit: int) -> None:
    ws = run.ws
    opened = _Opened(ws, run.now)
    _settle_doubts(run, opened)
    if ws.ledger.stopped():
        run.notes.append("Everything is stopped: nothing was sent. `nudges resume` starts again.")
        return
    _drop_expired(run)
    due = ws.ledger.select(_DUE, now=run.now).to_pydict()
    quiet, zone = ws.council.quiet_hours, ws.council.timezone
    if due["n"] and in_quiet_hours(run.now, quiet, zone):
        until = quiet_until(run.now, quiet, zone)
        run.notes.append(f"Quiet hours: {sum(due['n'])} messages wait until {until:%Y-%m-%d %H:%M} UTC.")
        return
    run.addresses.of(due["household_id"])
    for name, media in _by_channel(ws, set(due["medium"])).items():
        limit -= run.send_due(name, opened.channel(name), media, limit)
        if run.broken:
            return


def _settle_doubts(run: Handover, opened: _Opened) -> None:
    """What dead runs left behind, then everything in doubt; another process may be at it already."""
    ws = run.ws
    with alone(_senders(ws)) as is_alone:
        if not is_alone:
            return
        run.counts["taken_over"] = take_over(ws, _senders(ws), ws.council.channels, now=run.now)
        rows = in_doubt(ws)
        if rows:
            addresses = latest_addresses(ws, [row["household_id"] for row in rows], run.now)
            used = {Medium(row["medium"]) for row in rows}
            channel_of = {medium: (name, opened.channel(name)) for medium, name in _channels(ws) if medium in used}
            run.counts.update(resolve(ws, rows, addresses, run.words, channel_of, now=run.now))


def _drop_expired(run: Handover) -> None:
    """Drop what would come too late to make sense, by when its template says it is meant."""
    states = [MessageState.PLANNED, MessageState.APPROVED, MessageState.RETRY]
    for lead in Lead:
        templates = sorted({template.id for template in run.ws.templates.values() if template.lead is lead})
        if templates:
            before = over_before(lead, run.now, run.ws.council.timezone)
            ids = run.ws.ledger.select(_OVER, before=before, templates=templates).column("message_id").to_pylist()
            if dropped := run.ws.ledger.set_state(
                ids, MessageState.DROPPED, reason=_EXPIRED, now=run.now, only_from=states
            ):
                run.dropped[_EXPIRED] += dropped


def _summary(run: Handover, week: Week) -> Summary:
    left = run.ws.ledger.select(_LEFT, now=run.now).to_pydict()
    waiting = dict(zip(left["state"], left["n"], strict=True))
    counts = {name: run.counts[name] for name in ("accepted", "refused", "retry", "in_doubt")}
    counts |= {name: number for name, number in sorted(run.counts.items()) if number and name not in counts}
    counts |= {"dropped": sum(run.dropped.values()), "waiting": waiting.get("approved", 0) + waiting.get("retry", 0)}
    counts |= {"left_in_doubt": waiting.get("in_doubt", 0), "claimed": waiting.get("claimed", 0)}
    headline = f"{counts['accepted']} messages handed over"
    headline += "".join(
        f", {counts[key]} {words}"
        for key, words in (
            ("dropped", "dropped"),
            ("refused", "refused"),
            ("waiting", "wait"),
            ("left_in_doubt", "in doubt"),
        )
        if counts[key]
    )
    facts = {f"dropped_{reason}": number for reason, number in sorted(run.dropped.items())}
    warnings = (*run.warnings, *([] if run.notes else _gap(counts)))
    return Summary(
        "deliver", str(week), headline + ".", counts=counts, facts=facts, notes=tuple(run.notes), warnings=warnings
    )


def _gap(counts: Mapping[str, int]) -> Sequence[str]:
    """Expected minus present: what was due by now and has no answer yet."""
    missing = counts["waiting"] + counts["claimed"]
    return (
        [f"{missing} messages that were due are not out: {counts['claimed']} under way elsewhere."] if missing else []
    )


class _Opened:
    """Channels of this run, each opened when first needed."""

    def __init__(self, ws: Workspace, now: datetime) -> None:
        self._settings = ChannelSettings(ws.home, ws.environment, ws.council.name, ws.council.public_url, now)
        self._open: dict[str, Channel] = {}

    def channel(self, name: str) -> Channel:
        """The channel; raises ConfigError when it does not exist or a key is missing."""
        if name not in self._open:
            self._open[name] = channels.load(name).open_channel(self._settings)
        return self._open[name]


def _channels(ws: Workspace) -> list[tuple[Medium, str]]:
    return [(Medium(medium), name) for medium, name in ws.council.channels.items()]


def _by_channel(ws: Workspace, media: set[str]) -> dict[str, list[Medium]]:
    chosen: dict[str, list[Medium]] = {}
    for medium, name in _channels(ws):
        if medium in media:
            chosen.setdefault(name, []).append(medium)
    return chosen


def _senders(ws: Workspace) -> Path:
    return ws.var / "senders"
