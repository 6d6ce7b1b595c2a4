"""Turns dates into whole numbers in portable SQL: engines disagree on the type of a difference of dates."""

from __future__ import annotations


def day_number(day: str, double: str) -> str:
    """Days of the proleptic Gregorian calendar, 1 on 0001-01-01, as a double."""
    before = f"(CAST(EXTRACT(YEAR FROM {day}) AS {double}) - CAST(1 AS {double}))"
    leaps = " ".join(
        f"{sign} FLOOR({before} / CAST({years} AS {double}))" for sign, years in (("+", 4), ("-", 100), ("+", 400))
    )
    return f"(CAST(365 AS {double}) * {before} {leaps} + CAST(EXTRACT(DOY FROM {day}) AS {double}))"


def week_number(day: str, double: str) -> str:
    """`Week.number` of a date: weeks since Monday 2000-01-03, which is day 730122."""
    return f"CAST(FLOOR(({day_number(day, double)} - CAST(730122 AS {double})) / CAST(7 AS {double})) AS BIGINT)"
