"""Turns the units of a campaign into its headline, its checks and the effects by arm, segment and week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nudges.domain import CONTROL, Outcome
from nudges.errors import UnsupportedError
from nudges.measuring.ancova import unit_ancova
from nudges.measuring.diagnostics import OutageGap, SampleRatio, balance, outage_gap, sample_ratio
from nudges.measuring.effect import Effect
from nudges.measuring.pooling import pooled
from nudges.measuring.results import ARM, SEGMENT, WEEK, Flow, Group, Headline
from nudges.measuring.units import Drawn, Flags, Floats, Outcomes
from nudges.measuring.verdicts import verdict, verdict_words
from nudges.weeks import Week

TOO_FEW = "too few units in one of the two groups"
NO_SPREAD = "too few units, or the same outcome for all of them"


NONE_AT_FIRST = "drew no message at first"
"""The flow table's group of units in the campaign whose first turn brought them no message."""


def contrast_effect(
    drawn: Drawn, post: Floats, pre: Floats, units: Flags, *, treated: Flags | None = None
) -> Effect | None:
    """Effect of being in the campaign over some units, or of being `treated`; None where it cannot be estimated.

    Compared within week of first assignment, and homes that share bins only with such: stores are few and weigh much,
    so by chance one group could have more of them, and their other level would look like an effect.
    """
    chosen = units & np.isfinite(post)
    inside = (drawn.is_treated if treated is None else treated)[chosen]
    if min(inside.sum(), (~inside).sum()) < 2:
        return None
    strata = 2 * drawn.first_week_no[chosen] + (drawn.households[chosen] > 1)
    try:
        return unit_ancova(
            post[chosen],
            pre[chosen],
            inside,
            weights=drawn.households[chosen],
            strata=strata if (strata != strata[0]).any() else None,
        )
    except UnsupportedError:
        return None


def sample_ratios(drawn: Drawn, outcomes: Outcomes) -> tuple[SampleRatio, ...]:
    """Units per group at each step against the configured shares. The holdout is checked where it was drawn."""
    weighed = np.isfinite(outcomes.post)
    held = drawn.holdout_share
    first = _ratio(
        "assigned",
        {"treated": drawn.is_treated, "control": drawn.is_control, "holdout": drawn.is_holdout},
        {
            "treated": (1 - held) * drawn.treated_share,
            "control": (1 - held) * (1 - drawn.treated_share),
            "holdout": held,
        },
    )
    groups = {"treated": drawn.is_treated, "control": drawn.is_control}
    shares = {"treated": drawn.treated_share, "control": 1 - drawn.treated_share}
    outside = ~drawn.is_holdout

    def at(step: str, inside: Flags) -> SampleRatio:
        return _ratio(
            step,
            {name: flags & inside for name, flags in groups.items()},
            {name: np.where(inside, share, 0.0) for name, share in shares.items()},
        )

    return (
        first,
        at("contactable", outside & drawn.is_contactable),
        at("weighed", outside & weighed),
        at("analysed", outside & drawn.is_contactable & weighed),
    )


def _ratio(step: str, groups: Mapping[str, Flags], chances: Mapping[str, Floats]) -> SampleRatio:
    expected = {name: float(chance.sum()) for name, chance in chances.items()}
    observed = {name: int(flags.sum()) for name, flags in groups.items()}
    if sum(expected.values()) <= 0:
        expected = dict.fromkeys(expected, 1.0)
    return sample_ratio(step, observed, expected)


def alarms_of(ratios: Iterable[SampleRatio], outage: OutageGap) -> tuple[str, ...]:
    """Sentences for the checks that void a headline; empty when all passed."""
    said = [_ratio_alarm(ratio) for ratio in ratios if ratio.is_alarm]
    if outage.is_alarm:
        said.append(
            f"Reader outage: {outage.treated_share:.1%} of planned collections had no usable reading in the campaign, "
            f"{outage.control_share:.1%} in the control; a gap beyond half a percentage point can look like an effect."
        )
    return tuple(said)


def _ratio_alarm(ratio: SampleRatio) -> str:
    """Shares, not counts: the sentence is published."""
    total = sum(ratio.observed.values()) or 1
    parts = [
        f"{count / total:.1%} {name} where {ratio.expected[name] / total:.1%} were configured"
        for name, count in ratio.observed.items()
    ]
    return (
        f"Sample ratio at '{ratio.step}': {', '.join(parts)} (p = {ratio.p_value:.1g}). These are not the groups that "
        "were drawn, so their difference cannot be trusted."
    )


