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
_PAIRS, _FOURS, _BYTES = 0x5555555555555, 0x3333333333333, 0xF0F0F0F0F0F0F


def weeks_cte(week: Week) -> str:
    """The weeks looked at, one row each: number, first and last day, its bit, and its bit in the upper set."""
    rows = ",\n    ".join(
        f"({each.number}, DATE '{each.monday}', DATE '{each.sunday}', {_bit(back)}, {_bit(back) << WINDOW_WEEKS})"
        for back in range(WINDOW_WEEKS)
        for each in (week - back,)
    )
    names = "week_no, starts_on, ends_on, bit, upper_bit"
    return f"weeks AS (\n  SELECT {names} FROM (VALUES\n    {rows}\n  ) AS listed ({names})\n)"


def lower_set(code: str) -> str:
    """The lower of two sets of weeks in one integer."""
    return f"CAST({code} & {ALL_WEEKS} AS INTEGER)"


def upper_set(code: str) -> str:
    """The upper of two sets of weeks in one integer."""
    return f"CAST({code} >> {WINDOW_WEEKS} AS INTEGER)"


def among(weeks: str, others: str, n: int = WINDOW_WEEKS) -> str:
    """Whether those of the last `n` weeks that are in the set are all in `others`."""
    newest = f"({weeks} & {ALL_WEEKS ^ (ALL_WEEKS >> n)})" if n < WINDOW_WEEKS else weeks
    return f"({newest} & {others}) = {newest}"


def count(weeks: str, n: int = WINDOW_WEEKS) -> str:
    """How many of the last `n` weeks are in the set."""
    return _ones(f"({weeks} >> {WINDOW_WEEKS - n})" if n < WINDOW_WEEKS else weeks, n)


def count_both(code: str) -> str:
    """How many weeks are in the two sets of one integer, together."""
    return _ones(code, 2 * WINDOW_WEEKS)


def total(weeks: str, n: int, of: Callable[[int], int]) -> str:
    """Sum of `of(weeks back)` over those of the last `n` weeks that are in the set."""
    each = " + ".join(f"CASE WHEN ({weeks} & {_bit(back)}) = 0 THEN 0 ELSE {of(back)} END" for back in range(n))
    return f"CASE WHEN {weeks} = 0 THEN 0 ELSE {each} END"


def _ones(value: str, bits: int) -> str:
    """Ones among the lowest `bits`: added in pairs, fours and bytes, then byte to byte."""

    def cut(mask: int) -> int:
        return mask & ((1 << bits) - 1)

    pairs = f"(({value} & {cut(_PAIRS)}) + (({value} >> 1) & {cut(_PAIRS)}))"
    fours = f"(({pairs} & {cut(_FOURS)}) + (({pairs} >> 2) & {cut(_FOURS)}))"
    if bits <= 4:
        return fours
    ones = f"(({fours} & {cut(_BYTES)}) + (({fours} >> 4) & {cut(_BYTES)}))"
    width = 8
    while width < bits:
        ones = f"({ones} + ({ones} >> {width}))"
        width += width
    return f"({ones} & 127)"


def _bit(back: int) -> int:
    return int(2 ** (WINDOW_WEEKS - 1 - back))
