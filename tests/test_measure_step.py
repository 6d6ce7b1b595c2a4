"""Measure and report steps on a planted town in a real ledger and warehouse, against a brute-force oracle."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest

from nudges.domain import (
    Arm,
    Campaign,
    Council,
    Language,
    Medium,
    Outcome,
    QuietHours,
    Route,
    Segment,
    Shares,
    Unit,
    Verdict,
)
from nudges.ledger import Ledger
from nudges.measuring import unit_ancova
from nudges.steps.measure import measure
from nudges.steps.report import newest, report
from nudges.steps.workspace import Workspace
from nudges.warehouse import Warehouse
from nudges.weeks import Week

START = Week.parse("2026-W10")
END = START + 4
PRE = 26
NOW = datetime(2026, 4, 6, 5, tzinfo=UTC)
PLANTED = -0.8  # kg per household and week
COUNCIL = Council(
    name="Made-up Borough", nation="england", phone="", website="", public_url="", timezone="Europe/London",
    languages=(Language.EN,), live=False, allow_list=(), holdout_share=0.05, salt="SECRET-SALT",
    quiet_hours=QuietHours(time(20), time(8)), send_times={}, cap_messages=2, cap_weeks=4, late_after_minutes=180,
    channels={}, pence_per_fragment=2.4, pence_per_email=0.0, routes=(Route("Landfill", 1.0, 2600, True),),
    recycling_fee_pence_per_tonne=4200, tag_cost_pence=500, ingest=(),
)  # fmt: skip
CAMPAIGN = Campaign(
    id="less_rubbish", title="Less in the rubbish bin", segments=("own_bins",),
    arms=(Arm("a", "norm", (Medium.SMS,)), Arm("b", "own", (Medium.EMAIL,))), unit=Unit.HOUSEHOLD,
    outcome=Outcome.RESIDUAL_KG, starts=START, weeks=4, shares=Shares(0.3, 0.3, 0.4), budget_pence=1, every_weeks=4,
    estimator="no_effect", stated_effect_share=-0.05, source="text",
)  # fmt: skip
SEGMENT = Segment("own_bins", "Own bins", "", 0.0, 1.0, "")


class Town:
    """1,500 houses and 30 stores of 6 flats on two rounds, weekly, half of them also fortnightly when asked."""

    def __init__(self, seed=4, houses=1500, stores=30, *, fortnightly=False):
        self.folder = None
        rng = np.random.default_rng(seed)
        self.units = [f"H{n:05d}" for n in range(houses)] + [f"S{n:03d}" for n in range(stores)]
        n = len(self.units)
        self.households = np.array([1] * houses + [6] * stores)
        lane = rng.choice(["holdout", "control", "learn", "best"], n, p=[0.05, 0.95 * 0.3, 0.95 * 0.3, 0.95 * 0.4])
        arm = rng.choice(["control", "a", "b"], n)
        arm = np.where(lane == "best", rng.choice(["a", "b"], n), arm)
        self.lane, self.arm = lane, np.where((lane == "control") | (lane == "holdout"), "control", arm)
        self.contactable = (rng.random(n) < 0.8).astype(int)
        self.start = np.where(rng.random(n) < 0.9, START.number, START.number + 2)
        self.treated = (lane == "best") | (lane == "learn")
        self.messaged = self.treated & (self.arm != "control")
        self.weeks = np.arange(START.number - PRE, END.number + 1)
        self.round = np.array(["R0", "R1"])[np.arange(n) % 2]
        every = np.ones((n, len(self.weeks)), dtype=bool)
        if fortnightly:
            every = (self.weeks[None, :] % 2) == (np.arange(n) % 2)[:, None]
        home = rng.gamma(4, 2, n)
        kg = np.maximum(home[:, None] + rng.normal(0, 2, (n, len(self.weeks))), 0.3)
        kg += PLANTED * (self.messaged & (self.contactable == 1))[:, None] * (self.weeks > self.start[:, None])
        kg = np.maximum(kg, 0) * self.households[:, None] * (2 if fortnightly else 1)
        self.grams = np.round(kg * 1000).astype(int)
        self.planned = every
        self.read = every & (rng.random(every.shape) > 0.03)
        self.out = rng.random(every.shape) > 0.1  # not out is a real 0 kg

    def tables(self):
        monday = {int(week): Week(int(week)).monday for week in self.weeks}
        homes = [(u, None, r) for u, r, n in zip(self.units, self.round, self.households, strict=True) if n == 1]
        homes += [
            (f"{u}F{k}", u, r)
            for u, r, n in zip(self.units, self.round, self.households, strict=True)
            if n > 1
            for k in range(n)
        ]
        first = Week(int(self.weeks[0]))
        yield "households", first, pa.table({
            "household_id": [home[0] for home in homes], "known_on": [first.monday] * len(homes),
            "property_type": ["flat" if home[1] else "house" for home in homes],
            "bin_store_id": pa.array([home[1] for home in homes], pa.string()),
            "residual_round_id": [home[2] for home in homes],
        })  # fmt: skip
        for column, week in enumerate(self.weeks):
            rounds = sorted(set(self.round[self.planned[:, column]].tolist()))
            on = [monday[int(week)] + timedelta(days=2)]
            if rounds:
                yield (
                    "calendar",
                    Week(int(week)),
                    pa.table(
                        {"round_id": rounds, "stream": ["residual"] * len(rounds), "planned_on": on * len(rounds)}
                    ),
                )
            rows = np.flatnonzero(self.planned[:, column] & (self.out[:, column] | ~self.read[:, column]))
            status = np.where(self.read[rows, column], "lifted", "not_read")
            grams = [int(g) if s == "lifted" else None for g, s in zip(self.grams[rows, column], status, strict=True)]
            yield "lifts", Week(int(week)), pa.table({
                "unit_id": [self.units[row] for row in rows], "stream": ["residual"] * len(rows),
                "collected_on": on * len(rows), "bin_chip_id": [""] * len(rows), "status": status.tolist(),
                "weight_g": pa.array(grams, pa.int64()), "is_excess": [0] * len(rows),
            })  # fmt: skip

    def assignments(self):
        rows = []
        for index, unit in enumerate(self.units):
            homes = [unit] if self.households[index] == 1 else [f"{unit}F{k}" for k in range(self.households[index])]
            policy = "*" if self.lane[index] == "best" else "a"
            for week in range(int(self.start[index]), END.number + 1):
                rows += [
                    {
                        "campaign": CAMPAIGN.id, "week_no": week, "household_id": home, "unit_id": unit,
                        "lane": str(self.lane[index]), "arm": str(self.arm[index]), "policy_arm": policy, "draw": 0.5,
                        "propensity": 0.3, "is_contactable": int(self.contactable[index]),
                    }
                    for home in homes
                ]  # fmt: skip
        return pa.Table.from_pylist(rows)

    def value(self, first, last):
        """Brute force: kg per household and week over weeks first..last by unit, NaN where nothing was read."""
        inside = (self.weeks[None, :] >= first[:, None]) & (self.weeks[None, :] <= last[:, None])
        valid, planned = inside & self.read, inside & self.planned
        total = np.where(valid & self.out, self.grams, 0).sum(axis=1) / 1000
        length = (last - first + 1) * np.divide(
            valid.sum(axis=1), planned.sum(axis=1), out=np.zeros(len(self.units)), where=planned.any(axis=1)
        )
        return np.divide(total, length * self.households, out=np.full(len(self.units), np.nan), where=length > 0)


def workspace(home, town, *, campaign=CAMPAIGN, council=COUNCIL, assign=True):
    """The town in `home`; the one of the fixture is written once and copied."""
    if town.folder:
        shutil.copytree(town.folder, home, dirs_exist_ok=True)
    else:
        store(home, town)
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}")
    if assign:
        ledger.append("assignments", town.assignments())
    return Workspace(
        home=home, council=council, campaigns={campaign.id: campaign}, segments={SEGMENT.id: SEGMENT}, templates={},
        warehouse=Warehouse(home / "var" / "warehouse"), ledger=ledger, environment={},
    )  # fmt: skip


def store(home, town):
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}")
    warehouse = Warehouse(home / "var" / "warehouse")
    for table, week, rows in town.tables():
        written = warehouse.write(table, week, rows, "part")
        ledger.replace_files(table, week, [written], drop_id="made-up", now=NOW)
    starts = [START.number] * 200
    members = pa.table({"segment": ["own_bins"] * 200, "household_id": town.units[:200], "week_no": starts})
    ledger.replace_files(
        "membership", START, [warehouse.write("membership", START, members, "part")], drop_id="made-up", now=NOW
    )
    ledger.append("messages", messages(town))
    ledger.close()


def messages(town):
    rows = []
    for index in np.flatnonzero(town.messaged & (town.contactable == 1) & (town.households == 1)):
        for week in (START.number, END.number):  # those of the last week are not out yet
            state = "accepted" if index % 10 else "refused"
            rows.append({
                "message_id": f"m{index}-{week}", "campaign": CAMPAIGN.id, "week_no": week,
                "household_id": town.units[index], "arm": str(town.arm[index]), "medium": "sms", "template": "norm",
                "language": "en", "template_hash": "t", "facts": "{}", "content_hash": "c", "fragments": 1,
                "cost_pence": 2.4, "due_at": NOW.replace(tzinfo=None), "state": state,
                "changed_at": NOW.replace(tzinfo=None),
            })  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made, folder = Town(), tmp_path_factory.mktemp("written")
    store(folder, made)
    made.folder = folder
    return made


@pytest.fixture(scope="module")
def ws(town, tmp_path_factory):
    return workspace(tmp_path_factory.mktemp("town"), town)


@pytest.fixture(scope="module")
def measured(ws):
    measure(ws, END, now=NOW)
    return newest(ws, CAMPAIGN, END)


def oracle(town, units=None, *, treated=None, end=END):
    last = np.full(len(town.units), end.number)
    post, pre = town.value(town.start + 1, last), town.value(town.start - PRE + 1, town.start)
    keep = (town.contactable == 1) & (town.lane != "holdout") & np.isfinite(post) & (town.start < end.number)
    keep &= True if units is None else units
    treated = town.treated if treated is None else treated
    return unit_ancova(
        post[keep], pre[keep], treated[keep], weights=town.households[keep], strata=strata(town)[keep]
    )  # fmt: skip


def truth(town):
    """Kg per household that being in the campaign took off: the planted effect where a message was drawn."""
    inside = town.treated & (town.contactable == 1)
    return PLANTED * np.average(town.messaged[inside], weights=town.households[inside])


def drew_none(town):
    return (town.lane == "control") | ((town.lane == "learn") & (town.arm == "control"))


def strata(town):
    return 2 * town.start + (town.households > 1)


def close(one, other):
    assert (one.estimate, one.se, one.df) == pytest.approx((other.estimate, other.se, other.df), abs=1e-9)
    assert (one.n_units_treated, one.n_units_control) == (other.n_units_treated, other.n_units_control)


def test_headline_equals_brute_force_and_finds_the_planted_effect(town, measured):
    close(measured.headline.effect, oracle(town))
    assert measured.headline.effect.ci_low < truth(town) < measured.headline.effect.ci_high
    assert measured.headline.verdict is Verdict.SHOWN
    assert measured.headline.alarms == ()


def test_arms_and_segments_equal_brute_force(town, measured):
    arms = {group.label: group for group in measured.of("arm")}
    assert set(arms) == {"a", "b"}
    for arm in arms:
        given = town.arm == arm
        close(arms[arm].effect, oracle(town, drew_none(town) | given, treated=given))
        assert arms[arm].effect.ci_low < PLANTED < arms[arm].effect.ci_high
    segment = measured.of("segment")[0]
    inside = (np.arange(len(town.units)) < 200) & (town.start == START.number)
    assert segment.title == "Own bins"
    close(segment.effect, oracle(town, inside))


def test_best_lane_under_a_model_is_in_the_headline_but_in_no_arm(town, tmp_path):
    space = workspace(tmp_path, town, assign=False)
    rows = town.assignments()
    place = rows.column_names.index("policy_arm")
    space.ledger.append("assignments", rows.set_column(place, "policy_arm", pa.array(["a"] * rows.num_rows)))
    measure(space, END, now=NOW)
    result = newest(space, CAMPAIGN, END)
    close(result.headline.effect, oracle(town))
    given = (town.lane == "learn") & (town.arm == "a")
    close(result.of("arm")[0].effect, oracle(town, drew_none(town) | given, treated=given))


def test_arms_are_told_apart_in_the_first_turn_only(town, tmp_path):
    """Turns of two weeks: from the third week after the start on every unit may have had another arm."""
    campaign = replace(CAMPAIGN, every_weeks=2)
    space = workspace(tmp_path, town, campaign=campaign)
    measure(space, END, now=NOW)
    result = newest(space, campaign, END)
    close(result.headline.effect, oracle(town))
    first = town.start == START.number
    for group in result.of("arm"):
        given = town.arm == group.label
        close(group.effect, oracle(town, first & (drew_none(town) | given), treated=given, end=START + 2))


def moved(space, homes, store):
    """The newest row of these homes: they share the bins of `store` now (none: bins of their own)."""
    week = START + 1
    rows = pa.table({
        "household_id": homes, "known_on": [week.monday] * len(homes), "property_type": ["flat"] * len(homes),
        "bin_store_id": pa.array([store] * len(homes), pa.string()), "residual_round_id": ["R0"] * len(homes),
    })  # fmt: skip
    file = space.warehouse.write("households", week, rows, "moved")
    space.ledger.replace_files("households", week, [file], drop_id="moved", now=NOW)


def test_a_home_that_moved_to_a_store_elsewhere_is_not_measured_as_0_kg(town, tmp_path):
    space = workspace(tmp_path, town)
    moved(space, town.units[:300], "elsewhere")
    measure(space, END, now=NOW)
    close(newest(space, CAMPAIGN, END).headline.effect, oracle(town, np.arange(len(town.units)) >= 300))


def test_a_home_that_left_a_store_is_no_longer_one_of_its_households(town, tmp_path, monkeypatch):
    space = workspace(tmp_path, town)
    stores = [unit for unit, n in zip(town.units, town.households, strict=True) if n > 1]
    moved(space, [f"{store}F0" for store in stores], None)
    measure(space, END, now=NOW)
    monkeypatch.setattr(town, "households", np.where(town.households > 1, 5, 1))
    close(newest(space, CAMPAIGN, END).headline.effect, oracle(town))


def test_weeks_equal_brute_force(town, measured):
    weeks = measured.of("week")
    assert [group.label for group in weeks] == [str(START + n) for n in range(1, 5)]
    pre = town.value(town.start - PRE + 1, town.start)
    for group in weeks:
        number = np.full(len(town.units), Week.parse(group.label).number)
        post = town.value(number, number)
        keep = (town.contactable == 1) & (town.lane != "holdout") & np.isfinite(post) & (town.start < number)
        expected = unit_ancova(
            post[keep], pre[keep], town.treated[keep], weights=town.households[keep], strata=strata(town)[keep]
        )  # fmt: skip
        close(group.effect, expected)


def test_a_fortnightly_lift_is_not_read_as_the_kg_of_one_week(tmp_path):
    town = Town(seed=10, houses=3000, stores=0, fortnightly=True)
    space = workspace(tmp_path, town)
    measure(space, END, now=NOW)
    result = newest(space, CAMPAIGN, END)
    close(result.headline.effect, oracle(town))
    for group in result.of("week"):
        assert group.effect.ci_low < truth(town) < group.effect.ci_high  # twice the effect would lie outside
        assert group.effect.ci_low > 2 * truth(town)


def test_flow_counts_households(town, measured):
    flows = {flow.arm: flow for flow in measured.headline.flows}
    assert list(flows) == ["control", "a", "b", "drew no message at first", "holdout"]
    inside = town.treated & (town.arm == "a")
    assert flows["a"].assigned == town.households[inside].sum()
    assert flows["a"].contactable == town.households[inside & (town.contactable == 1)].sum()
    reached = inside & (town.contactable == 1) & (town.households == 1)
    assert flows["a"].accepted == sum(bool(index % 10) for index in np.flatnonzero(reached))
    assert flows["a"].delivered == 0
    assert flows["control"].accepted == 0
    assert flows["holdout"].analysed == 0
    assert sum(flow.units for flow in flows.values()) == len(town.units)


def test_tonnes_are_effect_times_analysed_household_weeks(town, measured):
    analysed = town.treated & (town.contactable == 1) & np.isfinite(
        town.value(town.start + 1, np.full(len(town.units), END.number))
    )  # fmt: skip
    weeks = (town.households * (END.number - town.start))[analysed].sum()
    assert measured.headline.household_weeks == weeks
    tonnes = measured.money.residual_tonnes
    assert tonnes.value == pytest.approx(-measured.headline.effect.estimate * weeks / 1000)
    assert tonnes.low == pytest.approx(-measured.headline.interval[1] * weeks / 1000)
    # messages of the first run only: those of the measured week go out in the next one
    sent = sum(bool(i % 10) for i in np.flatnonzero(town.messaged & (town.contactable == 1) & (town.households == 1)))
    assert measured.headline.messages == sent
    assert measured.money.programme_cost_pence == pytest.approx(2.4 * sent)


def test_measuring_again_changes_nothing_and_replaces_everything(ws, measured):
    before = ws.ledger.select("SELECT * FROM effects ORDER BY kind, label").to_pylist()
    summary = measure(ws, END, now=NOW)
    assert ws.ledger.select("SELECT * FROM effects ORDER BY kind, label").to_pylist() == before
    assert summary.counts == {"campaigns_measured": 1}
    assert summary.facts["less_rubbish verdict"] == "effect shown"


def test_data_after_the_week_cannot_change_a_measurement(town, tmp_path):
    space = workspace(tmp_path, town)
    measure(space, START + 2, now=NOW)
    early = newest(space, CAMPAIGN, START + 2)
    assert early.week_no == (START + 2).number
    post = town.value(town.start + 1, np.full(len(town.units), early.week_no))
    keep = (town.contactable == 1) & (town.lane != "holdout") & (town.start == START.number) & np.isfinite(post)
    pre = town.value(town.start - PRE + 1, town.start)
    assert early.headline.effect.estimate == pytest.approx(
        unit_ancova(
            post[keep], pre[keep], town.treated[keep], weights=town.households[keep], strata=strata(town)[keep]
        ).estimate,
        abs=1e-9,
    )


@pytest.mark.parametrize(("week", "note"), [(START, "no outcome after"), (START + 60, "closed"), (START - 1, "")])
def test_weeks_without_an_outcome_store_nothing(town, tmp_path, week, note):
    space = workspace(tmp_path, town)
    summary = measure(space, week, now=NOW)
    assert summary.counts == {"campaigns_measured": 0}
    assert note in " ".join(summary.notes)
    assert space.ledger.select("SELECT * FROM effects").num_rows == 0


def test_a_failed_sample_ratio_voids_the_headline(town, tmp_path):
    twisted = replace(CAMPAIGN, shares=Shares(0.45, 0.3, 0.25))
    space = workspace(tmp_path, town, campaign=twisted)
    measure(space, END, now=NOW)
    result = newest(space, twisted, END)
    assert result.headline.verdict is Verdict.INVALID
    assert "Sample ratio at 'assigned'" in result.headline.alarms[0]
    assert result.groups == ()
    assert result.money is None
    report(space, END, now=NOW)
    page = (tmp_path / "var/reports/less_rubbish" / f"{END}.html").read_text(encoding="utf-8")
    assert "INVALID" in page
    assert "tonnes avoided" not in page


def test_shares_as_chosen_count_not_those_of_an_edited_file(town, tmp_path):
    twisted = replace(CAMPAIGN, shares=Shares(0.45, 0.3, 0.25))
    space = workspace(tmp_path, town, campaign=twisted)
    for week in (START.number, START.number + 2):
        space.ledger.record(
            "choices", campaign=CAMPAIGN.id, week_no=week, arms='["control", "a", "b"]', holdout_share=0.05,
            control_share=0.3, learn_share=0.3, best_share=0.4, policy="uniform", price_per_penny=0.0, chosen_at=NOW,
        )  # fmt: skip
    measure(space, END, now=NOW)
    assert newest(space, twisted, END).headline.alarms == ()


def test_a_reader_that_fails_in_one_arm_voids_the_headline(tmp_path):
    town = Town(seed=4, houses=4000, stores=0)
    rng = np.random.default_rng(1)
    town.read &= ~(town.treated[:, None] & (town.weeks > START.number) & (rng.random(town.read.shape) < 0.05))
    space = workspace(tmp_path, town)
    measure(space, END, now=NOW)
    assert "Reader outage" in newest(space, CAMPAIGN, END).headline.alarms[0]


def test_an_unknown_tax_leaves_the_effect_and_says_so(town, tmp_path):
    space = workspace(tmp_path, town, council=replace(COUNCIL, nation="isle_of_man"))
    summary = measure(space, END, now=NOW)
    result = newest(space, CAMPAIGN, END)
    assert result.money is None
    assert "Ask the council" in result.money_note
    assert any("no money figures" in note for note in summary.notes)


def test_a_campaign_that_changed_its_unit_is_told_and_stops_no_other(town, tmp_path):
    other = replace(CAMPAIGN, id="another")
    space = workspace(tmp_path, town, campaign=replace(CAMPAIGN, unit=Unit.ROUND))
    space = replace(space, campaigns={**space.campaigns, other.id: other})
    rows = town.assignments()
    named = pa.array([other.id] * rows.num_rows, pa.string())
    space.ledger.append("assignments", rows.set_column(rows.schema.get_field_index("campaign"), "campaign", named))
    summary = measure(space, END, now=NOW)
    assert summary.counts == {"campaigns_measured": 1}
    assert 'the campaign began with unit = "household"' in " ".join(summary.notes)
    assert newest(space, other, END) is not None


def test_report_writes_page_json_and_index_whole(ws, measured):
    summary = report(ws, END + 1, now=NOW)  # the newest measurement counts
    folder = ws.var / "reports"
    assert summary.counts == {"pages": 1, "campaigns_listed": 1}
    assert summary.facts["less_rubbish page"] == f"var/reports/less_rubbish/{END}.html"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["2026.html", "2026.json", "index.html", f"less_rubbish/{END}.html", f"less_rubbish/{END}.json"]
    facts = json.loads((folder / "less_rubbish" / f"{END}.json").read_text(encoding="utf-8"))
    assert facts["effect"]["estimate"] == pytest.approx(measured.headline.effect.estimate)
    page = (folder / "less_rubbish" / f"{END}.html").read_text(encoding="utf-8")
    assert "Final" in page
    assert "SECRET-SALT" not in page
    again = (folder / "index.html").read_text(encoding="utf-8")
    report(ws, END + 1, now=NOW)
    assert (folder / "index.html").read_text(encoding="utf-8") == again


def test_report_before_any_measurement(town, tmp_path):
    summary = report(workspace(tmp_path, town), END, now=NOW)
    assert summary.counts == {"pages": 0, "campaigns_listed": 0}
    assert "No campaign has been measured yet" in (tmp_path / "var/reports/index.html").read_text(encoding="utf-8")
