"""Make features, segments and measurements of past weeks again, after late or corrected data."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.forms import BackfillForm
from flows.running import clock, publish, workspace
from nudges.domain import Summary
from nudges.errors import ConfigError
from nudges.steps.weekly import run_step
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

STEPS = ("features", "segments", "measure", "report")


@task(name="again", task_run_name="{name} {week}", cache_policy=NO_CACHE, retries=0)
def again(ws: Workspace, name: str, week: Week) -> Summary:
    """Run one step of one past week again."""
    summary = run_step(ws, name, week, clock=clock)
    publish(summary)
    return summary


@flow(name="backfill", retries=0)
def backfill(form: BackfillForm) -> int:
    """Run the repeatable steps of every week asked for; returns how many weeks."""
    ws = workspace()
    first, last = Week.parse(form.first_week), Week.parse(form.last_week)
    if last < first:
        raise ConfigError(f"last_week == {form.last_week!r}, must not be before first_week == {form.first_week!r}.")
    weeks = [Week(number) for number in range(first.number, last.number + 1)]
    for week in weeks:
        for name in STEPS:
            again(ws, name, week)
    return len(weeks)
