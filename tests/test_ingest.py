"""Ingest: every row lands or is set aside with its reason, once, and a crash changes nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudges.domain import ColumnRule, IngestRule
from nudges.ledger import Ledger
from nudges.settings import load_council
from nudges.steps.ingest import DropResult, ingest, load_drops, summary_of
from nudges.steps.ingest.contacts import clean_address, masked, masked_if_contact
from nudges.steps.workspace import Workspace
from nudges.tables import FACTS
from nudges.warehouse import Warehouse
from nudges.weeks import Week

REPO = Path(__file__).parent.parent
REAL = os.environ.get("NUDGES_REAL_DATA")
WEEK = Week.parse("2026-W30")  # Monday 2026-07-20
NOW = datetime(2026, 7, 27, 6, tzinfo=UTC)
LIFTS = ("unit_id", "stream", "collected_on", "bin_chip_id", "status", "weight_g", "is_excess")


class Town:
    """A workspace with nothing in it but settings."""

    def __init__(self, home: Path, rules: Sequence[IngestRule] = ()) -> None:
        self.home = home
        (home / "var" / "inbox").mkdir(parents=True, exist_ok=True)
        self.ws = Workspace(
            home=home,
            council=replace(load_council(REPO), ingest=tuple(rules)),
            campaigns={},
            segments={},
            templates={},
            warehouse=Warehouse(home / "var" / "warehouse"),
            ledger=Ledger.open(f"sqlite:///{home / 'var' / 'ledger.db'}"),
            environment={},
        )

    def drop(self, name: str, content: str | bytes) -> Path:
        path = self.home / "var" / "inbox" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, *paths: Path, **options: Any) -> tuple[DropResult, ...]:
        return load_drops(self.ws, options.pop("week", WEEK), now=NOW, paths=list(paths) or None, **options)

    def one(self, name: str, content: str | bytes, **options: Any) -> DropResult:
        (result,) = self.load(self.drop(name, content), **options)
        return result

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.ws.warehouse.connect(self.ws.ledger.live_files()) as connection:
            return connection.execute(sql).fetchall()

    def reasons(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT row_no, column_name, reason FROM quarantine ORDER BY row_no, column_name, reason")


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def lifts_csv(rows: Sequence[Sequence[object]], header: Sequence[str] = LIFTS) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def lift(unit: str = "U1", weight: object = 1000, **other: object) -> list[object]:
    row = dict(zip(LIFTS, (unit, "residual", "2026-07-20", "", "lifted", weight, 0), strict=True)) | other
    return [row[name] for name in LIFTS]


# --- what lands -------------------------------------------------------------------------


def test_good_rows_land_typed_in_their_week(town: Town) -> None:
    result = town.one("lifts_2026-W30.csv", lifts_csv([lift("U1", 12000), lift("U2", "", collected_on="27/07/2026")]))
    assert (result.table, result.rows, result.accepted, result.quarantined) == ("lifts", 2, 2, 0)
    assert town.rows("SELECT unit_id, collected_on, weight_g, is_excess, week_no FROM lifts ORDER BY 1") == [
        ("U1", date(2026, 7, 20), 12000, 0, WEEK.number),
        ("U2", date(2026, 7, 27), None, 0, WEEK.number + 1),
    ]
    assert sorted(town.ws.ledger.live_files()["lifts"]) == [
        f"lifts/week={week}/{result.drop_id[:16]}.parquet" for week in ("2026-W30", "2026-W31")
    ]


def test_defaults_fill_columns_that_are_not_there(town: Town) -> None:
    town.one("lifts.csv", "unit_id,stream,collected_on\nU1,Recycling,2026-07-20\n")
    assert town.rows("SELECT stream, bin_chip_id, status, is_excess FROM lifts") == [("recycling", "", "lifted", 0)]


def test_column_order_and_spelling_do_not_matter(town: Town) -> None:
    header = ["Weight G", "is-excess", "UNIT_ID", "status", "bin_chip_id", " Collected On ", "stream"]
    result = town.one("lifts.csv", lifts_csv([["5", "no", "U1", "LIFTED", "c", "2026-07-20", "food"]], header))
    assert (result.accepted, result.ignored) == (1, ())
    assert town.rows("SELECT unit_id, weight_g, bin_chip_id FROM lifts") == [("U1", 5, "c")]


def test_columns_that_nothing_reads_are_said(town: Town) -> None:
    result = town.one("lifts.csv", "unit_id,stream,collected_on,crew\nU1,food,2026-07-20,7\n")
    assert result.ignored == ("crew",)


def test_a_moment_without_a_zone_is_council_time(town: Town) -> None:
    """London is an hour ahead of UTC in July and level with it in January."""
    body = "weighed_at,material,weight_g\n" + "".join(
        f"{at},Refuse,{1000 + n}\n"
        for n, at in enumerate(
            [
                "2026-07-20 12:00",
                "20/07/2026 12:00:30",
                "2026-07-20T12:00:00Z",
                "2026-07-20 12:00:00.000000 UTC",
                "2026-07-20 12:00:00+01:00",
                "2026-01-20 12:00",
                "2026-07-20",
            ]
        )
    )
    town.one("loads.csv", body)
    assert [at.isoformat(" ") for (at,) in town.rows("SELECT weighed_at FROM loads ORDER BY weight_g")] == [
        "2026-07-20 11:00:00",
        "2026-07-20 11:00:30",
        "2026-07-20 12:00:00",
        "2026-07-20 12:00:00",
        "2026-07-20 11:00:00",
        "2026-01-20 12:00:00",
        "2026-07-19 23:00:00",
    ]


def test_known_on_is_the_last_day_of_the_week_unless_said(town: Town) -> None:
    town.one("households_a.csv", "household_id\nH1\n")
    town.one("households_b.csv", "household_id\nH2\n", as_of=date(2026, 7, 1))
    town.one("households_c.csv", "household_id,known_on\nH3,2026-06-01\nH4,\n")
    assert town.rows("SELECT household_id, known_on FROM households ORDER BY 1") == [
        ("H1", date(2026, 7, 26)),
        ("H2", date(2026, 7, 1)),
        ("H3", date(2026, 6, 1)),
        ("H4", date(2026, 7, 26)),
    ]


def test_a_week_under_way_is_known_today(town: Town) -> None:
    town.load(town.drop("households.csv", "household_id\nH1\n"), week=Week.parse("2026-W31"))
    assert town.rows("SELECT known_on FROM households") == [(date(2026, 7, 27),)]


def test_excel_sheets_go_to_their_tables(town: Town) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "tags"
    book.active.append(["unit_id", "tagged_on", "reason"])
    book.active.append(["U1", datetime(2026, 7, 21), "food"])
    sheet = book.create_sheet("lifts")
    sheet.append(["unit_id", "stream", "collected_on", "weight_g"])
    sheet.append(["U1", "residual", datetime(2026, 7, 21), 1500.0])
    path = town.home / "week.xlsx"
    book.save(path)
    assert {(result.table, result.accepted) for result in town.load(path)} == {("lifts", 1), ("tags", 1)}
    assert all(result.is_repeat for result in town.load(path))
    assert town.rows("SELECT weight_g FROM lifts") == [(1500,)]


# --- what does not ----------------------------------------------------------------------

BAD = [
    ({"unit_id": ""}, "unit_id", "missing"),
    ({"unit_id": "  "}, "unit_id", "missing"),
    ({"stream": "glass"}, "stream", "not one of residual, recycling, food, garden"),
    ({"collected_on": "2026-02-30"}, "collected_on", "not a date (2026-11-23 or 23/11/2026)"),
    ({"collected_on": "07/20/2026"}, "collected_on", "not a date (2026-11-23 or 23/11/2026)"),
    ({"collected_on": "20/07/26"}, "collected_on", "not a date (2026-11-23 or 23/11/2026)"),
    ({"collected_on": "infinity"}, "collected_on", "not a date (2026-11-23 or 23/11/2026)"),
    ({"collected_on": "2062-07-20"}, "collected_on", "too far ahead: after 2028-07-28"),
    ({"weight_g": "heavy"}, "weight_g", "not a whole number"),
    ({"weight_g": "12.5"}, "weight_g", "not a whole number"),
    ({"weight_g": "1,200"}, "weight_g", "not a whole number"),
    ({"weight_g": "nan"}, "weight_g", "not a whole number"),
    ({"weight_g": "inf"}, "weight_g", "not a whole number"),
    ({"weight_g": "1e300"}, "weight_g", "not a whole number"),
    ({"weight_g": "-1"}, "weight_g", "below 0 g"),
    ({"weight_g": "1500001"}, "weight_g", "above 1500000 g"),
    ({"is_excess": "maybe"}, "is_excess", "not 0 or 1, no or yes"),
]


@pytest.mark.parametrize(("change", "column", "reason"), BAD)
def test_a_bad_value_sets_its_row_aside_and_no_other(
    town: Town, change: Mapping[str, str], column: str, reason: str
) -> None:
    result = town.one("lifts.csv", lifts_csv([lift("U1"), lift("U2", **change), lift("U3")]))
    assert (result.rows, result.accepted, result.quarantined) == (3, 2, 1)
    assert town.reasons() == [(3, column, reason)]
    assert result.reasons == {f"{column}: {reason}": 1}
    assert town.rows("SELECT unit_id FROM lifts ORDER BY 1") == [("U1",), ("U3",)]


def test_quarantine_keeps_every_reason_and_the_row_as_it_came(town: Town) -> None:
    result = town.one("lifts.csv", lifts_csv([lift(" U1 ", "x", stream="glass")]))
    assert town.rows(
        "SELECT drop_id, table_name, file_name, row_no, column_name, value FROM quarantine ORDER BY 5"
    ) == [
        (result.drop_id, "lifts", "lifts.csv", 2, "stream", "glass"),
        (result.drop_id, "lifts", "lifts.csv", 2, "weight_g", "x"),
    ]
    ((raw,),) = set(town.rows("SELECT raw FROM quarantine"))
    assert json.loads(raw) == dict(zip(LIFTS, (" U1 ", "glass", "2026-07-20", None, "lifted", "x", "0"), strict=True))
    assert sum(result.reasons.values()) == result.quarantined == 1


def test_a_pattern_is_kept_to(town: Town) -> None:
    town.one("households.csv", "household_id,uprn\nH1,100012345678\nH2,1000123456789\nH3,12x\n")
    assert [(row, column) for row, column, _ in town.reasons()] == [(3, "uprn"), (4, "uprn")]


def test_repeats_in_a_file_keep_the_first_good_row(town: Town) -> None:
    rows = [lift("U1", "x"), lift("U1", 10), lift("U1", 11), lift("U2", 12), lift("U1", 10)]
    result = town.one("lifts.csv", lifts_csv(rows))
    assert town.rows("SELECT unit_id, weight_g FROM lifts ORDER BY 1") == [("U1", 10), ("U2", 12)]
    assert town.reasons() == [
        (2, "", "repeats row 3"),
        (2, "weight_g", "not a whole number"),
        (4, "", "repeats row 3"),
        (6, "", "repeats row 3"),
    ]
    assert result.reasons == {"repeats an earlier row": 2, "weight_g: not a whole number": 1}


def test_lines_that_cannot_be_split_are_counted_and_kept(town: Town) -> None:
    result = town.one("lifts.csv", "unit_id,stream,collected_on\nU1,food,2026-07-20\nU2,food\n\nU3,food,2026-07-20\n")
    assert (result.rows, result.accepted, result.quarantined) == (3, 2, 1)
    assert town.rows("SELECT row_no, reason, raw FROM quarantine") == [(3, "2 columns, must be 3", "U2,food")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("collections.csv", "a\n1\n", "which table is it"),
        ("liftsheet.csv", "a\n1\n", "which table is it"),
        ("lifts.csv", "unit_id,stream\nU1,food\n", "no column collected_on; it has unit_id, stream"),
        ("lifts.pdf", "x", "read by none of"),
        ("lifts.xlsx", "x", "not an Excel workbook"),
        ("lifts.csv", "", "row 1 is empty"),
    ],
)
def test_a_file_that_cannot_be_read_stops_no_other(town: Town, name: str, content: str, words: str) -> None:
    bad, good = town.drop(name, content), town.drop("tags.csv", "unit_id,tagged_on,reason\nU1,2026-07-20,food\n")
    first, second = town.load(bad, good)
    assert words in first.problem
    assert first.problem.startswith(name)
    assert (second.table, second.accepted) == ("tags", 1)
    summary = summary_of((first, second), WEEK)
    assert summary.counts["files_not_read"] == 1
    assert first.problem in summary.warnings


def test_a_path_that_is_not_there_is_a_problem(town: Town) -> None:
    (result,) = town.load(town.home / "nothing.csv")
    assert "no such file" in result.problem


def test_a_good_value_of_every_declared_column_lands(town: Town) -> None:
    """Built from the declarations, so a table or column added later is covered."""
    good = {
        "text": "x1",
        "integer": "7",
        "number": "7.5",
        "date": "2026-07-20",
        "moment": "2026-07-20 10:00",
        "flag": "1",
    }
    special = {"uprn": "1", "medium": "email", "address": "a@b.example"}
    for table in FACTS:
        values = [special.get(c.name) or (c.allowed[0] if c.allowed else good[c.type]) for c in table.columns]
        result = town.one(f"{table.name}.csv", lifts_csv([values], table.names))
        assert (result.accepted, result.quarantined, result.ignored) == (1, 0, ()), table.name
        (row,) = town.rows(f"SELECT * FROM {table.name}")
        assert None not in row, table.name
        assert table.week_from in table.keys, f"{table.name}: a re-issue is looked for in its own week only"


# --- the mapping in council.toml ---------------------------------------------------------

MAPPED = IngestRule(
    match="tickets_*.csv",
    table="loads",
    columns={
        "weighed_at": ColumnRule("Time"),
        "weight_g": ColumnRule("Net lb", times=453.59237),
        "material": ColumnRule("Type"),
        "stream": ColumnRule("Type", values={"General": "residual", "DMR": "recycling", "Sweepings": "-"}),
    },
)


def test_a_rule_renames_multiplies_and_translates(tmp_path: Path) -> None:
    town = Town(tmp_path, [MAPPED])
    body = "Time,Type,Net lb,Crew\n2026-07-20 09:00,general,100,7\n2026-07-20 09:00,DMR,10.5,7\n"
    result = town.one("Tickets_07.csv", body + "2026-07-20 09:00,Sweepings,1,7\n2026-07-20 09:00,Paper,1,7\n")
    assert result.ignored == ("Crew",)
    assert town.rows("SELECT material, stream, weight_g FROM loads ORDER BY weight_g") == [
        ("Sweepings", None, 454),
        ("DMR", "recycling", 4763),  # 10.5 x 453.59237 = 4762.7
        ("general", "residual", 45359),
    ]
    assert town.reasons() == [(5, "stream", "not one of residual, recycling, food, garden")]


def test_a_star_translates_every_other_word(tmp_path: Path) -> None:
    stream = ColumnRule("Type", values={"General": "residual", "*": "-"})
    town = Town(tmp_path, [replace(MAPPED, columns={**MAPPED.columns, "stream": stream})])
    result = town.one("tickets_1.csv", "Time,Type,Net lb\n2026-07-20 09:00,General,100\n2026-07-20 09:00,Paper,10\n")
    assert result.accepted == 2
    assert town.rows("SELECT stream FROM loads ORDER BY weight_g") == [(None,), ("residual",)]


def test_a_column_the_rule_names_must_be_there(tmp_path: Path) -> None:
    result = Town(tmp_path, [MAPPED]).one("tickets_1.csv", "Time,Net lb\n2026-07-20 09:00,1\n")
    assert "no column 'Type', which council.toml reads as material" in result.problem


def test_another_mapping_is_another_drop(tmp_path: Path) -> None:
    body = "Time,Type,Net lb\n2026-07-20 09:00,General,100\n"
    first = Town(tmp_path, [MAPPED]).one("tickets_1.csv", body)
    kilos = replace(MAPPED, columns={**MAPPED.columns, "weight_g": ColumnRule("Net lb", times=1000)})
    second = Town(tmp_path, [kilos]).one("tickets_1.csv", body)
    assert first.drop_id != second.drop_id
    assert not second.is_repeat


# --- contacts ------------------------------------------------------------------------------

MOBILES = [
    ("07700 900123", "+447700900123"),
    ("+44 (0) 7700 900-123", "+447700900123"),
    ("00447700900123", "+447700900123"),
    ("447700900123", "+447700900123"),
    ("7700900123", "+447700900123"),  # the nought lost in a spreadsheet
    ("07624 900123", "+447624900123"),  # Isle of Man
    ("0770090012", None),
    ("077009001234", None),
    ("020 7946 0018", None),
    ("07000 900123", None),  # personal number
    ("07600 900123", None),  # pager
    ("+33 6 12 34 56 78", None),
    ("07700 900123 (Ann)", None),
]
EMAILS = [
    ("Jo.Bloggs@Example.ORG", "jo.bloggs@example.org"),
    ("o'neil+bins@mail.example.co.uk", "o'neil+bins@mail.example.co.uk"),
    ("jo@example", None),
    ("jo..bloggs@example.org", None),
    ("jo@ex ample.org", None),
    ("a@b.example, c@d.example", None),
    ("jo@-example.org", None),
    ("@example.org", None),
    ("x" * 250 + "@example.org", None),
]


@pytest.mark.parametrize(
    ("medium", "typed", "clean"), [("sms", *pair) for pair in MOBILES] + [("email", *pair) for pair in EMAILS]
)
def test_addresses_are_cleaned_or_refused(medium: str, typed: str, clean: str | None) -> None:
    query = f"SELECT {clean_address('typed', 'medium')} FROM (SELECT ?::VARCHAR AS typed, ?::VARCHAR AS medium)"
    with duckdb.connect() as connection:
        assert connection.execute(query, [typed, medium]).fetchone() == (clean,)


def test_contacts_land_clean_and_quarantine_shows_none(town: Town) -> None:
    body = "household_id,medium,address,name,notes\nH1,SMS,07700 900123,Ann,\nH2,email,Jo@Example.org,,\n"
    body += "H3,sms,0770 SECRET9,Bea,call 07700 900456\nH4,email,cy@secret,Cy,\nH5,fax,secret@b.example,Di,\n"
    result = town.one("contacts.csv", body + "H6,sms,07700900789\n")
    assert (result.rows, result.accepted, result.quarantined) == (6, 2, 4)
    assert town.rows("SELECT household_id, medium, address, basis FROM contacts ORDER BY 1") == [
        ("H1", "sms", "+447700900123", "public_task"),
        ("H2", "email", "jo@example.org", "public_task"),
    ]
    stored = town.rows("SELECT * FROM quarantine")
    assert [(row[3], row[4], row[6]) for row in sorted(stored, key=lambda row: (row[3], row[4]))] == [
        (4, "address", "not a UK mobile number"),
        (5, "address", "not an email address"),
        (6, "address", "no way to tell what it is without a medium"),
        (6, "medium", "not one of sms, email"),
        (7, "", "3 columns, must be 5"),
    ]
    text = json.dumps(stored, default=str).lower()
    assert not [secret for secret in ("secret", "07700", "900456", "900789", "bea", "cy@") if secret in text]
    assert "H3" in json.dumps(stored, default=str)  # the household may be looked up


def test_contacts_in_columns_of_other_tables_are_masked(town: Town) -> None:
    town.one(
        "lifts.csv",
        lifts_csv([[*lift("U1", "x"), "ring 07700 900123"], [*lift("U2", "x"), "jo@example.org"]], [*LIFTS, "note"]),
    )
    kept = [json.loads(raw)["note"] for (raw,) in town.rows("SELECT raw FROM quarantine ORDER BY row_no")]
    assert kept == ["xxxx 99999 999999", "xx@xxxxxxx.xxx"]


def test_masks_keep_the_shape_only() -> None:
    with duckdb.connect() as connection:
        query = f"SELECT {masked('t')}, {masked_if_contact('t')} FROM (SELECT ?::VARCHAR AS t)"
        assert connection.execute(query, ["Zoë 07-1"]).fetchone() == ("xxx 99-9", "Zoë 07-1")
        assert connection.execute(query, ["100012345678"]).fetchone() == ("999999999999", "100012345678")


# --- again, corrected, half done --------------------------------------------------------------


def test_the_same_drop_twice_changes_nothing(town: Town) -> None:
    path = town.drop("lifts.csv", lifts_csv([lift("U1"), lift("U2", "x")]))
    first, before = town.load(path), town.ws.ledger.live_files()
    again = town.load(path)
    assert not first[0].is_repeat
    assert again == (DropResult("lifts.csv", "lifts", first[0].drop_id, is_repeat=True),)
    assert town.ws.ledger.live_files() == before
    renamed = town.load(town.drop("lifts_again.csv", path.read_bytes()))
    assert renamed[0].is_repeat


def test_the_same_rows_in_another_file_are_unchanged(town: Town) -> None:
    town.one("lifts_a.csv", lifts_csv([lift("U1"), lift("U2")]))
    before = town.ws.ledger.live_files()
    result = town.one("lifts_b.csv", lifts_csv([lift("U2"), lift("U1")]))
    assert (result.accepted, result.replaced, result.unchanged) == (2, 0, 2)
    assert town.ws.ledger.live_files() == before


def test_a_re_issue_replaces_what_it_corrects_and_keeps_what_it_replaced(town: Town) -> None:
    town.one("lifts.csv", lifts_csv([lift("U1", 10), lift("U2", 20), lift("U3", 30, collected_on="2026-07-28")]))
    (old,) = [path for path in town.ws.ledger.live_files()["lifts"] if "W30" in path]
    result = town.one("lifts_v2.csv", lifts_csv([lift("U1", 11), lift("U2", 20), lift("U4", 40)]))
    assert (result.accepted, result.replaced, result.unchanged) == (3, 1, 1)
    assert town.rows("SELECT unit_id, weight_g FROM lifts ORDER BY 1") == [
        ("U1", 11),
        ("U2", 20),
        ("U3", 30),
        ("U4", 40),
    ]
    assert town.ws.warehouse.read([old]).column("weight_g").to_pylist() == [10, 20]  # kept on disk
    retired = town.ws.ledger.select("SELECT path, is_live, replaced_by FROM files WHERE is_live = 0").to_pylist()
    assert retired == [{"path": old, "is_live": 0, "replaced_by": result.drop_id}]
    drop = town.ws.ledger.drop(result.drop_id)
    assert drop is not None
    assert (drop.accepted, drop.replaced, drop.quarantined) == (3, 1, 0)


def test_a_re_issue_of_everything_leaves_only_itself(town: Town) -> None:
    town.one("lifts.csv", lifts_csv([lift("U1", 10), lift("U2", 20)]))
    result = town.one("lifts_v2.csv", lifts_csv([lift("U1", 11), lift("U2", 21)]))
    assert town.ws.ledger.live_files()["lifts"] == [f"lifts/week=2026-W30/{result.drop_id[:16]}.parquet"]


TICKETS = "ticket_id,weighed_at,material,weight_g\n"


def test_a_corrected_ticket_replaces_itself_even_in_another_week(town: Town) -> None:
    town.one(
        "loads_1.csv",
        TICKETS + "T1,2026-07-20 09:00,Refuse,5000\nT1,2026-07-20 09:00,Glass,70\nT2,2026-07-21 09:00,Refuse,10\n",
    )
    result = town.one("loads_2.csv", TICKETS + "T1,2026-07-29 09:00,Refuse,5500\n,2026-07-21 09:00,Refuse,10\n")
    assert (result.accepted, result.replaced) == (2, 1)
    assert town.rows("SELECT ticket_id, material, weight_g, week_no FROM loads ORDER BY ALL") == [
        ("", "Refuse", 10, WEEK.number),  # no ticket number: another load
        ("T1", "Glass", 70, WEEK.number),
        ("T1", "Refuse", 5500, WEEK.number + 1),
        ("T2", "Refuse", 10, WEEK.number),
    ]
    twice = town.one("loads_3.csv", TICKETS + "T9,2026-07-20 09:00,Refuse,1\nT9,2026-07-20 09:05,Refuse,2\n")
    assert twice.reasons == {"repeats an earlier row": 1}


def test_a_folder_is_what_lies_in_it(town: Town) -> None:
    town.drop("lifts_v1.csv", lifts_csv([lift("U1", 10)]))
    town.drop("tags.csv", "unit_id,tagged_on,reason\nU1,2026-07-20,food\n")
    assert [result.table for result in town.load(town.home / "var" / "inbox")] == ["lifts", "tags"]


def test_a_register_sent_whole_every_week_adds_only_what_changed(town: Town) -> None:
    town.one("households_1.csv", "household_id,street\nH1,Oak Rd\nH2,Elm Rd\n")
    result = town.one(
        "households_2.csv",
        "household_id,street\nH1,Oak Rd\nH2,Ash Rd\nH3,Fir Rd\n",
        week=WEEK + 1,
        as_of=date(2026, 8, 2),
    )
    assert (result.accepted, result.unchanged, result.replaced) == (3, 1, 0)
    assert town.rows("SELECT household_id, known_on, street FROM households ORDER BY 1, 2") == [
        ("H1", date(2026, 7, 26), "Oak Rd"),
        ("H2", date(2026, 7, 26), "Elm Rd"),
        ("H2", date(2026, 8, 2), "Ash Rd"),
        ("H3", date(2026, 8, 2), "Fir Rd"),
    ]
    back = town.one(
        "households_3.csv", "household_id,street\nH1,Oak Rd\nH2,Elm Rd\nH3,Fir Rd\n", as_of=date(2026, 8, 9)
    )
    assert (back.accepted, back.unchanged) == (3, 2)  # H2 went back to what it was: that is news


class CrashError(Exception):
    """Stands for SIGKILL between the files and the ledger."""


@pytest.mark.parametrize("has_earlier", [False, True])
def test_a_crash_before_the_ledger_changes_nothing_and_the_next_run_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_earlier: bool
) -> None:
    content = lifts_csv([lift("U1", 11), lift("U2", "x"), lift("U3", 30)])
    ends = []
    for name in ("smooth", "crashed"):
        town = Town(tmp_path / name)
        if has_earlier:
            town.one("lifts_0.csv", lifts_csv([lift("U1", 10), lift("U9", 90)]))
        before = town.ws.ledger.live_files()
        path = town.drop("lifts_1.csv", content)
        if name == "crashed":
            with monkeypatch.context() as patch:
                patch.setattr(Ledger, "register_drop", raise_crash)
                with pytest.raises(CrashError):
                    town.load(path)
            assert town.ws.ledger.live_files() == before
        town.load(path)
        ends.append((town.ws.ledger.live_files(), sorted(town.rows("SELECT * FROM lifts")), town.reasons()))
    assert ends[0] == ends[1]


def raise_crash(*_: object, **__: object) -> None:
    raise CrashError


def test_the_inbox_is_read_in_order_of_name(town: Town) -> None:
    town.drop("lifts_v1.csv", lifts_csv([lift("U1", 10)]))
    town.drop("lifts_v2.csv", lifts_csv([lift("U1", 11)]))
    town.drop(".lifts_v3.csv", lifts_csv([lift("U1", 12)]))
    summary = ingest(town.ws, WEEK, now=NOW)
    assert summary.step == "ingest"
    assert summary.counts["replaced"] == 1
    assert town.rows("SELECT weight_g FROM lifts") == [(11,)]
    again = ingest(town.ws, WEEK, now=NOW)
    assert (again.counts["files_seen_before"], again.counts["rows"]) == (2, 0)


# --- rules, for any file -----------------------------------------------------------------------

UNIT = st.sampled_from(["U1", "U2", "U3", "", " U4", "ü'\"5"])
CELL = {
    "unit_id": UNIT,
    "stream": st.sampled_from(["residual", "food", "Recycling", "glass", ""]),
    "collected_on": st.sampled_from(["2026-07-20", "21/07/2026", "2026-07-28", "x", "", "2026-13-01"]),
    "bin_chip_id": st.sampled_from(["", "c1"]),
    "status": st.sampled_from(["lifted", "", "lost"]),
    "weight_g": st.sampled_from(["", "0", "100", "1e3", "-5", "9999999", "x"]),
    "is_excess": st.sampled_from(["0", "1", "", "2"]),
}
ROWS = st.lists(st.tuples(*(CELL[name] for name in LIFTS)), max_size=12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, seed=st.integers(0, 999))
def test_every_row_lands_or_is_set_aside_whatever_the_columns_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], seed: int
) -> None:
    order = list(range(len(LIFTS)))
    random.Random(seed).shuffle(order)
    ends = []
    for places in (list(range(len(LIFTS))), order):
        town = Town(tmp_path_factory.mktemp("town"))
        shuffled = [[row[place] for place in places] for row in rows]
        result = town.one("lifts.csv", lifts_csv(shuffled, [LIFTS[place] for place in places]))
        blank = sum(not any(cell.strip() for cell in row) for row in rows)
        assert result.problem == ""
        assert result.rows == len(rows) - blank
        assert result.accepted + result.quarantined == result.rows
        assert sum(result.reasons.values()) == result.quarantined
        stored = sorted(town.rows("SELECT * FROM lifts"), key=str)
        assert len(stored) == result.accepted
        keys = [row[:4] for row in stored]
        assert len(set(keys)) == len(keys)
        set_aside = {row for row, _, _ in town.reasons()}
        assert len(set_aside) == result.quarantined
        ends.append((stored, town.reasons()))
    assert ends[0] == ends[1]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drops=st.lists(st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 3), min_size=1), min_size=1, max_size=4))
def test_after_any_re_issues_each_key_has_its_newest_value(
    tmp_path_factory: pytest.TempPathFactory, drops: list[dict[str, int]]
) -> None:
    """Oracle: a dict updated drop by drop; a content that was loaded before changes nothing."""
    town = Town(tmp_path_factory.mktemp("town"))
    expected: dict[str, int] = {}
    seen: list[str] = []
    for number, drop in enumerate(drops):
        content = lifts_csv([lift(unit, weight) for unit, weight in drop.items()])
        result = town.one(f"lifts_{number}.csv", content)
        assert result.is_repeat == (content in seen)
        if content not in seen:
            assert result.unchanged == sum(expected.get(unit) == weight for unit, weight in drop.items())
            assert result.replaced == sum(unit in expected for unit in drop) - result.unchanged
            expected |= drop
        seen.append(content)
        assert dict(town.rows("SELECT unit_id, weight_g FROM lifts")) == expected


# --- real data ------------------------------------------------------------------------------------

AUSTIN = """
[[ingest]]
match = "austin_waste*.csv"
table = "loads"
[ingest.columns]
weighed_at = "load_time"                                        # "2021-07-08 12:00:00.000000 UTC"
site = "dropoff_site"
material = "load_type"
weight_g = { column = "load_weight", times = 453.59237 }        # pounds
[ingest.columns.stream]
column = "load_type"
[ingest.columns.stream.values]
"GARBAGE COLLECTIONS" = "residual"
"RECYCLING - SINGLE STREAM" = "recycling"
"ORGANICS" = "food"
"YARD TRIMMING" = "garden"
"*" = "-"                                                       # every other word: no stream
"""


def austin_rules(home: Path) -> tuple[IngestRule, ...]:
    home.mkdir()
    (home / "council.toml").write_text((REPO / "council.toml").read_text("utf-8") + AUSTIN, "utf-8")
    return load_council(home).ingest


def test_weighbridge_records_in_pounds_through_council_toml(tmp_path: Path) -> None:
    """A file of the real one's shape: a repeat, a missing weight, an outlier, a load of no stream."""
    town = Town(tmp_path / "town", austin_rules(tmp_path / "settings"))
    noon = "2021-07-08,2021-07-08 12:00:00.000000 UTC"
    body = "report_date,load_time,load_type,load_weight,dropoff_site\n" + "".join(
        f"{noon},{rest}\n"
        for rest in (
            "GARBAGE COLLECTIONS,10000.0,LANDFILL",
            "GARBAGE COLLECTIONS,10000.0,LANDFILL",
            "SWEEPING,,MRF",
            "SWEEPING,,MRF",
            "ORGANICS,245540.0,MRF",
            "TIRES,100,MRF",
        )
    )
    result = town.one("austin_waste_1.csv", body)
    assert (result.rows, result.accepted, result.ignored) == (6, 2, ("report_date",))
    assert town.rows("SELECT stream, weight_g, weighed_at FROM loads ORDER BY weight_g") == [
        (None, 45_359, datetime(2021, 7, 8, 12)),
        ("residual", 4_535_924, datetime(2021, 7, 8, 12)),
    ]
    assert town.reasons() == [
        (3, "", "repeats row 2"),
        (4, "weight_g", "missing"),
        (5, "", "repeats row 4"),
        (5, "weight_g", "missing"),
        (6, "weight_g", "above 44000000 g"),
    ]


