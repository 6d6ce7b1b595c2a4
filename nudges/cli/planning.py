"""Prints a plan for a waste officer: waterfall, cost, fragments, the smallest effect it could show, first messages."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from nudges.cli.console import say, table
from nudges.domain import Medium
from nudges.masking import mask_contacts
from nudges.measuring.power_words import percent
from nudges.steps.choose.words import policy_words
from nudges.steps.plan import Plan
from nudges.steps.power import Outlook
from nudges.steps.render import Draft, Drafts

_BAR = 40  # characters of the longest bar
_LONDON = ZoneInfo("Europe/London")
_WORDS = {
    "holdout": "holdout: no campaign ever touches them",
    "control": "control: no message in this campaign",
    "policy_none": "no message pays here",
    "stopped": "the campaign is stopped",
    "no_contact": "no contact for their arm",
    "suppressed": "asked us to stop, or the contact is dead",
    "capped": "heard from us too recently",
    "over_capacity": "over what the arm or the channel can carry this week",
    "over_budget": "over this week's budget",
}


def print_plan(plan: Plan) -> None:
    """Print a plan."""
    say(f"{plan.title} ({plan.campaign}), with data to the end of {plan.week}")
    say(f"Turn {plan.turn + 1} of {plan.turns}, to {plan.turn_ends}. Policy: {policy_words(plan.policy)}.")
    for group, arm in plan.stops:
        say(f"! {arm} is stopped for {group}: it did harm there.")
    if not plan.is_running:
        say(f"! This campaign does not run in {plan.week}: see `starts` and `weeks` in campaigns/{plan.campaign}.toml.")
    say()
    _print_waterfall(plan)
    say()
    _print_cost(plan)
    say()
    if plan.drafts is not None:
        _print_fragments(plan.drafts)
    say(plan.detectable.words if plan.detectable else "Smallest effect it could detect: not known without a past.")
    if plan.drafts is not None:
        _print_gaps(plan, plan.drafts)
        _print_first(plan.drafts, plan.drawn)


def print_outlook(result: Outlook) -> None:
    """Print what a campaign could see."""
    found, reach, trial = result.power, result.reach, result.power.trial
    past = found.variation
    say(f"{result.title} ({result.campaign}), with data to the end of {result.week}")
    say()
    say(result.words)
    say(f"Chance to see the stated {percent(abs(found.stated_share))}: {found.chance:.0%}.")
    if found.reached_share < 1:
        say(
            f"Messages reach {found.reached_share:.0%} of those compared as treated: among them the smallest visible "
            f"change is {percent(found.reached_detectable_share)}."
        )
    say()
    rows = [
        (f"{result.noun} with messages, without", f"{trial.n_treated:,}, {trial.n_control:,}"),
        ("weeks after the start, before it", f"{trial.weeks}, {trial.pre_weeks}"),
        ("mean", f"{past.mean:.3g} {result.unit}"),
        (f"standard deviation between {result.noun}, of {trial.weeks} weeks", f"{found.variance**0.5:.3g}"),
        ("of that variance, explained by the weeks before", f"{found.r_squared:.0%}"),
        ("of one reading's variance, standing differences (ICC)", f"{past.icc:.0%}"),
        (f"readings per week and one of the {result.noun}", f"{past.read_share:.0%}"),
        ("households with a contact", f"{reach.contactable_share:.0%}"),
        ("messages delivered", _share(reach.delivered_share)),
        ("asked to stop after messages", _share(reach.opt_out_share)),
    ]
    table(("from this council's own past", ""), rows, right=(1,))
    say(f"Estimated from {past.n_units:,} {result.noun} over {past.weeks} weeks.")
    _print_simulated(result)


def _share(share: float | None) -> str:
    return "not known yet" if share is None else f"{share:.1%}"


def _print_simulated(result: Outlook) -> None:
    if result.note:
        say(result.note)
    if result.simulated is None:
        return
    seen = result.simulated
    say(
        f"{seen.runs} imaginary campaigns drawn on that past, {result.simulated_pre_weeks} weeks before each: the "
        f"stated effect was seen in {seen.chance:.0%} ± {seen.chance_error:.0%}, an effect that was not there in "
        f"{seen.false_share:.1%} ± {seen.false_error:.1%}."
    )


def _print_waterfall(plan: Plan) -> None:
    rows = []
    for stage in plan.waterfall:
        label = _WORDS.get(stage.label, stage.label)
        rows.append(
            (f"  less {label}" if stage.is_loss else label, -stage.households if stage.is_loss else stage.households)
        )
    table(("who", "households"), rows, right=(1,))


def _print_cost(plan: Plan) -> None:
    rows = [(cost.medium, cost.messages, f"£{cost.pence / 100:,.2f}") for cost in plan.media]
    total = ("all", plan.to_send, f"£{plan.pence / 100:,.2f}")
    table(("medium", "messages", "cost"), [*rows, total], title="This week", right=(1, 2))
    say(f"Budget £{plan.budget_pence / 100:,.2f} a week. " + ", ".join(f"{arm}: {n:,}" for arm, n in plan.arms.items()))


def _print_fragments(drafts: Drafts) -> None:
    most = max(drafts.fragments.values(), default=0)
    if not most:
        return
    rows = [
        (fragments, texts, "█" * max(1, round(_BAR * texts / most))) for fragments, texts in drafts.fragments.items()
    ]
    table(("fragments", "texts", ""), rows, title="Length of the texts", right=(0, 1))
    say()


def _print_gaps(plan: Plan, drafts: Drafts) -> None:
    written = sum(drafts.messages.values())
    if written < plan.to_send and not drafts.reasons:
        say(f"Words were written out for the first {written:,} messages only.")
    for reason, households in drafts.reasons.items():
        say(f"! {households:,} of the chosen households would get nothing: {reason.replace('_', ' ')}.")
    for place, households in drafts.lacking.items():
        say(f"! {place} is not known for {households:,} households.")


def _print_first(drafts: Drafts, drawn: Mapping[str, str]) -> None:
    for draft in drafts.first:
        say()
        say(f"── {draft.medium} to household {draft.household_id}, {draft.arm}, {draft.language}{_size(draft)}")
        say(f"   {drawn[draft.household_id]}")
        say(f"   due {draft.due_at.astimezone(_LONDON):%A %d %B %Y %H:%M}, London")
        if draft.content.subject:
            say(f"   Subject: {draft.content.subject}")
        for line in mask_contacts(draft.content.text).splitlines():
            say(f"   {line}")


def _size(draft: Draft) -> str:
    if draft.medium is not Medium.SMS:
        return ""
    return f", {draft.fragments} fragment{'' if draft.fragments == 1 else 's'}"
