"""The weekly run: load, measure, learn, choose, render, approve, report. It sends nothing; `deliver` does."""

from __future__ import annotations

from datetime import datetime

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.forms import WeeklyForm, week_of
from flows.running import clock, finished, guard_late, publish, publish_cards, workspace
from nudges.domain import Summary
from nudges.steps.weekly import order_of_steps, run_step
from nudges.steps.workspace import Workspace
from nudges.weeks import Week


@task(name="step", task_run_name="{name}", cache_policy=NO_CACHE, retries=0, log_prints=False)
def step(ws: Workspace, name: str, week: Week, campaigns: list[str] | None, not_before: datetime | None) -> Summary:
    """Run one step of the week and publish what it did."""
    summary = run_step(ws, name, week, clock=clock, campaigns=campaigns, not_before=not_before)
    publish(summary)
    if name == "learn":
        publish_cards(ws, week, campaigns)
    return summary


@flow(name="weekly", retries=0, validate_parameters=True)
def weekly(form: WeeklyForm = WeeklyForm()) -> State[list[str]]:  # noqa: B008 -- Prefect's form reads the default
    """Run one week for the campaigns asked for. Dry run by default: nothing is chosen or sent."""
    ws = workspace()
    guard_late(ws.council, even_if_late=form.even_if_late)
    week, campaigns, not_before = week_of(form.week, clock()), form.campaigns(), form.not_before()
    for name in campaigns or ():
        ws.campaign(name)
    summaries = [step(ws, name, week, campaigns, not_before) for name in order_of_steps(dry_run=form.dry_run)]
    return finished(summaries)
