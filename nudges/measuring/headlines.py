"""Turns the units of a campaign into its headline, with the checks that can void it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nudges.domain import CONTROL, Outcome
from nudges.errors import UnsupportedError
from nudges.measuring.contrasts import as_means, contrast_effect
from nudges.measuring.cumulative import joint_effects
from nudges.measuring.decay import half_life
from nudges.measuring.delivered import delivered_effect
from nudges.measuring.diagnostics import (
    OutageGap,
    Reached,
    SampleRatio,
    attrition,
    balance,
    outage_gap,
    reached,
    sample_ratio,
    spillover,
)
from nudges.measuring.effect import Effect
from nudges.measuring.results import Delivered, Flow, Headline, Kind, Looked, LookRule
from nudges.measuring.sequential import sequential
from nudges.measuring.units import Drawn, Flags, Floats, Outcomes, Sent
from nudges.measuring.verdicts import verdict, verdict_words
from nudges.money import Range
from nudges.weeks import Week

NONE_AT_FIRST = "drew no message at first"
"""The flow table's group of units in the campaign whose first turn brought them no message."""


def sample_ratios(drawn: Drawn, outcomes: Outcomes) -> tuple[SampleRatio, ...]:
    """Units per group at each step against the configured shares. The holdout is checked where it was drawn."""
    weighed = outcomes.post.is_known
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


def alarms_of(ratios: Iterable[SampleRatio], outage: OutageGap, written: Reached) -> tuple[str, ...]:
    """Sentences for the checks that void a headline; empty when all passed."""
    said = [_ratio_alarm(ratio) for ratio in ratios if ratio.is_alarm]
    if outage.is_alarm:
        said.append(
            f"Reader outage: {outage.treated_share:.1%} of planned collections had no usable reading in the campaign, "
            f"{outage.control_share:.1%} in the control; a gap beyond half a percentage point can look like an effect."
        )
    if written.is_alarm:
        said.append(
            f"Control written to: {written.control_share:.1%} of the households drawn to get nothing got a message of "
            "this campaign, so the two groups were not treated as drawn."
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
    sent: Sent,
    *,
    outcome: Outcome,
    stated_share: float,
    first: Week,
    last: Week,
    looks: int,
) -> Headline | None:
    """Measure everyone in the campaign, whatever the arm, against the control lane.

    None while fewer than two units of either have an outcome after the start.

    Args:
        drawn: n units as drawn.
        outcomes: of the same units, to the end of `last`.
        sent: what messages reached.
        outcome: the campaign's primary one.
        stated_share: effect the campaign was meant to have, as a share of the control mean.
        first: week of the campaign's first run.
        last: newest measured week, the planned end at most.
        looks: weekly looks planned.
    """
    effect = contrast_effect(drawn, outcomes.post, outcomes.pre, drawn.contrast)
    if effect is None:
        return None
    analysed = drawn.contrast & outcomes.post.is_known
    treated, control = analysed & drawn.is_treated, analysed & drawn.is_control
    means = as_means(drawn, outcomes.post, analysed)
    control_mean = float(np.average(means[drawn.is_control[analysed]], weights=drawn.households[control]))
    stated = stated_share * control_mean
    ratios = sample_ratios(drawn, outcomes)
    contrast = drawn.contrast
    outage = outage_gap(outcomes.planned[contrast], outcomes.valid[contrast], drawn.is_treated[contrast])
    written = reached(float(drawn.households[drawn.is_control].sum()), _written_to_control(sent))
    alarms = alarms_of(ratios, outage, written)
    seen = looked(drawn, outcomes, effect, look=last.number - first.number, looks=looks)
    interval = (seen.ci_low, seen.ci_high) if seen else (effect.ci_low, effect.ci_high)
    detectable = effect.detectable_within(*interval)
    said = verdict(effect, outcome, stated=stated, interval=interval, alarms=alarms)
    return Headline(
        outcome=outcome,
        verdict=said,
        words=verdict_words(said, effect, outcome, detectable=detectable, alarms=alarms),
        alarms=alarms,
        effect=effect,
        control_mean=control_mean,
        stated=stated,
        detectable=detectable,
        first_week_no=int(drawn.first_week_no.min()) + 1,
        last_week_no=last.number,
        households_treated=int(drawn.households[treated].sum()),
        households_control=int(drawn.households[control].sum()),
        treated_household_weeks=_household_weeks(drawn, treated, last),
        ratios=ratios,
        outage=outage,
        balance=balance(outcomes.pre.values[analysed], drawn.is_treated[analysed], drawn.households[analysed]),
        placebo=contrast_effect(drawn, outcomes.pre_second, outcomes.pre_first, drawn.contrast),
        flows=flows(drawn, outcomes, sent.by_group),
        messages=sent.messages,
        cost_pence=sent.cost_pence,
        looked=seen,
        delivered=_delivered(drawn, outcomes, sent),
        doses=sent.doses,
        half_life_weeks=_half_life(drawn, outcomes),
        attrition=attrition(outcomes.post.is_known[contrast], drawn.is_treated[contrast]),
        reached=written,
        spillover=spillover(
            outcomes.post.values[contrast],
            outcomes.pre.values[contrast],
            drawn.is_treated[contrast],
            drawn.households[contrast],
            drawn.street[contrast],
        ),
    )


