"""Made-up results of every kind for the tests of pages. Nothing here was measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

from nudges.domain import (
    Arm,
    Campaign,
    Council,
    Language,
    Medium,
    Outcome,
    QuietHours,
    Route,
    Shares,
    Unit,
    Verdict,
)
from nudges.measuring import (
    Attrition,
    Balance,
    Delivered,
    Effect,
    Flow,
    Group,
    Headline,
    Kind,
    Looked,
    LookRule,
    Measured,
    Method,
    OutageGap,
    Randomisation,
    Reached,
    Registration,
    Shared,
    Spillover,
    pooled,
    sample_ratio,
    verdict,
    verdict_words,
)
from nudges.measuring.weighbridge import Agreement, Crosscheck
from nudges.money import Range, savings
from nudges.reporting import ImpactPage, YearEntry
from nudges.weeks import Week

COUNCIL = Council(
    name="Made-up Borough Council", nation="england", phone="01632 960000", website="https://example.org",
    public_url="https://example.org/r", timezone="Europe/London", languages=(Language.EN,), live=False, allow_list=(),
    holdout_share=0.05, salt="SECRET-SALT", quiet_hours=QuietHours(time(20), time(8)), send_times={}, cap_messages=2,
    cap_weeks=4, late_after_minutes=180, channels={}, pence_per_fragment=2.4, pence_per_email=0.0,
    routes=(Route("Energy from waste", 0.75, 10_500, False), Route("Landfill", 0.25, 2600, True)),
    recycling_fee_pence_per_tonne=4200, tag_cost_pence=500, ingest=(),
)  # fmt: skip
START = Week.parse("2026-W10")
CAMPAIGN = Campaign(
    id="less_rubbish", title="Less in the rubbish bin", segments=("own_bins",),
    arms=(Arm("street_norm_sms", "street_norm", (Medium.SMS,)), Arm("own_kg_email", "own_kg", (Medium.EMAIL,))),
    unit=Unit.HOUSEHOLD, outcome=Outcome.RESIDUAL_KG, starts=START, weeks=12, shares=Shares(0.25, 0.35, 0.4),
    budget_pence=200_000, every_weeks=4, estimator="causal_stack", stated_effect_share=-0.02, source="title = ...",
)  # fmt: skip
PLAN = Registration("c3" * 32, "2026-02-20", "A. Officer", is_before_start=True, deviations=(), detectable_share=0.019)
BOUNDARY = 1.98  # standard errors


def effect(middle, se, n_treated=11_873, n_control=6_021, *, method=Method.ANCOVA_HC2, df=None):
    df = df or n_treated + n_control - 3
    return Effect.of(middle, se, df, n_treated=n_treated, n_control=n_control, method=method, alpha=0.05)


def measured(middle=-0.30, se=0.066, *, alarms=(), outcome=Outcome.RESIDUAL_KG, level=7.72, campaign="less_rubbish"):
    head_effect = effect(middle, se)
    looked = Looked(12, 12, BOUNDARY, middle - BOUNDARY * se, middle + BOUNDARY * se, LookRule.OBRIEN_FLEMING)
    interval = (looked.ci_low, looked.ci_high)
    said = verdict(head_effect, outcome, stated=0.02 * level, interval=interval, alarms=alarms)
    detectable = head_effect.detectable_within(*interval)
    weeks = tuple(((START + n).number, 11_873) for n in range(1, 13))
    head = Headline(
        outcome=outcome, verdict=said,
        words=verdict_words(said, head_effect, outcome, detectable=detectable, alarms=alarms), alarms=alarms,
        effect=head_effect, control_mean=level, stated=-0.02 * level, detectable=detectable,
        first_week_no=(START + 1).number, last_week_no=(START + 12).number, households_treated=11_873,
        households_control=6_021, treated_household_weeks=weeks,
        ratios=(
            sample_ratio("assigned", {"treated": 13_900, "control": 7_010, "holdout": 1_098},
                         {"treated": 0.95 * 0.6633, "control": 0.95 * 0.3367, "holdout": 0.05}),
            sample_ratio("contactable", {"treated": 12_010, "control": 6_080}, {"treated": 0.6633, "control": 0.3367}),
            sample_ratio("analysed", {"treated": 11_873, "control": 6_021 if not alarms else 6_621},
                         {"treated": 0.6633, "control": 0.3367}),
        ),
        outage=OutageGap(0.0341, 0.0338, 0.0003, 0.41, is_alarm=False),
        balance=Balance(7.81, 7.79, 0.004, 0.013, 0.012, is_notable=False), placebo=effect(0.02, 0.05),
        flows=(
            Flow("control", 7_010, 6_080, 0, 0, 6_021, 6_021, 6_810, 40),
            Flow("own_kg_email", 6_980, 6_003, 5_902, 5_611, 5_941, 5_941, 6_750, 46),
            Flow("street_norm_sms", 6_920, 6_007, 5_955, 5_871, 5_932, 5_932, 6_720, 40),
            Flow("holdout", 1_098, 950, 0, 0, 0, 0, 1_065, 6),
        ),
        messages=35_421, cost_pence=85_010.4, looked=looked,
        delivered=Delivered(effect(middle / 0.95, se / 0.95, method=Method.DELIVERED_IV), 0.951, 0.0002),
        doses=((0, 528), (1, 1_803), (2, 3_011), (3, 6_661), (4, 4), (7, 3)),
        attrition=Attrition(0.0114, 0.0097, 0.0017, 0.29), reached=Reached(0.0001, is_alarm=False),
        spillover=Spillover(0.42, effect(0.03, 0.06, 3_001, 3_020, method=Method.ANCOVA_CR2)),
        crosscheck=Crosscheck(
            Agreement.NOT_INFORMATIVE, effect(-0.4, 0.9, 12, 12, method=Method.LORRIES, df=20.4), 0.91, 24,
            0.931, 0.934, 0.62,
        ),
        registration=PLAN, half_life_weeks=Range(21.0, 9.0, float("inf")),
    )  # fmt: skip
    money = priced(head) if said is not Verdict.INVALID and outcome is Outcome.RESIDUAL_KG else None
    return Measured(campaign, (START + 12).number, head, groups(middle, se), money)


def priced(head):
    weeks = [(Week(number).monday, n) for number, n in head.treated_household_weeks]
    return savings(Range(head.effect.estimate, *head.interval), weeks, COUNCIL, programme_cost_pence=head.cost_pence)


def groups(middle, se):
    arms = {
        "own_kg_email": effect(middle * 0.7, se * 1.3, 5_941),
        "street_norm_sms": effect(middle * 1.25, se * 1.3, 5_932),
    }
    segments = {
        "Heavy bins": effect(middle * 2.1, se * 2.2, 2_301, 1_201),
        "Missed the food caddy for eight weeks or more": effect(middle * 0.8, se * 2, 2_981, 1_502),
        "Flats above shops": effect(middle * 0.2, se * 9, 160, 75),
        "Newly moved in": None,
        "Tiny": effect(middle, se * 20, 7, 30),
    }
    rows = []
    for kind, effects in ((Kind.ARM, arms), (Kind.SEGMENT, segments)):
        known = {label: each for label, each in effects.items() if each}
        shrunk = dict(zip(known, pooled(list(known.values())), strict=True))
        rows += [Group(kind, label, label, each, shrunk.get(label)) for label, each in effects.items()]
    shape = [0.5, 1.3, 1.2, 1.35, 1.1, 1.0, 1.2, None, 0.8, 0.9, 0.7, 0.95]
    for n, factor in enumerate(shape, start=1):
        each = None if factor is None else effect(middle * factor + 0.02 * (-1) ** n, se * 1.9)
        rows.append(Group(Kind.WEEK, str(START + n), str(START + n), each))
    others = (("Difference in means", 0.93, 2.1), ("CUPED", 1.01, 1.0), ("Lin", 1.0, 1.01))
    others = (*others, ("Difference in differences", 1.04, 1.15), ("Winsorised at 1 % and 99 %", 0.95, 0.9))
    rows += [Group(Kind.ROBUSTNESS, name, name, effect(middle * a, se * b)) for name, a, b in others]
    spans = ((Kind.DECAY, "1-4", 1.1, 1.5), (Kind.DECAY, "5-12", 0.95, 1.1), (Kind.AFTER, "1-4", 0.8, 1.6))
    rows += [Group(kind, label, label, effect(middle * a, se * b)) for kind, label, a, b in spans]
    rows.append(
        Group(Kind.GUARDRAIL, Outcome.TAG_RATE.value, "the share of recycling lifts tagged", effect(0.011, 0.004))
    )
    return tuple(rows)


def of_rounds(middle=-0.31, se=0.095):
    """Twelve rounds against twelve, weighed by lorries alone, of which a part was shared out."""
    base = measured(middle, se)
    method = Method.ROUNDS_HC2
    head_effect = effect(middle, se, 12, 12, method=method, df=20.3)
    said = verdict(head_effect, Outcome.RESIDUAL_KG, stated=0.15)
    head = replace(
        base.headline, effect=head_effect, verdict=said, unit=Unit.ROUND,
        words=verdict_words(said, head_effect, Outcome.RESIDUAL_KG, drawn="rounds"),
        ratios=tuple(
            sample_ratio(step, {"treated": 12, "control": 12}, {"treated": 12.0, "control": 12.0})
            for step in ("assigned", "weighed", "analysed")
        ),
        looked=Looked(12, 12, 2.2, middle - 2.2 * se, middle + 2.2 * se, LookRule.OBRIEN_FLEMING),
        flows=(
            Flow("control", 13_010, 11_080, 0, 0, 14_930, 14_930, 12),
            Flow("rounds with messages", 13_480, 11_203, 10_902, 10_611, 15_240, 15_240, 12),
        ),
        treated_household_weeks=tuple((number, 15_240) for number, _ in base.headline.treated_household_weeks),
        households_treated=15_240, households_control=14_930, delivered=None, spillover=None, crosscheck=None,
        attrition=Attrition(0.0, 0.0, 0.0, 1.0), placebo=effect(0.04, 0.08, 12, 12, method=method, df=20.3),
        randomisation=Randomisation(middle, 0.0034, -0.51, -0.11, 5_000, is_exact=False, smallest_p=0.0002),
        shared=Shared(0.083, "A ticket that names several rounds is shared in proportion to the households on each."),
    )  # fmt: skip
    rows = [
        replace(row, effect=effect(row.effect.estimate, 0.12, 12, 12, method=method, df=20.3), pooled=None)
        for row in base.groups
        if row.kind not in {Kind.ARM, Kind.SEGMENT} and row.effect
    ]
    return replace(base, headline=head, groups=tuple(rows), money=priced(head))


SRM = ("Sample ratio at 'analysed': 11,873 treated units for 12,267 expected (p = 1e-11). These are not the groups.",)
RESULTS = {
    "shown": measured(),
    "inconclusive": measured(-0.05, 0.11),
    "not_shown": measured(0.005, 0.03),
    "harm": measured(0.2, 0.06),
    "invalid": measured(alarms=SRM),
    "tag_rate": measured(-0.012, 0.003, outcome=Outcome.TAG_RATE, level=0.083),
    "rounds": of_rounds(),
}
TITLES = {
    "shown": "Less in the rubbish bin",
    "inconclusive": "Food caddies for flats",
    "not_shown": "Norms by letter",
    "harm": "A slogan on every lorry",
    "invalid": "Reminders on collection day",
    "tag_rate": "Clean recycling",
    "rounds": "Street posters",
}


def entries(*names, year=2026):
    """Rows of a year for results by name."""
    found = [
        YearEntry.of(TITLES[name], replace(RESULTS[name], campaign=name), year, is_final=True)
        for name in names or RESULTS
    ]
    return [entry for entry in found if entry]


def page(result):
    return ImpactPage(
        council=COUNCIL, campaign=CAMPAIGN, measured=result, generated_at=datetime(2026, 6, 1, 6, 30, tzinfo=UTC),
        salt_sha256="a1" * 32, data_sha256="b2" * 32, version="0.3.0", campaigns=entries(),
    )  # fmt: skip
