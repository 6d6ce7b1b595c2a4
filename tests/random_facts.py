"""Small random facts with every awkward case in them, and features worked out from them the slow, plain way."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from nudges.domain import Stream, TagReason
from nudges.tables.facts import CALENDAR, CONTACTS, HOUSEHOLDS, LIFTS, TAGS
from nudges.tables.features import SET_OUT_WINDOWS
from nudges.tables.schema import Type
from nudges.weeks import Week

WEEK = Week.parse("2026-W48")
SQL = {
    Type.TEXT: "VARCHAR",
    Type.INTEGER: "BIGINT",
    Type.FLAG: "BIGINT",
    Type.NUMBER: "DOUBLE PRECISION",
    Type.DATE: "DATE",
}
HISTORY = ("household_id", "week_no", "medium", "campaign", "accepted", "delivered", "clicked", "opted_out")
COLUMNS = {
    **{
        table.name: {column.name: SQL[column.type] for column in table.columns} | {"week_no": "BIGINT"}
        for table in (HOUSEHOLDS, CONTACTS, CALENDAR, LIFTS, TAGS)
    },
    "message_history": {
        name: "VARCHAR" if name in ("household_id", "medium", "campaign") else "BIGINT" for name in HISTORY
    },
}  # fmt: skip
Row = dict[str, Any]


@dataclass
class Facts:
    """Rows by table, every row with its week_no."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, table: str, week_from: str, **row: Any) -> None:
        week_no = row.pop("week_no", None)
        week_no = Week.containing(row[week_from]).number if week_no is None else week_no
        self.tables[table].append(dict.fromkeys(COLUMNS[table]) | row | {"week_no": week_no})

    def shuffled(self, rng: np.random.Generator) -> Facts:
        return Facts({name: [rows[i] for i in rng.permutation(len(rows))] for name, rows in self.tables.items()})

    def connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"threads": 2})
        for name, rows in self.tables.items():
            columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS[name].items())
            connection.execute(f"CREATE TABLE {name} ({columns})")
            if rows:
                values = pa.table({c: pa.array([r[c] for r in rows]) for c in COLUMNS[name]})
                connection.register("incoming", values)
                connection.execute(f"INSERT INTO {name} SELECT * FROM incoming")
                connection.unregister("incoming")
        return connection


def random_facts(seed: int, *, week: Week = WEEK, weeks: int = 32, after: int = 0) -> Facts:
    """About 40 households over `weeks` weeks to `week`, and `after` weeks beyond it drawn after everything else."""
    rng = np.random.default_rng(seed)
    facts = Facts()
    homes = _homes(facts, rng, week)
    for span in (range(week.number - weeks + 1, week.number + 1), range(week.number + 1, week.number + after + 1)):
        for number in span:
            _week(facts, rng, Week(number), homes, newest=week)
    return facts


def _homes(facts: Facts, rng: np.random.Generator, week: Week) -> list[Row]:
    homes = []
    for i in range(40):
        store = f"S{i % 3}" if i % 5 == 0 else None
        home = {
            "household_id": f"H{i:03}",
            "known_on": week.monday - timedelta(weeks=30),
            "property_type": "flat" if store else "house",
            "bin_store_id": store,
            "ward": f"ward {i % 4}" if i % 8 else None,
            "moved_in_on": [None, date(1900, 1, 1), date(2024, 2, 29), week.sunday, week.sunday + timedelta(days=1)][
                i % 5
            ],
            "deprivation_decile": None if i % 7 == 0 else i % 10 + 1,
            "language": [None, "en", "cy"][i % 3],
            **{f"{stream}_round_id": None if i == 17 else f"{stream}{i % 4}" for stream in Stream},
        }
        if i % 6 == 0 and not store:
            home["garden_round_id"] = None
        if i == 11:
            home["food_round_id"] = "no such round"
        facts.add("households", "known_on", **home)
        if rng.random() < 0.3:
            newer = home | {"known_on": week.monday - timedelta(weeks=int(rng.integers(0, 20))), "ward": "newer"}
            facts.add("households", "known_on", **newer)
            home = newer
        for medium in ("sms", "email"):
            if rng.random() < 0.5:
                contact = {"household_id": home["household_id"], "medium": medium, "known_on": home["known_on"]}
                facts.add("contacts", "known_on", **contact, address="x")
        homes.append(home)
    return homes


EVERY = {Stream.RESIDUAL: 2, Stream.RECYCLING: 2, Stream.FOOD: 1, Stream.GARDEN: 3}