def looked(drawn: Drawn, outcomes: Outcomes, effect: Effect, *, look: int, looks: int) -> Looked | None:
    """The effect's interval right for every weekly look so far, over the planned ones; None where none can be told."""
    chosen = drawn.contrast
    joint = joint_effects(
        np.column_stack([as_means(drawn, series, chosen) for series in outcomes.looks]),
        outcomes.pre.values[chosen],
        drawn.is_treated[chosen],
        weights=drawn.households[chosen],
        strata=drawn.strata[chosen],
    )
    made = sequential(joint.estimates, joint.covariance, horizon=looks, df=joint.df)
    if not made or made[-1].look != look:
        return None
    reach = made[-1].boundary * effect.se
    low, high = effect.estimate - reach, effect.estimate + reach
    return Looked(look, looks, made[-1].boundary, low, high, LookRule.OBRIEN_FLEMING)


def _delivered(drawn: Drawn, outcomes: Outcomes, sent: Sent) -> Delivered | None:
    """Effect on households with a message delivered; None where none was, or the instrument is too weak."""
    units = drawn.contrast & outcomes.post.is_known
    z, w, given = drawn.is_treated[units], drawn.households[units], sent.delivered[units]
    try:
        effect = delivered_effect(
            as_means(drawn, outcomes.post, units),
            outcomes.pre.values[units],
            z,
            given,
            weights=w,
            strata=drawn.strata[units],
        )
    except UnsupportedError:
        return None
    treated_share, control_share = (float(np.average(given[inside], weights=w[inside])) for inside in (z, ~z))
    return Delivered(effect, treated_share, control_share)


def _half_life(drawn: Drawn, outcomes: Outcomes) -> Range | None:
    """Weeks in which the effect falls to half once messages have stopped; None before two windows were measured."""
    after = outcomes.windows.get(Kind.AFTER, {})
    if len(after) < 2:
        return None
    chosen = drawn.contrast
    joint = joint_effects(
        np.column_stack([as_means(drawn, series, chosen) for series in after.values()]),
        outcomes.pre.values[chosen],
        drawn.is_treated[chosen],
        weights=drawn.households[chosen],
        strata=drawn.strata[chosen],
    )
    if not (np.isfinite(joint.estimates).all() and (joint.se > 0).all()):
        return None
    first_last = [label.split("-") for label in after]
    found = half_life(joint.estimates, joint.covariance, [(int(first), int(last)) for first, last in first_last])
    return Range(found.weeks, found.low, found.high) if found.is_known else None


def _written_to_control(sent: Sent) -> float:
    return float(sent.by_group.get(CONTROL, {}).get("accepted", 0))


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
    weighed = outcomes.post.is_known

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
            stores=int((inside & (drawn.households > 1)).sum()),
        )
        for arm, inside in shown_arms(drawn).items()
    )
