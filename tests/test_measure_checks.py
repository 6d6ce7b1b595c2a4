"""What stands beside a headline: looks, delivery, doses, guardrails, stopping, registration, spillover, weighbridge."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from test_measure_step import CAMPAIGN, END, NOW, START, Town, oracle, strata, workspace

from nudges.domain import Verdict
from nudges.errors import DataError
from nudges.measuring import (
    Agreement,
    Effect,
    Kind,
    Method,
    RoundWeights,
    Series,
    attrition,
    crosscheck,
    delivered_effect,
    deviations,
    from_rows,
    joint_effects,
    plan_of,
    plan_sha256,
    reached,
    sequential,
    spillover,
    unit_ancova,
)
from nudges.steps.measure import measure
from nudges.steps.measure.outcomes import _is_christmas
from nudges.steps.registering import store_plan
from nudges.steps.report import newest
from nudges.weeks import Week


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(scope="module")
def ws(town, tmp_path_factory):
    space = workspace(tmp_path_factory.mktemp("checks"), town)
    rows = space.ledger.select("SELECT message_id, household_id FROM messages WHERE state = 'accepted'").to_pylist()
    assert rows
    space.ledger.append("events", delivered(row for row in rows if int(row["household_id"][1:]) % 3))
    return space


@pytest.fixture(scope="module")
def measured(ws):
    measure(ws, END, now=NOW)
    return newest(ws, CAMPAIGN, END)


def delivered(rows):
    at = datetime.combine(START.monday, datetime.min.time()) + timedelta(days=8)
    return pa.Table.from_pylist(
        [
            {
                "event_id": f"e{row['message_id']}", "kind": "delivered", "message_id": row["message_id"],
                "provider": "outbox", "provider_id": None, "code": None, "raw": "{}", "occurred_at": at,
                "received_at": at,
            }
            for row in rows
        ]
    )  # fmt: skip


def compared(town):
    post = town.value(town.start + 1, np.full(len(town.units), END.number))
    keep = (town.contactable == 1) & (town.lane != "holdout") & (town.start < END.number)
    return keep, post, town.value(town.start - 25, town.start)


# --- looks


def test_the_interval_of_the_last_look_is_that_of_the_brute_force_outcomes_at_every_look(town, measured):
    keep, _, pre = compared(town)
    looks = []
    for week in range(START.number + 1, END.number + 1):
        at = np.where(town.start < week, week, town.start)
        looks.append(np.where(town.start < week, town.value(town.start + 1, at), np.nan)[keep])
    joint = joint_effects(
        np.column_stack(looks), pre[keep], town.treated[keep], weights=town.households[keep], strata=strata(town)[keep]
    )
    last = sequential(joint.estimates, joint.covariance, horizon=4, df=joint.df)[-1]
    seen = measured.headline.looked
    assert (seen.look, seen.looks) == (4, 4)
    assert seen.boundary == pytest.approx(last.boundary, abs=1e-9)
    assert (seen.ci_low, seen.ci_high) == pytest.approx((last.ci_low, last.ci_high), abs=1e-9)
    assert seen.ci_low < measured.headline.effect.ci_low < measured.headline.effect.ci_high < seen.ci_high


def test_an_early_look_needs_more_and_decides_the_verdict(town, tmp_path):
    longer = replace(CAMPAIGN, weeks=12)
    space = workspace(tmp_path, town, campaign=longer)
    measure(space, END, now=NOW)
    head = newest(space, longer, END).headline
    assert head.looked.look, head.looked.looks == (4, 12)
    assert head.looked.boundary > 3  # O'Brien-Fleming: z = 3.47 at a third of the information (Lan & DeMets 1983)
    assert head.effect.ci_high < 0 < head.looked.ci_high
    assert head.verdict is Verdict.INCONCLUSIVE
    assert head.detectable > head.effect.detectable


def test_weeks_after_the_last_message_are_shown_apart_and_change_no_tonne(town, tmp_path):
    short = replace(CAMPAIGN, weeks=2)
    space = workspace(tmp_path, town, campaign=short)
    measure(space, END, now=NOW)
    result = newest(space, short, END)
    assert result.headline.last_week_no == (START + 2).number
    assert result.headline.effect.estimate == pytest.approx(oracle(town, end=START + 2).estimate, abs=1e-9)
    assert sum(count for _, count in result.headline.treated_household_weeks) == result.headline.household_weeks
    (after,) = result.of(Kind.AFTER)
    assert after.label == "1-2"
    keep, _, pre = compared(town)
    values = town.value(np.full(len(town.units), (START + 3).number), np.full(len(town.units), END.number))
    keep &= np.isfinite(values)
    expected = unit_ancova(
        values[keep], pre[keep], town.treated[keep], weights=town.households[keep], strata=strata(town)[keep]
    )
    assert after.effect.estimate == pytest.approx(expected.estimate, abs=1e-9)


# --- delivery and dose


def test_the_effect_on_those_delivered_to_and_the_doses(town, measured):
    index = np.arange(len(town.units))
    got = town.messaged & (town.contactable == 1) & (town.households == 1) & (index % 10 > 0) & (index % 3 > 0)
    keep, post, pre = compared(town)
    keep &= np.isfinite(post)
    expected = delivered_effect(
        post[keep], pre[keep], town.treated[keep], got[keep], weights=town.households[keep], strata=strata(town)[keep]
    )
    found = measured.headline.delivered
    assert found.effect.estimate == pytest.approx(expected.estimate, abs=1e-9)
    assert found.effect.estimate < measured.headline.effect.estimate < 0
    assert found.control_share == 0
    in_campaign = town.treated & (town.contactable == 1)
    homes = town.households[in_campaign].sum()
    assert dict(measured.headline.doses) == {0: homes - (got & in_campaign).sum(), 1: (got & in_campaign).sum()}


def test_everybody_stays_in_the_arm_drawn_and_losses_are_counted(town, measured):
    _, post, _ = compared(town)
    found = measured.headline.attrition
    lost = ~np.isfinite(post)
    contrast = (town.contactable == 1) & (town.lane != "holdout")
    assert found.treated_share == pytest.approx(lost[contrast & town.treated].mean())
    assert found.control_share == pytest.approx(lost[contrast & ~town.treated].mean())


def test_attrition_of_planted_shares():
    treated = np.repeat([True, False], 1000)
    known = np.concatenate([np.arange(1000) >= 100, np.arange(1000) >= 50])
    found = attrition(known, treated)
    assert (found.treated_share, found.control_share) == pytest.approx((0.10, 0.05))
    # Two proportions, pooled 0.075: z = 0.05 / sqrt(0.075 x 0.925 x 2 / 1000) = 4.245.
    assert found.p_value == pytest.approx(2.19e-5, rel=0.01)


def test_a_control_that_was_written_to_voids_the_headline(town, tmp_path):
    space = workspace(tmp_path, town)
    assert not reached(1000, 5).is_alarm
    silent = np.flatnonzero((town.lane == "control") & (town.households == 1))[:20]
    rows = space.ledger.select("SELECT * FROM messages WHERE state = 'accepted' LIMIT 20").to_pylist()
    space.ledger.append(
        "messages",
        pa.Table.from_pylist(
            [
                row | {"message_id": f"x{n}", "household_id": town.units[home], "week_no": START.number + 1}
                for n, (row, home) in enumerate(zip(rows, silent, strict=True))
            ]
        ).cast(space.ledger.select("SELECT * FROM messages LIMIT 1").schema),
    )
    measure(space, END, now=NOW)
    head = newest(space, CAMPAIGN, END).headline
    assert head.verdict is Verdict.INVALID
    assert "drawn to get nothing got a message" in head.alarms[0]


# --- other outcomes and weeks


def test_no_guardrail_where_no_other_bins_were_recorded(measured):
    assert measured.of(Kind.GUARDRAIL) == ()  # the town has residual bins only


def test_christmas_weeks():
    assert _is_christmas(Week.parse("2026-W52"))  # 21 to 27 December
    assert _is_christmas(Week.parse("2026-W53"))  # 28 December to 3 January
    assert not _is_christmas(Week.parse("2026-W51"))
    assert not _is_christmas(Week.parse("2027-W01"))  # 4 to 10 January


# --- what was planned


def test_a_plan_is_stored_with_the_first_approval_and_changes_are_said(ws, measured):
    store_plan(ws, CAMPAIGN, by="Ann", now=NOW)
    store_plan(ws, CAMPAIGN, by="Bob", now=NOW)
    assert [plan.registered_by for plan in ws.ledger.plans(CAMPAIGN.id)] == ["Ann"]
    stored = ws.ledger.plans(CAMPAIGN.id)[0]
    assert stored.sha256 == plan_sha256(json.loads(stored.plan))
    edited = replace(ws, campaigns={CAMPAIGN.id: replace(CAMPAIGN, stated_effect_share=-0.01)})
    store_plan(edited, edited.campaign(CAMPAIGN.id), by="Cy", now=NOW)
    assert len(ws.ledger.plans(CAMPAIGN.id)) == 2
    measure(edited, END, now=NOW)
    found = newest(edited, CAMPAIGN, END).headline.registration
    assert found.registered_by == "Ann"
    assert found.deviations == ("The stated effect changed from -0.05 to -0.01.",)
    assert not found.is_before_start  # approved on 6 April, the first units were drawn in week 10
    assert not found.is_followed
    measure(ws, END, now=NOW)


def test_a_plan_approved_in_the_week_of_the_draw_came_in_time(town, tmp_path):
    space = workspace(tmp_path, town)
    in_time = datetime.combine((START + 1).monday, datetime.min.time(), UTC)
    store_plan(space, CAMPAIGN, by="Ann", now=in_time)
    measure(space, END, now=NOW)
    assert newest(space, CAMPAIGN, END).headline.registration.is_followed


def test_a_plan_holds_the_salt_as_a_hash_only_and_every_change_shows():
    plan = plan_of(CAMPAIGN, holdout_share=0.05, salt_sha256="abc")
    assert "SECRET" not in json.dumps(plan)
    assert deviations(plan, plan) == ()
    changed = plan_of(replace(CAMPAIGN, weeks=5), holdout_share=0.1, salt_sha256="abc")
    assert plan_sha256(changed) != plan_sha256(plan)
    assert set(deviations(plan, changed)) == {
        "The number of weeks changed from 4 to 5.",
        "The number of looks changed from 4 to 5.",
        "The council's holdout changed from 0.05 to 0.1.",
    }


# --- neighbours


def test_spillover_sees_planted_talk_between_neighbours():
    """Streets of ten; control homes lose 2 kg when more of their neighbours than usual are messaged."""
    rng = np.random.default_rng(9)
    street = np.repeat(np.arange(400), 10)
    treated = rng.random(4000) < rng.choice([0.2, 0.8], 400)[street]
    pre = rng.normal(9, 2, 4000)
    around = (np.bincount(street, treated)[street] - treated) / 9
    post = pre + rng.normal(0, 1, 4000) - 2.0 * (around > np.median(around[~treated])) * ~treated
    found = spillover(post, pre, treated, np.ones(4000), street)
    assert found.neighbours.ci_low < -2.0 < found.neighbours.ci_high < -1.8
    mixed = [0 < treated[street == s].sum() < 10 for s in range(400)]
    assert found.mixed_share == pytest.approx(np.average(np.asarray(mixed)[street][treated]))
    assert spillover(post, pre, treated, np.ones(4000), np.full(4000, -1)) is None


# --- the weighbridge


def rounds(effect, *, n=40, noise=0.02, seed=2, spread=0.5):
    """Rounds whose households lose `effect` kg each when they are in the campaign."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.5 - spread, 0.5 + spread, n)
    before = rng.uniform(7, 11, n)
    after = before + effect * share + rng.normal(0, noise, n)
    return RoundWeights(before, after, before * 0.97, after * 0.97, share, np.full(n, 1000.0))


