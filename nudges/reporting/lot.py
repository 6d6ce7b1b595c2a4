"""Turns a campaign's draw and its stored plan into words: what was decided by lot, and was the plan followed."""

from __future__ import annotations

import hashlib
from datetime import date

from markupsafe import Markup

from nudges.domain import Campaign, Council, Outcome, Unit
from nudges.measuring import Headline, Registration
from nudges.reporting.disclosure import shown_share
from nudges.reporting.figures import day, percent, plain

_NO_PLAN = (
    "No plan was stored when the campaign was approved, so nobody can check that the question came before the answer. "
    "Read the result as exploratory."
)

_SAME_ROUND = (
    "Neighbours share a round, so talk within a round is part of the effect; talk across its edges would understate it."
)


def sha256(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def settled(head: Headline, campaign: Campaign, salt_sha256: str) -> list[Markup]:
    """Lines under the title: when the plan was frozen, its hash, and the seed of the draw."""
    plan = head.registration
    first = (
        Markup("Plan settled {} by {}, SHA-256 <code>{}</code>.").format(_date(plan), plan.registered_by, plan.sha256)
        if plan
        else Markup("No plan was stored before the start.")
    )
    seed = Markup(
        "Seed of the draw: salt <code>{}</code> and the council's secret salt, SHA-256 <code>{}</code>."
    ).format(campaign.salt, salt_sha256)
    return [first, seed]


def followed(plan: Registration | None) -> dict[str, object]:
    """Whether what was done is what had been planned, and what was done otherwise."""
    if plan is None:
        return {"word": "There was none", "lines": [_NO_PLAN], "deviations": []}
    when = (
        f"The plan was stored on {_date(plan)}, before any outcome could be read."
        if plan.is_before_start
        else f"The plan was stored on {_date(plan)}, after outcomes could have been read: it is no proof that the "
        "question came before the answer."
    )
    sight = (
        f"It was worked out then that a change of {percent(plan.detectable_share)} or more could be seen."
        if plan.detectable_share is not None
        else "What change could be seen was not worked out when the plan was stored."
    )
    word = "Yes" if plan.is_followed else "No"
    said = "Nothing was done otherwise." if not plan.deviations else "Done otherwise than planned:"
    return {"word": word, "lines": [when, sight, said], "deviations": list(plan.deviations)}


def _date(plan: Registration) -> str:
    return day(date.fromisoformat(plan.registered_on))


def design(head: Headline, campaign: Campaign, council: Council) -> list[str]:
    """How it was decided who got a message."""
    return _rounds(head, campaign, council) if head.unit is Unit.ROUND else _households(campaign, council)


def _households(campaign: Campaign, council: Council) -> list[str]:
    share = campaign.shares
    lanes = (
        f"{percent(council.holdout_share, 0)} of units are held out of every campaign. Of the others, "
        f"{percent(share.control, 0)} get no message here (control), for the whole campaign. The rest are in the "
        f"campaign: every {campaign.every_weeks} weeks it is drawn anew which {percent(share.learn, 0)} get a message, "
        f"or none, drawn evenly from {len(campaign.arms) + 1} choices, and which {percent(share.best, 0)} get what the "
        "engine thinks best."
    )
    stores = (
        "A unit is a household with its own bins, or all households that share a bin store, which are drawn, weighed "
        "and compared as one: the table below counts units and households apart."
    )
    draw = (
        "The draw is a hash of the unit and the salts under the title, so it can be repeated and nobody could steer "
        "it. Compared are all units with a contact that were drawn into the campaign, whatever they got, against the "
        "control, from each one's first week. Messages are told apart in the first turn only, where they were drawn by "
        "lot and nothing came before."
    )
    return [lanes, stores, draw]


def _rounds(head: Headline, campaign: Campaign, council: Council) -> list[str]:
    drawn = next(ratio for ratio in head.ratios if ratio.step == "assigned").observed
    lanes = (
        f"Whole rounds were drawn, once, by complete randomisation: of {plain(drawn['treated'] + drawn['control'])} "
        f"rounds, {plain(drawn['control'])} get no message of this campaign for its whole length and "
        f"{plain(drawn['treated'])} do. Rounds were put in the order of a hash of their names and the salts under the "
        "title, and the first are the control: it can be repeated, and nobody could steer it."
    )
    arms = len(campaign.arms)
    what = "the same message" if arms == 1 else f"one of {arms} messages, drawn evenly"
    within = (
        f"On rounds with messages, {percent(council.holdout_share, 0)} of homes are held out of every campaign and the "
        f"others get {what}. Nothing is learned, because lorries say nothing of one home."
    )
    if head.outcome is Outcome.RESIDUAL_KG:
        within += (
            " Compared is what everybody on a round put out, written to or not, as lorries weighed it, in the weeks "
            "measured and in the 26 weeks before."
        )
    return [lanes, within, *_shared(head)]


def _shared(head: Headline) -> list[str]:
    if head.shared is None:
        return []
    share = percent(head.shared.grams_share)
    return [f"Weighbridge: {share} of the tonnage came on tickets that name several rounds or none. {head.shared.rule}"]


def spillover(head: Headline, said: str | None) -> list[str]:
    """What neighbours may have done to the comparison; `said` is the effect on neighbours in words."""
    if head.unit is Unit.ROUND:
        return [_SAME_ROUND]
    direction = (
        "If messages are talked about, homes without them improve too, and this page understates the campaign; it "
        "cannot overstate it that way."
    )
    found = head.spillover
    if found is None:
        return [f"Streets are not known, so it cannot be said how many neighbours were in other groups. {direction}"]
    share = shown_share(found.mixed_share, head.households_treated, 0)
    mixed = f"{share} of homes in the campaign are in a street that also holds control homes."
    return [f"{mixed} {direction}", *([said] if said else [])]
