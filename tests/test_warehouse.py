"""Warehouse: whole files or none, no NaN, declared shapes, views that are there without files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nudges.errors import NotReadyError
from nudges.tables import FACTS, FEATURES, LEDGER, TABLES, Type
from nudges.warehouse import ARROW_TYPES, Warehouse, declared_names
from nudges.weeks import Week

WEEK = Week.parse("2026-W48")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def lifts(count: int = 3) -> pa.Table:
    return pa.table(
        {
            "stream": ["residual"] * count,  # not in declared order, some columns missing
            "unit_id": [f"U{n}" for n in range(count)],
            "collected_on": [date(2026, 11, 23)] * count,
            "weight_g": pa.array(range(count), pa.int32()),
        }
    )


def test_a_file_lies_in_its_week_with_the_declared_columns(warehouse: Warehouse) -> None:
    written = warehouse.write("lifts", WEEK, lifts(), "abc")
    assert written.path == "lifts/week=2026-W48/abc.parquet"
    assert (written.table, written.week, written.rows) == ("lifts", WEEK, 3)
    schema = pq.read_schema(warehouse.root / written.path)
    assert schema.names == [*TABLES.tables["lifts"].names, "week_no"]
    assert schema.field("weight_g").type == pa.int64()
    rows = warehouse.read([written.path])
    assert rows.column("week_no").to_pylist() == [WEEK.number] * 3
    assert rows.column("bin_chip_id").to_pylist() == [None] * 3


def test_same_rows_under_the_same_name_are_the_same_bytes(warehouse: Warehouse) -> None:
    first = (warehouse.root / warehouse.write("lifts", WEEK, lifts(), "abc").path).read_bytes()
    again = (warehouse.root / warehouse.write("lifts", WEEK, lifts(), "abc").path).read_bytes()
    assert first == again
    assert len(list((warehouse.root / "lifts" / "week=2026-W48").iterdir())) == 1


def test_nan_becomes_null(warehouse: Warehouse) -> None:
    """DuckDB misses NaN in filters over Parquet (duckdb/duckdb#25521), so none may ever be written."""
    rows = pa.table(
        {
            "household_id": ["a", "b", "c"],
            "x": [1.0, float("nan"), None],
            "y": pa.array([float("nan")] * 3, pa.float32()),
        }
    )
    written = warehouse.write("scratch", WEEK, rows, "nan")
    stored = warehouse.read([written.path])
    assert stored.column("x").to_pylist() == [1.0, None, None]
    assert stored.column("y").null_count == 3
    with warehouse.connect({"scratch": [written.path]}) as connection:
        assert connection.execute("SELECT count(*) FROM scratch WHERE x IS NULL").fetchone() == (2,)


def test_nan_becomes_null_in_declared_numbers(warehouse: Warehouse) -> None:
    numbers = [
        (name, column.name)
        for name in declared_names()
        for column in TABLES.tables[name].columns
        if column.type is Type.NUMBER
    ]
    for table, column in numbers[:5]:
        written = warehouse.write(table, WEEK, pa.table({column: [float("nan"), 2.0]}), "nan")
        assert warehouse.read([written.path]).column(column).to_pylist() == [None, 2.0], table


def test_moments_are_stored_in_utc(warehouse: Warehouse) -> None:
    zoned = pa.array([datetime(2026, 7, 1, 12)], pa.timestamp("us", tz="UTC"))
    written = warehouse.write("loads", WEEK, pa.table({"weighed_at": zoned}), "a")
    assert warehouse.read([written.path]).column("weighed_at").to_pylist() == [datetime(2026, 7, 1, 12)]


def test_every_declared_table_has_a_view_without_files(warehouse: Warehouse) -> None:
    with warehouse.connect({}) as connection:
        for name in declared_names():
            table = TABLES.tables[name]
            empty = connection.execute(f'SELECT * FROM "{name}"').to_arrow_table()
            assert empty.num_rows == 0
            assert set(empty.column_names) == {*table.names, "week_no"}
            for column in table.columns:
                if column.name != "week_no":
                    assert empty.schema.field(column.name).type == ARROW_TYPES[column.type], f"{name}.{column.name}"
    assert {table.name for table in FACTS} <= set(declared_names())
    assert not {table.name for table in LEDGER} & set(declared_names())


def test_views_read_only_the_files_they_are_given(warehouse: Warehouse) -> None:
    first = warehouse.write("lifts", WEEK, lifts(3), "one")
    warehouse.write("lifts", WEEK, lifts(5), "not-live")
    other = warehouse.write("lifts", WEEK + 1, lifts(2), "two")
    with warehouse.connect({"lifts": [first.path, other.path]}) as connection:
        counts = connection.execute("SELECT week_no, count(*) FROM lifts GROUP BY ALL ORDER BY 1").fetchall()
    assert counts == [(WEEK.number, 3), (WEEK.number + 1, 2)]


def test_a_column_declared_later_reads_as_null(warehouse: Warehouse) -> None:
    folder = warehouse.root / "tags" / "week=2026-W48"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"unit_id": ["U1"], "week_no": [WEEK.number]}), folder / "old.parquet")
    with warehouse.connect({"tags": ["tags/week=2026-W48/old.parquet"]}) as connection:
        assert connection.execute("SELECT unit_id, reason FROM tags").fetchall() == [("U1", None)]