def headline_effect(estimate, se):
    return Effect.of(estimate, se, 1000, n_treated=600, n_control=400, method=Method.ANCOVA_HC2, alpha=0.05)


def test_lorries_agree_with_bins_when_both_saw_the_same():
    found = crosscheck(rounds(-0.4), headline_effect(-0.4, 0.1), stated=0.2)
    assert found.agreement is Agreement.CONSISTENT
    assert found.effect.ci_low < -0.4 < found.effect.ci_high
    assert found.weighed_share_before == pytest.approx(0.97)
    assert found.weighed_share_after == pytest.approx(0.97)


def test_lorries_contradict_bins_that_lost_weight_nobody_else_saw():
    found = crosscheck(rounds(0.0), headline_effect(-0.4, 0.1), stated=0.2)
    assert found.agreement is Agreement.CONTRADICTS
    assert found.gap_p_value < 0.001


def test_lorries_say_nothing_where_rounds_hardly_differ_or_are_few():
    found = crosscheck(rounds(-0.4, spread=0.02, noise=0.3), headline_effect(-0.4, 0.1), stated=0.2)
    assert found.agreement is Agreement.NOT_INFORMATIVE
    assert found.effect.ci_high - found.effect.ci_low > 1
    few = crosscheck(rounds(-0.4, n=7), headline_effect(-0.4, 0.1), stated=0.2)
    assert (few.agreement, few.effect) == (Agreement.NOT_INFORMATIVE, None)


