"""Turns every campaign's assignments into rows of the `effects` table, replaced for that campaign and week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from nudges.domain import Campaign, Language, Outcome, Summary, Unit, Verdict
from nudges.errors import DataError, UnsupportedError
from nudges.measuring import (
    Group,
    Headline,
    Kind,
    Measured,
    by_arm,
    by_segment,
    by_week,
    by_window,
    guardrails,
    headline,
    outcome_unit,
    robustness,
    to_rows,
)
from nudges.money import Range, Savings, savings
from nudges.steps.measure.lorries import lorry_check
from nudges.steps.measure.reading import CampaignData, first_assignments, last_week, read_campaign
from nudges.steps.measure.rounds import measured_rounds
from nudges.steps.registering import registration
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

TAIL_WEEKS = 26
"""Weeks after a campaign's last run for which it is still measured, so that decay shows."""


def measure(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:  # noqa: ARG001
    """Measure each campaign that has assignments, with data to the end of `week`.

    A campaign without an outcome after its start stores nothing; a stored week is replaced whole in one transaction.
    """
    named = [ws.campaign(name) for name in campaigns] if campaigns else list(ws.campaigns.values())
    notes: list[str] = []
    warnings: list[str] = []
    facts: dict[str, str | float | int | None] = {}
    done = 0
    for campaign in sorted(named, key=lambda campaign: campaign.id):
        measured, note = _measured(ws, week, campaign)
        if measured:
            rows = pa.Table.from_pylist(to_rows(measured))
            ws.ledger.replace("effects", rows, campaign=campaign.id, week_no=week.number)
            facts |= _facts(campaign, measured)
            done += 1
        if note:
            (warnings if measured and measured.headline.alarms else notes).append(note)
    said = f"{done} campaign{'' if done == 1 else 's'} measured" if done else "Nothing to measure yet"
    return Summary("measure", str(week), said, {"campaigns_measured": done}, facts, tuple(notes), tuple(warnings))


def _measured(ws: Workspace, week: Week, campaign: Campaign) -> tuple[Measured | None, str]:
    last = campaign.starts + (campaign.weeks + TAIL_WEEKS - 1)
    if week < campaign.starts:
        return None, ""
    if week > last:
        return None, f"{campaign.id}: closed, last measured in {last}."
    assigned = first_assignments(ws, campaign, week)
    if assigned.num_rows == 0:
        return None, f"{campaign.id}: no assignments up to {week}."
    measured_units = measured_rounds if campaign.unit is Unit.ROUND else _measured_households
    try:
        found = measured_units(ws, campaign, last_week(campaign, week), week, assigned)
    except (DataError, UnsupportedError) as reason:
        return None, f"{campaign.id}: nothing stored. {reason}"
    if found is None:
        return None, f"{campaign.id}: no outcome after the first assignment yet; nothing stored."
    head, groups = found
    head = replace(head, registration=registration(ws, campaign, Week(head.first_week_no - 1)))
    is_valid = head.verdict is not Verdict.INVALID
    money, note = _money(ws, campaign, head) if is_valid else (None, "")
    measured = Measured(campaign.id, week.number, head, groups if is_valid else (), money, note)
    return measured, " ".join(head.alarms) or note


def _measured_households(
    ws: Workspace, campaign: Campaign, last: Week, week: Week, assigned: pa.Table
) -> tuple[Headline, tuple[Group, ...]] | None:
    """Headline and rows of a campaign that drew households and bin stores; None before any outcome."""
    data = read_campaign(ws, campaign, week, assigned)
    head = headline(
        data.drawn,
        data.outcomes,
        data.sent,
        outcome=campaign.outcome,
        stated_share=campaign.stated_effect_share,
        first=campaign.starts,
        last=last,
        looks=campaign.weeks,
    )
    if head is None:
        return None
    return replace(head, crosscheck=lorry_check(ws, campaign, head, last, assigned)), _groups(ws, campaign, data)


def _groups(ws: Workspace, campaign: Campaign, data: CampaignData) -> tuple[Group, ...]:
    arms = {arm.id: _arm_title(ws, arm.template, arm.id) for arm in campaign.arms}
    segments = {name: segment.title for name, segment in ws.segments.items()}
    return (
        *by_arm(data.drawn, data.outcomes, arms),
        *by_segment(data.drawn, data.outcomes, segments),
        *by_week(data.drawn, data.outcomes),
        *robustness(data.drawn, data.outcomes),
        *by_window(data.drawn, data.outcomes, Kind.DECAY),
        *by_window(data.drawn, data.outcomes, Kind.AFTER),
        *guardrails(data.drawn, data.outcomes),
    )


def _arm_title(ws: Workspace, template: str, arm: str) -> str:
    found = ws.templates.get((template, Language.EN))
    return f"{arm} ({found.title})" if found else arm


def _money(ws: Workspace, campaign: Campaign, head: Headline) -> tuple[Savings | None, str]:
    if campaign.outcome is not Outcome.RESIDUAL_KG:
        return None, f"{campaign.id}: not turned into tonnes, because its outcome is not weighed residual waste."
    effect = Range(head.effect.estimate, *head.interval)
    weeks = [(Week(number).monday, float(count)) for number, count in head.treated_household_weeks]
    try:
        return savings(effect, weeks, ws.council, programme_cost_pence=head.cost_pence), ""
    except UnsupportedError as reason:
        return None, f"{campaign.id}: no money figures. {reason}"


def _facts(campaign: Campaign, measured: Measured) -> dict[str, str | float | int | None]:
    head = measured.headline
    facts: dict[str, str | float | int | None] = {f"{campaign.id} verdict": head.verdict.value}
    if head.verdict is Verdict.INVALID:
        return facts
    scale, unit = (1.0, outcome_unit(head.outcome)) if head.outcome is Outcome.RESIDUAL_KG else (100.0, "points")
    low, high = (scale * end for end in head.interval)
    middle = scale * head.effect.estimate
    facts[f"{campaign.id} effect"] = f"{middle:+.3f} {unit} ({low:+.3f} to {high:+.3f})"
    if measured.money:
        tonnes = measured.money.residual_tonnes
        facts[f"{campaign.id} tonnes avoided"] = f"{tonnes.value:.1f} ({tonnes.low:.1f} to {tonnes.high:.1f})"
    return facts