def test_a_live_file_that_is_gone_is_said_plainly(warehouse: Warehouse) -> None:
    with pytest.raises(NotReadyError, match=r"gone\.parquet: in the ledger but not on disk"):
        warehouse.connect({"lifts": ["lifts/week=2026-W48/gone.parquet"]})


def test_remove_takes_files_away_and_minds_none_missing(warehouse: Warehouse) -> None:
    written = warehouse.write("lifts", WEEK, lifts(), "abc")
    warehouse.remove([written.path, "lifts/week=2026-W48/never.parquet"])
    assert not (warehouse.root / written.path).exists()


def test_a_failed_write_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(pa.ArrowInvalid):
        warehouse.write("lifts", WEEK, pa.table({"weight_g": ["heavy"]}), "bad")
    assert not list(warehouse.root.rglob("*.parquet*"))


WRITER = """
import sys, pyarrow as pa
from pathlib import Path
from nudges.warehouse import Warehouse
from nudges.weeks import Week
rows = pa.table({"unit_id": [f"U{n}" for n in range(200_000)]})
warehouse = Warehouse(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(1000):
    warehouse.write("lifts", Week.parse("2026-W48"), rows, f"file-{n % 3}")
"""


def test_a_killed_writer_leaves_only_whole_files(tmp_path: Path) -> None:
    root = tmp_path / "warehouse"
    for delay in (0.05, 0.11, 0.23):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    whole = list(root.rglob("[!.]*.parquet"))
    assert all(pq.read_metadata(file).num_rows == 200_000 for file in whole)
    written = Warehouse(root).write("lifts", WEEK, lifts(), "after")
    assert duckdb.sql(f"SELECT count(*) FROM '{root / written.path}'").fetchone() == (3,)


def test_spill_folders_of_dead_processes_are_swept(warehouse: Warehouse) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    spills = warehouse.root / ".spill"
    for name in (f"{dead.pid}-aa", f"{os.getpid()}-bb"):
        (spills / name).mkdir(parents=True)
        (spills / name / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    warehouse.connect({}).close()
    assert [folder.name for folder in spills.iterdir()] == [f"{os.getpid()}-bb"]


def test_a_query_is_written_as_its_rows_would_be(warehouse: Warehouse) -> None:
    rows = pa.table({"segment": ["b", "a", "a"], "household_id": ["1", "2", "1"]})
    with warehouse.connect({}) as connection:
        connection.register("found", rows)
        sql = f"SELECT *, {WEEK.number} AS week_no FROM found"
        written = warehouse.write_query("membership", WEEK, connection, sql, "q", order=["segment", "household_id"])
    assert (written.rows, warehouse.read([written.path])) == (
        3,
        warehouse.read([warehouse.write("membership", WEEK, rows.take([2, 1, 0]), "t").path]),
    )


def test_a_query_writes_no_nan_and_leaves_nothing_when_it_fails(warehouse: Warehouse) -> None:
    nan = {"residual_kg_last": "CAST('nan' AS DOUBLE)", "week_no": str(WEEK.number)}
    chosen = ", ".join(f"{nan.get(name, 'NULL')} AS {name}" for name in FEATURES.names)
    with warehouse.connect({}) as connection:
        written = warehouse.write_query("features", WEEK, connection, f"SELECT {chosen}", "q", order=["household_id"])
        assert warehouse.read([written.path])["residual_kg_last"].to_pylist() == [None]
        with pytest.raises(duckdb.Error):
            warehouse.write_query("features", WEEK, connection, "SELECT 1 AS x", "bad", order=["household_id"])
    assert [path.name for path in (warehouse.root / written.path).parent.iterdir()] == ["q.parquet"]
