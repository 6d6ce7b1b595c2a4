"""Verbs that do the work and stop it: run, deliver, stop, resume, report, serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nudges.cli.console import out, say, show, show_summary
from nudges.cli.context import Campaigns, Json, LookWeek, WeekOption, now, week_of, week_to_look_at, workspace
from nudges.domain import Summary

Scope = Annotated[str, typer.Argument(help="A campaign, or `all`.")]
By = Annotated[str, typer.Option(help="Your name.")]


def run(
    week: WeekOption = None,
    campaign: Campaigns = None,
    step: Annotated[list[str] | None, typer.Option(help="Only this step. Repeat for more.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Plan only: nothing is chosen, rendered or approved.")
    ] = False,
    json_wanted: Json = False,
) -> None:
    """Run the week: load, measure, learn, choose, render, approve, report. Sends nothing; `nudges deliver` does."""
    from nudges.steps.weekly import run_week

    ws, chosen = workspace(), week_of(week)
    for name in campaign or ():
        ws.campaign(name)
    summaries = []
    with out.status("…") as status:
        for summary in run_week(
            ws,
            chosen,
            clock=now,
            campaigns=campaign,
            only=step,
            dry_run=dry_run,
            on_step=lambda name: status.update(f"{name} …"),
        ):
            summaries.append(summary)
            if not json_wanted:
                show_summary(summary)
    show([asdict(summary) for summary in summaries], json_wanted=json_wanted)


def deliver(
    limit: Annotated[int | None, typer.Option(help="At most so many messages.", min=1)] = None,
    json_wanted: Json = False,
) -> None:
    """Send what is approved and due now, once. Trial runs reach only the allow-list; the outbox is a folder."""
    from nudges.steps.deliver import deliver as deliver_step
    from nudges.steps.weekly import run_step

    ws, week = workspace(), week_of(None)
    heard = run_step(ws, "responses", week, clock=now)
    sent = deliver_step(ws, week, now=now(), limit=limit)
    _show_all([heard, sent], json_wanted=json_wanted)


def stop(
    scope: Scope = "all",
    by: By = "command line",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    json_wanted: Json = False,
) -> None:
    """Stop sending now. It counts before the very next message, in every process, until `nudges resume`."""
    _turn(scope, on=True, by=by, reason=reason, json_wanted=json_wanted)


def resume(scope: Scope = "all", by: By = "command line", json_wanted: Json = False) -> None:
    """Let sending go on after a stop."""
    _turn(scope, on=False, by=by, reason="", json_wanted=json_wanted)


def _turn(scope: str, *, on: bool, by: str, reason: str, json_wanted: bool) -> None:
    ws = workspace()
    if scope != "all":
        ws.campaign(scope)
    if on:
        ws.ledger.stop(scope, by=by, reason=reason, now=now())
    else:
        ws.ledger.resume(scope, by=by, now=now())
    accepted = ws.ledger.select("SELECT COUNT(*) AS n FROM messages WHERE state = 'accepted'").column("n")[0].as_py()
    waiting = (
        ws.ledger.select(
            "SELECT COUNT(*) AS n FROM messages WHERE state IN ('approved', 'retry', 'claimed', 'in_doubt')"
        )
        .column("n")[0]
        .as_py()
    )
    result = {"scope": scope, "stopped": on, "by": by, "already_sent": accepted, "waiting": waiting}
    if not show(result, json_wanted=json_wanted):
        word = "Stopped" if on else "Resumed"
        say(f"{word}: {scope}. {accepted:,} messages had left, {waiting:,} wait.")


def report(week: LookWeek = None, campaign: Campaigns = None, json_wanted: Json = False) -> None:
    """Measure again and write the impact pages."""
    from nudges.steps.weekly import run_step

    ws = workspace()
    chosen = week_to_look_at(ws, week)
    summaries = [run_step(ws, name, chosen, clock=now, campaigns=campaign) for name in ("measure", "report")]
    _show_all(summaries, json_wanted=json_wanted)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8010,
    json_wanted: Json = False,
) -> None:
    """Serve the plain page: the stop switch, campaigns, impact pages, opt-out links and provider callbacks."""
    import uvicorn

    from nudges.studio import create_app

    app = create_app(workspace())
    if not show({"url": f"http://{host}:{port}/"}, json_wanted=json_wanted):
        say(f"http://{host}:{port}/  (Ctrl+C ends it)")
    uvicorn.run(app, host=host, port=port, log_level="warning")


def _show_all(summaries: list[Summary], *, json_wanted: bool) -> None:
    if not show([asdict(summary) for summary in summaries], json_wanted=json_wanted):
        for summary in summaries:
            show_summary(summary)
