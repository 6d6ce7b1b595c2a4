"""Turns a seed into a borough that answers: registers, weekly lifts, tags and loads, replies, and the truth.

Noise is drawn per (seed, week, purpose) over all households whatever they were sent, so a week with a message and the
same week without one differ only by what the message did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Stream
from nudges.sources._borough_answers import Mailbox
from nudges.sources._borough_bins import LIFTS, TAGS, Bins, Chances, Collected
from nudges.sources._borough_calibration import DEFAULT, Calibration
from nudges.sources._borough_days import CALENDAR, Lookup, extended
from nudges.sources._borough_effects import Change, Effects, Memory, Planted
from nudges.sources._borough_homes import HOUSEHOLDS, contacts, homes
from nudges.sources._borough_people import people_of, units_of
from nudges.sources._borough_tickets import LOADS, bad_lifts, bad_loads, bad_tags, tickets
from nudges.sources._borough_truth import Truth
from nudges.weeks import Week

__all__ = ["Borough", "Calibration", "Effects", "Planted", "Truth", "WeekFacts"]

Floats = NDArray[np.float64]
_AHEAD = 8  # weeks of calendar known beyond the last simulated one


@dataclass(frozen=True, slots=True)
class WeekFacts:
    """Drops of one week, in the columns of `tables.facts`."""

    lifts: pa.Table
    tags: pa.Table
    loads: pa.Table


class Borough:
    """A simulated borough. Call `week` for each week in order; `truth` is for whoever marks the exam."""

    def __init__(
        self,
        households: pa.Table,
        calendar: pa.Table,
        *,
        seed: int,
        start: Week,
        effects: Effects,
        plan: Calibration = DEFAULT,
        is_framed: bool = False,
        bad_rows: bool = True,
    ) -> None:
        self.households, self.calendar = households, calendar
        self._seed, self._plan, self._effects = seed, plan, effects
        self.bad_rows = bad_rows  # whether each week's drops hold a few, as real ones do
        self.contacts = contacts(households, start, seed=seed, plan=plan)
        self._units = units_of(households)
        self._people = people_of(households, self._units, seed=seed, plan=plan)
        self._memory = Memory(effects, self._people.traits, self._people.is_flat, seed)
        self._positions = pd.Index(households["household_id"].to_pandas())
        self._mailbox = Mailbox(households.num_rows, seed, plan)
        self._bins = {
            stream: Bins(stream, self._units, self._people, plan, chips=not is_framed)
            for stream in Stream
            if self._units.rounds[stream][0]
        }
        self._days = {stream: Lookup(calendar, stream, self._units.rounds[stream][0]) for stream in self._bins}
        self._fading = np.random.default_rng([seed, 0, 4]).standard_normal(households.num_rows)
        self._next = start
        self.truth = Truth(units=tuple(self._units.ids.to_pylist()), households=self._units.homes)

    @classmethod
    def make(
        cls,
        *,
        households: int = 20_000,
        seed: int = 1,
        start: Week,
        weeks: int,
        effects: Effects | None = None,
        frame: tuple[pa.Table, pa.Table] | None = None,
        bad_rows: bool = True,
        plan: Calibration = DEFAULT,
    ) -> Borough:
        """Make a borough of `households`, or take (households, calendar) tables from outside as its frame.

        A frame's calendar is continued by each round's own rhythm over the weeks it does not cover.
        """
        if frame is None:
            register, calendar = homes(households, start, weeks + _AHEAD, seed=seed, plan=plan)
        else:
            register = _framed(frame[0], HOUSEHOLDS, start)
            calendar = extended(_framed(frame[1], CALENDAR, start), start, weeks + _AHEAD)
        return cls(
            register,
            calendar,
            seed=seed,
            start=start,
            effects=effects or Effects(),
            plan=plan,
            is_framed=frame is not None,
            bad_rows=bad_rows,
        )

    def register(self) -> dict[str, pa.Table]:
        """Drops that come before the first week: households, contacts, calendar."""
        return {"households": self.households, "contacts": self.contacts, "calendar": self.calendar}

    def week(self, week: Week, exposures: pa.Table | None = None) -> WeekFacts:
        """Simulate the next week.

        Args:
            week: must be the one after the last call's.
            exposures: messages accepted: household_id, template, medium, week_no; rows of other weeks are skipped.
        """
        if week != self._next:
            raise ValueError(f"week == {week}, must be {self._next}: weeks are simulated in order")
        self._next = week + 1
        change = self._memory.advance(self._read(week, exposures))
        realised, without = self._produce(week, change)
        collected = {
            stream: self._collect(stream, week, realised[stream], without[stream], change) for stream in self._bins
        }
        self._remember(week, collected)
        return self._facts(week, collected)

    def answers(self, messages: pa.Table) -> list[dict[str, str]]:
        """What comes back for messages accepted: message_id, household_id, medium, accepted_at (UTC)."""
        return self._mailbox.answers(messages, self._place(messages["household_id"]))

    def production(self, week: Week) -> Floats:
        """Residual kg each household makes in `week` without messages; moves the week on. For calibration only."""
        self._next = week + 1
        none = np.zeros(len(self._positions))
        return self._produce(week, Change(none, none, none), by_household=True)[1][Stream.RESIDUAL]

    def _rng(self, week: Week, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, week.number, purpose])

    def _place(self, household_ids: pa.ChunkedArray) -> NDArray[np.int64]:
        where: NDArray[np.int64] = self._positions.get_indexer(household_ids.to_pandas()).astype(np.int64)
        if (where < 0).any():
            raise KeyError(f"household_id == {household_ids[int(np.argmin(where))].as_py()!r} is not in this borough")
        return where

    def _read(self, week: Week, exposures: pa.Table | None) -> list[tuple[str, NDArray[np.int64]]]:
        """Households that read each template this week: those who do not, do not respond."""
        if exposures is None or exposures.num_rows == 0:
            return []
        frame = exposures.to_pandas()
        frame = frame[frame["week_no"] == week.number]
        read = []
        for (template, medium), rows in frame.groupby(["template", "medium"], sort=True):
            where = self._place(pa.chunked_array([pa.array(rows["household_id"], pa.string())]))
            read.append((template, where[self._mailbox.reads(week, medium)[where]]))
        return read

    def _produce(
        self, week: Week, change: Change, *, by_household: bool = False
    ) -> tuple[dict[Stream, Floats], dict[Stream, Floats]]:
        """Kg made this week per unit (or household): (realised, without messages)."""
        people, plan, size = self._people, self._plan, len(self._positions)
        rng = self._rng(week, 1)
        fading_sigma, alone_sigma = plan.noise_sigmas
        self._fading = plan.memory * self._fading + np.sqrt(1 - plan.memory**2) * rng.standard_normal(size)
        noise = fading_sigma * self._fading + alone_sigma * rng.standard_normal(size)
        noise -= (fading_sigma**2 + alone_sigma**2) / 2
        usual = people.kg[Stream.RESIDUAL] * np.exp(noise) * self._season(week)
        usual += np.where(people.kg[Stream.RESIDUAL] > 0, self._halloween(week), 0.0)
        removed = usual * change.residual
        realised, without = {Stream.RESIDUAL: usual - removed}, {Stream.RESIDUAL: usual}
        for stream in self._bins:
            if stream is Stream.RESIDUAL:
                continue
            sigma = np.sqrt(np.log1p(plan.streams[stream].noise_cv ** 2))
            kg = people.kg[stream] * np.exp(sigma * rng.standard_normal(size) - sigma**2 / 2)
            gained = self._effects.to_recycling * removed if stream is Stream.RECYCLING else 0.0
            realised[stream], without[stream] = np.maximum(kg + gained, 0.0), kg
        if by_household:
            return realised, without
        total = self._units.total
        return {s: total(kg) for s, kg in realised.items()}, {s: total(kg) for s, kg in without.items()}

    def _season(self, week: Week) -> float:
        """Multiplier of residual: a sinusoid over the year, and the weeks after Christmas."""
        middle = week.monday.timetuple().tm_yday + 3
        after_christmas = middle >= 361 or middle <= 10
        wave = self._plan.season * np.sin(2 * np.pi * (middle - 80) / 365.25)
        return float(1 + wave + (self._plan.christmas if after_christmas else 0.0))

    def _halloween(self, week: Week) -> float:
        return (
            self._plan.halloween_kg
            if week.monday.month == 10 and week.sunday.day + (week.sunday.month == 11) * 31 >= 31
            else 0.0
        )

    def _collect(self, stream: Stream, week: Week, kg: Floats, without: Floats, change: Change) -> Collected:
        names, place = self._units.rounds[stream]
        purpose = 10 + list(Stream).index(stream)
        rng = self._rng(week, purpose)
        sigma = self._plan.round_week_sd
        shock = np.exp(sigma * rng.standard_normal(len(names)) - sigma**2 / 2)[place]
        bins = self._bins[stream]
        bins.fill(kg * shock, without * shock)
        out = self._people.set_out[stream]
        moved = out + (1 - out) * self._units.mean(change.food) if stream is Stream.FOOD else out
        tag = self._people.tag_rate
        chances = Chances(moved, out, tag * (1 - self._units.mean(change.tags)), tag)
        return bins.collect(self._days[stream].days(week), rng, chances)

    def _remember(self, week: Week, collected: dict[Stream, Collected]) -> None:
        for stream, done in collected.items():
            self.truth.record(f"{stream}_kg", week, done.delta_kg)
        if Stream.RECYCLING in collected:
            self.truth.record("tags", week, collected[Stream.RECYCLING].delta_tags)

    def _facts(self, week: Week, collected: dict[Stream, Collected]) -> WeekFacts:
        lifts = [table for done in collected.values() for table in done.lifts]
        tags = [table for done in collected.values() for table in done.tags]
        rng = self._rng(week, 2)
        loads = [
            tickets(week, stream, self._units.rounds[stream][0], done.tipped, rng=rng, plan=self._plan)
            for stream, done in collected.items()
            if done.tipped
        ]
        if self.bad_rows:
            unit = self._units.ids[0].as_py()
            lifts, tags, loads = (
                [*lifts, bad_lifts(week, unit)],
                [*tags, bad_tags(week, unit)],
                [*loads, bad_loads(week)],
            )
        return WeekFacts(_whole(lifts, LIFTS), _whole(tags, TAGS), _whole(loads, LOADS))


def _framed(rows: pa.Table, schema: pa.Schema, start: Week) -> pa.Table:
    """The columns a table of this kind has; those the frame lacks are empty, or known from the start."""
    known = pa.repeat(pa.scalar(start.monday, pa.date32()), rows.num_rows)
    columns = [
        rows[name] if name in rows.column_names else known if name == "known_on" else pa.nulls(rows.num_rows)
        for name in schema.names
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def _whole(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()
