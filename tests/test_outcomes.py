"""Outcomes of windows against loops over rows, on two engines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from random_facts import COLUMNS, WEEK, Collection, Facts, random_facts, same

from nudges.domain import Outcome, Stream
from nudges.outcomes import STREAM_OF, outcome_sql, outcome_values
from nudges.steps.outcome_panel import read_panel
from nudges.tables import Dialect
from nudges.weeks import Week

SPANS = ((-31, -6), (-9, 0), (-3, 0), (-6, -6), (1, 4))
WINDOWS = {"unit_id": "VARCHAR", "first_week_no": "BIGINT", "last_week_no": "BIGINT", "households": "BIGINT"}
NAMES = ("unit_id", "first_week_no", "last_week_no", "households", "weeks", "total", "valid", "planned")


def units_of(facts: Facts) -> dict[str, int]:
    newest = {row["household_id"]: row for row in sorted(facts.tables["households"], key=lambda r: r["known_on"])}
    counts: dict[str, int] = defaultdict(int)
    for row in newest.values():
        counts[row["bin_store_id"] or row["household_id"]] += 1
    return counts


def windows_of(facts: Facts) -> list[tuple[str, int, int, int]]:
    return [(unit, WEEK.number + a, WEEK.number + b, n) for unit, n in units_of(facts).items() for a, b in SPANS]


def measured(facts: Facts, outcome: Outcome) -> list[tuple[object, ...]]:
    with facts.connect() as connection:
        connection.execute(f"CREATE TABLE windows ({', '.join(f'{n} {k}' for n, k in WINDOWS.items())})")
        connection.executemany("INSERT INTO windows VALUES (?, ?, ?, ?)", windows_of(facts))
        result = connection.execute(outcome_sql(outcome))
        assert tuple(column[0] for column in result.description) == NAMES
        return sorted(result.fetchall())


def plain(facts: Facts, outcome: Outcome) -> list[tuple[object, ...]]:
    """The same by loops: one window of one unit at a time."""
    stream = str(STREAM_OF[outcome])
    newest = {row["household_id"]: row for row in sorted(facts.tables["households"], key=lambda r: r["known_on"])}
    rounds: dict[str, str] = {}
    for row in newest.values():  # homes of a store on different rounds: the first in the alphabet counts
        unit, name = row["bin_store_id"] or row["household_id"], row[f"{stream}_round_id"] or ""
        rounds[unit] = min(rounds.get(unit, name), name)
    seen: dict[tuple[str, date], list[dict[str, object]]] = defaultdict(list)
    for row in facts.tables["lifts"]:
        if row["stream"] == stream and row["status"] != "not_presented":
            seen[row["unit_id"], row["collected_on"]].append(row)
    recorded = {Week.containing(day).number for _, day in seen}
    weighed = {
        Week.containing(day).number for (_, day), rows in seen.items() if any(r["weight_g"] is not None for r in rows)
    }
    calendar = defaultdict(list)
    for row in facts.tables["calendar"]:
        if row["stream"] == stream:
            calendar[row["round_id"]].append(Week.containing(row["collection_on"] or row["planned_on"]).number)
    out: list[tuple[object, ...]] = []
    for unit, first, last, n in windows_of(facts):
        mine = [Collection(Week.containing(day).number, rows) for (u, day), rows in seen.items() if u == unit]
        begins, ends = covered(calendar[rounds[unit]])
        is_rate_of_lifts = outcome is Outcome.TAG_RATE  # needs no calendar
        mine = [c for c in mine if first <= c.week_no <= last and (is_rate_of_lifts or begins <= c.week_no <= ends)]
        planned = [number for number in calendar[rounds[unit]] if first <= number <= last]
        weeks = min(last, ends) - max(first, begins) + 1 if planned else 0
        outs = sum(c.is_set_out for c in mine)
        if outcome is Outcome.RESIDUAL_KG:
            known = [c for c in mine if c.grams is not None]
            doubtful = [c for c in mine if c.grams is None and c.week_no in weighed]
            valid = max(0, sum(number in weighed for number in planned) - len(doubtful))
            if not known and any(not c.is_void for c in doubtful):
                valid = 0
            total = sum(c.grams or 0 for c in known)
        elif outcome is Outcome.TAG_RATE:
            days = {r["tagged_on"] for r in facts.tables["tags"] if (r["unit_id"], r["stream"]) == (unit, stream)}
            total = sum(first <= Week.containing(day).number <= last for day in days)
            valid = max(outs, total)
        else:
            loaded = sum(number in recorded for number in planned)
            total, valid = outs, max(outs, loaded - sum(c.is_void for c in mine)) if loaded else 0
        out.append((unit, first, last, n, weeks, total, valid, valid if outcome is Outcome.TAG_RATE else len(planned)))
    return sorted(out)


def covered(weeks: list[int]) -> tuple[int, int]:
    """First and last week a calendar covers: a collection stands for the weeks to the next one."""
    if not weeks:
        return 0, -1
    first, last, others = min(weeks), max(weeks), len(set(weeks)) - 1
    return first, last + (math.floor((last - first) / others + 0.5) if others else 1) - 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_window_equals_a_loop_over_rows(outcome: Outcome, seed: int) -> None:
    facts = random_facts(seed)
    assert measured(facts, outcome) == plain(facts, outcome)


def test_postgres_gives_the_same_rows(postgres_url: str) -> None:
    import psycopg

    facts = random_facts(3)
    with psycopg.connect(postgres_url) as connection, connection.cursor() as cursor:
        for name, columns in (*COLUMNS.items(), ("windows", WINDOWS)):
            cursor.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{c} {kind}' for c, kind in columns.items())})")
            rows = [[row[c] for c in columns] for row in facts.tables[name]] if name != "windows" else windows_of(facts)
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        for outcome in Outcome:
            cursor.execute(outcome_sql(outcome, Dialect.POSTGRES))
            assert sorted(cursor.fetchall()) == measured(facts, outcome)
        connection.rollback()


def test_kg_are_per_household_and_week_in_which_the_reader_was_up() -> None:
    # 24 kg from a store of 2 homes over 4 weeks, 1 of 4 weekly collections not read: 24 / 3 / 2
    assert outcome_values(Outcome.RESIDUAL_KG, [24_000], [3], [4], [4], [2]).tolist() == [4.0]
    # fortnightly, both read: 24 kg over 4 weeks
    assert outcome_values(Outcome.RESIDUAL_KG, [24_000], [2], [2], [4], [1]).tolist() == [6.0]


def test_rates_are_shares_and_unknown_is_nan() -> None:
    values = outcome_values(Outcome.FOOD_SET_OUT_RATE, [0, 3, 0], [4, 4, 0], [4, 4, 4], [4, 4, 4], [1, 1, 1])
    assert values[:2].tolist() == [0.0, 0.75]
    assert np.isnan(values[2])
    assert np.isnan(outcome_values(Outcome.RESIDUAL_KG, [0], [0], [0], [0], [1])).all()


def emptied_for_26_weeks(planned: Iterable[int], emptied: Iterable[int], *, stream: Stream = Stream.RESIDUAL) -> Facts:
    """Home A, planned and emptied (8 kg) so many weeks back; home B, on another round, has bins in every week."""
    facts = Facts()
    for home, name in (("A", "r"), ("B", "other")):
        facts.add("households", "known_on", household_id=home, known_on=WEEK.monday, property_type="house",
                  **{f"{stream}_round_id": name})  # fmt: skip
    for back in planned:
        facts.add("calendar", "planned_on", round_id="r", stream=stream, planned_on=(WEEK - back).monday)
    for unit, backs in (("A", emptied), ("B", range(26))):
        for back in backs:
            facts.add("lifts", "collected_on", unit_id=unit, stream=stream, collected_on=(WEEK - back).monday,
                      bin_chip_id="", status="lifted", weight_g=8_000, is_excess=0)  # fmt: skip
    return facts


def value_over_26_weeks(facts: Facts, outcome: Outcome) -> tuple[float, int]:
    """Outcome and weeks of home A, the same by query and by panel."""
    low, high = WEEK.number - 25, WEEK.number
    names = ("total", "valid", "planned", "weeks")
    with facts.connect() as connection:
        connection.execute(
            f"CREATE TABLE windows AS SELECT 'A' AS unit_id, {low} AS first_week_no, {high} AS last_week_no, "
            "1 AS households"
        )
        rows = connection.execute(outcome_sql(outcome)).fetchnumpy()
        connection.execute("CREATE TABLE units AS FROM (VALUES ('A', 0), ('B', 1)) AS u (unit_id, unit_no)")
        panel = read_panel(connection, outcome, pa.array(["r", "other"]), low, high)
    sums = panel.sums(np.array([low, low]), np.array([high, high]))
    assert [getattr(sums, name)[:1].tolist() for name in names] == [rows[name].tolist() for name in names]
    return float(outcome_values(outcome, *(rows[name] for name in names), [1])[0]), int(rows["weeks"][0])


@pytest.mark.parametrize(
    "planned", [range(6), range(20, 26), range(9, 15)], ids=["at the end", "at the start", "inside"]
)
def test_bins_emptied_outside_the_calendar_do_not_count(planned: range) -> None:
    facts = emptied_for_26_weeks(planned, range(26))
    kg, weeks = value_over_26_weeks(facts, Outcome.RESIDUAL_KG)
    assert weeks == 6
    assert same(kg, 8.0, 1e-15)
    half = emptied_for_26_weeks(planned, range(0, 26, 2), stream=Stream.FOOD)
    rate, _ = value_over_26_weeks(half, Outcome.FOOD_SET_OUT_RATE)
    assert rate == 0.5


@pytest.mark.parametrize("planned", [range(0, 26, 2), range(1, 26, 2), range(13, 26, 2)])
def test_a_fortnightly_calendar_covers_the_week_after_its_last_collection(planned: range) -> None:
    kg, weeks = value_over_26_weeks(emptied_for_26_weeks(planned, planned), Outcome.RESIDUAL_KG)
    first, last = max(planned), min(planned)
    assert weeks == first - max(last - 1, 0) + 1
    assert same(kg, 8.0 * len(planned) / weeks, 1e-12)


def test_off_calendar_bins_of_covered_weeks_prove_a_collection() -> None:
    facts = emptied_for_26_weeks(range(1, 26, 2), range(26), stream=Stream.FOOD)
    assert value_over_26_weeks(facts, Outcome.FOOD_SET_OUT_RATE)[0] == 1.0


def test_no_windows_give_no_rows() -> None:
    with random_facts(0).connect() as connection:
        connection.execute(f"CREATE TABLE windows ({', '.join(f'{n} {k}' for n, k in WINDOWS.items())})")
        assert connection.execute(outcome_sql(Outcome.TAG_RATE)).fetchall() == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_panel_of_one_scan_equals_the_query_in_every_window(outcome: Outcome, seed: int) -> None:
    facts, rng = random_facts(seed), np.random.default_rng(seed)
    homes = units_of(facts)
    units = rng.permutation(sorted(homes)).tolist()
    low, high = WEEK.number - 34, WEEK.number + 3
    names = ("total", "valid", "planned", "weeks")
    with facts.connect() as connection:
        connection.register("numbered", pa.table({"unit_id": units, "unit_no": np.arange(len(units))}))
        connection.execute("CREATE TABLE units AS SELECT * FROM numbered")
        connection.execute(f"CREATE TABLE windows ({', '.join(f'{n} {k}' for n, k in WINDOWS.items())})")
        panel = read_panel(connection, outcome, unit_rounds(facts, outcome, units), low, high)
        for _ in range(6):
            ends = np.sort(rng.integers(low, high + 1, (2, len(units))), axis=0)
            rows = zip(units, *ends.tolist(), (homes[unit] for unit in units), strict=True)
            connection.execute("DELETE FROM windows")
            connection.executemany("INSERT INTO windows VALUES (?, ?, ?, ?)", list(rows))
            found = {row[0]: row for row in connection.execute(outcome_sql(outcome)).fetchall()}
            sums = panel.sums(*ends)
            for name in names:
                assert getattr(sums, name).tolist() == [found[unit][NAMES.index(name)] for unit in units], name
        nothing = panel.sums(ends[0], ends[0] - 1)
        assert not any(getattr(nothing, name).any() for name in names)


def unit_rounds(facts: Facts, outcome: Outcome, units: list[str]) -> pa.Array:
    newest = {row["household_id"]: row for row in sorted(facts.tables["households"], key=lambda r: r["known_on"])}
    rounds: dict[str, list[str]] = defaultdict(list)
    for row in newest.values():
        if row[f"{STREAM_OF[outcome]}_round_id"]:
            rounds[row["bin_store_id"] or row["household_id"]].append(row[f"{STREAM_OF[outcome]}_round_id"])
    return pa.array([min(rounds[unit], default=None) for unit in units], pa.string())
