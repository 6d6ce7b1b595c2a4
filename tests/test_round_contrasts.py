"""The headline of a campaign that drew rounds: what is compared, when a verdict may be given, and what voids it."""

from dataclasses import replace

import numpy as np
import pytest

from nudges.domain import Outcome, Unit, Verdict
from nudges.errors import UnsupportedError
from nudges.measuring import Kind, Sent, Shared, joint_effects, sequential
from nudges.measuring.randomisation import randomisation_test
from nudges.measuring.round_contrasts import FEWEST_TO_LOOK, TOO_FEW, WITH_MESSAGES, round_groups, round_headline
from nudges.measuring.round_units import DrawnRounds, RoundOutcomes
from nudges.measuring.rounds import round_effect
from nudges.weeks import Week

FIRST, LOOKS = Week.parse("2026-W10"), 12
LAST = FIRST + LOOKS


def rounds(n=10, *, effect=-0.6, seed=1, sd=0.15):
    """n rounds of 300 to 900 homes, half of them with messages; 12 weeks after, 26 before that say most of it."""
    rng = np.random.default_rng(seed)
    is_treated = np.arange(n) >= n // 2
    homes = rng.integers(300, 900, n).astype(float)
    pre = rng.normal(8, 0.8, n)
    weekly = pre[:, None] + rng.normal(0, sd * np.sqrt(LOOKS), (n, LOOKS)) + effect * is_treated[:, None]
    looks = np.cumsum(weekly, axis=1) / np.arange(1, LOOKS + 1)
    drawn = DrawnRounds(FIRST.number, is_treated, homes, assigned=homes - 50, contactable=np.floor(homes / 2))
    outcomes = RoundOutcomes(
        post=looks[:, -1],
        pre=pre,
        pre_first=pre + rng.normal(0, 0.1, n),
        pre_second=pre + rng.normal(0, 0.1, n),
        planned=np.full(n, 12.0),
        valid=np.full(n, 12.0),
        looks=looks,
        cycles={(FIRST.number + 1 + k, FIRST.number + 2 + k): weekly[:, k] for k in range(0, LOOKS, 2)},
        windows={Kind.DECAY: {"1-4": looks[:, 3]}, Kind.AFTER: {}},
        household_weeks=tuple((FIRST.number + 1 + k, int(homes[is_treated].sum())) for k in range(LOOKS)),
        shared=Shared(0.12, "By households."),
    )
    reach = {"control": {"accepted": 0, "delivered": 0}, WITH_MESSAGES: {"accepted": 500, "delivered": 450}}
    sent = Sent(reach, np.where(is_treated, 0.4 + 0.01 * np.arange(n) / n, 0.0), ((0, 9), (1, 450)), 1_000, 2_400.0)
    return drawn, outcomes, sent


def head(drawn, outcomes, sent, *, last=LAST):
    return round_headline(
        drawn, outcomes, sent, outcome=Outcome.RESIDUAL_KG, stated_share=-0.05, first=FIRST, last=last, looks=LOOKS
    )


def test_at_the_planned_end_the_effect_is_that_of_rounds_weighted_by_homes():
    drawn, outcomes, sent = rounds()
    found = head(drawn, outcomes, sent)
    z, w = drawn.is_treated, drawn.households
    assert found.effect == round_effect(outcomes.post, outcomes.pre, z, w)
    assert found.randomisation == randomisation_test(outcomes.post, outcomes.pre, z, w)
    assert found.randomisation.n_assignments == 252
    assert found.interval == (found.effect.ci_low, found.effect.ci_high)
    assert found.control_mean == pytest.approx(np.average(outcomes.post[~z], weights=w[~z]))
    assert found.placebo == round_effect(outcomes.pre_second, outcomes.pre_first, z, w)
    assert (found.unit, found.verdict, found.looked) == (Unit.ROUND, Verdict.SHOWN, None)
    assert "Among the rounds chosen by lot" in found.words
    assert found.shared == outcomes.shared
    assert found.household_weeks == 12 * int(w[z].sum())


def test_with_few_rounds_there_is_no_verdict_before_the_end():
    drawn, outcomes, sent = rounds()
    early = head(drawn, outcomes, sent, last=LAST - 1)
    assert early.effect.p_value < 0.01
    assert early.verdict is Verdict.INCONCLUSIVE
    assert early.words.startswith(f"Too early to say. With 10 rounds the result is read once, at the end of {LAST}")


