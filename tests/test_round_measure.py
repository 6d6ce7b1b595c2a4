"""Measuring rounds from facts in a warehouse: kg from tickets alone, tags and set-outs of the homes that were drawn."""

from dataclasses import replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, homes, sent, settle, workspace

from nudges.domain import Outcome, Shares, Unit, Verdict
from nudges.draws import RoundDraw
from nudges.measuring.rounds import round_effect
from nudges.steps.choose import choose
from nudges.steps.measure import measure
from nudges.steps.report import newest
from nudges.steps.round_panel import OUT_OF_DUE, OUT_OF_LIFTS, read_round_panel
from nudges.weeks import Week

ROUNDS, HOMES, WEEKS, PRE = 10, 600, 6, 26
ROUND_CAMPAIGN = replace(
    CAMPAIGN, id="right_day", unit=Unit.ROUND, shares=Shares(0.5, 0.0, 0.5), weeks=WEEKS, stated_effect_share=-0.05
)
END = WEEK + WEEKS
SPAN = range(WEEK.number - PRE + 1, END.number + 1)
EARLY = date(2025, 1, 6)
NAMES = [f"RES{number:03d}" for number in range(ROUNDS)]
PLANTED = -0.9


def town():
    columns = homes(HOMES)
    names = np.array(NAMES)[np.arange(HOMES) % ROUNDS]
    columns["has_residual_service"] = np.ones(HOMES, dtype=int)
    return columns | {f"{stream}_round_id": names.tolist() for stream in ("residual", "recycling", "food")}


def facts(ws, tables):
    for table, week, rows in tables:
        file = ws.warehouse.write(table, week, rows, f"{table}-test")
        ws.ledger.replace_files(table, week, [file], drop_id=f"test:{table}:{week}", now=NOW)


def register(columns):
    ids = columns["household_id"]
    rounds = {name: columns[name] for name in ("residual_round_id", "recycling_round_id", "food_round_id")}
    rows = {"household_id": ids, "known_on": [EARLY] * len(ids), "property_type": ["house"] * len(ids)} | rounds
    yield "households", Week.containing(EARLY), pa.table(rows)
    for number in range(SPAN[0] - 1, END.number + 3):
        day = [Week(number).monday + timedelta(days=index % 5) for index in range(ROUNDS)]
        yield (
            "calendar",
            Week(number),
            pa.table({
                "round_id": NAMES * 3, "planned_on": day * 3,
                "stream": [stream for stream in ("residual", "recycling", "food") for _ in NAMES],
            }),
        )  # fmt: skip


@pytest.fixture
def ws(tmp_path):
    opened = workspace(tmp_path, *(replace(ROUND_CAMPAIGN, id=str(each), outcome=each) for each in Outcome))
    settle(opened, WEEK, town())
    facts(opened, register(town()))
    choose(opened, WEEK, now=NOW)
    yield opened
    opened.ledger.close()


def drawn(ws, campaign="residual_kg"):
    rows = ws.ledger.select("SELECT rounds FROM choices WHERE campaign = :campaign", campaign=campaign).to_pylist()
    return RoundDraw.from_json(rows[0]["rounds"])


def weighed(ws, seed=1):
    """Kg a household by round and week; the effect comes with the first week after the run."""
    rng = np.random.default_rng(seed)
    is_treated = np.isin(NAMES, drawn(ws).treated)
    kg = rng.normal(8, 1, (ROUNDS, 1)) + rng.normal(0, 0.25, (ROUNDS, len(SPAN)))
    return kg + PLANTED * is_treated[:, None] * (np.array(SPAN) > WEEK.number)


