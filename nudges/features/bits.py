"""Turns a set of weeks, kept as bits of one integer, into counts and sums: SQL expressions for the features query.

Bit 25 is the week itself and bit 0 the oldest of the 26 looked at. One BIT_OR over a unit's lifts replaces two dozen
conditional counts: it is exact in any order of rows and keeps the state of a group small enough for one machine.
"""

# Every value put into the text is a week number or a word of ours.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable

from nudges.weeks import Week

WINDOW_WEEKS = 26
ALL_WEEKS = 2**WINDOW_WEEKS - 1
SECOND_PLANE = 2**WINDOW_WEEKS
"""A second set of weeks is kept in the same integer, this many times higher."""


def weeks_cte(week: Week) -> str:
    """The weeks looked at, one row each: number, first and last day, its bit, and its bit in the second plane."""
    rows = ",\n    ".join(
        f"({each.number}, DATE '{each.monday}', DATE '{each.sunday}', {_bit(back)}, {_bit(back) * SECOND_PLANE})"
        for back in range(WINDOW_WEEKS)
        for each in (week - back,)
    )
    names = "week_no, starts_on, ends_on, bit, second_bit"
    return f"weeks AS (\n  SELECT {names} FROM (VALUES\n    {rows}\n  ) AS listed ({names})\n)"


def first_plane(code: str) -> str:
    """Weeks of the lower set."""
    return f"({code} & {ALL_WEEKS})"


def second_plane(code: str) -> str:
    """Weeks of the upper set; the division is exact whether an engine divides integers as integers or as doubles."""
    return f"CAST(({code} - {first_plane(code)}) / {SECOND_PLANE} AS BIGINT)"


def count(code: str, n: int, *, plane: int = 1) -> str:
    """How many of the last `n` weeks are in the set of that plane."""
    return total(code, n, lambda _: 1, plane=plane)


def count_either(code: str) -> str:
    """How many weeks are in the set of either plane."""
    return _total(code, WINDOW_WEEKS, lambda _: 1, 1 + SECOND_PLANE)


def total(code: str, n: int, of: Callable[[int], int], *, plane: int = 1) -> str:
    """Sum of `of(weeks back)` over those of the last `n` weeks that are in the set of that plane."""
    factor = SECOND_PLANE if plane == 2 else 1
    return f"CASE WHEN {code} < {factor} THEN 0 ELSE {_total(code, n, of, factor)} END"


def newest(weeks: str) -> str:
    """How many weeks back the newest week of the set is; NULL for an empty set."""
    steps = " ".join(f"WHEN ({weeks} & {_bit(back)}) <> 0 THEN {back}" for back in range(WINDOW_WEEKS))
    return f"CASE WHEN {weeks} = 0 THEN NULL {steps} END"


def _total(code: str, n: int, of: Callable[[int], int], factor: int) -> str:
    return " + ".join(f"CASE WHEN ({code} & {_bit(back) * factor}) = 0 THEN 0 ELSE {of(back)} END" for back in range(n))


def _bit(back: int) -> int:
    return int(2 ** (WINDOW_WEEKS - 1 - back))


PLANES = {1: first_plane, 2: second_plane}
