"""Hand over what is approved and due, every few minutes in waking hours; hear the answers first."""

from __future__ import annotations

from datetime import datetime

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.forms import DeliverForm, week_of
from flows.running import clock, finished, guard_late, publish, scheduled_at, workspace
from nudges.domain import Summary
from nudges.steps.deliver import deliver as deliver_step
from nudges.steps.weekly import run_step
from nudges.steps.workspace import Workspace
from nudges.weeks import Week


@task(name="hear", cache_policy=NO_CACHE, retries=0)
def hear(ws: Workspace, week: Week) -> Summary:
    """Read the answers that came in, so that a STOP counts before the next message."""
    summary = run_step(ws, "responses", week, clock=clock)
    publish(summary)
    return summary


@task(name="send", cache_policy=NO_CACHE, retries=0)
def send(ws: Workspace, week: Week, limit: int | None, due: datetime | None) -> Summary:
    """Send once. Never retried by Prefect: doubt is reconciled by the ledger."""
    summary = deliver_step(ws, week, now=clock(), scheduled_at=due, limit=limit)
    publish(summary)
    return summary


@flow(name="deliver", retries=0)
def deliver(form: DeliverForm = DeliverForm()) -> State[list[str]]:  # noqa: B008 -- Prefect's form reads the default
    """Send approved messages that are due now."""
    ws = workspace()
    guard_late(ws.council, even_if_late=form.even_if_late)
    week = week_of("", clock())
    heard = hear(ws, week)
    sent = send(ws, week, form.limit or None, None if form.even_if_late else scheduled_at())
    return finished([heard, sent])
