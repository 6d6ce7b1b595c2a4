"""The contract of segments/*.sql, and what is said to an officer whose file is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from random_facts import COLUMNS, WEEK, random_facts
from small_town import COUNCIL

from nudges.catalogue import load_segment, load_segments
from nudges.domain import Segment
from nudges.errors import ConfigError, NotReadyError
from nudges.features import features_sql
from nudges.ledger import Ledger
from nudges.steps.features import features
from nudges.steps.segments import check_segment, count_segments, segments
from nudges.steps.workspace import Workspace
from nudges.tables import FEATURES
from nudges.warehouse import Warehouse
from nudges.weeks import Week

REPO = Path(__file__).parent.parent
FILES = sorted((REPO / "segments").glob("*.sql"))
NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)


def segment(sql: str, name: str = "mine", low: float = 0.0, high: float = 1.0) -> Segment:
    return Segment(name, "Mine", "To try", low, high, sql)


def test_there_are_segments_to_choose_from() -> None:
    assert len(FILES) >= 9


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_segment_file_keeps_the_contract(path: Path) -> None:
    loaded = load_segment(path)  # header: title, why, expect; the message names the file
    assert loaded.title, f"{path.name}: say in a few words who it is"
    assert loaded.why.endswith("."), f"{path.name}: say why in a whole sentence"
    check_segment(loaded)  # one SELECT of household_id over declared feature columns
    assert "from features" in loaded.sql.lower(), f"{path.name}: read features and nothing else"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_segment_means_the_same_on_postgres(path: Path, postgres_features: Callable[[str], list[str]]) -> None:
    with random_facts(1).connect() as connection:
        connection.execute(f"CREATE TABLE features AS {features_sql(WEEK)}")
        here = [row[0] for row in connection.execute(load_segment(path).sql).fetchall()]
    assert sorted(here) == sorted(postgres_features(load_segment(path).sql)), path.name


@pytest.fixture(scope="module")
def postgres_features(postgres_url: str) -> Callable[[str], list[str]]:
    import psycopg

    from nudges.tables import Dialect

    facts = random_facts(1)
    connection = psycopg.connect(postgres_url)
    for name, columns in COLUMNS.items():
        connection.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{c} {kind}' for c, kind in columns.items())})")
        with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
            for row in facts.tables[name]:
                copy.write_row([row[c] for c in columns])
    connection.execute(f"CREATE TEMP TABLE features AS {features_sql(WEEK, Dialect.POSTGRES)}")
    return lambda sql: [row[0] for row in connection.execute(sql).fetchall()]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "has 0 statements, must be one SELECT"),
        ("SELECT household_id FROM features; SELECT household_id FROM features", "has 2 statements"),
        ("DELETE FROM features", "must be one SELECT"),
        ("COPY features TO 'stolen.csv'", "must be one SELECT"),
        ("SELEC household_id FROM features", "syntax error"),
        ("SELECT household_id FROM features WHERE tag_count > 1", "tag_count"),
        ("SELECT household_id FROM lifts", "lifts"),
        ("SELECT household_id, ward FROM features", "must select household_id alone"),
        ("SELECT unit_id FROM features", "must select household_id alone"),
        ("SELECT household_id FROM features WHERE random() < 0.5", "gives another answer each run"),
        ("SELECT household_id FROM features WHERE last_tag_on > current_date - 7", "gives another answer each run"),
        ("SELECT household_id FROM read_csv('/etc/passwd')", "nudges/tables/features.py"),
        ("SELECT household_id FROM '/etc/hostname'", "nudges/tables/features.py"),
    ],
)
def test_a_wrong_file_is_named_with_what_to_do(sql: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^segments/mine\.sql: ") as caught:
        check_segment(segment(sql))
    assert words in str(caught.value)


def test_comments_and_a_closing_semicolon_are_fine() -> None:
    check_segment(segment("-- not random(), only a remark\nSELECT household_id FROM features -- all of it\n;"))


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    """A workspace whose warehouse holds the random facts of 32 weeks."""
    warehouse, ledger = Warehouse(tmp_path / "warehouse"), Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    for name, rows in random_facts(4).tables.items():
        if name == "message_history":
            continue
        table = pa.table({c: pa.array([row[c] for row in rows]) for c in COLUMNS[name]})
        file = warehouse.write(name, WEEK - 40, table, "test")  # one file is quicker; rows carry their own week_no
        ledger.replace_files(name, WEEK - 40, [file], drop_id="test", now=NOW)
    home = {"flats": segment("SELECT household_id FROM features WHERE is_flat = 1", "flats", 0.5, 1.0)}
    home["everyone"] = segment("SELECT household_id FROM features", "everyone", 1.0, 1.0)
    return Workspace(tmp_path, COUNCIL, {}, home, {}, warehouse, ledger, {})


def with_segments(town: Workspace, *listed: Segment) -> Workspace:
    return replace(town, segments={one.id: one for one in listed})


def test_the_steps_store_features_and_members_and_count_them(town: Workspace) -> None:
    summary = features(town, WEEK, now=NOW)
    assert summary.counts["households"] == 40
    assert summary.counts["flats"] == 8
    flats, everyone = count_segments(town, WEEK, now=NOW)
    assert (flats.count, flats.share, flats.overlap, flats.is_outside) == (8, 0.2, {"everyone": 8}, True)
    assert (everyone.count, everyone.is_outside, everyone.change_since_last_week) == (40, False, None)
    with town.facts(WEEK, extra=["features", "membership"]) as views:
        assert views.execute("SELECT COUNT(*), MIN(week_no), MAX(week_no) FROM features").fetchall() == [
            (40, WEEK.number, WEEK.number)
        ]
        assert views.execute("SELECT segment, COUNT(*) FROM membership GROUP BY ALL ORDER BY ALL").fetchall() == [
            ("everyone", 40),
            ("flats", 8),
        ]
        stored = views.execute("SELECT * FROM features ORDER BY household_id").to_arrow_table()
        assert stored.column_names == list(FEATURES.names)


def test_a_second_run_replaces_the_first(town: Workspace) -> None:
    for _ in range(2):
        features(town, WEEK, now=NOW)
        segments(town, WEEK, now=NOW)
    live = town.ledger.live_files(upto=WEEK, tables=["features", "membership"])
    assert {name: len(paths) for name, paths in live.items()} == {"features": 1, "membership": 1}


def test_last_week_is_compared_with_and_the_summary_names_what_is_outside(town: Workspace) -> None:
    for week in (WEEK - 1, WEEK):
        features(town, week, now=NOW)
    lately = segment("SELECT household_id FROM features WHERE tags_4w >= 1", "tagged", 0.9, 1.0)
    narrow = with_segments(town, lately, segment("SELECT household_id FROM features", "everyone", 1.0, 1.0))
    before = count_segments(narrow, WEEK - 1, now=NOW)[0].count
    tagged = count_segments(narrow, WEEK, now=NOW)[0]
    assert tagged.change_since_last_week == tagged.count - before
    summary = segments(narrow, WEEK, now=NOW)
    assert [warning.split(":")[0] for warning in summary.warnings] == ["segments/tagged.sql"]
    assert summary.headline == "2 segments, 1 outside what was expected"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT household_id FROM features UNION ALL SELECT household_id FROM features", "40 households come twice"),
        ("SELECT 'nobody' AS household_id FROM features LIMIT 1", "1 ids are no known household"),
        ("SELECT CAST(NULL AS VARCHAR) AS household_id", "1 ids are no known household"),
    ],
)
def test_members_are_known_households_once(town: Workspace, sql: str, words: str) -> None:
    features(town, WEEK, now=NOW)
    with pytest.raises(ConfigError, match=words):
        segments(with_segments(town, segment(sql)), WEEK, now=NOW)


def test_segments_before_features_say_what_is_missing(town: Workspace) -> None:
    with pytest.raises(NotReadyError, match="not computed yet"):
        segments(town, WEEK, now=NOW)


def test_no_households_are_an_error(town: Workspace) -> None:
    with pytest.raises(NotReadyError, match="Load a households drop first"):
        features(town, Week.parse("2020-W10"), now=NOW)


def test_the_product_s_own_segments_run_on_a_town(town: Workspace) -> None:
    features(town, WEEK, now=NOW)
    whole = replace(town, segments=load_segments(REPO))
    counts = {count.id: count for count in count_segments(whole, WEEK, now=NOW)}
    assert counts["every_household"].share == 1.0
    assert counts["own_bins"].overlap["shared_bins"] == 0
