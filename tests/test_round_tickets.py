"""Weighbridge tickets shared out over rounds: nothing lost, and kg by round equal to a brute force in pandas."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudges.outcomes import Collections, Loads, rounds_named, shared_out, weighed_panel
from nudges.weeks import Week

FIRST = Week.parse("2026-W10")
MONDAY = (FIRST.monday - pd.Timestamp("1970-01-01").date()).days
KNOWN = {"R1", "R2", "R3", "Mon/1", "East and West"}

parts = st.lists(
    st.tuples(st.integers(0, 44_000_000), st.lists(st.integers(1, 3_000), min_size=1, max_size=6)),
    min_size=1,
    max_size=8,
)


def shared(tickets):
    """(grams, households of its rounds) of every ticket to the rows `shared_out` takes."""
    ticket = np.repeat(np.arange(len(tickets)), [len(homes) for _, homes in tickets])
    homes = np.array([each for _, some in tickets for each in some])
    return ticket, shared_out(np.array([grams for grams, _ in tickets]), ticket, homes)


@given(parts)
def test_a_tickets_grams_add_up_to_the_whole(tickets):
    ticket, share = shared(tickets)
    assert (share >= 0).all()
    assert np.bincount(ticket, share, minlength=len(tickets)).tolist() == [grams for grams, _ in tickets]


@given(parts)
def test_largest_remainders_by_hand(tickets):
    ticket, share = shared(tickets)
    for number, (grams, homes) in enumerate(tickets):
        exact = [Fraction(grams * each, sum(homes)) for each in homes]
        floor = [each.numerator // each.denominator for each in exact]
        order = sorted(range(len(homes)), key=lambda row: (floor[row] - exact[row], row))
        for row in order[: grams - sum(floor)]:
            floor[row] += 1
        assert share[ticket == number].tolist() == floor


@pytest.mark.parametrize(
    ("text", "rounds"),
    [
        ("R1", ("R1",)),
        (" R1 ", ("R1",)),
        ("R1+R2", ("R1", "R2")),
        ("R1 + R2 & R3", ("R1", "R2", "R3")),
        ("R1, R2", ("R1", "R2")),
        ("R2/R1", ("R2", "R1")),
        ("R1 and R2", ("R1", "R2")),
        ("R1 + R1", ("R1",)),
        ("Mon/1", ("Mon/1",)),  # an id may hold any of the signs
        ("East and West", ("East and West",)),
        ("R1 + TRADE", ()),
        ("TRADE", ()),
        ("r1", ()),
        ("", ()),
    ],
)
def test_rounds_that_a_ticket_names(text, rounds):
    assert rounds_named(text, KNOWN) == rounds


def days(*places):
    return np.array(places, dtype=np.int64) + MONDAY


def panel(collections, tickets, homes, *, weeks=4):
    """Panel of rounds R0, R1, ... by (round, day) collections, (day, grams, rounds named) tickets and households."""
    made = Collections.of(np.array([r for r, _ in collections]), days(*(day for _, day in collections)))
    loads = Loads(
        days(*(day for day, _, _ in tickets)), np.array([g for _, g, _ in tickets]), tuple(n for _, _, n in tickets)
    )
    households = np.repeat(np.array(homes)[:, None], weeks, axis=1)
    return weighed_panel([f"R{index}" for index in range(len(homes))], made, loads, households, FIRST.number)


WEEKLY = [(0, day) for day in (0, 7, 14, 21)]


def test_a_week_without_a_ticket_is_missing_never_zero():
    found = panel(WEEKLY, [(0, 700_000, (0,)), (14, 900_000, (0,))], [100])
    assert found.weekly[0].tolist() == pytest.approx([7.0, np.nan, 9.0, np.nan], nan_ok=True)
    assert found.values(FIRST.number, FIRST.number + 3).tolist() == [8.0]
    assert np.isnan(found.values(FIRST.number + 1, FIRST.number + 1))
    assert found.planned.tolist() == [[1, 1, 1, 1]]
    assert found.valid.tolist() == [[1, 0, 1, 0]]


def test_a_fortnightly_load_is_of_two_weeks_and_a_slip_of_the_days_it_really_is():
    """kg = 2,800 / 100 homes over 14 days; then 15 days to a Tuesday, 13 from it."""
    fortnightly = [(0, -14), (0, 0), (0, 15), (0, 28)]
    found = panel(fortnightly, [(0, 1_400_000, (0,)), (15, 1_500_000, (0,)), (28, 1_300_000, (0,))], [100], weeks=6)
    assert found.weekly[0].tolist() == pytest.approx([7, np.nan, 7, np.nan, 7, np.nan], nan_ok=True)
    assert found.cycle_weeks == 1  # one round, all in the same weeks
    two = [*fortnightly, *((1, day + 7) for _, day in fortnightly)]
    assert panel(two, [(0, 1, (0,))], [100, 100], weeks=6).cycle_weeks == 2


def test_tipped_the_next_morning_it_belongs_to_the_day_before_over_a_month_to_nothing():
    found = panel([(0, 4), (0, 11)], [(7, 700_000, (0,)), (11, 800_000, (0,)), (27, 1, (0,))], [100])
    assert found.weekly[0, :2].tolist() == [7.0, 8.0]
    assert found.tickets.off_calendar == 1


def test_several_rounds_share_by_households_and_the_share_is_shown():
    both = [*WEEKLY, *((1, day) for _, day in WEEKLY)]
    found = panel(both, [(0, 900_000, (0, 1)), (7, 100_000, (0,)), (7, 200_000, (1,))], [100, 200])
    assert (found.over[:, 0] * [100, 200]).tolist() == pytest.approx([300, 600])
    assert found.tickets.together == {("R0", "R1"): 900_000}
    assert found.tickets.shared_share == pytest.approx(0.75)
    assert found.tickets.mixed_share(["R0"], ["R1"]) == pytest.approx(0.75)
    assert found.tickets.mixed_share(["R0", "R1"], ["R2"]) == 0.0


def test_without_a_round_it_goes_to_those_of_the_day_that_have_no_ticket():
    both = [*WEEKLY, *((1, day) for _, day in WEEKLY)]
    found = panel(both, [(0, 500_000, (0,)), (0, 600_000, ())], [100, 100])
    assert found.over[:, 0].tolist() == pytest.approx([5.0, 6.0])
    assert (found.tickets.own, found.tickets.by_day, found.tickets.shared_share) == (500_000, 600_000, 6 / 11)
    all_known = panel(both, [(0, 500_000, (0,)), (0, 500_000, (1,)), (0, 300_000, ())], [100, 200])
    assert all_known.over[:, 0].tolist() == pytest.approx([6.0, 3.5])
    late = panel([(0, 4)], [(6, 500_000, ()), (9, 1, ())], [100])
    assert late.over[0, 0] == 5.0
    assert late.tickets.off_calendar == 1


def test_a_round_that_no_household_is_on_is_left_out_and_counted():
    found = panel(WEEKLY, [(0, 700_000, (0,)), (0, 300_000, None)], [100])
    assert found.over.sum() == 7.0
    assert (found.tickets.unknown, found.tickets.left_out_share) == (300_000, 0.3)


def test_some_rounds_in_an_order_of_their_own():
    both = [*WEEKLY, *((1, day) for _, day in WEEKLY)]
    found = panel(both, [(0, 900_000, (0,)), (0, 100_000, (1,))], [100, 200]).part(["R1", "gone", "R0"])
    assert found.rounds == ("R1", "gone", "R0")
    assert found.weekly[:, 0].tolist() == pytest.approx([0.5, np.nan, 9.0], nan_ok=True)


@st.composite
def councils(draw):
    """Rounds with rhythm, weekday and homes; tickets on any day that name one, several, none or an unknown round."""
    n = draw(st.integers(1, 4))
    rounds = [(draw(st.sampled_from([7, 14])), draw(st.integers(0, 13)), draw(st.integers(1, 500))) for _ in range(n)]
    collections = [
        (index, day) for index, (every, phase, _) in enumerate(rounds) for day in range(phase - 14, 56, every)
    ]
    named = st.one_of(
        st.just(()), st.none(), st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True).map(tuple)
    )
    tickets = draw(st.lists(st.tuples(st.integers(0, 55), st.integers(1, 10**7), named), max_size=40))
    return collections, tickets, [homes for _, _, homes in rounds]


def brute(collections, tickets, homes, first, last):
    """Kg a household and week by round over some days, in Python and pandas: one ticket at a time, in fractions."""
    dates = pd.DataFrame(collections, columns=["round", "day"]).drop_duplicates().sort_values(["round", "day"])
    dates["weeks"] = dates.groupby("round")["day"].diff()
    dates["weeks"] = dates["weeks"].fillna(dates.groupby("round")["day"].diff(-1).abs()) / 7
    of_round = {r: part["day"].tolist() for r, part in dates.groupby("round")}
    cells, seen = defaultdict(int), set()

    def split(grams, where):
        whole = sum(homes[r] for r, _ in where)
        exact = [Fraction(grams * homes[r], whole) for r, _ in where]
        floor = [each.numerator // each.denominator for each in exact]
        order = sorted(range(len(where)), key=lambda row: (floor[row] - exact[row], row))
        for row in order[: grams - sum(floor)]:
            floor[row] += 1
        for place, part in zip(where, floor, strict=True):
            cells[place] += part

    for day, grams, named in tickets:
        before = {r: [d for d in of_round[r] if d <= day] for r in named or ()}
        where = [(r, some[-1]) for r, some in before.items() if some and day - some[-1] <= 13]
        if where:
            split(grams, where)
            seen |= set(where)
    extra = set()
    for day, grams, named in tickets:
        if named == ():
            back = min((day - d for _, d in collections if 0 <= day - d <= 3), default=None)
            due = sorted({(r, d) for r, d in collections if back is not None and d == day - back})
            where = [place for place in due if place not in seen] or due
            if where:
                split(grams, where)
                extra |= set(where)
    dates = dates[dates["day"].between(first, last)]
    weighed = dates[[place in seen | extra for place in zip(dates["round"], dates["day"], strict=True)]]
    found = []
    for r in range(len(homes)):
        mine = weighed[weighed["round"] == r]
        kg = sum(cells[r, day] for day in mine["day"]) / 1000 / homes[r]
        found.append(kg / mine["weeks"].sum() if len(mine) else np.nan)
    return found


@settings(max_examples=150, deadline=None)
@given(councils())
def test_pre_and_post_equal_a_brute_force_and_no_gram_is_lost(council):
    collections, tickets, homes = council
    found = panel(collections, tickets, homes, weeks=8)
    start = FIRST.number + 4
    assert found.values(FIRST.number, start - 1).tolist() == pytest.approx(
        brute(*council, 0, 27), nan_ok=True, rel=1e-12
    )
    assert found.values(start, start + 3).tolist() == pytest.approx(brute(*council, 28, 55), nan_ok=True, rel=1e-12)
    assert found.tickets.total == sum(grams for _, grams, _ in tickets)