def tickets(kg, *, lost=()):
    """One ticket a round and week but those lost, as (round, column of the week)."""
    for column, number in enumerate(SPAN):
        here = [index for index in range(ROUNDS) if (index, column) not in lost]
        yield (
            "loads",
            Week(number),
            pa.table({
                "ticket_id": [f"T{number}-{index}" for index in here], "site": ["Tip"] * len(here),
                "weighed_at": pa.array([pd.Timestamp(Week(number).monday) + pd.Timedelta(days=index % 5, hours=12)
                                        for index in here], pa.timestamp("us", "UTC")),
                "material": ["Residual"] * len(here), "stream": ["residual"] * len(here),
                "weight_g": [round(kg[index, column] * 1000 * HOMES / ROUNDS) for index in here],
                "round_id": [NAMES[index] for index in here],
            }),
        )  # fmt: skip


def measured(ws, campaign, week=END):
    """The campaign measured with data to the end of `week`, and what the step said."""
    summary = measure(ws, week, now=NOW, campaigns=[campaign])
    return newest(ws, ws.campaign(campaign), week), summary


def test_the_effect_is_that_of_kg_on_tickets_and_lost_weeks_are_missing(ws):
    kg = weighed(ws)
    lost = {(0, 2), (1, PRE + 1), (2, PRE + 1), (2, PRE + 3)}
    facts(ws, tickets(kg, lost=lost))
    sent(ws, WEEK, ["H000001"], campaign="residual_kg")
    found, _ = measured(ws, "residual_kg")
    known = kg.copy()
    known[tuple(zip(*lost, strict=True))] = np.nan
    pre, post = np.nanmean(known[:, :PRE], axis=1), np.nanmean(known[:, PRE:], axis=1)
    is_treated = np.isin(NAMES, drawn(ws).treated)
    expected = round_effect(post, pre, is_treated, np.full(ROUNDS, HOMES / ROUNDS))
    head = found.headline
    assert head.effect.estimate == pytest.approx(expected.estimate, abs=1e-5)  # grams are whole
    assert head.effect.se == pytest.approx(expected.se, abs=1e-5)
    assert head.effect.ci_low < PLANTED < head.effect.ci_high
    assert head.verdict is Verdict.SHOWN
    assert head.outage.treated_share + head.outage.control_share == pytest.approx(3 / (ROUNDS / 2 * WEEKS))
    assert head.treated_household_weeks == tuple((number, HOMES // 2) for number in SPAN[PRE:])
    assert (head.shared.grams_share, head.messages) == (0.0, 1)
    tonnes = -head.effect.estimate * WEEKS * HOMES / 2 / 1000
    assert found.money.residual_tonnes.value == pytest.approx(tonnes)


def test_before_any_ticket_nothing_is_stored(ws):
    found, summary = measured(ws, "residual_kg")
    assert found is None
    assert summary.notes == ("residual_kg: no outcome after the first assignment yet; nothing stored.",)


def test_tickets_of_three_rounds_alone_are_too_few(ws):
    kg = weighed(ws)
    lost = {(NAMES.index(name), column) for name in drawn(ws).control[:2] for column in range(len(SPAN))}
    facts(ws, tickets(kg, lost=lost))
    found, summary = measured(ws, "residual_kg")
    assert found is None
    assert "5 treated and 3 control rounds, must be 4 or more" in summary.notes[0]


def test_an_interim_page_of_few_rounds_says_when_it_is_read(ws):
    facts(ws, tickets(weighed(ws)))
    found, _ = measured(ws, "residual_kg", END - 1)
    assert found.headline.verdict is Verdict.INCONCLUSIVE
    assert f"at the end of {END}" in found.headline.words


def test_a_campaign_that_began_with_households_is_told_so(ws):
    ws.ledger.replace(
        "choices", ws.ledger.select("SELECT * FROM choices WHERE campaign = 'none'"), campaign="residual_kg"
    )
    summary = measure(ws, END, now=NOW, campaigns=["residual_kg"])
    assert summary.counts == {"campaigns_measured": 0}
    assert "the campaign began with unit" in summary.notes[0]


def test_set_outs_are_those_of_the_homes_drawn_by_round(ws):
    """Brute force in pandas: contactable homes outside the holdout, set-outs over collections, a row a round."""
    name, rng = str(Outcome.RECYCLING_SET_OUT_RATE), np.random.default_rng(2)
    given = assignments(ws, WEEK, ws.campaign(name)).to_pandas()
    is_treated = given["lane"].isin(["learn", "best"]).to_numpy()
    chance = 0.6 + 0.1 * is_treated[:, None] * (np.array(SPAN) > WEEK.number)
    out = rng.random((len(given), len(SPAN))) < chance
    status = np.where(rng.random(out.shape) < 0.02, "not_read", np.where(out, "lifted", "not_presented"))
    ids, places = given["household_id"].to_numpy(), np.arange(len(given)) % ROUNDS
    for column, number in enumerate(SPAN):
        day = [Week(number).monday + timedelta(days=int(index) % 5) for index in places]
        rows = {
            "unit_id": ids, "stream": ["recycling"] * len(ids), "collected_on": pa.array(day, pa.date32()),
            "bin_chip_id": [""] * len(ids), "status": status[:, column], "is_excess": np.zeros(len(ids), dtype=int),
        }  # fmt: skip
        facts(ws, [("lifts", Week(number), pa.table(rows))])
    found, _ = measured(ws, name)
    frame = given[["lane", "is_contactable"]].assign(round=np.array(NAMES)[places])
    kept = ((frame["is_contactable"] == 1) & (frame["lane"] != "holdout")).to_numpy()
    rates = {}
    for period, columns in (("pre", slice(0, PRE)), ("post", slice(PRE, None))):
        lifted = (status[kept][:, columns] == "lifted").sum(axis=1)
        read = (status[kept][:, columns] != "not_read").sum(axis=1)
        sums = pd.DataFrame({"lifted": lifted, "read": read}).groupby(frame.loc[kept, "round"].to_numpy()).sum()
        rates[period] = (sums["lifted"] / sums["read"]).to_numpy()
    weights = frame[kept].groupby("round").size().to_numpy(dtype=float)
    expected = round_effect(rates["post"], rates["pre"], np.isin(NAMES, drawn(ws, name).treated), weights)
    assert found.headline.effect.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert found.headline.effect.ci_low == pytest.approx(expected.ci_low, abs=1e-12)
    assert found.headline.households_treated == int(weights[np.isin(NAMES, drawn(ws, name).treated)].sum())
    assert found.headline.shared is None
    assert found.money is None


def test_tags_of_crews_that_count_nothing_else_are_out_of_bins_due(ws):
    name, rng = str(Outcome.TAG_RATE), np.random.default_rng(3)
    given = assignments(ws, WEEK, ws.campaign(name)).to_pandas()
    is_treated = given["lane"].isin(["learn", "best"]).to_numpy()
    tagged = rng.random((len(given), len(SPAN))) < np.where(
        is_treated[:, None] & (np.array(SPAN) > WEEK.number), 0.05, 0.15
    )
    silent = 4  # a week whose tags were never loaded is missing, not clean
    places = np.arange(len(given)) % ROUNDS
    for column, number in enumerate(SPAN):
        here = np.flatnonzero(tagged[:, column]) if column != silent else []
        day = [Week(number).monday + timedelta(days=int(places[row]) % 5) for row in here]
        rows = {
            "unit_id": given["household_id"].to_numpy()[here].tolist(), "stream": ["recycling"] * len(here),
            "tagged_on": pa.array(day, pa.date32()), "reason": ["food"] * len(here),
        }  # fmt: skip
        facts(ws, [("tags", Week(number), pa.table(rows))] if len(here) else [])
    found, _ = measured(ws, name)
    kept = ((given["is_contactable"] == 1) & (given["lane"] != "holdout")).to_numpy()
    read = np.arange(len(SPAN)) != silent
    rates = [
        np.array([tagged[kept & (places == r)][:, span & read].mean() for r in range(ROUNDS)])
        for span in (np.arange(len(SPAN)) >= PRE, np.arange(len(SPAN)) < PRE)
    ]
    weights = np.bincount(places[kept], minlength=ROUNDS).astype(float)
    expected = round_effect(*rates, np.isin(NAMES, drawn(ws, name).treated), weights)
    assert found.headline.effect.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert found.headline.verdict is Verdict.SHOWN
    with ws.facts(END) as connection:
        assert read_round_panel(connection, Outcome.TAG_RATE, SPAN[0], END.number).out_of == OUT_OF_DUE


# --- the panel --------------------------------------------------------------------------


def connection(households, calendar=(), loads=(), lifts=()):
    """Views of a few rows: (id, week known, round), (round, day), (day, grams, round), (unit, day)."""
    opened = duckdb.connect()
    frames = {
        "households": pd.DataFrame(
            [(home, Week(week).monday, week, name, None) for home, week, name in households],
            columns=["household_id", "known_on", "week_no", "residual_round_id", "bin_store_id"],
        ).assign(recycling_round_id=lambda rows: rows["residual_round_id"]),
        "calendar": pd.DataFrame(
            [(name, "residual", day, None) for name, day in calendar],
            columns=["round_id", "stream", "planned_on", "collection_on"],
        ).assign(collection_on=lambda rows: rows["planned_on"]),
        "loads": pd.DataFrame(
            [(day, grams, name, "residual", Week.containing(day).number) for day, grams, name in loads],
            columns=["weighed_at", "weight_g", "round_id", "stream", "week_no"],
        ),
        "lifts": pd.DataFrame(lifts, columns=["unit_id", "collected_on"]),
    }
    for name, frame in frames.items():
        opened.register(f"{name}_rows", pa.Table.from_pandas(frame, preserve_index=False))
        opened.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}_rows")
    return opened


def test_households_of_a_round_are_those_known_that_week_and_its_first_before_that():
    first = WEEK.number
    rows = [
        ("a", first, "R1"),
        ("b", first + 2, "R1"),
        ("c", first, "R1"),
        ("c", first + 3, "R2"),
        ("d", first + 1, "R2"),
    ]
    found = read_round_panel(connection(rows), Outcome.RESIDUAL_KG, first - 1, first + 4)
    assert found.rounds == ("R1", "R2")
    assert found.households.tolist() == [[2, 2, 2, 3, 2, 2], [1, 1, 1, 1, 2, 2]]


def test_tickets_are_read_by_stream_day_and_name():
    monday, home = WEEK.monday, [("a", WEEK.number - 9, "R1"), ("b", WEEK.number - 9, "R2")]
    calendar = [(name, monday + timedelta(weeks=week)) for name in ("R1", "R2") for week in (-1, 0)]
    loads = [(monday, 7_000, "R1"), (monday, 2_001, "R1 + R2"), (monday, 500, "TRADE"), (monday, 999, " ")]
    found = read_round_panel(connection(home, calendar, loads), Outcome.RESIDUAL_KG, WEEK.number, WEEK.number)
    assert found.over[:, 0].tolist() == pytest.approx([7.0 + 1.001 + 0.5, 1.0 + 0.499])
    assert (found.tickets.own, found.tickets.several, found.tickets.by_day, found.tickets.unknown) == (
        7_000,
        2_001,
        999,
        500,
    )


def test_rates_are_out_of_lifts_where_there_are_any(ws):
    lift = {"unit_id": ["H000001"], "stream": ["recycling"], "collected_on": pa.array([WEEK.monday], pa.date32()),
            "bin_chip_id": [""], "status": ["lifted"], "is_excess": [0]}  # fmt: skip
    facts(ws, [("lifts", WEEK, pa.table(lift))])
    with ws.facts(END) as opened:
        assert read_round_panel(opened, Outcome.TAG_RATE, SPAN[0], END.number).out_of == OUT_OF_LIFTS