def test_false_contradictions_are_as_rare_as_said():
    """2,000 pairs of the same truth: |z| > 1.96 in 5 % of them, and t-like rounds of 40 in a little more."""
    called = [
        crosscheck(
            rounds(-0.3, seed=seed, noise=0.2),
            headline_effect(-0.3 + np.random.default_rng(seed + 10_000).normal(0, 0.1), 0.1),
            stated=0.2,
        ).agreement
        is Agreement.CONTRADICTS
        for seed in range(2000)
    ]
    assert 0.03 < np.mean(called) < 0.075  # 5 % +- 3 simulation errors of 0.5 points, and the t of 40 rounds


# --- stored results


def test_rows_of_earlier_versions_are_read():
    old = {
        "estimate": -0.3, "se": 0.1, "ci_low": -0.5, "ci_high": -0.1, "p_value": 0.003, "df": 99.0,
        "n_treated": 60, "n_control": 40,
    }  # fmt: skip
    balance = {
        "treated_mean": None, "control_mean": None, "standardised": None, "treated_missing_share": 1.0,
        "control_missing_share": 1.0, "is_notable": False,
    }  # fmt: skip
    head = {
        "outcome": "residual_kg", "verdict": "effect shown", "words": "w", "alarms": [], "effect": old,
        "control_mean": 9.0, "stated": -0.2, "detectable": 0.3, "first_week_no": 1366, "last_week_no": 1369,
        "households_treated": 60, "households_control": 40, "treated_household_weeks": [[1366, 60]], "ratios": [],
        "outage": {"treated_share": 0, "control_share": 0, "gap_share": 0, "p_value": 1, "is_alarm": False},
        "balance": balance, "placebo": None, "flows": [], "messages": 3, "cost_pence": 1.0,
    }  # fmt: skip
    text = json.dumps({"headline": head, "money": None, "money_note": ""})
    found = from_rows([{"campaign": "c", "week_no": 1369, "kind": "headline", "label": "all", "result": text}])
    assert found.headline.effect.n_units_treated == 60
    assert found.headline.effect.method is Method.ANCOVA_HC2
    assert np.isnan(found.headline.balance.treated_mean)
    assert found.headline.interval == (-0.5, -0.1)
    with pytest.raises(DataError, match="0 headline rows"):
        from_rows([])


def test_a_series_of_some_units_keeps_what_it_is_out_of():
    series = Series(np.array([0.5, np.nan]), np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    part = series.at(np.array([True, False]))
    assert part.under.tolist() == [2.0]
    assert series.is_known.tolist() == [True, False]
