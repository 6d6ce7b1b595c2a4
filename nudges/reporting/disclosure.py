"""Turns a count of households into one that can be published: small ones hidden, the rest rounded."""

from __future__ import annotations

SMALLEST = 8
ROUND_TO = 5


def disclosed(count: float) -> int | None:
    """The count rounded to the nearest 5, or None when it is 7 or fewer (0 included: absence is a fact too)."""
    return None if count < SMALLEST else int(count / ROUND_TO + 0.5) * ROUND_TO


def shown(count: float) -> str:
    """The publishable count as text."""
    safe = disclosed(count)
    return "7 or fewer" if safe is None else f"{safe:,}"
