"""Features against loops over rows, on two engines, in any order, and blind to what came later."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from random_facts import COLUMNS, WEEK, Facts, Plain, random_facts, same

from nudges.domain import Stream
from nudges.features import feature_stages, features_sql, model_columns, model_frame
from nudges.features.dates import day_number, week_number
from nudges.steps.features import staged
from nudges.tables import FEATURES, Dialect
from nudges.weeks import Week

CLOSE = 1e-9  # the brute force adds in another order; a standard deviation loses a few digits
SEEDS = range(5)


def by_household(table: pa.Table) -> dict[str, dict[str, object]]:
    return {row["household_id"]: row for row in table.to_pylist()}


def computed(facts: Facts, week: Week = WEEK) -> pa.Table:
    with facts.connect() as connection:
        return connection.execute(f"SELECT * FROM ({features_sql(week)}) ORDER BY household_id").to_arrow_table()


@cache
def base(seed: int) -> pa.Table:
    return computed(random_facts(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_column_equals_a_loop_over_rows(seed: int) -> None:
    got, plain = by_household(base(seed)), Plain(random_facts(seed), WEEK).features()
    assert got.keys() == plain.keys()
    wrong = [
        (name, column, got[name][column], plain[name][column])
        for name in plain
        for column in FEATURES.names
        if not same(got[name][column], plain[name][column], CLOSE)
    ]
    assert not wrong, wrong[:10]


def test_the_random_facts_reach_every_column_with_and_without_a_value() -> None:
    rows = [row for seed in SEEDS for row in base(seed).to_pylist()]
    for column in FEATURES.columns:
        values = {row[column.name] for row in rows}
        assert len(values) > 1 or column.name == "week_no", column.name
        assert column.required == (None not in values) or column.name == "property_type", column.name


@pytest.mark.parametrize("seed", range(2))
def test_facts_after_the_week_change_nothing(seed: int) -> None:
    without, with_later = random_facts(seed), random_facts(seed, after=6)
    assert all(
        len(with_later.tables[name]) > len(without.tables[name])
        for name in ("lifts", "tags", "calendar", "message_history")
    )
    later = (WEEK + 1).monday
    with_later.add(
        "households",
        "known_on",
        **(with_later.tables["households"][0] | {"known_on": later, "ward": "elsewhere", "week_no": None}),
    )
    with_later.add("households", "known_on", household_id="H999", known_on=later, property_type="house")
    with_later.add("contacts", "known_on", household_id="H001", medium="sms", known_on=later, address="x")
    assert computed(with_later).equals(base(seed))


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_rows_changes_no_bit(seed: int) -> None:
    shuffled = random_facts(seed).shuffled(np.random.default_rng(seed))
    assert computed(shuffled).equals(base(seed))


@pytest.mark.parametrize("seed", range(2))
def test_stages_one_by_one_give_what_the_single_text_gives(seed: int) -> None:
    with random_facts(seed).connect() as connection:
        sql = staged(connection, WEEK)
        assert connection.execute(f"{sql} ORDER BY household_id").to_arrow_table().equals(base(seed))


def test_every_stage_but_those_of_the_last_select_is_dropped_once() -> None:
    stages = feature_stages(WEEK)
    spent = [name for stage in stages for name in stage.spent]
    assert len(spent) == len(set(spent))
    assert {stage.name for stage in stages} - set(spent) == {"people", "unit_facts", "tagged", "rounds"}


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[object]:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        yield connection
        connection.rollback()


def copied(connection: object, facts: Facts) -> None:
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        for name, columns in COLUMNS.items():
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
            cursor.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{c} {kind}' for c, kind in columns.items())})")
            text = io.StringIO()
            for row in facts.tables[name]:
                text.write("\t".join("\\N" if row[c] is None else str(row[c]) for c in columns) + "\n")
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                copy.write(text.getvalue())


@pytest.mark.parametrize("seed", range(2))
def test_postgres_gives_the_same_bits(postgres: object, seed: int) -> None:
    facts = random_facts(seed)
    copied(postgres, facts)
    with postgres.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(features_sql(WEEK, Dialect.POSTGRES))
        names = [column.name for column in cursor.description]
        rows = {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}
    assert rows == by_household(base(seed))


def test_the_text_for_spark_differs_in_the_type_name_only() -> None:
    assert features_sql(WEEK, Dialect.SPARK) == features_sql(WEEK, Dialect.POSTGRES).replace(
        "DOUBLE PRECISION", "DOUBLE"
    )


def test_columns_and_types_are_those_declared() -> None:
    table = base(1)
    assert tuple(table.column_names) == FEATURES.names
    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "flag": pa.int64(),
        "number": pa.float64(),
        "date": pa.date32(),
    }
    assert [field.type for field in table.schema] == [kinds[column.type] for column in FEATURES.columns]
    for column in FEATURES.columns:
        assert not (column.required and table[column.name].null_count), column.name


def one_home(**changes: object) -> Facts:
    facts = Facts()
    home = {"household_id": "A", "known_on": WEEK.monday - timedelta(weeks=40), "property_type": "house"}
    rounds = {f"{stream}_round_id": "r" for stream in Stream}
    facts.add("households", "known_on", **(home | rounds | changes))
    for back in range(40):
        facts.add("calendar", "planned_on", round_id="r", stream="residual", planned_on=(WEEK - back).monday)
        facts.add("lifts", "collected_on", unit_id="other", stream="residual", collected_on=(WEEK - back).monday,
                  bin_chip_id="", status="lifted", weight_g=1000, is_excess=0)  # fmt: skip
    return facts


def lift(facts: Facts, back: int, status: str = "lifted", grams: int | None = None, chip: str = "") -> None:
    facts.add("lifts", "collected_on", unit_id="A", stream="residual", collected_on=(WEEK - back).monday,
              bin_chip_id=chip, status=status, weight_g=grams, is_excess=0)  # fmt: skip


def test_a_reader_that_failed_is_missing_and_a_bin_not_out_is_zero() -> None:
    facts = one_home()
    lift(facts, 0, grams=6_000)
    lift(facts, 1, "not_read")
    lift(facts, 2, "not_presented")
    row = computed(facts).to_pylist()[0]  # back 3 has no row at all: 6 kg over three weeks, one of them out
    assert row["residual_kg_mean_4w"] == pytest.approx(2.0, rel=1e-15)
    assert row["residual_set_out_rate_4w"] == pytest.approx(1 / 3, rel=1e-15)
    assert row["residual_kg_last"] == 6.0


def test_a_straight_line_has_its_own_slope_and_the_sd_of_its_points() -> None:
    facts = one_home()
    for back in range(26):
        lift(facts, back, grams=10_000 - 100 * back)
    row = computed(facts).to_pylist()[0]
    assert row["residual_kg_trend_26w"] == pytest.approx(0.1, rel=1e-12)
    assert row["residual_kg_trend_8w"] == pytest.approx(0.1, rel=1e-12)
    assert row["residual_kg_sd_26w"] == pytest.approx(0.1 * np.sqrt(26 * 27 / 12), rel=1e-12)  # of 0..25, n - 1


def test_nothing_is_known_where_no_lorry_weighs_and_where_nothing_was_loaded() -> None:
    facts = one_home()
    for row in facts.tables["lifts"]:
        row["weight_g"] = None
    lift(facts, 0)
    row = computed(facts).to_pylist()[0]
    assert row["residual_kg_mean_26w"] is None
    assert row["residual_kg_last"] is None
    assert row["residual_set_out_rate_26w"] == pytest.approx(1 / 26)
    facts.tables["lifts"].clear()
    row = computed(facts).to_pylist()[0]
    assert row["residual_set_out_rate_26w"] is None
    assert row["participates_residual"] is None


@pytest.mark.parametrize("kept", [range(6), range(2, 40)], ids=["begins late", "ends early"])
def test_bins_outside_the_calendar_leave_a_window_unknown_not_wrong(kept: range) -> None:
    facts = one_home()
    days = [(WEEK - back).monday for back in kept]
    facts.tables["calendar"] = [row for row in facts.tables["calendar"] if row["planned_on"] in days]
    for back in range(0, 40, 2):
        lift(facts, back, grams=8_000)
    row = computed(facts).to_pylist()[0]
    assert row["residual_kg_mean_26w"] is row["residual_set_out_rate_26w"] is row["residual_kg_sd_26w"] is None
    is_known = 0 in kept
    assert row["residual_kg_mean_4w"] == (4.0 if is_known else None)
    assert row["residual_set_out_rate_4w"] == (0.5 if is_known else None)


def test_two_bins_of_one_day_are_one_set_out_of_both_weights() -> None:
    facts = one_home()
    for back in range(26):
        lift(facts, back, grams=3_000, chip="a")
        lift(facts, back, grams=5_000, chip="b")
    row = computed(facts).to_pylist()[0]
    assert row["residual_set_out_rate_26w"] == 1.0
    assert (row["residual_kg_last"], row["residual_kg_mean_26w"], row["residual_kg_sd_26w"]) == (8.0, 8.0, 0.0)


@pytest.mark.parametrize(
    "day", [date(1, 1, 1), date(1900, 3, 1), date(2000, 1, 2), date(2000, 1, 3), date(2024, 12, 31), date(2100, 3, 1)]
)
def test_dates_become_whole_numbers(day: date) -> None:
    import duckdb

    literal = f"DATE '{day.isoformat()}'"
    text = f"SELECT {day_number(literal, 'DOUBLE')}, {week_number(literal, 'DOUBLE')}"
    assert duckdb.sql(text).fetchall() == [(day.toordinal(), Week.containing(day).number)]


def test_the_model_frame_is_numeric_with_unknown_as_nan() -> None:
    import duckdb

    table = base(2)
    columns = model_columns()
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    with duckdb.connect() as connection:
        connection.register("features", table.append_column("row_no", pa.array(range(table.num_rows))))
        block = connection.execute(f"SELECT {chosen} FROM features AS f ORDER BY f.row_no").to_arrow_table()
    frame = model_frame(block, tuple(columns))
    assert list(frame.columns) == list(columns)
    assert set(map(str, frame.dtypes)) == {"float64"}
    known = np.array([row["residual_kg_mean_26w"] is not None for row in table.to_pylist()])
    assert (frame["residual_kg_mean_26w"].notna().to_numpy() == known).all()
    reasons = frame[[name for name in columns if name.startswith("last_tag_reason_")]]
    assert (
        reasons.sum(axis=1).to_numpy() == np.array([row["last_tag_reason"] is not None for row in table.to_pylist()])
    ).all()
    assert not {"household_id", "week_no", "unit_id", "ward", "messages_4w", "has_sms"} & set(columns)
