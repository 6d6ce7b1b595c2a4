"""Turns a seed and a kind of borough into weeks that can be lived through, as arrays over a campaign's homes.

What choosers see is read off the simulator's own drops: lifts with readings missing, fortnightly rounds, tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks._loop_effects import KINDS, MEDIUM, planted_traits
from nudges.domain import Stream
from nudges.sources._borough_bins import TAGS, Collected
from nudges.sources._borough_tickets import LOADS
from nudges.sources.synthetic import Borough, WeekFacts
from nudges.weeks import Week

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]
Counts = NDArray[np.int8]

FIRST = Week.parse("2026-W10")
"""The week in which the first messages go out."""

HISTORY = 26
"""Weeks of lifts before it."""

TURN_WEEKS = 4
_STREAMS = (Stream.RESIDUAL, Stream.RECYCLING, Stream.FOOD)
_EPOCH = date(2000, 1, 3)
FEATURES = (
    "residual_kg_last",
    "residual_kg_mean_4w",
    "residual_kg_mean_8w",
    "residual_kg_mean_26w",
    "residual_kg_sd_26w",
    "residual_kg_trend_26w",
    "residual_set_out_rate_26w",
    "recycling_set_out_rate_8w",
    "recycling_set_out_rate_26w",
    "food_set_out_rate_8w",
    "food_set_out_rate_26w",
    "has_garden_service",
    "tags_8w",
    "tags_26w",
    "tag_rate_26w",
    "missed_26w",
    "excess_26w",
    "tenure_weeks",
    "deprivation_decile",
)
"""What a council knows of a home, by the names of `tables.features`."""


class Kerb(Borough):
    """The demo borough without its weighbridge, which no chooser looks at and takes half of the time."""

    def _facts(self, week: Week, collected: Mapping[Stream, Collected]) -> WeekFacts:  # noqa: ARG002
        lifts = pa.concat_tables([table for done in collected.values() for table in done.lifts])
        tags = pa.concat_tables([TAGS.empty_table(), *(table for done in collected.values() for table in done.tags)])
        return WeekFacts(lifts, tags, LOADS.empty_table())


@dataclass(slots=True)
class Seen:
    """What one stream's drops say, each (weeks, n): grams lifted, and collections planned, emptied and unknown."""

    grams: Floats
    planned: Counts
    out: Counts
    void: Counts

    @classmethod
    def blank(cls, planned: Counts) -> Seen:
        """Nothing recorded yet."""
        return cls(np.zeros(planned.shape), planned, np.zeros_like(planned), np.zeros_like(planned))


