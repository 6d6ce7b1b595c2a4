"""Turns the rounds of a campaign into its headline, its checks and the rows beside it, when whole rounds were drawn.

The effect is per household of everybody on a round, written to or not, because that is what a lorry weighs. Rounds are
few, so a randomisation test over the draws that could have been stands beside the interval, and under FEWEST_TO_LOOK
rounds there is one verdict, at the planned end: no rule for weekly looks is known to hold with so few.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nudges.domain import CONTROL, Outcome, Unit, Verdict
from nudges.errors import UnsupportedError
from nudges.measuring.cumulative import joint_effects
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
)
from nudges.measuring.effect import Effect
from nudges.measuring.randomisation import randomisation_test
from nudges.measuring.results import Delivered, Flow, Group, Headline, Kind, Looked, LookRule
from nudges.measuring.robustness import robustness_rows
from nudges.measuring.round_units import DrawnRounds, RoundOutcomes
from nudges.measuring.rounds import round_effect
from nudges.measuring.sequential import sequential
from nudges.measuring.units import Flags, Floats, Sent
from nudges.measuring.verdicts import verdict, verdict_words
from nudges.weeks import Week

FEWEST_TO_LOOK = 20
"""Rounds below which the result is read once, at the planned end."""

WITH_MESSAGES = "rounds with messages"
"""The flow table's group of rounds in the campaign."""

TOO_FEW = "fewer than 4 rounds in one of the two groups, or the same outcome in all of them"


def round_headline(
    drawn: DrawnRounds,
    outcomes: RoundOutcomes,
    sent: Sent,
    *,
    outcome: Outcome,
    stated_share: float,
    first: Week,
    last: Week,
    looks: int,
) -> Headline:
    """Measure the rounds with messages against those without.

    Args:
        drawn: r rounds as drawn.
        outcomes: of the same rounds, to the end of `last`.
        sent: what messages reached; `delivered` is (r,), the share of each round's households.
        outcome: the campaign's primary one.
        stated_share: effect the campaign was meant to have, as a share of the control mean.
        first: week of the campaign's first run.
        last: newest measured week, the planned end at most.
        looks: weekly looks planned.

    Raises:
        UnsupportedError: fewer than four rounds on either side have an outcome.
    """
    known = np.isfinite(outcomes.post)
    z, w = drawn.is_treated[known], drawn.households[known]
    post, pre = outcomes.post[known], outcomes.pre[known]
    effect = round_effect(post, pre, z, w)
    control_mean = float(np.average(post[~z], weights=w[~z]))
    stated = stated_share * control_mean
    ratios = _ratios(drawn, known)
    outage = outage_gap(outcomes.planned, outcomes.valid, drawn.is_treated)
    written = reached(float(drawn.assigned[~drawn.is_treated].sum()), _accepted(sent, CONTROL))
    alarms = _alarms(ratios, outage, written)
    seen = _looked(drawn, outcomes, look=last.number - first.number, looks=looks)
    interval = (seen.ci_low, seen.ci_high) if seen else (effect.ci_low, effect.ci_high)
    detectable = effect.detectable_within(*interval)
    said = verdict(effect, outcome, stated=stated, interval=interval, alarms=alarms)
    words = verdict_words(said, effect, outcome, detectable=detectable, drawn="rounds", alarms=alarms)
    if not alarms and seen is None and last.number - first.number < looks:
        said, words = Verdict.INCONCLUSIVE, _early(len(z), first + looks)
    return Headline(
        outcome=outcome,
        verdict=said,
        words=words,
        alarms=alarms,
        effect=effect,
        control_mean=control_mean,
        stated=stated,
        detectable=detectable,
        first_week_no=drawn.first_week_no + 1,
        last_week_no=last.number,
        households_treated=int(w[z].sum()),
        households_control=int(w[~z].sum()),
        treated_household_weeks=outcomes.household_weeks,
        ratios=ratios,
        outage=outage,
        balance=balance(pre, z, w),
        placebo=_effect(drawn, outcomes.pre_second, outcomes.pre_first),
        flows=_flows(drawn, known, sent),
        messages=sent.messages,
        cost_pence=sent.cost_pence,
        unit=Unit.ROUND,
        looked=seen,
        delivered=_delivered(drawn, outcomes, sent),
        doses=sent.doses,
        attrition=attrition(known, drawn.is_treated),
        reached=written,
        shared=outcomes.shared,
        randomisation=randomisation_test(post, pre, z, w),
    )


def round_groups(drawn: DrawnRounds, outcomes: RoundOutcomes) -> tuple[Group, ...]:
    """Effects by collection cycle and by span of weeks, and the headline's question answered in other ways.

    Messages and segments are mixed within every round, so lorries cannot tell them apart: they have no rows.
    """
    return (*_by_cycle(drawn, outcomes), *_robustness(drawn, outcomes), *_by_window(drawn, outcomes))


def _by_cycle(drawn: DrawnRounds, outcomes: RoundOutcomes) -> list[Group]:
    groups = []
    for (low, high), values in sorted(outcomes.cycles.items()):
        label = str(Week(low))
        title = label if low == high else f"{label} to {Week(high)}"
        groups.append(_group(Kind.WEEK, label, title, _effect(drawn, values, outcomes.pre)))
    return groups


