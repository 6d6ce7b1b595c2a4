"""The borough against the published figures it is calibrated by, and its truth against brute force."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nudges.domain import LiftStatus, Stream
from nudges.sources import synthetic
from nudges.sources._borough_calibration import DEFAULT
from nudges.sources._borough_days import Lookup, easter, extended, slipped
from nudges.sources.synthetic import Borough, Effects, Planted
from nudges.tables import FACTS
from nudges.weeks import Week

START = Week.parse("2025-W30")
HOMES, WEEKS = 6_000, 26


def exposures(ids: list[str], template: str, week: Week, medium: str = "sms") -> pa.Table:
    return pa.table(
        {
            "household_id": ids,
            "template": [template] * len(ids),
            "medium": [medium] * len(ids),
            "week_no": [week.number] * len(ids),
        }
    )


@pytest.fixture(scope="module")
def year() -> tuple[Borough, list[synthetic.WeekFacts]]:
    borough = Borough.make(households=HOMES, seed=3, start=START, weeks=WEEKS, effects=Effects.null(), bad_rows=False)
    return borough, [borough.week(START + i) for i in range(WEEKS)]


@pytest.fixture(scope="module")
def lifts(year: tuple[Borough, list[synthetic.WeekFacts]]) -> pd.DataFrame:
    return pa.concat_tables([facts.lifts for facts in year[1]]).to_pandas()


def planned(borough: Borough, stream: Stream) -> int:
    """Collections planned of a stream over the simulated weeks, counted from calendar and register alone."""
    calendar = borough.calendar.to_pandas()
    inside = calendar[(calendar["stream"] == stream) & (calendar["collection_on"] <= (START + (WEEKS - 1)).sunday)]
    per_round = inside.groupby("round_id").size()
    homes = borough.households.to_pandas()
    unit = homes["bin_store_id"].fillna(homes["household_id"])
    return int(homes.loc[~unit.duplicated(), f"{stream}_round_id"].map(per_round).sum())


def rounds_of(borough: Borough) -> pd.DataFrame:
    """One row a unit and stream, with its round, from the register alone."""
    homes = borough.households.to_pandas()
    homes["unit_id"] = homes["bin_store_id"].fillna(homes["household_id"])
    columns = {f"{stream}_round_id": str(stream) for stream in Stream}
    wide = homes.drop_duplicates("unit_id").rename(columns=columns)
    return wide.melt("unit_id", list(columns.values()), "stream", "round_id").dropna()


# --- calibration: origin of each number is the table of sources in _borough_calibration --------------------------


def test_production_spreads_and_remembers_as_calibrated() -> None:
    borough = Borough.make(households=20_000, seed=5, start=START, weeks=30)
    panel = np.stack([borough.production(START + i) for i in range(30)])
    flat = panel - panel.mean(axis=1, keepdims=True)  # season out
    covariance = flat @ flat.T / flat.shape[1]
    scale = covariance.diagonal().mean()
    lag = {k: np.mean(covariance.diagonal(k)) / scale for k in (1, 8)}
    assert panel.mean() == pytest.approx(7.6, rel=0.05)
    assert np.sqrt(scale) == pytest.approx(np.hypot(4.0, 4.6), rel=0.08)  # heavy tails: 20,000 homes give +/-3 %
    assert lag[1] == pytest.approx(0.56, abs=0.04)
    assert lag[8] == pytest.approx(0.44, abs=0.04)


def test_kg_rise_with_household_size_by_the_stated_law() -> None:
    borough = Borough.make(households=40_000, seed=6, start=START, weeks=4)
    kg, persons = borough._people.kg[Stream.RESIDUAL], borough._people.persons
    slope, fixed = np.polyfit(persons, kg, 1)
    assert slope == pytest.approx(1.85, abs=0.15)
    assert fixed == pytest.approx(3.3, abs=0.35)
    assert persons.mean() == pytest.approx(2.33, abs=0.05)


@pytest.mark.parametrize(("stream", "share"), [("residual", 0.88), ("recycling", 0.79), ("food", 0.41)])
def test_houses_set_out_at_the_published_rates(
    year: tuple[Borough, list[synthetic.WeekFacts]], lifts: pd.DataFrame, stream: str, share: float
) -> None:
    homes = lifts[(lifts["stream"] == stream) & lifts["unit_id"].str.startswith("H")]
    houses = int((~year[0]._units.is_shared).sum())
    stores = int(year[0]._units.is_shared.sum())
    slots = planned(year[0], Stream(stream)) * houses / (houses + stores)
    out = homes["status"].isin([LiftStatus.LIFTED, LiftStatus.NOT_READ]).sum()
    assert out / slots == pytest.approx(share, abs=0.02)


def test_readers_fail_and_crews_miss_at_the_published_rates(
    year: tuple[Borough, list[synthetic.WeekFacts]], lifts: pd.DataFrame
) -> None:
    slots = sum(planned(year[0], stream) for stream in Stream)
    days = lifts.merge(rounds_of(year[0]), on=["unit_id", "stream"]).groupby(["stream", "round_id", "collected_on"])
    silent = days["status"].agg(lambda status: (status == "not_read").mean())
    whole_days = (silent > 0.9).sum()
    assert whole_days == pytest.approx(0.003 * len(silent), abs=4 * np.sqrt(0.003 * len(silent)))  # half of 0.6 %
    out = lifts["status"].isin(["lifted", "not_read"]).sum()
    alone = days["status"].agg(lambda status: (status == "not_read").sum())[silent <= 0.9].sum()
    assert alone / out == pytest.approx(0.003, abs=0.0006)  # the other half; 4 binomial SD
    assert 0.001 < (lifts["status"] == "missed").sum() / slots < 0.002  # 0.1-0.2 %
    assert lifts.loc[lifts["status"] != "lifted", "weight_g"].isna().all()
    assert lifts.loc[lifts["status"] == "lifted", "weight_g"].notna().all()


def test_crews_tag_five_to_ten_percent_of_recycling_lifts(
    year: tuple[Borough, list[synthetic.WeekFacts]], lifts: pd.DataFrame
) -> None:
    tags = sum(facts.tags.num_rows for facts in year[1])
    assert 0.05 < tags / ((lifts["stream"] == "recycling") & (lifts["status"] == "lifted")).sum() < 0.10


def test_kerbside_residual_is_what_was_produced(lifts: pd.DataFrame) -> None:
    whole = lifts.loc[lifts["stream"] == "residual", "weight_g"].sum() / 1000 / HOMES / WEEKS
    assert whole == pytest.approx(7.6, rel=0.08)  # less what is still in the bins, lost by readers, plus the season


def test_weighbridge_agrees_with_the_lorries(
    year: tuple[Borough, list[synthetic.WeekFacts]], lifts: pd.DataFrame
) -> None:
    loads = pa.concat_tables([facts.loads for facts in year[1]]).to_pandas()
    ratio = loads.groupby("stream")["weight_g"].sum() / lifts.groupby("stream")["weight_g"].sum()
    assert ratio["residual"] == pytest.approx(1.006, abs=0.01)  # bins not read were tipped all the same


def test_christmas_is_heavier() -> None:
    borough = Borough.make(households=2_000, seed=1, start=START, weeks=1)
    usual, after = borough._season(Week.parse("2025-W50")), borough._season(Week.parse("2026-W01"))
    assert after - usual == pytest.approx(0.09, abs=0.01)


def test_flats_share_stores_and_are_fifteen_percent() -> None:
    homes = Borough.make(households=20_000, seed=2, start=START, weeks=1).households.to_pandas()
    flats = homes[homes["property_type"] == "flat"]
    assert len(flats) / len(homes) == pytest.approx(0.15, abs=0.03)
    assert flats["bin_store_id"].notna().all()
    assert homes.loc[homes["property_type"] == "house", "bin_store_id"].isna().all()
    assert flats.groupby("bin_store_id").size().between(*DEFAULT.flats_per_store).all()
    assert (flats.groupby("bin_store_id")["residual_round_id"].nunique() == 1).all()


def test_contacts_reach_stated_shares_and_nobody_real() -> None:
    borough = Borough.make(households=150_000, seed=2, start=START, weeks=1)
    contacts = borough.contacts.to_pandas()
    share = contacts["medium"].value_counts() / 150_000
    assert share["email"] == pytest.approx(0.48, abs=0.001)
    assert share["sms"] == pytest.approx(0.62, abs=0.001)
    assert contacts["address"].is_unique
    assert contacts.loc[contacts["medium"] == "email", "address"].str.endswith("@example.org").all()
    assert contacts.loc[contacts["medium"] == "sms", "address"].str.fullmatch(r"\+447700[3-9]\d{5}").all()


# --- drops fit the tables ------------------------------------------------------------------------------------------


def test_drops_have_the_declared_columns_and_keys(year: tuple[Borough, list[synthetic.WeekFacts]]) -> None:
    borough, weeks = year
    drops = borough.register() | {name: getattr(weeks[5], name) for name in ("lifts", "tags", "loads")}
    for table in FACTS:
        rows = drops[table.name]
        assert tuple(rows.column_names) == table.names
        assert not rows.to_pandas().duplicated(list(table.keys)).any()
        for column in table.columns:
            if column.required:
                assert rows[column.name].null_count == 0, column.name
            if column.allowed:
                assert set(rows[column.name].unique().to_pylist()) - {None} <= set(column.allowed)


def test_bad_rows_come_with_every_week_and_change_no_good_one() -> None:
    facts = [
        Borough.make(households=500, seed=1, start=START, weeks=1, bad_rows=bad).week(START) for bad in (False, True)
    ]
    for name, extra in (("lifts", 3), ("tags", 1), ("loads", 2)):
        clean, dirty = (getattr(one, name) for one in facts)
        assert dirty.num_rows == clean.num_rows + extra
        assert dirty.slice(0, clean.num_rows).equals(clean)


def test_truth_is_in_no_drop(year: tuple[Borough, list[synthetic.WeekFacts]]) -> None:
    borough, weeks = year
    names = {name for table in (*borough.register().values(), weeks[0].lifts) for name in table.column_names}
    assert names <= {column for table in FACTS for column in table.names}


# --- truth ---------------------------------------------------------------------------------------------------------


def total_kg(facts: list[synthetic.WeekFacts], unit: str) -> float:
    lifts = pa.concat_tables([one.lifts for one in facts])
    rows = lifts.filter(pc.and_(pc.equal(lifts["unit_id"], unit), pc.equal(lifts["stream"], "residual")))
    return (pc.sum(rows["weight_g"]).as_py() or 0) / 1000


def test_truth_equals_the_difference_of_two_whole_simulations() -> None:
    def run(send: bool) -> tuple[Borough, list[synthetic.WeekFacts]]:
        effects = Effects(planted={"street_norm": Planted(residual_share=0.3)}, responders=1.0, rebound=0.0)
        borough = Borough.make(households=400, seed=9, start=START, weeks=12, effects=effects, bad_rows=False)
        ids = borough.households["household_id"].to_pylist()[:200]
        told = exposures(ids, "street_norm", START + 2) if send else None
        return borough, [borough.week(START + i, told) for i in range(12)]

    (borough, told), (_, untold) = run(True), run(False)
    truth = {}
    for i in range(12):
        for row in borough.truth.unit_week_delta(START + i).to_pylist():
            truth[row["unit_id"]] = truth.get(row["unit_id"], 0.0) + row["delta"]
    houses = [unit for unit in truth if unit.startswith("H")]
    units = [*houses[:4], houses[-1]]
    unread = pa.concat_tables([one.lifts for one in told])
    lost = set(unread.filter(pc.equal(unread["status"], "not_read"))["unit_id"].to_pylist())
    for unit in units:
        if unit not in lost:
            # lorries weigh to 100 g: at most 50 g a lift and run
            assert truth[unit] == pytest.approx(total_kg(told, unit) - total_kg(untold, unit), abs=0.8)
    assert sum(truth.values()) < 0
    assert truth[houses[-1]] == 0


def test_true_effect_is_each_units_mean_over_its_own_weeks_weighted_by_households() -> None:
    truth = synthetic.Truth(units=("a", "b", "c"), households=np.array([1, 4, 1]))
    for i, deltas in enumerate([(0.0, 0.0, 0.0), (-1.0, -8.0, 0.0), (-2.0, -4.0, -0.5)]):
        truth.record("residual_kg", START + i, np.array(deltas))
    treated = pa.table({"unit_id": ["a", "b"], "first_week_no": [START.number + 1, START.number + 2]})
    control = pa.table({"unit_id": ["c"], "first_week_no": [START.number + 1]})
    # a: (-1-2)/2 = -1.5 with weight 1; b: -4/4 = -1 with weight 4; control: -0.25
    assert truth.true_effect(treated, last=START + 2) == pytest.approx((-1.5 - 4.0) / 5)
    assert truth.true_effect(treated, control, last=START + 2) == pytest.approx((-1.5 - 4.0) / 5 + 0.25)
    with pytest.raises(KeyError, match="not simulated yet"):
        truth.true_effect(treated, last=START + 3)


def test_nulls_are_exact() -> None:
    borough = Borough.make(households=300, seed=1, start=START, weeks=6, effects=Effects.null())
    told = exposures(borough.households["household_id"].to_pylist(), "street_norm", START + 1)
    for i in range(6):
        borough.week(START + i, told)
        assert not borough.truth.unit_week_delta(START + i)["delta"].to_numpy().any()


def test_effects_fade_by_half_and_flats_respond_half_as_much() -> None:
    planted = {"street_norm": Planted(residual_share=0.2, half_life_weeks=4)}
    borough = Borough.make(
        households=12_000, seed=4, start=START, weeks=20, effects=Effects(planted=planted, rebound=0.0)
    )
    memory, is_flat = borough._memory, borough._people.is_flat
    everyone = np.arange(12_000)
    first = memory.advance([("street_norm", everyone)]).residual
    for _ in range(4):
        later = memory.advance([]).residual
    responds = first > 0
    assert responds.mean() == pytest.approx(0.5, abs=0.02)
    unclipped = first < 0.6
    assert later[responds & unclipped] == pytest.approx(first[responds & unclipped] / 2)
    assert first[is_flat].mean() / first[~is_flat].mean() == pytest.approx(0.5, abs=0.05)


def test_three_quarters_of_what_leaves_residual_turns_up_in_recycling() -> None:
    borough = Borough.make(households=3_000, seed=8, start=START, weeks=20)
    told = exposures(borough.households["household_id"].to_pylist(), "street_norm", START + 2)
    sums = {"residual_kg": 0.0, "recycling_kg": 0.0}
    for i in range(20):
        borough.week(START + i, told)
        for quantity in sums:
            sums[quantity] += pc.sum(borough.truth.unit_week_delta(START + i, quantity=quantity)["delta"]).as_py()
    assert sums["residual_kg"] < 0
    assert -sums["recycling_kg"] / sums["residual_kg"] == pytest.approx(0.75, abs=0.06)  # bins not emptied yet differ


def test_feedback_lowers_tags() -> None:
    borough = Borough.make(households=6_000, seed=8, start=START, weeks=6)
    told = exposures(borough.households["household_id"].to_pylist(), "tag_feedback", START)
    tags = delta = 0.0
    for i in range(6):
        tags += borough.week(START + i, told).tags.num_rows - 1
        delta += pc.sum(borough.truth.unit_week_delta(START + i, quantity="tags")["delta"]).as_py()
    assert 0.08 < -delta / (tags - delta) < 0.30  # half respond, nine in ten read, 45 % fewer tags each


def test_weeks_come_in_order() -> None:
    borough = Borough.make(households=100, seed=1, start=START, weeks=3)
    with pytest.raises(ValueError, match="in order"):
        borough.week(START + 1)


def test_same_seed_same_borough_and_another_seed_another() -> None:
    def first(seed: int) -> pa.Table:
        return Borough.make(households=300, seed=seed, start=START, weeks=1).week(START).lifts

    assert first(1).equals(first(1))
    assert not first(1).equals(first(2))


# --- answers -------------------------------------------------------------------------------------------------------


def test_answers_come_at_the_stated_rates() -> None:
    borough = Borough.make(households=20_000, seed=1, start=START, weeks=2)
    at = datetime.combine(START.monday + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=17)
    ids = borough.households["household_id"].to_pylist()
    messages = pa.table(
        {
            "message_id": [f"{medium}{i}" for medium in ("sms", "email") for i in ids],
            "household_id": ids * 2,
            "medium": ["sms"] * len(ids) + ["email"] * len(ids),
            "accepted_at": [at] * (2 * len(ids)),
        }
    )
    events = pd.DataFrame(borough.answers(messages))
    events["medium"] = np.where(events["message_id"].str.startswith("sms"), "sms", "email")
    rate = events.groupby("medium")["kind"].value_counts() / len(ids)
    assert rate["sms", "delivered"] == pytest.approx(0.975, abs=0.005)
    assert rate["sms", "unsubscribed"] == pytest.approx(0.015, abs=0.004)
    assert rate["email", "bounced"] == pytest.approx(0.025, abs=0.005)
    assert rate["email", "opened"] == pytest.approx(0.42 * 0.975, abs=0.015)
    assert rate["email", "unsubscribed"] == pytest.approx(0.003, abs=0.002)
    assert events["event_id"].is_unique
    assert borough.answers(messages) == borough.answers(messages)


# --- calendar ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned_on", "really"),
    [
        ("2025-12-24", "2025-12-24"),
        ("2025-12-25", "2025-12-27"),  # Thursday and Friday are holidays: Saturday, Sunday
        ("2025-12-26", "2025-12-28"),
        ("2026-05-04", "2026-05-05"),  # early May bank holiday
        ("2026-05-08", "2026-05-09"),
        ("2026-04-06", "2026-04-07"),  # Easter Monday
        ("2026-04-03", "2026-04-03"),  # Good Friday is collected
        ("2026-05-12", "2026-05-12"),
    ],
)
def test_bank_holidays_push_the_rest_of_the_week(planned_on: str, really: str) -> None:
    assert slipped(date.fromisoformat(planned_on)) == date.fromisoformat(really)


def test_easter() -> None:  # published dates
    assert [easter(year) for year in (2024, 2025, 2026)] == [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5)]


def test_a_calendar_from_outside_is_continued_by_its_own_rhythm() -> None:
    days = [date(2025, 7, 7) + timedelta(days=14 * i) for i in range(4)]
    weekly = [date(2025, 7, 9) + timedelta(days=7 * i) for i in range(8)]
    given = pa.table(
        {
            "round_id": ["a"] * 4 + ["b"] * 8,
            "stream": ["residual"] * 4 + ["food"] * 8,
            "planned_on": days + weekly,
            "collection_on": pa.array([None] * 12, pa.date32()),
        }
    )
    start = Week.parse("2025-W20")
    whole = extended(given, start, 20).to_pandas()
    a, b = (sorted(whole.loc[whole["round_id"] == name, "planned_on"]) for name in "ab")
    assert {(y - x).days for x, y in pairwise(a)} == {14}
    assert {(y - x).days for x, y in pairwise(b)} == {7}
    assert start.monday <= min(a) < (start + 2).monday
    assert (start + 18).monday <= max(a) <= (start + 19).sunday
    assert len(Lookup(extended(given, start, 20), Stream.FOOD, ["b"]).days(start)) == 1


def test_a_frame_from_outside_is_simulated_as_it_is() -> None:
    own = Borough.make(households=900, seed=1, start=START, weeks=4)
    given = (own.households, own.calendar.drop_columns(["collection_on"]))
    frame = Borough.make(seed=2, start=START, weeks=10, frame=given, bad_rows=False)
    assert frame.households.equals(own.households)
    bare = Borough.make(
        seed=2, start=START, weeks=10, frame=(own.households.drop_columns(["known_on", "ward"]), given[1])
    )
    assert bare.households["known_on"].unique().to_pylist() == [START.monday]
    assert frame.week(START).lifts.num_rows > 0
    assert frame.register()["calendar"].num_rows > own.calendar.num_rows
