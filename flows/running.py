"""What every flow does around the steps: open the workspace, guard against late runs, publish artifacts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from nudges.domain import Council, Summary
from nudges.errors import LateRunError
from nudges.steps.card import markdown as card_markdown
from nudges.steps.card import newest_card
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

_LONGEST = 300  # characters of one warning in a state's message


def workspace() -> Workspace:
    """The workspace NUDGES_HOME names (default: the folder the worker runs in)."""
    return open_workspace(Path(os.environ.get("NUDGES_HOME") or ".").resolve(), os.environ)


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def scheduled_at() -> datetime | None:
    """When this run was due; None when it was started by hand."""
    return cast("datetime | None", flow_run.scheduled_start_time)


def guard_late(council: Council, *, even_if_late: bool) -> None:
    """Raise LateRunError when this run fired so late that a person must decide."""
    due = scheduled_at()
    if due is None or even_if_late:
        return
    minutes = int((clock() - due).total_seconds() // 60)
    if minutes > council.late_after_minutes:
        raise LateRunError(
            f"This run was due at {due:%Y-%m-%d %H:%M} UTC and starts {minutes} minutes late "
            f"(late_after_minutes == {council.late_after_minutes}). Nothing was done. To go ahead, "
            "start it again with 'Go ahead although late' ticked."
        )


def publish(summary: Summary) -> None:
    """Publish what a step did as an artifact; the same key keeps a history."""
    key = f"nudges-{summary.step.replace('_', '-').lower()}"
    create_markdown_artifact(markdown(summary), key=key, description=summary.headline[:200])


def publish_cards(ws: Workspace, week: Week, campaigns: Sequence[str] | None) -> None:
    """Publish the model card of each campaign that runs; the same key keeps a history."""
    for campaign in ws.running(week, campaigns):
        card = newest_card(ws, campaign, week)
        if card is not None:
            key = f"nudges-card-{campaign.id.replace('_', '-')}"
            create_markdown_artifact(
                markdown=card_markdown(campaign, card), key=key, description=card.decision.words[:200]
            )


def finished(summaries: Sequence[Summary]) -> State[list[str]]:
    """Completed, or Completed under the name Degraded when a step wants a person to look."""
    warned = [summary for summary in summaries if summary.warnings]
    said = " | ".join(f"{summary.step}: {_in_short(summary.warnings)}" for summary in warned)
    warnings = [f"{summary.step}: {warning}" for summary in warned for warning in summary.warnings]
    return Completed(name="Degraded" if warned else "Completed", message=said or summaries[-1].headline, data=warnings)


def _in_short(warnings: Sequence[str]) -> str:
    """The first of them, short enough to leave room for other steps; the artifacts have them all."""
    first = warnings[0] if len(warnings[0]) <= _LONGEST else f"{warnings[0][:_LONGEST]}…"
    return first if len(warnings) == 1 else f"{first} (and {len(warnings) - 1} more)"


def markdown(summary: Summary) -> str:
    """A step's summary as Markdown."""
    lines = [f"## {summary.step}, {summary.week}", "", summary.headline, ""]
    rows = [*summary.counts.items(), *summary.facts.items()]
    if rows:
        lines += ["| what | value |", "|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows]
        lines.append("")
    lines += [f"- {note}" for note in summary.notes]
    lines += [f"- **Look:** {warning}" for warning in summary.warnings]
    return "\n".join(lines)
