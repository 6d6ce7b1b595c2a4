"""The weekly run as an order of steps, the same with and without Prefect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nudges.domain import Summary
from nudges.errors import ConfigError
from nudges.steps.approve import approve
from nudges.steps.choose import choose
from nudges.steps.features import features
from nudges.steps.ingest import ingest
from nudges.steps.learn import learn
from nudges.steps.measure import measure
from nudges.steps.plan import plan_all
from nudges.steps.render import render
from nudges.steps.report import report
from nudges.steps.responses import responses
from nudges.steps.segments import segments
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

Step = Callable[..., Summary]

_FACTS: Mapping[str, Step] = {
    "ingest": ingest,
    "responses": responses,
    "features": features,
    "segments": segments,
}
_DECISIONS: Mapping[str, Step] = {
    "measure": measure,
    "learn": learn,
    "choose": choose,
    "render": render,
    "approve": approve,
    "report": report,
}
STEPS: Mapping[str, Step] = {**_FACTS, **_DECISIONS}
"""Steps of the weekly run in order. Delivery is a run of its own, every few minutes."""

DRY_STEPS: Mapping[str, Step] = {**_FACTS, "plan": plan_all}
"""Steps of a dry run: facts are loaded and plans made, nothing is chosen or written to anybody."""

TAKES_CAMPAIGNS = frozenset((*_DECISIONS, "plan"))


def order_of_steps(*, dry_run: bool = False, only: Sequence[str] | None = None) -> list[str]:
    """Names of the steps in order; `only` narrows them. Raises ConfigError for an unknown name."""
    order = DRY_STEPS if dry_run else STEPS
    unknown = [name for name in only or () if name not in order]
    if unknown:
        raise ConfigError(f"step == {unknown[0]!r}, must be one of: {', '.join(order)}.")
    return [name for name in order if only is None or name in only]


def run_week(
    ws: Workspace,
    week: Week,
    *,
    clock: Callable[[], datetime],
    campaigns: Sequence[str] | None = None,
    not_before: datetime | None = None,
    only: Sequence[str] | None = None,
    dry_run: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> Iterator[Summary]:
    """Run the steps of `week` in order, each when its summary is asked for; `on_step` hears its name before it starts.

    Raises ConfigError for an unknown step before any runs.
    """
    for name in order_of_steps(dry_run=dry_run, only=only):
        if on_step:
            on_step(name)
        yield run_step(ws, name, week, clock=clock, campaigns=campaigns, not_before=not_before)


def run_step(
    ws: Workspace,
    name: str,
    week: Week,
    *,
    clock: Callable[[], datetime],
    campaigns: Sequence[str] | None = None,
    not_before: datetime | None = None,
) -> Summary:
    """Run one step and record it in the ledger, also when it fails. Nothing rendered is due before `not_before`."""
    step = {**STEPS, **DRY_STEPS}[name]
    extra: dict[str, Any] = {"campaigns": campaigns} if name in TAKES_CAMPAIGNS else {}
    if name == "render":
        extra["not_before"] = not_before
    run_id = ws.ledger.begin_run(name, week, campaign=",".join(campaigns or ()), now=clock())
    try:
        summary = step(ws, week, now=clock(), **extra)
    except BaseException as error:
        ws.ledger.finish_run(run_id, state="failed", summary=json.dumps({"error": str(error)}), now=clock())
        raise
    ws.ledger.finish_run(run_id, state="done", summary=json.dumps(asdict(summary)), now=clock())
    return summary
