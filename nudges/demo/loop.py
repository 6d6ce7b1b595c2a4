"""Turns a borough and a workspace into weeks that follow one another: facts in, messages out, answers back."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from nudges.demo.drops import drop_history, drop_register, drop_week
from nudges.sources.synthetic import Borough
from nudges.steps.approve import approve_campaign
from nudges.steps.deliver import deliver
from nudges.steps.responses import ANSWERS
from nudges.steps.weekly import STEPS, run_step
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_RUN_AT = timedelta(days=7, hours=6)  # Monday after the week, before anybody is up
_EXPOSURES = {
    "household_id": pa.string(),
    "template": pa.string(),
    "medium": pa.string(),
    "week_no": pa.int64(),
}
APPROVER = "Demo approver"
_MOST_MESSAGES = 1_000_000


@dataclass(slots=True)
class Loop:
    """Plays weeks one by one on a simulated clock; `seconds` adds up what each step took."""

    ws: Workspace
    borough: Borough
    start: Week
    history: int
    weeks: int
    on_step: Callable[[Week, str], None] = lambda week, step: None  # noqa: ARG005
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    messages: int = 0
    events: int = 0

    @property
    def first_run(self) -> Week:
        """The first week whose run may choose."""
        return self.start + (self.history - 1)

    @property
    def last(self) -> Week:
        """The last week simulated: measured and reported, nothing is sent after it."""
        return self.start + (self.weeks - 1)

    def begin(self) -> None:
        """Drop registers and history; have the campaigns approved before the first wave."""
        inbox = self.ws.var / "inbox"
        with self._timed(self.start, "simulate"):
            facts = [self.borough.week(self.start + i) for i in range(self.history)]
            drop_register(inbox, self.borough.register(), self.start)
            drop_history(inbox, facts[:-1], self.start)
            drop_week(inbox, facts[-1], self.first_run, as_excel=True)

    def play(self, *, report: bool = True) -> None:
        """Run every week to the last one."""
        self.begin()
        for number in range(self.first_run.number, self.last.number + 1):
            week = Week(number)
            self.run(week, report=report and week == self.last)
            if week < self.last:
                self.live(week + 1)

    def run(self, week: Week, *, report: bool = False) -> None:
        """The weekly run with data to the end of `week`; the last one only measures."""
        now = _midnight(week) + _RUN_AT
        skipped = {"choose", "render", "approve", "learn"} if week == self.last else set()
        for step in STEPS:
            if step in skipped or (step == "report" and not report):
                continue
            if step == "approve" and week == self.first_run:
                self._grant(now)
            with self._timed(week, step):
                run_step(self.ws, step, week, clock=lambda: now)

    def live(self, week: Week) -> None:
        """Live through `week`: deliver each evening, do what people do, answer, drop the week's facts."""
        for due in self._due(week):
            with self._timed(week, "deliver"):
                deliver(self.ws, week - 1, now=due + timedelta(minutes=1))
        accepted = self._accepted(week)
        self.messages += accepted.num_rows
        with self._timed(week, "simulate"):
            facts = self.borough.week(week, _exposures(accepted, week))
            self._answer(accepted, week)
            drop_week(self.ws.var / "inbox", facts, week)

    def _grant(self, now: datetime) -> None:
        """A person's yes to every campaign as it stands, for as much as it may spend."""
        for campaign in self.ws.campaigns.values():
            approve_campaign(
                self.ws,
                campaign.id,
                by=APPROVER,
                max_messages=_MOST_MESSAGES,
                max_pence=campaign.budget_pence,
                now=now,
                note="simulated borough",
            )

    def _due(self, week: Week) -> list[datetime]:
        rows = self.ws.ledger.select(
            "SELECT DISTINCT due_at FROM messages WHERE state IN ('approved', 'retry') ORDER BY due_at"
        )
        end = _midnight(week + 1)
        return [moment for moment in map(_moment, rows["due_at"].to_pylist()) if moment < end]

    def _accepted(self, week: Week) -> pa.Table:
        """Messages accepted in `week`, whichever run planned them: a fortnightly collection can be two weeks off."""
        rows = self.ws.ledger.select(
            "SELECT message_id, household_id, template, medium, changed_at FROM messages "
            "WHERE state = 'accepted' AND changed_at >= :since AND changed_at < :until ORDER BY message_id",
            since=_midnight(week),
            until=_midnight(week + 1),
        )
        at = pa.array([_moment(value) for value in rows["changed_at"].to_pylist()], pa.timestamp("us", "UTC"))
        return rows.drop_columns(["changed_at"]).append_column("accepted_at", at)

    def _answer(self, accepted: pa.Table, week: Week) -> None:
        events = self.borough.answers(accepted) if accepted.num_rows else []
        self.events += len(events)
        folder = self.ws.var / "outbox" / ANSWERS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"outbox_{week}.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")

    @contextmanager
    def _timed(self, week: Week, step: str) -> Iterator[None]:
        self.on_step(week, step)
        begun = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - begun


def _midnight(week: Week) -> datetime:
    return datetime.combine(week.monday, datetime.min.time(), UTC)


def _moment(value: str | datetime) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _exposures(accepted: pa.Table, week: Week) -> pa.Table:
    rows = accepted.select(["household_id", "template", "medium"])
    return rows.append_column("week_no", pa.repeat(pa.scalar(week.number), rows.num_rows)).cast(pa.schema(_EXPOSURES))