def headline(
    drawn: Drawn,
    outcomes: Outcomes,
    *,
    outcome: Outcome,
    stated_share: float,
    week: Week,
    reach: Mapping[str, Mapping[str, int]],
    messages: int,
    cost_pence: float,
) -> Headline | None:
    """Measure everyone in the campaign, whatever the arm, against the control lane.

    None while fewer than two units of either have an outcome after the start.

    `reach` holds households by shown arm that a message was accepted for and delivered to.
    """
    effect = contrast_effect(drawn, outcomes.post, outcomes.pre, drawn.contrast)
    if effect is None:
        return None
    analysed = drawn.contrast & np.isfinite(outcomes.post)
    treated, control = analysed & drawn.is_treated, analysed & drawn.is_control
    control_mean = float(np.average(outcomes.post[control], weights=drawn.households[control]))
    stated = stated_share * control_mean
    ratios = sample_ratios(drawn, outcomes)
    contrast = drawn.contrast
    outage = outage_gap(outcomes.planned[contrast], outcomes.valid[contrast], drawn.is_treated[contrast])
    alarms = alarms_of(ratios, outage)
    said = verdict(effect, outcome, stated=stated, alarms=alarms)
    return Headline(
        outcome=outcome,
        verdict=said,
        words=verdict_words(said, effect, outcome, alarms=alarms),
        alarms=alarms,
        effect=effect,
        control_mean=control_mean,
        stated=stated,
        detectable=effect.detectable,
        first_week_no=int(drawn.first_week_no.min()) + 1,
        last_week_no=week.number,
        households_treated=int(drawn.households[treated].sum()),
        households_control=int(drawn.households[control].sum()),
        treated_household_weeks=_household_weeks(drawn, treated, week),
        ratios=ratios,
        outage=outage,
        balance=balance(outcomes.pre[analysed], drawn.is_treated[analysed], drawn.households[analysed]),
        placebo=contrast_effect(drawn, outcomes.pre_second, outcomes.pre_first, drawn.contrast),
        flows=flows(drawn, outcomes, reach),
        messages=messages,
        cost_pence=cost_pence,
    )


def _household_weeks(drawn: Drawn, treated: Flags, week: Week) -> tuple[tuple[int, int], ...]:
    starts = drawn.first_week_no[treated]
    households = drawn.households[treated]
    first = int(drawn.first_week_no.min()) + 1
    counts = ((number, int(households[starts < number].sum())) for number in range(first, week.number + 1))
    return tuple((number, count) for number, count in counts if count)


def shown_arms(drawn: Drawn) -> dict[str, Flags]:
    """Groups of the flow table: control, each arm of the first turn, those it brought no message, the holdout."""
    rows = {CONTROL: drawn.is_control}
    for arm in sorted(set(drawn.arm[drawn.is_treated].tolist()) - {CONTROL}):
        rows[arm] = drawn.is_treated & (drawn.arm == arm)
    silent = drawn.is_treated & (drawn.arm == CONTROL)
    if silent.any():
        rows[NONE_AT_FIRST] = silent
    if drawn.is_holdout.any():
        rows["holdout"] = drawn.is_holdout
    return rows


def flows(drawn: Drawn, outcomes: Outcomes, reach: Mapping[str, Mapping[str, int]]) -> tuple[Flow, ...]:
    """Households by arm at each step."""
    weighed = np.isfinite(outcomes.post)

    def count(flags: Flags) -> int:
        return int(drawn.households[flags].sum())

    return tuple(
        Flow(
            arm=arm,
            assigned=count(inside),
            contactable=count(inside & drawn.is_contactable),
            accepted=reach.get(arm, {}).get("accepted", 0),
            delivered=reach.get(arm, {}).get("delivered", 0),
            weighed=count(inside & weighed),
            analysed=count(inside & weighed & drawn.is_contactable) if arm != "holdout" else 0,
            units=int(inside.sum()),
        )
        for arm, inside in shown_arms(drawn).items()
    )


def by_arm(drawn: Drawn, outcomes: Outcomes, titles: Mapping[str, str]) -> list[Group]:
    """Effect of each arm in the campaign's first turn, where the arm was drawn by lot, against all that drew none.

    Later turns draw arms anew, so that by then every arm has had the others before it.
    """
    effects = {}
    for arm in titles:
        given = drawn.is_treated & drawn.is_arm_random & (drawn.arm == arm)
        units = drawn.contrast & (drawn.drew_none | given)
        effects[arm] = contrast_effect(drawn, outcomes.first_turn, outcomes.pre, units, treated=given)
    return _groups(ARM, effects, titles)


def by_segment(drawn: Drawn, outcomes: Outcomes, titles: Mapping[str, str]) -> list[Group]:
    """Effect among the units of each segment at first assignment: exploratory."""
    effects = {
        name: contrast_effect(drawn, outcomes.post, outcomes.pre, drawn.contrast & inside)
        for name, inside in outcomes.segments.items()
    }
    return _groups(SEGMENT, effects, titles)


def by_week(drawn: Drawn, outcomes: Outcomes) -> list[Group]:
    """Effect in each calendar week, over the units assigned before it."""
    groups = []
    for number, values in sorted(outcomes.weekly.items()):
        units = drawn.contrast & (drawn.first_week_no < number)
        effect = contrast_effect(drawn, values, outcomes.pre, units)
        label = str(Week(number))
        shown = effect if effect and effect.se > 0 else None
        groups.append(Group(WEEK, label, label, shown, note=_why_not(effect)))
    return groups


def _groups(kind: str, effects: Mapping[str, Effect | None], titles: Mapping[str, str]) -> list[Group]:
    known = {label: effect for label, effect in effects.items() if effect and effect.se > 0}
    shrunk = dict(zip(known, pooled(list(known.values())), strict=True))
    return [
        Group(kind, label, titles.get(label, label), known.get(label), shrunk.get(label), note=_why_not(effect))
        for label, effect in effects.items()
    ]


def _why_not(effect: Effect | None) -> str:
    """Why a group has no effect to show: an estimate without a spread has no interval."""
    if effect is None:
        return TOO_FEW
    return "" if effect.se > 0 else NO_SPREAD