@dataclass(slots=True)
class World:
    """One borough lived through by one chooser. The campaign's homes have bins of their own and a mobile number.

    Attributes:
        borough: the simulator.
        ids: (n,) households of the campaign, which are its units.
        rows: (n,) their positions among the borough's households.
        units: (n,) and among its units.
        fixed: features that do not change.
        seen: what drops said so far by stream, weeks counted from `start`.
        tags, missed, excess: (weeks, n) counts.
        lived: weeks lived through.
    """

    borough: Borough
    start: Week
    ids: pa.Array
    rows: NDArray[np.int64]
    units: NDArray[np.int64]
    fixed: Mapping[str, Floats]
    seen: Mapping[Stream, Seen]
    tags: Counts
    missed: Counts
    excess: Counts
    lived: int = 0

    @classmethod
    def make(cls, kind: str, *, households: int, seed: int, weeks: int) -> World:
        """A borough with its history lived through, ready for its first messages."""
        start, span = FIRST + (-HISTORY), HISTORY + weeks
        borough = Kerb.make(
            households=households, seed=seed, start=start, weeks=span, effects=KINDS[kind], bad_rows=False
        )
        planted_traits(borough)
        rows = _campaign(borough)
        homes = borough.households.take(pa.array(rows))
        ids = homes["household_id"].combine_chunks()
        shape = (span, len(rows))
        world = cls(
            borough=borough,
            start=start,
            ids=ids,
            rows=rows,
            units=_positions(ids, pa.array(borough.truth.units)),
            fixed=_register(homes),
            seen={
                stream: Seen.blank(_planned(borough.calendar, stream, homes[f"{stream}_round_id"], start, span))
                for stream in _STREAMS
            },
            tags=np.zeros(shape, np.int8),
            missed=np.zeros(shape, np.int8),
            excess=np.zeros(shape, np.int8),
        )
        for _ in range(HISTORY):
            world.live(np.zeros(len(rows), np.intp), ())
        return world

    @property
    def size(self) -> int:
        """Homes of the campaign."""
        return len(self.rows)

    def live(self, arm: Arms, templates: tuple[str, ...]) -> Floats:
        """Live through the next week; arm a > 0 is the message templates[a - 1]. Kg of residual avoided, (n,)."""
        week = self.start + self.lived
        told = np.flatnonzero(arm)
        exposures = pa.table(
            {
                "household_id": self.ids.take(pa.array(told)),
                "template": pa.array([templates[i] for i in arm[told] - 1], pa.string()),
                "medium": pa.repeat(pa.scalar(MEDIUM), len(told)),
                "week_no": pa.repeat(pa.scalar(week.number), len(told)),
            }
        )
        self._record(self.borough.week(week, exposures))
        self.lived += 1
        delta = self.borough.truth.unit_week_delta(week)["delta"].to_numpy()
        return np.asarray(-delta[self.units])

    def _record(self, facts: WeekFacts) -> None:
        now = self.lived
        place = _positions(facts.lifts["unit_id"], self.ids)
        stream = facts.lifts["stream"]
        status = pc.index_in(facts.lifts["status"], value_set=pa.array(["lifted", "missed", "not_read"]))
        code = pc.fill_null(status, -1).to_numpy()
        grams = pc.fill_null(facts.lifts["weight_g"], 0).to_numpy()
        excess = facts.lifts["is_excess"].to_numpy()
        for name, seen in self.seen.items():
            here = (place >= 0) & pc.equal(stream, str(name)).to_numpy()
            at, what = place[here], code[here]
            seen.grams[now] = np.bincount(at[what == 0], grams[here][what == 0], minlength=self.size)
            seen.out[now] = np.bincount(at[what == 0], minlength=self.size)
            seen.void[now] = np.bincount(at[what > 0], minlength=self.size)
            self.missed[now] += np.bincount(at[what == 1], minlength=self.size).astype(np.int8)
            self.excess[now] += np.bincount(at[excess[here] > 0], minlength=self.size).astype(np.int8)
        tagged = _positions(facts.tags["unit_id"], self.ids)
        self.tags[now] = np.bincount(tagged[tagged >= 0], minlength=self.size)

    def outcome(self, first: int, weeks: int) -> Floats:
        """Residual kg a week of each home over weeks from `first` (counted from the start), NaN where none is known.

        kg / (weeks x collections known / collections planned): `outcomes.outcome_values`.
        """
        return _kilos(self.seen[Stream.RESIDUAL], slice(first, first + weeks))

    def features(self) -> Floats:
        """What is known at the end of the last week lived, (n, features), NaN where unknown."""
        now, residual = self.lived, self.seen[Stream.RESIDUAL]
        since = {n: slice(now - n, now) for n in (4, 8, 26)}
        lifts = self.seen[Stream.RECYCLING].out[since[26]].sum(axis=0)
        spread, trend = _moments(residual, since[26])
        known = {
            "residual_kg_last": _newest(residual, now),
            **{f"residual_kg_mean_{n}w": _kilos(residual, since[n]) for n in (4, 8, 26)},
            "residual_kg_sd_26w": spread,
            "residual_kg_trend_26w": trend,
            **{
                f"{stream}_set_out_rate_{n}w": _rate(seen, since[n])
                for stream, seen in self.seen.items()
                for n in (8, 26)
            },
            "tags_8w": self.tags[since[8]].sum(axis=0),
            "tags_26w": self.tags[since[26]].sum(axis=0),
            "tag_rate_26w": _share(self.tags[since[26]].sum(axis=0), lifts),
            "missed_26w": self.missed[since[26]].sum(axis=0),
            "excess_26w": self.excess[since[26]].sum(axis=0),
            **self.fixed,
        }
        return np.column_stack([np.asarray(known[name], dtype=np.float64) for name in FEATURES])


