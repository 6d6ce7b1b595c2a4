"""Turns kg produced into what a crew lifts, records and tags, realised and as it would be without any message."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import LiftStatus, Stream
from nudges.sources._borough_calibration import Calibration
from nudges.sources._borough_people import People, Units

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LIFTS = pa.schema(
    {
        "unit_id": pa.string(),
        "stream": pa.string(),
        "collected_on": pa.date32(),
        "bin_chip_id": pa.string(),
        "status": pa.string(),
        "weight_g": pa.int64(),
        "is_excess": pa.int64(),
    }
)
TAGS = pa.schema(
    [("unit_id", pa.string()), ("stream", pa.string()), ("tagged_on", pa.date32()), ("reason", pa.string())]
)
_STATUSES = (LiftStatus.LIFTED, LiftStatus.NOT_PRESENTED, LiftStatus.MISSED, LiftStatus.NOT_READ)
_STATUS_NAMES = pa.array([str(status) for status in _STATUSES])


@dataclass(slots=True)
class Collected:
    """One stream in one week: rows for the drops, differences for the truth, kg for the weighbridge."""

    lifts: list[pa.Table] = field(default_factory=list)
    tags: list[pa.Table] = field(default_factory=list)
    delta_kg: Floats = field(default_factory=lambda: np.zeros(0))
    delta_tags: Floats = field(default_factory=lambda: np.zeros(0))
    tipped: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = field(default_factory=list)  # round, day, kg


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances over units at one collection: bin out, realised and without messages; tag, likewise."""

    out: Floats
    out_without: Floats
    tag: Floats
    tag_without: Floats


class Bins:
    """The bins of one stream: what is in them now, realised and without messages."""

    def __init__(self, stream: Stream, units: Units, people: People, plan: Calibration, *, chips: bool) -> None:
        self.stream, self._units, self._plan = stream, units, plan
        self._held, self._without = np.zeros(units.homes.size), np.zeros(units.homes.size)
        fixed, each = plan.excess_kg
        self._room = fixed * units.homes + each * units.total(people.persons.astype(float))
        prefix = str(stream)[:2].upper()
        self._chips = pa.array([f"{prefix}{i:07d}" if chips else "" for i in range(units.homes.size)], pa.string())

    def fill(self, kg: Floats, kg_without: Floats) -> None:
        """Put a week's production in, per unit. Food does not wait: what is not put out went elsewhere."""
        if self.stream is Stream.FOOD:
            self._held[:], self._without[:] = 0.0, 0.0
        self._held += kg
        self._without += kg_without

    def collect(self, days: list[NDArray[np.int64]], rng: np.random.Generator, chances: Chances) -> Collected:
        """Empty what is due on each of the week's days (arrays over rounds, days since 1970, -1 for none)."""
        size = self._units.homes.size
        done = Collected(delta_kg=np.zeros(size), delta_tags=np.zeros(size))
        place = self._units.rounds[self.stream][1]
        for by_round in days:
            due = np.where(place >= 0, by_round[place], -1)
            self._collect_once(due, by_round.size, rng, chances, done)
        return done

    def _collect_once(
        self, due: NDArray[np.int64], rounds: int, rng: np.random.Generator, chances: Chances, done: Collected
    ) -> None:
        planned = due >= 0
        missed, silent, lone = self._failures(rng, rounds, due)
        presented, recorded, tagged, reason = rng.random((4, due.size))
        reached = planned & ~missed
        out, out_without = reached & (presented < chances.out), reached & (presented < chances.out_without)
        kg, kg_without = np.where(out, self._held, 0.0), np.where(out_without, self._without, 0.0)
        self._held[out], self._without[out_without] = 0.0, 0.0
        unread = silent | (lone & out)
        read = out & ~unread
        done.delta_kg += kg - kg_without
        is_tagged = read & (tagged < chances.tag)
        done.delta_tags += is_tagged.astype(float) - (out_without & ~unread & (tagged < chances.tag_without))
        absent = reached & ~out & ~unread & (recorded < self._plan.recorded_absent)
        status = np.select([planned & missed, reached & unread, read, absent], [2, 3, 0, 1], -1)
        done.lifts.append(self._lift_rows(np.flatnonzero(status >= 0), status, due, kg))
        if self.stream is Stream.RECYCLING:
            done.tags.append(self._tag_rows(np.flatnonzero(is_tagged), due, reason))
        done.tipped.append((self._units.rounds[self.stream][1][out], due[out], kg[out]))

    def _failures(self, rng: np.random.Generator, rounds: int, due: NDArray[np.int64]) -> tuple[Bools, Bools, Bools]:
        """(not reached, lorry's reader silent, this bin not read)."""
        plan, units = self._plan, self._units
        lorry = rng.random(max(rounds, 1)) < plan.not_read * plan.not_read_by_lorry
        street = rng.random(int(units.street.max()) + 1) < plan.missed * plan.missed_by_street
        alone = rng.random((2, due.size))
        missed = street[units.street] | (alone[0] < plan.missed * (1 - plan.missed_by_street))
        return missed, lorry[units.rounds[self.stream][1]], alone[1] < plan.not_read * (1 - plan.not_read_by_lorry)

    def _lift_rows(
        self, rows: NDArray[np.int64], status: NDArray[np.int64], due: NDArray[np.int64], kg: Floats
    ) -> pa.Table:
        is_read = status[rows] == 0
        grams = (np.rint(kg[rows] * 10) * 100).astype(np.int64)  # lorries weigh to 100 g
        columns = [
            self._units.ids.take(pa.array(rows)),
            pa.repeat(pa.scalar(str(self.stream)), rows.size),
            pa.array(due[rows].astype(np.int32)).cast(pa.date32()),
            self._chips.take(pa.array(rows)),
            _STATUS_NAMES.take(pa.array(status[rows])),
            pa.array(grams, mask=~is_read),
            pa.array((is_read & (kg[rows] > self._room[rows])).astype(np.int64)),
        ]
        return pa.table(columns, schema=LIFTS)

    def _tag_rows(self, rows: NDArray[np.int64], due: NDArray[np.int64], draw: Floats) -> pa.Table:
        names, share = zip(*self._plan.tag_reasons.items(), strict=True)
        which = np.searchsorted(np.cumsum(share)[:-1] / sum(share), draw[rows])
        columns = [
            self._units.ids.take(pa.array(rows)),
            pa.repeat(pa.scalar(str(self.stream)), rows.size),
            pa.array(due[rows].astype(np.int32)).cast(pa.date32()),
            pa.array(names).take(pa.array(which)),
        ]
        return pa.table(columns, schema=TAGS)