def _collections(
    facts: Facts, rng: np.random.Generator, week: Week, stream: Stream, i: int, *, is_known: bool
) -> list[date]:
    days = []
    for extra in (0, 2) if (stream, i) == (Stream.FOOD, 0) else (0,):
        planned = week.monday + timedelta(days=i + extra)
        slip = int(rng.choice([0, 0, 0, 0, 1, 6])) if extra == 0 else 0
        days.append(planned + timedelta(days=slip))
        if is_known:
            facts.add("calendar", "planned_on", round_id=f"{stream}{i}", stream=stream, planned_on=planned,
                      collection_on=days[-1] if slip else None)  # fmt: skip
    return days


def _is_in_calendar(i: int, back: int) -> bool:
    """The calendar of round 3 begins 12 weeks ago, that of round 2 ended 5 weeks ago: bins are emptied all along."""
    return back <= 11 if i == 3 else i != 2 or back >= 5


def _week(facts: Facts, rng: np.random.Generator, week: Week, homes: list[Row], *, newest: Week) -> None:
    for stream, every in EVERY.items():
        days: dict[str, list[date]] = defaultdict(list)
        for i in range(4):
            if (week.number + i) % every:
                continue
            is_known = _is_in_calendar(i, newest.number - week.number)
            days[f"{stream}{i}"] = _collections(facts, rng, week, stream, i, is_known=is_known)
        if week.number == newest.number - 6:
            continue  # a week that was never loaded
        for unit, home in {h["bin_store_id"] or h["household_id"]: h for h in homes}.items():
            for day in days[home[f"{stream}_round_id"] or ""]:
                _lift(facts, rng, stream, unit, day + timedelta(days=int(rng.random() < 0.03)), newest)
    for home in homes:
        if rng.random() < 0.2 and home["household_id"] != "H020":
            accepted = int(rng.random() < 0.9)
            facts.add("message_history", "", week_no=week.number, household_id=home["household_id"], medium="sms",
                      campaign="c", accepted=accepted, delivered=accepted * int(rng.random() < 0.9),
                      clicked=int(rng.random() < 0.1), opted_out=int(rng.random() < 0.02))  # fmt: skip


def _lift(facts: Facts, rng: np.random.Generator, stream: Stream, unit: str, day: date, newest: Week) -> None:
    bins = 3 if unit.startswith("S") else 2 if unit.endswith("7") else 1
    for chip in range(bins):
        if rng.random() < 0.25 or (unit == "H008" and stream is Stream.FOOD):
            continue
        status = str(rng.choice(["lifted", "not_presented", "missed", "not_read"], p=[0.78, 0.08, 0.07, 0.07]))
        unweighed = rng.random() < 0.1 or unit == "H013" or Week.containing(day).number == newest.number - 4
        weighs = stream is Stream.RESIDUAL and status == "lifted" and not unweighed
        facts.add("lifts", "collected_on", unit_id=unit, stream=stream, collected_on=day, bin_chip_id=str(chip),
                  status=status, weight_g=int(rng.integers(0, 40_000)) if weighs else None,
                  is_excess=int(rng.random() < 0.1))  # fmt: skip
        if rng.random() < 0.15 and stream in (Stream.RECYCLING, Stream.GARDEN):
            for reason in rng.choice(list(TagReason), size=int(rng.integers(1, 3)), replace=False):
                tag = {"unit_id": unit, "stream": stream, "tagged_on": day, "reason": str(reason)}
                if all(any(row[k] != v for k, v in tag.items()) for row in facts.tables["tags"]):
                    facts.add("tags", "tagged_on", **tag)


# --- the slow, plain way ------------------------------------------------------------------


@dataclass
class Collection:
    """What happened at one unit's collection: all its bins of one day."""

    week_no: int
    rows: list[Row]

    @property
    def is_void(self) -> bool:
        return any(row["status"] in ("missed", "not_read") for row in self.rows)

    @property
    def is_missed(self) -> bool:
        return any(row["status"] == "missed" for row in self.rows)

    @property
    def is_excess(self) -> bool:
        return any(row["is_excess"] for row in self.rows)

    @property
    def is_set_out(self) -> bool:
        return not self.is_void and any(row["status"] == "lifted" for row in self.rows)

    @property
    def grams(self) -> int | None:
        weights = [row["weight_g"] for row in self.rows if row["status"] == "lifted"]
        return sum(weights) if self.is_set_out and None not in weights else None


