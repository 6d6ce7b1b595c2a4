"""Sources: each file kind into text with row numbers; bad lines set aside, none in silence."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudges.errors import DataError
from nudges.sources import RawTable, Source, delimited, excel, leeds, parquet, source_of, sources

REAL = os.environ.get("NUDGES_REAL_DATA")
FOLDER = Path(delimited.__file__).parent
NOT_READERS = {"synthetic"}  # makes a borough, reads no drops


def one(path: Path) -> RawTable:
    (raw,) = source_of(path).read(path)
    return raw


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- the contract of the folder ---------------------------------------------------------


def samples(folder: Path) -> dict[str, Path]:
    """One readable path for each source; a new source adds its own sample here or is refused below."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["unit_id", "stream"])
    book.active.append(["U1", "residual"])
    book.save(folder / "lifts.xlsx")
    pq.write_table(pa.table({"unit_id": ["U1"]}), folder / "lifts.parquet")
    return {
        "delimited": write(folder / "lifts.csv", "unit_id,stream\nU1,residual\n"),
        "excel": folder / "lifts.xlsx",
        "parquet": folder / "lifts.parquet",
        "leeds": open_data(folder / "open"),
    }


def test_every_module_of_the_folder_keeps_the_contract(tmp_path: Path) -> None:
    modules = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")} - NOT_READERS
    found = {source.name: source for source in sources()}
    examples = samples(tmp_path)
    for name in sorted(modules):
        where = f"nudges/sources/{name}.py"
        assert name in found, f"{where}: must have matches(path) and read(path)"
        assert name in examples, f"{where}: give it a sample in tests/test_sources.py"
    for name, source in found.items():
        if name in examples:
            keeps_contract(source, examples[name], [path for other, path in examples.items() if other != name])


def keeps_contract(source: Source, path: Path, others: list[Path]) -> None:
    where = f"nudges/sources/{source.name}.py"
    assert source.matches(path), f"{where}: must match its own sample"
    assert not any(source.matches(other) for other in others), f"{where}: matches another source's sample"
    assert source_of(path) == source
    assert all(part.is_file() for part in source.parts(path)), f"{where}: parts must be files"
    tables = list(source.read(path))
    assert tables, f"{where}: read nothing"
    assert source.holds_several or len(tables) == 1, f"{where}: say HOLDS_SEVERAL = True"
    for raw in tables:
        assert all(field.type == pa.string() for field in raw.rows.schema), f"{where}: all columns must be text"
        assert len(raw.numbers) == raw.rows.num_rows, f"{where}: one number a row"
        numbers = raw.numbers.to_pylist()
        assert numbers == sorted(set(numbers)), f"{where}: row numbers must rise"
        assert not numbers or numbers[0] >= 2, f"{where}: the header is row 1"


@pytest.mark.parametrize("name", ["notes.pdf", "lifts.xls", "lifts"])
def test_an_unknown_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: read by none of"):
        source_of(write(tmp_path / name, "x"))


# --- delimited ---------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_delimiters_encodings_and_line_ends(tmp_path: Path, delimiter: str, encoding: str, ending: str) -> None:
    lines = [["unit_id", "note"], ["U1", "café £3"], ["U2", ""]]
    data = ending.join(delimiter.join(line) for line in lines).encode(encoding)
    raw = one(write(tmp_path / "lifts.csv", data))
    assert raw.rows.to_pydict() == {"unit_id": ["U1", "U2"], "note": ["café £3", None]}
    assert raw.numbers.to_pylist() == [2, 3]


def test_gzip(tmp_path: Path) -> None:
    raw = one(write(tmp_path / "lifts.csv.gz", gzip.compress(b"unit_id\nU1\n")))
    assert raw.rows.to_pydict() == {"unit_id": ["U1"]}


def test_lines_that_cannot_be_split_are_set_aside_with_their_row(tmp_path: Path) -> None:
    raw = one(write(tmp_path / "a.csv", "x,y\n1,2\n3\n\n4,5,6\n7,8\n,\n9,10\n"))
    assert raw.rows.to_pydict() == {"x": ["1", None, "7", None, "9"], "y": ["2", None, "8", None, "10"]}
    assert raw.numbers.to_pylist() == [2, 4, 6, 7, 8]
    assert [(line.row, line.text, line.reason) for line in raw.rejected] == [
        (3, "3", "1 columns, must be 2"),
        (5, "4,5,6", "3 columns, must be 2"),
    ]


