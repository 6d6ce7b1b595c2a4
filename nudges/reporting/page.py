"""Turns a measured campaign into one HTML page that needs nothing else, and into the same facts as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nudges.domain import Campaign, Council, Verdict
from nudges.measuring import Effect, Headline, Measured
from nudges.reporting import layout, sections, worth
from nudges.reporting.disclosure import disclosed, shown
from nudges.reporting.figures import (
    Scale,
    direction,
    interval_words,
    percent,
    plain,
    scale_of,
    signed,
    weeks_words,
)
from nudges.weeks import Week

_MARKS = {
    Verdict.SHOWN: "shown",
    Verdict.NOT_SHOWN: "unclear",
    Verdict.INCONCLUSIVE: "unclear",
    Verdict.HARM: "harm",
    Verdict.INVALID: "invalid",
}


@dataclass(frozen=True, slots=True)
class ImpactPage:
    """Everything a page is made of. `salt_sha256` commits to the council's salt without showing it."""

    council: Council
    campaign: Campaign
    measured: Measured
    generated_at: datetime
    salt_sha256: str
    data_sha256: str
    version: str


def environment() -> Environment:
    """Jinja for pages: everything escaped, every variable required."""
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def framed(title: str, body: str, **values: object) -> str:
    """A whole document from a body template and its values."""
    jinja = environment()
    inner = jinja.from_string(layout.MACROS + body).render(title=title, **values)
    frame = jinja.from_string(layout.FRAME)
    # The style is ours and the body was escaped when it was rendered.
    page = frame.render(title=title, style=Markup(layout.STYLE), body=Markup(inner))  # noqa: S704
    return "\n".join(line for line in page.splitlines() if line.strip()) + "\n"


def impact_page(page: ImpactPage) -> str:
    """The campaign's page. An invalid headline shows its reasons in place of every effect, tonne and pound."""
    measured, campaign = page.measured, page.campaign
    head, week = measured.headline, Week(measured.week_no)
    scale, valid = scale_of(head.outcome), head.verdict is not Verdict.INVALID
    return framed(
        campaign.title,
        layout.IMPACT,
        council=page.council.name,
        weeks=weeks_words(Week(head.first_week_no), Week(head.last_week_no)),
        stage=_stage(campaign, week),
        verdict={
            "mark": _MARKS[head.verdict],
            "word": _verdict_word(head.verdict),
            "lines": [*head.alarms, "No effect, tonne or pound is reported."] if not valid else [head.words],
        },
        headline=_headline(head, scale, campaign, week) if valid else None,
        money=worth.money(measured) if valid and measured.money else None,
        money_note=measured.money_note or "Not turned into tonnes or pounds.",
        design=sections.design(page.campaign, page.council, page.salt_sha256),
        flow=sections.flow(head),
        ratios=sections.ratios(head),
        outage=sections.outage(head),
        balance=sections.balance(head, scale),
        weekly=sections.weekly(measured, scale) if valid else None,
        groups=sections.groups(measured, scale) if valid else None,
        not_measured=sections.NOT_MEASURED,
        rerun=_rerun(page, week),
        footer=f"Made {page.generated_at:%Y-%m-%d %H:%M} UTC by nudges {page.version}. Households are published as "
        "counts rounded to 5; counts of 7 or fewer are hidden.",
    )


def _verdict_word(said: Verdict) -> str:
    return {
        Verdict.SHOWN: "Effect shown",
        Verdict.NOT_SHOWN: "No effect shown",
        Verdict.INCONCLUSIVE: "Inconclusive",
        Verdict.HARM: "Harm: the campaign made things worse",
        Verdict.INVALID: "A check of the experiment failed",
    }[said]


def _stage(campaign: Campaign, week: Week) -> str:
    last = campaign.starts + campaign.weeks
    if week < last:
        return f"Interim: the campaign is measured to {last} before anything is decided."
    return "Final: the planned weeks are complete."


def _headline(head: Headline, scale: Scale, campaign: Campaign, week: Week) -> dict[str, str]:
    effect = head.effect
    share = ""
    if head.control_mean > 0:
        ends = [signed(end / head.control_mean * 100, 1) for end in (effect.ci_low, effect.ci_high)]
        share = f"{signed(effect.estimate / head.control_mean * 100, 1)} % ({ends[0]} to {ends[1]} %)"
    basis = (
        f"{shown(head.households_treated)} households drawn into the campaign against {shown(head.households_control)} "
        f"drawn to get no message of it, who averaged {plain(head.control_mean * scale.factor, scale.digits)} "
        f"{scale.long_unit}. The smallest effect this measurement had an 80 % chance to see: "
        f"{plain(head.detectable * scale.factor, scale.digits)} {scale.unit}. The campaign was meant to bring "
        f"{direction(head.stated, scale)} ({percent(abs(campaign.stated_effect_share))})."
    )
    looks = (
        "The interval is right for one look. This page is made every week: decide at the planned end, not at the first "
        "week that looks good."
        if week < campaign.starts + campaign.weeks
        else "Households are compared as they were drawn, whether or not a message arrived."
    )
    return {
        "number": direction(effect.estimate, scale),
        "subject": scale.subject,
        "interval": interval_words(effect, scale),
        "share": share,
        "basis": basis,
        "looks": looks,
    }


def _rerun(page: ImpactPage, week: Week) -> list[Markup]:
    lines = [
        ("Measure and write again: <code>nudges report --campaign {} --week {}</code>", page.campaign.id, week),
        ("Any household's draws and reasons: <code>nudges why HOUSEHOLD</code>",),
        (
            "Data used (SHA-256 over the names of all files, each named by its content): <code>{}</code>",
            page.data_sha256,
        ),
        ("Campaign file (SHA-256): <code>{}</code>", sections.sha256(page.campaign.source)),
    ]
    return [Markup(line[0]).format(*line[1:]) for line in lines]  # noqa: S704 - format() escapes its values


def impact_json(page: ImpactPage) -> dict[str, Any]:
    """The page's facts, ready for JSON, with the same counts hidden and rounded."""
    head = page.measured.headline
    valid = head.verdict is not Verdict.INVALID
    return {
        "campaign": page.campaign.id,
        "title": page.campaign.title,
        "week": str(Week(page.measured.week_no)),
        "first_week": str(Week(head.first_week_no)),
        "last_week": str(Week(head.last_week_no)),
        "outcome": head.outcome.value,
        "verdict": head.verdict.value,
        "words": head.words,
        "alarms": list(head.alarms),
        "effect": _effect_json(head.effect) if valid else None,
        "control_mean": head.control_mean if valid else None,
        "detectable": head.detectable,
        "stated": head.stated,
        "money": worth.money_json(page.measured) if valid else None,
        "groups": [
            {"kind": group.kind, "label": group.label, "effect": _effect_json(group.effect)}
            for group in page.measured.groups
            if valid and sections.is_publishable(group.effect)
        ],
        "flow": [sections.flow_json(flow) for flow in head.flows],
        "data_sha256": page.data_sha256,
        "generated_at": page.generated_at.isoformat(),
    }


def _effect_json(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "estimate": effect.estimate,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
        "se": effect.se,
        "p_value": effect.p_value,
        "n_treated": disclosed(effect.n_units_treated),
        "n_control": disclosed(effect.n_units_control),
    }