class Plain:
    """Features of one week by loops over rows, one household at a time."""

    def __init__(self, facts: Facts, week: Week) -> None:
        self.w, self.week = week.number, week
        self.facts = {name: [r for r in rows if r["week_no"] <= self.w] for name, rows in facts.tables.items()}
        homes: dict[str, Row] = {}
        for row in sorted(self.facts["households"], key=lambda r: r["known_on"]):
            if row["known_on"] <= week.sunday:
                homes[row["household_id"]] = row
        self.homes = homes
        self.collections: dict[tuple[str, str], list[Collection]] = defaultdict(list)
        seen: dict[tuple[str, str, date], list[Row]] = defaultdict(list)
        for row in self.facts["lifts"]:
            if row["week_no"] > self.w - 26 and row["status"] != "not_presented":
                seen[row["unit_id"], str(row["stream"]), row["collected_on"]].append(row)
        for (unit, stream, _), rows in sorted(seen.items()):
            self.collections[unit, stream].append(Collection(rows[0]["week_no"], rows))
        self.recorded = {(stream, rows[0]["week_no"]) for (_, stream, _), rows in seen.items()}
        self.weighed = {
            r["week_no"]
            for (_, stream, _), rows in seen.items()
            for r in rows
            if stream == "residual" and r["weight_g"] is not None
        }
        self.planned: dict[tuple[str, str], list[tuple[date, int]]] = defaultdict(list)
        self.first: dict[tuple[str, str], int] = {}
        for row in self.facts["calendar"]:
            key = (row["round_id"], str(row["stream"]))
            self.first[key] = min(row["week_no"], self.first.get(key, 10**9))
            day = row["collection_on"] or row["planned_on"]
            number = Week.containing(day).number
            if self.w - 26 < number <= self.w:
                self.planned[key].append((day, number))

    def _covers(self, key: tuple[str, str], week_no: int) -> bool:
        """Whether a round's calendar reaches a week: a collection stands for the weeks to the next one."""
        weeks = {number for _, number in self.planned[key]}
        if not weeks:
            return False
        others = len(weeks) - 1
        step = math.floor((max(weeks) - min(weeks)) / others + 0.5) if others else 1
        return self.first[key] <= week_no < max(weeks) + max(step, 1)

    def features(self) -> dict[str, Row]:
        return {name: self._household(home) for name, home in self.homes.items()}

    def _household(self, home: Row) -> Row:
        name = home["household_id"]
        unit = home["bin_store_id"] or name
        store = home["bin_store_id"]
        households = sum(h["bin_store_id"] == store for h in self.homes.values()) if store else 1
        moved = home["moved_in_on"]
        media = {
            r["medium"]
            for r in self.facts["contacts"]
            if r["household_id"] == name and r["known_on"] <= self.week.sunday
        }
        every = [c for stream in Stream for c in self.collections[unit, str(stream)]]
        row: Row = {
            "household_id": name, "week_no": self.w, "unit_id": unit, "property_type": home["property_type"],
            "is_flat": int(home["property_type"] == "flat"), "shares_bins": int(store is not None),
            "store_households": households, "ward": home["ward"],
            "tenure_weeks": (self.week.sunday - moved).days // 7 if moved and moved <= self.week.sunday else None,
            "deprivation_decile": home["deprivation_decile"], "language": home["language"],
            "has_sms": int("sms" in media), "has_email": int("email" in media),
            **{f"{s}_round_id": home[f"{s}_round_id"] for s in Stream},
            **{f"has_{s}_service": int(home[f"{s}_round_id"] is not None) for s in Stream},
            **{f"missed_{n}w": sum(c.is_missed for c in every if c.week_no > self.w - n) for n in (4, 26)},
            **{f"excess_{n}w": sum(c.is_excess for c in every if c.week_no > self.w - n) for n in (8, 26)},
            "weeks_since_missed": min((self.w - c.week_no for c in every if c.is_missed), default=None),
        }  # fmt: skip
        for stream in Stream:
            row |= self._set_out(str(stream), home, unit)
        return row | self._kilos(home, unit, households) | self._tags(unit) | self._messages(name)

    def _set_out(self, stream: str, home: Row, unit: str) -> Row:
        key = (home[f"{stream}_round_id"], stream)
        planned = self.planned[key]
        known = sorted(p for p in planned if (stream, p[1]) in self.recorded)
        row: Row = {}
        for n in SET_OUT_WINDOWS[Stream(stream)]:
            count = sum(number > self.w - n for _, number in known)
            mine = [c for c in self.collections[unit, stream] if c.week_no > self.w - n]
            outs = sum(c.is_set_out for c in mine)
            valid = max(outs, count - sum(c.is_void for c in mine))
            is_known = count and valid and all(self._covers(key, c.week_no) for c in mine)
            row[f"{stream}_set_out_rate_{n}w"] = outs / valid if is_known else None
        row[f"participates_{stream}"] = None
        if len(known) >= 3:
            since = known[-3][1]
            late = [c for c in self.collections[unit, stream] if c.week_no >= since]
            outs, void = any(c.is_set_out for c in late), any(c.is_void for c in late)
            row[f"participates_{stream}"] = 1 if outs else None if void else 0
        return row

    def _kilos(self, home: Row, unit: str, households: int) -> Row:
        key = (home["residual_round_id"], "residual")
        every = self.collections[unit, "residual"]
        mine = [c for c in every if c.week_no in self.weighed]
        planned = [number for _, number in self.planned[key]]
        row: Row = {}
        per_week: dict[int, float] = {}
        for n in (4, 8, 26):
            since = self.w - n
            inside = [number for number in planned if number > since]
            collections = [c for c in mine if c.week_no > since]
            known = [c for c in collections if c.grams is not None]
            unweighed = [c for c in collections if c.grams is None and not c.is_void]
            points = [number for number in inside if number in self.weighed]
            valid = len(points) - (len(collections) - len(known))
            weeks = min(n, self.w - self.first[key] + 1) if key in self.first else 0
            is_known = valid > 0 and not (unweighed and not known)
            if is_known:
                per_week[n] = len(inside) / weeks / 1000 / households
            mean = None
            is_known &= all(self._covers(key, c.week_no) for c in every if c.week_no > since)
            if is_known:
                mean = sum(c.grams or 0 for c in known) / valid * per_week[n]
            row[f"residual_kg_mean_{n}w"] = mean
            if n > 4:
                row |= self._spread(n, valid if is_known else 0, points, collections, known, per_week.get(n, 0.0))
        row["residual_kg_last"] = self._last(planned, mine, per_week.get(26))
        return row

    def _spread(
        self, n: int, valid: int, points: list[int], all_: list[Collection], known: list[Collection], scale: float
    ) -> Row:
        """From the observations themselves: a zero for each planned collection that nothing is known to have filled."""
        row: Row = {f"residual_kg_sd_{n}w": None, f"residual_kg_trend_{n}w": None}
        if valid < 2 or len(known) > valid:
            return row
        grams = [float(c.grams or 0) for c in known] + [0.0] * (valid - len(known))
        row[f"residual_kg_sd_{n}w"] = statistics.stdev(grams) * scale
        unknown = [c.week_no - self.w for c in all_ if c.grams is None]
        t = [number - self.w for number in points]
        st, stt = sum(t) - sum(unknown), sum(x * x for x in t) - sum(x * x for x in unknown)
        under = valid * stt - st * st
        if valid >= 3 and under > 0:
            stg = sum((c.week_no - self.w) * (c.grams or 0) for c in known)
            row[f"residual_kg_trend_{n}w"] = (valid * stg - st * sum(grams)) / under * scale
        return row

    def _last(self, planned: list[int], mine: list[Collection], scale: float | None) -> float | None:
        points = [number for number in planned if number in self.weighed]
        if not points or scale is None:
            return None
        newest = max(points)
        if any(c.grams is None and c.week_no >= newest for c in mine):
            return None
        if any(c.week_no > newest for c in mine):
            return None
        return max((c.grams or 0 for c in mine if c.week_no == newest), default=0) * scale

    def _tags(self, unit: str) -> Row:
        tags = [r for r in self.facts["tags"] if r["unit_id"] == unit]
        days = {(str(r["stream"]), r["tagged_on"], r["week_no"]) for r in tags}
        row: Row = {"weeks_since_tag": None, "last_tag_on": None, "last_tag_reason": None}
        if tags:
            last = max(r["tagged_on"] for r in tags)
            row |= {
                "weeks_since_tag": self.w - Week.containing(last).number,
                "last_tag_on": last,
                "last_tag_reason": min(r["reason"] for r in tags if r["tagged_on"] == last),
            }
        for n in (4, 8, 26):
            inside = [d for d in days if d[2] > self.w - n]
            recycling = sum(d[0] == "recycling" for d in inside)
            lifts = sum(c.is_set_out for c in self.collections[unit, "recycling"] if c.week_no > self.w - n)
            row[f"tags_{n}w"] = len(inside)
            row[f"tag_rate_{n}w"] = recycling / max(recycling, lifts) if recycling or lifts else None
        return row

    def _messages(self, name: str) -> Row:
        mine = [r for r in self.facts["message_history"] if r["household_id"] == name]

        def total(column: str, n: int) -> int:
            return sum(r[column] for r in mine if r["week_no"] > self.w - n)

        sent = [r["week_no"] for r in mine if r["accepted"]]
        return {
            "messages_4w": total("accepted", 4),
            "messages_26w": total("accepted", 26),
            "weeks_since_message": self.w - max(sent) if sent else None,
            "delivered_26w": total("delivered", 26),
            "clicked_26w": total("clicked", 26),
            "opted_out": max((r["opted_out"] for r in mine), default=0),
        }


def same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return bool(a == b)