def test_quoted_values_may_hold_delimiters_and_line_breaks(tmp_path: Path) -> None:
    raw = one(write(tmp_path / "a.csv", 'x,y\n"1, High St","two\nlines"\n3,"say ""hi"""\n'))
    assert raw.rows.to_pydict() == {"x": ["1, High St", "3"], "y": ["two\nlines", 'say "hi"']}
    assert not raw.rejected


@pytest.mark.parametrize("rows", ['U1,"Flat 3\nU2,ok\nU3,"fine"\n', 'U1,"Flat 3\nU2,ok\nU4,"Flat 4\nU3,"fine"\n'])
def test_a_stray_quote_swallows_no_other_row(tmp_path: Path, rows: str) -> None:
    raw = one(write(tmp_path / "a.csv", "x,y\n" + rows))
    assert {"U2", "U3"} <= set(raw.rows.column("x").to_pylist())
    assert raw.rows.num_rows + len(raw.rejected) == rows.count("\n")
    assert {line.reason for line in raw.rejected} == {"a quote that is not closed"}


def test_bytes_that_are_no_text_set_their_row_aside(tmp_path: Path) -> None:
    raw = one(write(tmp_path / "a.csv", b"x,y\n1,caf\xe9\n2,\x81\n3,ok\n"))
    assert raw.rows.to_pydict() == {"x": ["1", "3"], "y": ["café", "ok"]}
    assert [(line.row, line.reason) for line in raw.rejected] == [(3, "bytes that are not text")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "row 1 is empty"),
        (b"\n1,2\n", "row 1 is empty"),
        (b"x,x\n1,2\n", "column name 'x', must be there once"),
        (b"x,,y\n1,2,3\n", "column name '', must be there once"),
        (b"\xff\xfex\x00", "UTF-16"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"a.csv: .*{message}"):
        one(write(tmp_path / "a.csv", content))


def test_a_broken_gzip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a whole gzip file"):
        one(write(tmp_path / "a.csv.gz", gzip.compress(b"x\n" + os.urandom(5000))[:-900]))


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    raw = one(write(tmp_path / "a.csv", "x,y\n"))
    assert raw.rows.num_rows == 0
    assert raw.rows.column_names == ["x", "y"]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd"), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8), delimiter=st.sampled_from([",", ";", "\t"]))
