"""Verbs about a campaign before it goes out: plan, preview, check and approve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nudges.cli.console import say, show, table
from nudges.cli.context import Json, LookWeek, home, moment_to_look_from, now, week_to_look_at, workspace
from nudges.errors import ConfigError, NotReadyError
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

if TYPE_CHECKING:
    from nudges.steps.plan import Plan

Force = Annotated[bool, typer.Option("--force", help="Go on though it could not see its own stated effect.")]
CampaignArgument = Annotated[str, typer.Argument(help="Campaign id: the file name in campaigns/ without .toml.")]


def plan(campaign: CampaignArgument, week: LookWeek = None, force: Force = False, json_wanted: Json = False) -> None:
    """Say who would get what, who would not and why, what it costs, and what effect it could show. Writes nothing.

    Ends with an error where nobody has approved the campaign yet and it could not see the effect it is meant to have.
    """
    from nudges.cli.planning import print_plan
    from nudges.steps.plan import as_dict, require_sight
    from nudges.steps.plan import plan as plan_of

    ws = workspace()
    chosen = week_to_look_at(ws, week)
    result = plan_of(ws, campaign, chosen, now=moment_to_look_from(chosen))
    if not show(as_dict(result), json_wanted=json_wanted):
        print_plan(result)
    if not force:
        require_sight(ws, result)


def power(
    campaign: CampaignArgument,
    week: LookWeek = None,
    weeks: Annotated[int | None, typer.Option(min=1, help="So many weeks instead of the campaign's own.")] = None,
    effect: Annotated[
        float | None, typer.Option(help="A stated effect instead of its own, as a share: -0.02 for 2 % less.")
    ] = None,
    runs: Annotated[int, typer.Option(min=0, help="Imaginary campaigns on the council's own past; 0 for none.")] = 300,
    json_wanted: Json = False,
) -> None:
    """Say what effect a campaign could see before it starts, from the council's own past. Writes nothing."""
    from nudges.cli.planning import print_outlook
    from nudges.steps.power import outlook

    ws = workspace()
    result = outlook(ws, campaign, week_to_look_at(ws, week), weeks=weeks, stated_share=effect, runs=runs)
    if not show(result, json_wanted=json_wanted):
        print_outlook(result)


def preview(
    name: Annotated[str, typer.Argument(help="A template or a campaign.")],
    week: LookWeek = None,
    json_wanted: Json = False,
) -> None:
    """Show the words: a template for made-up households, or a campaign's first messages for real ones."""
    from nudges.steps.preview import preview as preview_of

    ws = workspace()
    chosen = week_to_look_at(ws, week)
    samples = preview_of(ws, name, chosen, now=moment_to_look_from(chosen))
    if show(samples, json_wanted=json_wanted):
        return
    if not samples:
        say(f"{name}: nobody would get a message.")
    for sample in samples:
        size = f"{sample.fragments} fragment{'s' if sample.fragments != 1 else ''}, " if sample.medium == "sms" else ""
        price = "" if sample.refused else f" · {size}{sample.cost_pence:g}p"
        say("─" * 72)
        say(f"{sample.template} · {sample.medium} · {sample.language}{price}")
        say(f"for: {sample.who}")
        if sample.subject:
            say(f"Subject: {sample.subject}")
        say()
        say(sample.refused or sample.text)
        say()


def card(
    campaign: CampaignArgument,
    week: LookWeek = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the card as a page into this file.")] = None,
    json_wanted: Json = False,
) -> None:
    """Say what learning last decided for a campaign and why: the model card in words, as a page or as JSON."""
    from nudges.steps import card as cards

    ws = workspace()
    chosen = ws.campaign(campaign)
    found = cards.required_card(ws, chosen, week_to_look_at(ws, week))
    if html is not None:
        html.write_text(cards.html(ws, chosen, found, now=now()), encoding="utf-8")
    if show(json.loads(found.to_json()), json_wanted=json_wanted):
        return
    say(f"Written: {html}" if html is not None else cards.markdown(chosen, found))


def check(json_wanted: Json = False) -> None:
    """Read every file of the workspace and say everything that is wrong with it at once."""
    from nudges.steps.check import check as check_home

    checked = check_home(home())
    if not show(checked, json_wanted=json_wanted):
        for problem in checked.problems:
            say(f"✗ {problem}")
        verdict = f"{len(checked.problems)} to mend" if checked.problems else "all good"
        counts = (len(checked.campaigns), len(checked.segments), len(checked.templates))
        say("{} campaigns, {} segments, {} templates: {}".format(*counts, verdict))
    if checked.problems:
        raise typer.Exit(ConfigError.exit_code)


def approve(
    campaign: CampaignArgument,
    by: Annotated[str, typer.Option(help="Your name.")],
    max_messages: Annotated[
        int | None, typer.Option(help="Most messages a week. Default: the plan's, plus a tenth.")
    ] = None,
    max_pence: Annotated[int | None, typer.Option(help="Most pence a week. Default: the campaign's budget.")] = None,
    note: Annotated[str, typer.Option(help="In your words.")] = "",
    week: LookWeek = None,
    force: Force = False,
    json_wanted: Json = False,
) -> None:
    """Approve a campaign as it stands: its words, its audience rule, a cap and a cost. Any edit voids it.

    Refuses a campaign that could not see the effect it is meant to have.
    """
    from nudges.steps.approve import approve_campaign
    from nudges.steps.plan import require_sight

    ws = workspace()
    planned = _planned(ws, campaign, week_to_look_at(ws, week), is_needed=max_messages is None)
    if planned is not None and not force:
        require_sight(ws, planned)
    if max_messages is None:
        max_messages = -(-planned.to_send * 11 // 10) if planned is not None else 0
    approval = approve_campaign(
        ws,
        campaign,
        by=by,
        max_messages=max_messages,
        max_pence=ws.campaign(campaign).budget_pence if max_pence is None else max_pence,
        now=now(),
        note=note,
    )
    if not show(approval, json_wanted=json_wanted):
        table(
            ("campaign", "approved by", "messages a week", "pence a week", "fingerprint"),
            [
                (
                    approval.campaign,
                    approval.approved_by,
                    approval.max_messages,
                    approval.max_pence,
                    approval.fingerprint[:12],
                )
            ],
            right=(2, 3),
        )
        say("Any edit of the campaign, its segments or its templates voids this approval.")


def _planned(ws: Workspace, campaign: str, week: Week, *, is_needed: bool) -> Plan | None:
    """The plan of the week; None before there is anything to plan from, unless it is needed."""
    from nudges.steps.plan import plan as plan_of

    try:
        return plan_of(ws, campaign, week, now=now(), show=0)
    except NotReadyError:
        if is_needed:
            raise
        return None
