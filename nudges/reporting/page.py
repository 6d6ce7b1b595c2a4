"""Turns a measured campaign into one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nudges.domain import Campaign, Council, Unit, Verdict
from nudges.measuring import Headline, Measured
from nudges.reporting import checks, dose, flow, forests, guards, lot, timing, worth, year
from nudges.reporting.disclosure import is_publishable
from nudges.reporting.figures import Scale, direction, ends_cell, scale_of, weeks_words
from nudges.reporting.headline import shown_headline
from nudges.reporting.impact_layout import IMPACT
from nudges.reporting.layout import FRAME, MACROS
from nudges.reporting.style import STYLE
from nudges.reporting.year import YearEntry
from nudges.weeks import Week

NOT_MEASURED = (
    "Waste that moved elsewhere: household waste recycling centres, fly-tipping, neighbours' bins.",
    "Talk between neighbours: if homes without messages improved too, the effect is understated.",
    "Weeks after the last measured one: nothing is claimed for them.",
    "Whole-life carbon: CO2e is counted for landfilled tonnes only.",
)
_NO_CONTACT = "Homes without a contact, and homes whose bins are not weighed: no saving is claimed for them."
_ON_ROUNDS = (
    "Single homes: homes on the rounds that got no message are in the weights, so tonnes need no adding up over homes; "
    "the effect on a home that got one is larger."
)
_NO_LORRIES = "The weighbridge: lorry weights were not set beside bin weights."
_MARKS = {
    Verdict.SHOWN: "shown",
    Verdict.NOT_SHOWN: "unclear",
    Verdict.INCONCLUSIVE: "unclear",
    Verdict.HARM: "harm",
    Verdict.INVALID: "invalid",
}
_WORDS = {
    Verdict.SHOWN: "Effect shown",
    Verdict.NOT_SHOWN: "No effect shown",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.HARM: "Harm: the campaign made things worse",
    Verdict.INVALID: "A check of the experiment failed",
}
_SMALL = "Too few households were compared to publish what was found without pointing at them."


@dataclass(frozen=True, slots=True)
class ImpactPage:
    """Everything a page is made of. `salt_sha256` commits to the council's salt without showing it.

    `campaigns` are those of the year the campaign was last measured in, itself among them.
    """

    council: Council
    campaign: Campaign
    measured: Measured
    generated_at: datetime
    salt_sha256: str
    data_sha256: str
    version: str
    campaigns: Sequence[YearEntry] = ()


def environment() -> Environment:
    """Jinja for pages: everything escaped, every variable required."""
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def framed(title: str, body: str, **values: object) -> str:
    """A whole document from a body template and its values."""
    jinja = environment()
    inner = jinja.from_string(MACROS + body).render(title=title, **values)
    frame = jinja.from_string(FRAME)
    # The style is ours and the body was escaped when it was rendered.
    page = frame.render(title=title, style=Markup(STYLE), body=Markup(inner))  # noqa: S704
    return "\n".join(line for line in page.splitlines() if line.strip()) + "\n"


def shows_effects(head: Headline) -> bool:
    """Whether any effect may be printed: no check failed, and enough households stand behind it."""
    return head.verdict is not Verdict.INVALID and is_publishable(head.effect, head.unit)


def last_year(measured: Measured) -> int:
    """The year whose page lists the campaign last."""
    return year.years(measured)[-1]


def impact_page(page: ImpactPage) -> str:
    """The campaign's page. An invalid headline shows its reasons in place of every effect, tonne and pound."""
    measured, campaign = page.measured, page.campaign
    head, week = measured.headline, Week(measured.week_no)
    scale, valid = scale_of(head.outcome), shows_effects(head)
    return framed(
        campaign.title,
        IMPACT,
        council=page.council.name,
        weeks=weeks_words(Week(head.first_week_no), Week(head.last_week_no)),
        stage=_stage(campaign, week),
        settled=lot.settled(head, campaign, page.salt_sha256),
        verdict=_verdict(head),
        headline=shown_headline(head, scale, campaign) if valid else None,
        money=worth.money(measured) if valid and measured.money else None,
        money_note=_money_note(measured),
        design=lot.design(head, campaign, page.council),
        flow=flow.flow(head),
        unit_word="rounds" if head.unit is Unit.ROUND else "units",
        ratios=checks.ratios(head),
        losses=checks.losses(head),
        balance=checks.balance(head, scale, is_valid=valid),
        dose=dose.dose(head, scale, is_valid=valid),
        robustness=forests.robustness(measured, scale) if valid else None,
        weighbridge=forests.weighbridge(head, scale) if valid else None,
        weekly=timing.weekly(measured, scale) if valid else None,
        decay=timing.decay(measured, scale) if valid else None,
        groups=forests.groups(measured, scale) if valid else None,
        spillover=lot.spillover(head, _neighbours(head, scale) if valid else None),
        guardrails=guards.guardrails(measured, is_valid=valid),
        not_measured=_not_measured(head),
        year=last_year(measured),
        campaigns=year.listing(page.campaigns, folder="../", with_effect=valid, with_tonnes=False)
        if page.campaigns
        else None,
        plan=lot.followed(head.registration),
        rerun=_rerun(page, week),
        footer=f"Made {page.generated_at:%Y-%m-%d %H:%M} UTC by nudges {page.version}. Households are published as "
        "counts rounded to 5; counts of 7 or fewer are hidden, and so are those that would give them away.",
    )