def test_what_csv_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str) -> None:
    """Oracle: Python's own csv writer, every value quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b", "c"), *rows])
    raw = one(write(tmp_path / "a.csv", buffer.getvalue()))
    assert not raw.rejected
    assert [tuple(value or "" for value in row.values()) for row in raw.rows.to_pylist()] == rows


# --- Excel and Parquet --------------------------------------------------------------------


def test_excel_cells_become_the_text_a_person_would_write(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["unit_id", "on", "at", "weight", "is_excess", None])
    sheet.append([12.0, datetime(2026, 7, 20), datetime(2026, 7, 20, 9, 30), 10.5, True])
    sheet.append([None, None])
    sheet.append(["U2", date(2026, 7, 21), None, None, False])
    sheet.append(["U3", None, None, None, None, "stray"])
    book.save(tmp_path / "lifts.xlsx")
    raw = one(tmp_path / "lifts.xlsx")
    assert raw.table == ""
    assert raw.rows.to_pylist() == [
        {"unit_id": "12", "on": "2026-07-20", "at": "2026-07-20 09:30:00", "weight": "10.5", "is_excess": "1"},
        {"unit_id": "U2", "on": "2026-07-21", "at": None, "weight": None, "is_excess": "0"},
    ]
    assert raw.numbers.to_pylist() == [2, 4]
    assert [(line.row, line.reason) for line in raw.rejected] == [
        (5, "a value beyond the last named column, is_excess")
    ]


def test_sheets_named_like_tables_are_read_each(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "Read me"
    for name in ("Lifts", "tags"):
        sheet = book.create_sheet(name)
        sheet.append(["unit_id"])
        sheet.append([name])
    book.save(tmp_path / "week.xlsx")
    tables = list(excel.read(tmp_path / "week.xlsx"))
    assert [(raw.table, raw.rows.column("unit_id").to_pylist()) for raw in tables] == [
        ("lifts", ["Lifts"]),
        ("tags", ["tags"]),
    ]


def test_a_workbook_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx: not an Excel workbook"):
        one(write(tmp_path / "a.xlsx", "x,y\n"))


def test_parquet_columns_become_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "day": [date(2026, 7, 20)],
            "at": pa.array([datetime(2026, 7, 20, 9)], pa.timestamp("us", tz="UTC")),
            "share": [float("nan")],
            "count": [7],
            "flag": [True],
            "word": pa.array(["a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (row,) = one(tmp_path / "a.parquet").rows.to_pylist()
    assert row == {
        "day": "2026-07-20",
        "at": "2026-07-20 09:00:00.000000Z",
        "share": None,
        "count": "7",
        "flag": "1",
        "word": "a",
    }


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really"])
def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: not a whole Parquet file"):
        list(parquet.read(write(tmp_path / "a.parquet", content)))


def test_a_nested_parquet_column_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"many": [{"a": [1]}]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column many"):
        one(tmp_path / "a.parquet")


# --- open council data: every expected value below is read off the rows written ------------

PREMISES = [
    *[(str(100 + n), f"FLAT {n}, 50", "Made Street", "Madeton", "MA1") for n in range(1, 8)],  # a block of seven
    *[(str(200 + n), f"{n} DREAM LOFTS", "Made Street", "Madeton", "MA1") for n in range(1, 7)],  # six, no flat word
    *[(str(300 + n), f"{n} ROSE COTTAGES", "Made Street", "Madeton", "MA1") for n in range(1, 8)],  # a row of houses
    *[(str(400 + n), f"FLAT {n}, 9", "Made Street", "Madeton", "MA1") for n in range(1, 4)],  # a converted house
    ("500", "12", "Other Road", "Madeton", ""),
    ("501", "14", "Other Road", "Madeton", ""),
    ("502", "GARAGE SITE", "Other Road", "Madeton", ""),  # nothing collected
]
BLACK = ["2025-07-04", "2025-07-18", "2025-08-01", "2025-08-15", "2025-08-29"]


def jobs() -> list[tuple[str, str, str]]:
    found = [(row[0], "BLACK", day) for row in PREMISES[:-3] for day in BLACK]
    found += [("500", "BLACK", day) for day in BLACK[:3]]
    found += [("500", "GREEN", f"2025-07-{day:02d}") for day in (7, 14, 21, 28, 29, 30)]  # nine: cut off
    found += [("501", "BLACK", day) for day in BLACK[:3]]  # three: whole
    found += [("501", "BLACK", BLACK[0])]  # and once more
    found += [("501", "BROWN", "2025-07-09")]
    return found


def zipped(path: Path, header: str, rows: Sequence[tuple[str, ...]]) -> None:
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows([header.split(","), *rows])
    path.write_bytes(gzip.compress(body.getvalue().encode()))


def open_data(folder: Path, extra_jobs: list[tuple[str, str, str]] | None = None) -> Path:
    folder.mkdir()
    places = [(*row, "53.8", "-1.5") for row in PREMISES]
    header = "premises_id,house,street,locality,postcode_district,street_lat,street_lon"
    zipped(folder / "made_premises.csv.gz", header, places)
    zipped(folder / "made_jobs.csv.gz", "premises_id,bin_type,collection_date", jobs() + (extra_jobs or []))
    write(
        folder / "made_streets_imd.csv",
        "street,locality,postcode_district,n_premises,IMD_decile\n"
        "MADE STREET,Madeton,MA1,3,9.0\nMADE STREET,Madeton,MA1,30,2.0\nOTHER ROAD,Madeton,,2,7.0\n",
    )
    return folder


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return open_data(tmp_path / "open")


def test_open_data_flats_and_bin_stores(town: Path) -> None:
    households, _ = leeds.read_frame(town)
    rows = {row["household_id"]: row for row in households.to_pylist()}
    assert list(rows) == [row[0] for row in PREMISES]
    stores = [
        {rows[str(base + n)]["bin_store_id"] for n in range(1, 1 + count)} for base, count in ((100, 7), (200, 6))
    ]
    assert all(len(ids) == 1 and None not in ids for ids in stores)
    assert stores[0] != stores[1]
    kinds = {base: {rows[str(base + n)]["property_type"] for n in range(1, 4)} for base in (100, 200, 300, 400)}
    assert kinds == {100: {"flat"}, 200: {"flat"}, 300: {"house"}, 400: {"flat"}}
    assert all(rows[str(base + n)]["bin_store_id"] is None for base in (300, 400) for n in range(1, 4))
    assert rows["101"]["deprivation_decile"] == 2  # the decile most premises of the street have
    assert rows["500"]["deprivation_decile"] == 7
    assert rows["502"]["residual_round_id"] is None


def test_open_data_rounds_and_calendar(town: Path) -> None:
    households, calendar = leeds.read_frame(town)
    rows = {row["household_id"]: row for row in households.to_pylist()}
    days: dict[str, list[str]] = {}
    for row in calendar.to_pylist():
        days.setdefault(row["round_id"], []).append(row["planned_on"].isoformat())
    assert days[rows["101"]["residual_round_id"]] == BLACK
    assert rows["500"]["residual_round_id"] == rows["101"]["residual_round_id"]  # cut off after nine jobs
    assert days[rows["501"]["residual_round_id"]] == BLACK[:3]  # not cut off: really ends
    assert days[rows["501"]["garden_round_id"]] == ["2025-07-09"]
    assert rows["501"]["recycling_round_id"] is None
    assert rows["500"]["recycling_round_id"].startswith("recycling-")


def test_open_data_is_read_as_one_from_the_folder_or_any_file(town: Path) -> None:
    for path in (town, *sorted(town.iterdir())):
        source = source_of(path)
        assert source.name == "leeds"
        assert [part.name for part in source.parts(path)] == [
            "made_premises.csv.gz",
            "made_jobs.csv.gz",
            "made_streets_imd.csv",
        ]
        assert [raw.table for raw in source.read(path)] == ["households", "calendar"]


def test_open_data_jobs_that_fit_nothing_are_rejected_lines(tmp_path: Path) -> None:
    town = open_data(
        tmp_path / "open", [("999", "BLACK", "2025-07-04"), ("101", "PINK", "2025-07-04"), ("101", "BLACK", "soon")]
    )
    _, calendar = leeds.read(town)
    first = len(jobs()) + 2
    assert [(line.row, line.text, line.reason) for line in calendar.rejected] == [
        (first, "999,BLACK,2025-07-04", "premises_id: no such premises"),
        (first + 1, "101,PINK,2025-07-04", "bin_type: not one of BLACK, GREEN, BROWN"),
        (first + 2, "101,BLACK,soon", "collection_date: not a date"),
    ]


def test_open_data_without_deprivation(town: Path) -> None:
    (town / "made_streets_imd.csv").unlink()
    households, _ = leeds.read_frame(town)
    assert households.column("deprivation_decile").null_count == len(PREMISES)


def test_open_data_lacking_a_column_names_the_file(town: Path) -> None:
    zipped(town / "made_jobs.csv.gz", "premises_id,collection_date", [("101", "2025-07-04")])
    with pytest.raises(DataError, match=r"made_jobs\.csv\.gz: no column bin_type"):
        list(leeds.read(town))


def test_open_data_ids_do_not_depend_on_the_order_of_rows(town: Path) -> None:
    first, calendar = leeds.read_frame(town)
    zipped(town / "made_jobs.csv.gz", "premises_id,bin_type,collection_date", jobs()[::-1])
    again, same = leeds.read_frame(town)
    assert again.equals(first)
    assert same.equals(calendar)


@pytest.mark.skipif(not REAL, reason="NUDGES_REAL_DATA is not set: no real premises here")
def test_real_premises() -> None:
    """Counts of PROVENANCE.md: 405,565 premises, 383,915 of them with jobs, no orphans."""
    households, calendar = leeds.read(Path(str(REAL)) / "leeds")
    assert households.rows.num_rows == 405_565
    assert not households.rejected
    assert not calendar.rejected
    rounds = {name: households.rows.column(f"{name}_round_id") for name in ("residual", "recycling", "garden")}
    have = {name: len(column) - column.null_count for name, column in rounds.items()}
    assert have == {"residual": 382_780, "recycling": 368_895, "garden": 222_427}  # premises by bin in the jobs file
    known = set(calendar.rows.column("round_id").to_pylist())
    assert all(set(column.unique().drop_null().to_pylist()) <= known for column in rounds.values())
    stores = households.rows.filter(pa.compute.is_valid(households.rows.column("bin_store_id")))
    assert min(count["counts"] for count in stores.column("bin_store_id").value_counts().to_pylist()) >= leeds.SHARED_BY