def test_with_twenty_rounds_every_week_has_an_interval_of_its_own():
    drawn, outcomes, sent = rounds(FEWEST_TO_LOOK)
    joint = joint_effects(outcomes.looks, outcomes.pre, drawn.is_treated, weights=drawn.households)
    made = sequential(joint.estimates, joint.covariance, horizon=LOOKS, df=joint.df)
    found = head(drawn, outcomes, sent)
    assert (found.looked.look, found.looked.looks) == (LOOKS, LOOKS)
    assert found.interval == (made[-1].ci_low, made[-1].ci_high)
    assert joint.estimates[-1] == pytest.approx(found.effect.estimate)
    early = replace(outcomes, looks=outcomes.looks[:, :6], post=outcomes.looks[:, 5])
    sixth = head(drawn, early, sent, last=FIRST + 6)
    assert sixth.looked.look == 6
    assert sixth.looked.ci_high - sixth.looked.ci_low > sixth.effect.ci_high - sixth.effect.ci_low
    assert "Too early" not in sixth.words


def test_a_round_without_an_outcome_is_lost_and_counted():
    drawn, outcomes, sent = rounds()
    outcomes.post[0] = np.nan
    found = head(drawn, outcomes, sent)
    assert (found.effect.n_units_treated, found.effect.n_units_control) == (5, 4)
    assert [ratio.observed for ratio in found.ratios[1:]] == [{"treated": 5, "control": 4}] * 2
    assert found.attrition.control_share == 0.2
    assert found.flows[0].units == 5
    assert found.flows[0].weighed == int(drawn.households[1:5].sum())
    outcomes.post[1] = np.nan
    with pytest.raises(UnsupportedError, match="5 treated and 3 control rounds"):
        head(drawn, outcomes, sent)


def test_flows_are_households_of_both_groups():
    drawn, outcomes, sent = rounds()
    control, campaign = head(drawn, outcomes, sent).flows
    z = drawn.is_treated
    assert (control.arm, campaign.arm) == ("control", WITH_MESSAGES)
    assert (campaign.accepted, campaign.delivered, campaign.units) == (500, 450, 5)
    assert campaign.assigned == drawn.assigned[z].sum()
    assert campaign.contactable == drawn.contactable[z].sum()
    assert campaign.analysed == campaign.weighed == drawn.households[z].sum()


def test_delivered_is_the_effect_over_the_share_delivered():
    drawn, outcomes, sent = rounds()
    sent = replace(sent, delivered=np.where(drawn.is_treated, 0.4, 0.0))
    found = head(drawn, outcomes, sent)
    assert found.delivered.effect.estimate == pytest.approx(found.effect.estimate / 0.4)
    assert (found.delivered.treated_share, found.delivered.control_share) == (pytest.approx(0.4), 0.0)
    assert head(drawn, outcomes, replace(sent, delivered=np.zeros(10))).delivered is None


def test_control_rounds_that_were_written_to_void_the_headline():
    drawn, outcomes, sent = rounds()
    written = replace(sent, by_group=sent.by_group | {"control": {"accepted": 200, "delivered": 200}})
    found = head(drawn, outcomes, written)
    assert found.verdict is Verdict.INVALID
    assert "Control written to" in found.alarms[0]
    assert head(drawn, outcomes, written, last=LAST - 1).verdict is Verdict.INVALID


def test_tickets_missing_in_one_group_void_the_headline():
    drawn, outcomes, sent = rounds(40)
    outcomes.valid[drawn.is_treated] -= np.tile([2.0, 3.0], 10)
    found = head(drawn, outcomes, sent)
    assert found.verdict is Verdict.INVALID
    assert "Missing tickets: 20.8%" in found.alarms[0]


def test_rows_beside_it():
    drawn, outcomes, _ = rounds()
    groups = round_groups(drawn, outcomes)
    weeks = [group for group in groups if group.kind is Kind.WEEK]
    assert weeks[0].label == str(FIRST + 1)
    assert weeks[0].title == f"{FIRST + 1} to {FIRST + 2}"
    first = outcomes.cycles[FIRST.number + 1, FIRST.number + 2]
    assert weeks[0].effect == round_effect(first, outcomes.pre, drawn.is_treated, drawn.households)
    assert {group.kind for group in groups} == {Kind.WEEK, Kind.ROBUSTNESS, Kind.DECAY}
    outcomes.cycles[FIRST.number + 1, FIRST.number + 2][:2] = np.nan
    assert round_groups(drawn, outcomes)[0].note == TOO_FEW
