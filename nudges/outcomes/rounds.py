"""Outcomes of whole rounds by week: kg a household from lorry loads, or tags and set-outs added up over a round's bins.

A round's value over some weeks is a ratio of sums, so that a week without a ticket is missing from both sides, never
zero. A collection brings in what was made since the one before, so kg are out of the weeks between the two: a
fortnightly round and a bank-holiday slip need no other rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nudges.outcomes.tickets import shared_out

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAYS_TO_TIP = 13
"""Days after a collection within which a ticket that names its round belongs to it: the next one is not due yet."""

DAYS_TO_TIP_UNNAMED = 3
"""The same for a ticket that names no round: tipped the next morning, or after the week-end."""

_EPOCH_DAYS = 10_959  # days from 1970-01-01 to Monday 2000-01-03, from which weeks are counted
_FAR = 1_000_000  # days: more than any calendar reaches


@dataclass(frozen=True, slots=True)
class Collections:
    """Planned collections of r rounds, c of them in order of round and day; one a round and day.

    `days` count from 1970-01-01. `weeks` since the round's collection before; the first has those to the next one.
    """

    rounds: NDArray[np.intp]
    days: Whole
    weeks: Floats

    @classmethod
    def of(cls, rounds: NDArray[np.intp], days: Whole) -> Collections:
        """Put planned collections, in any order, into theirs."""
        key = np.unique(rounds.astype(np.int64) * _FAR + days)
        place, day = np.divmod(key, _FAR)
        gap = np.diff(day, prepend=0) / 7
        is_first = np.r_[True, place[1:] != place[:-1]] if len(key) else np.zeros(0, dtype=bool)
        ahead = np.r_[gap[1:], 1.0]
        is_only = is_first & np.r_[is_first[1:], True]
        weeks = np.where(is_first, np.where(is_only, 1.0, ahead), gap)
        return cls(place.astype(np.intp), day, weeks)

    @property
    def week_no(self) -> Whole:
        """Week of each."""
        return (self.days - _EPOCH_DAYS) // 7

    def at(self, rounds: NDArray[np.intp], days: Whole) -> NDArray[np.intp]:
        """The collection of its round that each load came from: the latest up to its day; -1 without one in reach."""
        if not len(self.days):
            return np.full(len(days), -1, dtype=np.intp)
        key = self.rounds * _FAR + self.days
        place = np.searchsorted(key, rounds * _FAR + days, side="right") - 1
        held = np.maximum(place, 0)
        is_near = (self.rounds[held] == rounds) & (days - self.days[held] <= DAYS_TO_TIP)
        return np.where((place >= 0) & is_near, place, -1).astype(np.intp)

    def on(self, day: int) -> NDArray[np.intp]:
        """Collections of that day, or of the latest of the few days before it that had any."""
        back = day - self.days
        near = (back >= 0) & (back <= DAYS_TO_TIP_UNNAMED)
        return np.flatnonzero(near & (back == back[near].min(initial=_FAR)))


@dataclass(frozen=True, slots=True)
class TicketSums:
    """Grams on tickets by how their rounds were known; the parts add up to `total`.

    `unknown` names a round that no household is on, `off_calendar` has no collection to belong to: both are left out.
    `together` holds what several rounds shared, by the ids of those rounds.
    """

    own: int
    several: int
    by_day: int
    unknown: int
    off_calendar: int
    together: Mapping[tuple[str, ...], int]

    @property
    def used(self) -> int:
        """Grams that some round was given."""
        return self.own + self.several + self.by_day

    @property
    def total(self) -> int:
        """All grams of the stream."""
        return self.used + self.unknown + self.off_calendar

    @property
    def shared_share(self) -> float:
        """Share of the grams used that no ticket gave to one round."""
        return (self.several + self.by_day) / self.used if self.used else 0.0

    @property
    def left_out_share(self) -> float:
        """Share of all grams that belong to no collection of a known round."""
        return (self.unknown + self.off_calendar) / self.total if self.total else 0.0

    def mixed_share(self, some: Collection[str], others: Collection[str]) -> float:
        """Share of the grams used that rounds of the one group shared with rounds of the other."""
        first, second = set(some), set(others)
        mixed = sum(
            grams for names, grams in self.together.items() if first.intersection(names) and second.intersection(names)
        )
        return mixed / self.used if self.used else 0.0


@dataclass(frozen=True, slots=True)
class RoundPanel:
    """Outcome of r rounds in w weeks, each (r, w).

    Attributes:
        rounds: ids, in order.
        first_week_no: week of the first column.
        over, under: the outcome of any weeks is sum(over) / sum(under): kg a household and weeks, or counts.
        planned, valid: collections, and those whose outcome is known.
        households: on the round that week.
        tickets: how tickets were shared out; None for outcomes that are not weighed.
        out_of: what a rate is out of, in words; empty for kg.
    """

    rounds: tuple[str, ...]
    first_week_no: int
    over: Floats
    under: Floats
    planned: Floats
    valid: Floats
    households: Floats
    tickets: TicketSums | None = None
    out_of: str = ""

    @property
    def last_week_no(self) -> int:
        """Week of the last column."""
        return self.first_week_no + int(self.over.shape[1]) - 1

    def part(self, names: Sequence[str]) -> RoundPanel:
        """Some rounds, in the order given; one that is not known has no outcome. `tickets` stay those of all."""
        place = {name: index for index, name in enumerate(self.rounds)}
        rows = np.array([place.get(name, -1) for name in names], dtype=np.intp)
        known = (rows >= 0)[:, None]

        def of(cells: Floats) -> Floats:
            return np.where(known, cells[rows], 0.0) if len(cells) else np.zeros((len(names), cells.shape[1]))

        return replace(
            self,
            rounds=tuple(names),
            over=of(self.over),
            under=of(self.under),
            planned=of(self.planned),
            valid=of(self.valid),
            households=of(self.households),
        )

    def total(self, cells: Floats, first: int, last: int) -> Floats:
        """Sum of some (r, w) cells over weeks `first` to `last`, (r,)."""
        low = max(first - self.first_week_no, 0)
        return np.asarray(cells[:, low : max(last - self.first_week_no + 1, low)].sum(axis=1), dtype=np.float64)

    def values(self, first: int, last: int) -> Floats:
        """Outcome of each round over weeks `first` to `last`, (r,): NaN where nothing is known."""
        under = self.total(self.under, first, last)
        over = self.total(self.over, first, last)
        return _ratio(over, under)

    @property
    def weekly(self) -> Floats:
        """Outcome of each round and week, (r, w): NaN where nothing is known, or nothing was due."""
        return _ratio(self.over, self.under)

    @property
    def cycle_weeks(self) -> int:
        """Weeks after which every round was collected from: 1 where all are weekly, 2 where some are fortnightly."""
        weeks, collections = (self.planned > 0).any(axis=0).sum(), (self.planned > 0).sum(axis=1)
        some = collections[collections > 0]
        return max(round(float(weeks) / float(np.median(some))), 1) if len(some) else 1


def _ratio(over: Floats, under: Floats) -> Floats:
    out: Floats = np.divide(over, under, out=np.full(under.shape, np.nan), where=under > 0)
    return out


@dataclass(frozen=True, slots=True)
class Loads:
    """Tickets of one stream: t days (from 1970-01-01), grams and positions of the rounds named; None when unknown.

    An empty tuple says that the ticket names no round, None that it names one no household is on.
    """

    days: Whole
    grams: Whole
    named: tuple[tuple[int, ...] | None, ...]


def weighed_panel(
    names: Sequence[str], collections: Collections, loads: Loads, households: Whole, first_week_no: int
) -> RoundPanel:
    """Kg a household and week by round from weighbridge tickets; `households` is (r, w) from `first_week_no` on."""
    shape = households.shape
    column = collections.week_no - first_week_no
    inside = (column >= 0) & (column < shape[1])
    on_round = households[collections.rounds, np.clip(column, 0, shape[1] - 1)]  # tickets may belong to weeks outside
    grams, has_ticket, ticket, place = _allocated(collections, loads, on_round)
    sums = _sums(names, loads, ticket, collections.rounds[place])
    used = inside & (on_round > 0)
    cell = (collections.rounds[used], column[used])
    known = has_ticket[used]
    over, under, planned, valid = (np.zeros(shape) for _ in range(4))
    np.add.at(over, cell, np.where(known, grams[used] / 1000 / on_round[used], 0.0))
    np.add.at(under, cell, np.where(known, collections.weeks[used], 0.0))
    np.add.at(planned, cell, 1.0)
    np.add.at(valid, cell, known.astype(np.float64))
    return RoundPanel(
        tuple(names), first_week_no, over, under, planned, valid, households.astype(np.float64), tickets=sums
    )


def _allocated(
    collections: Collections, loads: Loads, on_round: Whole
) -> tuple[Whole, Flags, NDArray[np.intp], NDArray[np.intp]]:
    """Grams and whether there is a ticket, by collection (c,); ticket and collection of every part of a ticket."""
    ticket, rounds = _flat(loads.named)
    place = collections.at(rounds, loads.days[ticket])
    reached = (place >= 0) & (on_round[np.maximum(place, 0)] > 0) if len(on_round) else np.zeros(len(place), dtype=bool)
    ticket, rounds, place = ticket[reached], rounds[reached], place[reached]
    grams, has_ticket = np.zeros(len(on_round), dtype=np.int64), np.zeros(len(on_round), dtype=bool)
    has_ticket[place] = True
    by_day = _by_day(collections, loads, on_round, has_ticket)
    ticket, place = np.r_[ticket, by_day[0]], np.r_[place, by_day[1]]
    order = np.argsort(ticket, kind="stable")
    ticket, place = ticket[order], place[order]
    np.add.at(grams, place, shared_out(loads.grams, ticket, on_round[place]))
    has_ticket[place] = True
    return grams, has_ticket, ticket, place


def _flat(named: Sequence[tuple[int, ...] | None]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    ticket = np.repeat(np.arange(len(named)), [len(each or ()) for each in named])
    return ticket.astype(np.intp), np.array([place for each in named for place in each or ()], dtype=np.intp)


def _by_day(
    collections: Collections, loads: Loads, on_round: Whole, has_ticket: Flags
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Ticket and collection of every part of the tickets that name no round."""
    tickets: list[int] = []
    places: list[NDArray[np.intp]] = []
    for index in (index for index, named in enumerate(loads.named) if named == ()):
        due = collections.on(int(loads.days[index]))
        due = due[on_round[due] > 0]
        without = due[~has_ticket[due]]
        part = without if len(without) else due
        tickets += [index] * len(part)
        places.append(part)
    return np.array(tickets, dtype=np.intp), np.concatenate([np.zeros(0, dtype=np.intp), *places])


def _sums(names: Sequence[str], loads: Loads, ticket: NDArray[np.intp], rounds: NDArray[np.intp]) -> TicketSums:
    parts = np.bincount(ticket, minlength=len(loads.grams))
    is_unknown = np.array([named is None for named in loads.named], dtype=bool)
    is_blank = np.array([named == () for named in loads.named], dtype=bool)
    is_used = parts > 0

    def grams(flags: Flags) -> int:
        return int(loads.grams[flags].sum())

    together: dict[tuple[str, ...], int] = {}
    starts = np.searchsorted(ticket, np.arange(len(parts)))
    for index in np.flatnonzero(parts > 1):
        key = tuple(names[place] for place in rounds[starts[index] : starts[index] + parts[index]])
        together[key] = together.get(key, 0) + int(loads.grams[index])
    return TicketSums(
        own=grams(is_used & ~is_blank & (parts == 1)),
        several=grams(is_used & ~is_blank & (parts > 1)),
        by_day=grams(is_used & is_blank),
        unknown=grams(is_unknown),
        off_calendar=grams(~is_used & ~is_unknown),
        together=together,
    )