def _verdict(head: Headline) -> dict[str, object]:
    mark, word = _MARKS[head.verdict], _WORDS[head.verdict]
    if head.verdict is Verdict.INVALID:
        lines = [*head.alarms, "No effect, tonne or pound is reported."]
        return {"mark": mark, "word": word, "stamp": "INVALID", "lines": lines}
    if not shows_effects(head):
        mark, word = "unclear", "Not published"
    return {"mark": mark, "word": word, "stamp": "", "lines": [words(head)]}


def words(head: Headline) -> str:
    """The verdict in sentences, or why it is not published."""
    return head.words if head.verdict is Verdict.INVALID or shows_effects(head) else _SMALL


def _stage(campaign: Campaign, week: Week) -> str:
    last = campaign.starts + campaign.weeks
    if week < last:
        return f"Interim: the campaign is measured to {last} before anything is decided."
    return "Final: the planned weeks are complete."


def _neighbours(head: Headline, scale: Scale) -> str | None:
    """The effect of messaged neighbours on homes of the control, in words."""
    found = head.spillover.neighbours if head.spillover else None
    if found is None or not is_publishable(found):
        return None
    ends = f"95 % interval {ends_cell(found.ci_low, found.ci_high, scale)} {scale.unit}"
    return (
        "Among control homes, those with more messaged neighbours than most, compared with the others: "
        f"{direction(found.estimate, scale)} ({ends})."
    )


def _money_note(measured: Measured) -> str:
    said = measured.money_note.removeprefix(f"{measured.campaign}: ")
    return said[:1].upper() + said[1:] if said else "Not turned into tonnes or pounds."


def _not_measured(head: Headline) -> tuple[str, ...]:
    if head.unit is Unit.ROUND:
        return (_ON_ROUNDS, *NOT_MEASURED)
    return (_NO_CONTACT, *NOT_MEASURED) if head.crosscheck else (_NO_CONTACT, *NOT_MEASURED, _NO_LORRIES)


def _rerun(page: ImpactPage, week: Week) -> list[Markup]:
    lines = [
        ("Measure and write again: <code>nudges report --campaign {} --week {}</code>", page.campaign.id, week),
        ("Any household's draws and reasons: <code>nudges why HOUSEHOLD</code>",),
        (
            "Data used (SHA-256 over the names of all files, each named by its content): <code>{}</code>",
            page.data_sha256,
        ),
        ("Campaign file (SHA-256): <code>{}</code>", lot.sha256(page.campaign.source)),
    ]
    return [Markup(line[0]).format(*line[1:]) for line in lines]  # noqa: S704 - format() escapes its values