@pytest.mark.skipif(not REAL, reason="NUDGES_REAL_DATA is not set: no real weighbridge records here")
def test_real_weighbridge_records(tmp_path: Path) -> None:
    """26,157 rows, 1,048 without a weight, 445 exact duplicates, one of 245,540 lb, as PROVENANCE.md says."""
    path = Path(str(REAL)) / "austin" / "austin_waste_and_diversion.csv"
    raw = duckdb.sql(f"SELECT * FROM read_csv('{path}', all_varchar = true)")
    duplicates = 26_157 - len(raw.distinct().fetchall())
    no_weight = len(raw.filter("load_weight IS NULL").fetchall())
    assert (duplicates, no_weight) == (445, 1048)
    town = Town(tmp_path / "town", austin_rules(tmp_path / "settings"))
    (result,) = town.load(path)
    assert result.rows == 26_157
    assert result.accepted + result.quarantined == 26_157
    assert sum(result.reasons.values()) == result.quarantined
    assert result.reasons["weight_g: missing"] == no_weight
    assert town.rows("SELECT count(*) FROM loads") == [(result.accepted,)]
    repeats = town.rows("SELECT count(DISTINCT row_no) FROM quarantine WHERE starts_with(reason, 'repeats row')")
    assert repeats[0][0] >= duplicates
    assert town.rows("SELECT reason FROM quarantine WHERE value = '245540.0'") == [("above 44000000 g",)]
    (again,) = town.load(path)
    assert again.is_repeat


@pytest.mark.skipif(not REAL, reason="NUDGES_REAL_DATA is not set: no real premises here")
def test_real_premises_go_through(town: Town) -> None:
    households, calendar = town.load(Path(str(REAL)) / "leeds")
    assert (households.table, households.accepted, households.quarantined) == ("households", 405_565, 0)
    assert (calendar.table, calendar.quarantined) == ("calendar", 0)
    assert town.rows("SELECT count(*), count(DISTINCT household_id) FROM households") == [(405_565, 405_565)]
    rounds = "SELECT DISTINCT residual_round_id AS round_id FROM households WHERE residual_round_id IS NOT NULL"
    assert town.rows(f"SELECT count(*) FROM ({rounds}) ANTI JOIN calendar USING (round_id)") == [(0,)]