def _positions(ids: pa.Array | pa.ChunkedArray, among: pa.Array) -> NDArray[np.int64]:
    found = pc.fill_null(pc.index_in(ids, value_set=among), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy())


def _campaign(borough: Borough) -> NDArray[np.int64]:
    """Positions of the households with bins of their own and a mobile number."""
    mobiles = borough.contacts.filter(pc.equal(borough.contacts["medium"], MEDIUM))["household_id"].combine_chunks()
    table = borough.households
    inside = pc.and_(pc.is_null(table["bin_store_id"]), pc.is_in(table["household_id"], value_set=mobiles))
    return np.flatnonzero(inside.to_numpy())


def _register(homes: pa.Table) -> dict[str, Floats]:
    """Features that come from the register alone."""
    lived = (np.datetime64(FIRST.monday) - homes["moved_in_on"].to_numpy()) / np.timedelta64(7, "D")
    return {
        "has_garden_service": homes["garden_round_id"].is_valid().to_numpy().astype(np.float64),
        "tenure_weeks": np.floor(lived),
        "deprivation_decile": homes["deprivation_decile"].to_numpy().astype(np.float64),
    }


def _planned(calendar: pa.Table, stream: Stream, round_id: pa.ChunkedArray, start: Week, weeks: int) -> Counts:
    """Collections planned for each home in each week, (weeks, n)."""
    rows = calendar.filter(pc.equal(calendar["stream"], str(stream)))
    names = pc.unique(rows["round_id"])
    week = (rows["collection_on"].to_numpy() - np.datetime64(_EPOCH)).astype(int) // 7 - start.number
    count = np.zeros((len(names), weeks), np.int8)
    inside = (week >= 0) & (week < weeks)
    np.add.at(count, (_positions(rows["round_id"], names)[inside], week[inside]), 1)
    return np.ascontiguousarray(count[_positions(round_id, names)].T)


def _share(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    over, under = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)


def _kilos(seen: Seen, weeks: slice) -> Floats:
    planned = seen.planned[weeks].sum(axis=0)
    valid = planned - seen.void[weeks].sum(axis=0)
    return _share(seen.grams[weeks].sum(axis=0) / 1000, (weeks.stop - weeks.start) * _share(valid, planned))


def _rate(seen: Seen, weeks: slice) -> Floats:
    return _share(seen.out[weeks].sum(axis=0), (seen.planned[weeks] - seen.void[weeks]).sum(axis=0))


def _newest(seen: Seen, now: int) -> Floats:
    """Kg at the newest planned collection, 0 when the bin was not out, (n,)."""
    newest = now - 1 - (seen.planned[now - 4 : now] > 0)[::-1].argmax(axis=0)
    home = np.arange(seen.planned.shape[1])
    return np.where(seen.void[newest, home] > 0, np.nan, seen.grams[newest, home] / 1000)


def _moments(seen: Seen, weeks: slice) -> tuple[Floats, Floats]:
    """Spread and slope by week of kg over known collections, each (n,)."""
    known = (seen.planned[weeks] > 0) & (seen.void[weeks] == 0)
    kg = seen.grams[weeks] / 1000 * known
    count = known.sum(axis=0)
    mean = _share(kg.sum(axis=0), count)
    off = np.where(known, kg - mean, 0.0)
    time = np.arange(known.shape[0])[:, None] - known.shape[0]
    late = np.where(known, time - _share((time * known).sum(axis=0), count), 0.0)
    return np.sqrt(_share((off**2).sum(axis=0), count)), _share((late * off).sum(axis=0), (late**2).sum(axis=0))