def _by_window(drawn: DrawnRounds, outcomes: RoundOutcomes) -> list[Group]:
    return [
        _group(kind, label, label, _effect(drawn, values, outcomes.pre))
        for kind, spans in outcomes.windows.items()
        for label, values in spans.items()
    ]


def _robustness(drawn: DrawnRounds, outcomes: RoundOutcomes) -> list[Group]:
    known = np.isfinite(outcomes.post)
    rows = robustness_rows(
        outcomes.post[known], outcomes.pre[known], drawn.is_treated[known], weights=drawn.households[known]
    )
    return [_group(Kind.ROBUSTNESS, name, name, effect) for name, effect in rows]


def _group(kind: Kind, label: str, title: str, effect: Effect | None) -> Group:
    shown = effect if effect and effect.se > 0 else None
    return Group(kind, label, title, shown, note="" if shown else TOO_FEW)


def _effect(drawn: DrawnRounds, post: Floats, pre: Floats) -> Effect | None:
    """Effect over the rounds with an outcome; None with too few of them."""
    known = np.isfinite(post)
    try:
        return round_effect(post[known], pre[known], drawn.is_treated[known], drawn.households[known])
    except UnsupportedError:
        return None


def _looked(drawn: DrawnRounds, outcomes: RoundOutcomes, *, look: int, looks: int) -> Looked | None:
    """The interval that is right for every weekly look so far; None under FEWEST_TO_LOOK rounds."""
    if np.isfinite(outcomes.post).sum() < FEWEST_TO_LOOK:
        return None
    joint = joint_effects(outcomes.looks, outcomes.pre, drawn.is_treated, weights=drawn.households)
    made = sequential(joint.estimates, joint.covariance, horizon=looks, df=joint.df)
    if not made or made[-1].look != look:
        return None
    seen = made[-1]
    return Looked(look, looks, seen.boundary, seen.ci_low, seen.ci_high, LookRule.OBRIEN_FLEMING)


def _early(n_rounds: int, ends: Week) -> str:
    return (
        f"Too early to say. With {n_rounds} rounds the result is read once, at the end of {ends}: read every week, so "
        "few rounds would raise false alarms. Claim no saving yet."
    )


def _ratios(drawn: DrawnRounds, known: Flags) -> tuple[SampleRatio, ...]:
    """Rounds at each step against the numbers drawn."""
    z = drawn.is_treated
    expected = {"treated": float(z.sum()), "control": float((~z).sum())}

    def at(step: str, inside: Flags) -> SampleRatio:
        return sample_ratio(step, {"treated": int((z & inside).sum()), "control": int((~z & inside).sum())}, expected)

    return at("assigned", np.ones_like(z)), at("weighed", known), at("analysed", known)


def _alarms(ratios: Iterable[SampleRatio], outage: OutageGap, written: Reached) -> tuple[str, ...]:
    """Sentences for the checks that void a headline; empty when all passed."""
    said = [
        f"Rounds lost: at '{ratio.step}' the rounds left are not in the numbers drawn (p = {ratio.p_value:.1g}), so "
        "the two groups cannot be compared."
        for ratio in ratios
        if ratio.is_alarm
    ]
    if outage.is_alarm:
        said.append(
            f"Missing tickets: {outage.treated_share:.1%} of planned collections on rounds with messages are without a "
            f"weight, {outage.control_share:.1%} on the others; a gap beyond half a percentage point can look like an "
            "effect."
        )
    if written.is_alarm:
        said.append(
            f"Control written to: {written.control_share:.1%} of the households on rounds drawn to get nothing got a "
            "message of this campaign, so the two groups were not treated as drawn."
        )
    return tuple(said)


def _accepted(sent: Sent, group: str) -> float:
    return float(sent.by_group.get(group, {}).get("accepted", 0))


def _delivered(drawn: DrawnRounds, outcomes: RoundOutcomes, sent: Sent) -> Delivered | None:
    """Effect on households with a message delivered; None where none was, or the instrument is too weak."""
    known = np.isfinite(outcomes.post)
    z, w, given = drawn.is_treated[known], drawn.households[known], sent.delivered[known]
    try:
        effect = delivered_effect(outcomes.post[known], outcomes.pre[known], z, given, weights=w)
    except UnsupportedError:
        return None
    shares = [float(np.average(given[inside], weights=w[inside])) for inside in (z, ~z)]
    return Delivered(effect, shares[0], shares[1])


def _flows(drawn: DrawnRounds, known: Flags, sent: Sent) -> tuple[Flow, ...]:
    """Households of each group at each step; weighed and analysed are all that the outcome is of."""
    rows = []
    for arm, inside in ((CONTROL, ~drawn.is_treated), (WITH_MESSAGES, drawn.is_treated)):
        weighed = int(drawn.households[inside & known].sum())
        got = sent.by_group.get(arm, {})
        rows.append(
            Flow(
                arm=arm,
                assigned=int(drawn.assigned[inside].sum()),
                contactable=int(drawn.contactable[inside].sum()),
                accepted=got.get("accepted", 0),
                delivered=got.get("delivered", 0),
                weighed=weighed,
                analysed=weighed,
                units=int(inside.sum()),
            )
        )
    return tuple(rows)
