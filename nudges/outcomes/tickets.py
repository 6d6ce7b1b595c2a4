"""Weighbridge tickets → grams of each round, tickets that stand for several rounds shared out by households.

A ticket says which round it weighed, several rounds, or none. The rule, stated on every page that rests on it:

- one round named: all of it is that round's;
- several named, as in `R1 + R2`: shared in proportion to the households on each;
- none named: shared in the same way among the rounds collected that day whose own tickets are missing, or among all
  collected that day when none is missing;
- a round that no household is on, or no collection in the two weeks before: left out.

Shares are whole grams by largest remainder, so nothing is lost or made. Sharing between a round with messages and one
without draws the two together: it can hide an effect, never make one.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]

_BETWEEN = re.compile(r"\s*(?:[+,;&|/]|\band\b)\s*")


def rounds_named(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Rounds that a ticket names, each once: one, or several put together by + , ; & | / or "and"; none when unknown.

    A text that is itself a round's id names that round only, whatever signs are in it.
    """
    whole = text.strip()
    if whole in known:
        return (whole,)
    parts = tuple(dict.fromkeys(_BETWEEN.split(whole)))
    return parts if all(part in known for part in parts) else ()


def shared_out(grams: Whole, ticket: Whole, households: Whole) -> Whole:
    """Whole grams of every row, in proportion to households within its ticket, each ticket's adding up to its own.

    Args:
        grams: (t,) of each ticket, at most 2**31.
        ticket: (m,) which ticket each row is a part of, rising.
        households: (m,) of the row's round, above 0, at most 2**31 a ticket.

    Left-over grams go to the largest remainders, the earlier row first among equals.
    """
    whole = np.bincount(ticket, households, minlength=len(grams)).astype(np.int64)
    share, rest = np.divmod(grams[ticket] * households, whole[ticket])
    left = grams - np.bincount(ticket, share, minlength=len(grams)).astype(np.int64)
    order = np.lexsort((np.arange(len(ticket)), -rest, ticket))
    place = np.empty(len(ticket), dtype=np.int64)
    place[order] = np.arange(len(ticket))
    first = np.searchsorted(ticket, np.arange(len(grams)))
    share[place - first[ticket] < left[ticket]] += 1
    return np.asarray(share, dtype=np.int64)
