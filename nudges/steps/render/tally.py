"""Turns chunks of recipients into messages to be kept, and into counts and reasons for those without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nudges.domain import Arm, Reach, Reason
from nudges.rendering import CompiledTemplate
from nudges.rendering.writing import OPEN, Messages, Naming, write_chunk

PLANNED = "planned"
"""State of a medium whose message is in the ledger already."""


SPARE = "spare"
"""State of a medium that another one of the arm goes before."""


@dataclass(slots=True)
class Tally:
    """What one campaign's rendering came to."""

    counts: Counter[str] = field(default_factory=Counter)
    pence: float = 0.0
    lacking: Counter[str] = field(default_factory=Counter)  # template, block and fact: households
    excluded: dict[str, Reason] = field(default_factory=dict)

    def write(
        self, arm: Arm, compiled: CompiledTemplate, chunk: Mapping[str, Sequence[Any]], naming: Naming
    ) -> Messages:
        """Write a chunk's open media, and count them and whoever cannot be written to."""
        messages = write_chunk(compiled, arm.media, self._sorted_out(arm, chunk), naming)
        for error in messages.missing.values():
            self.lacking[f"{error.file}, block {error.block}: {error.variable}"] += 1
        self.excluded.update(dict.fromkeys(messages.missing, Reason.MISSING_FACT))
        if messages.missing:
            self.counts[Reason.MISSING_FACT] += len(messages.missing)
        self.counts.update(Counter(str(medium) for medium in messages.medium))
        self.counts["fragments"] += sum(messages.fragments)
        return messages

    def _sorted_out(self, arm: Arm, chunk: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
        """The rows that have something to write; the others are counted with their reason."""
        if arm.reach is Reach.FIRST and len(arm.media) > 1:
            chunk = _first_only(arm, chunk)
        states = list(zip(*(chunk[f"{medium}_state"] for medium in arm.media), strict=True))
        keep: list[int] = []
        for index, (household_id, due, known) in enumerate(
            zip(chunk["household_id"], chunk["due_at"], states, strict=True)
        ):
            if OPEN in known and due is not None:
                keep.append(index)
                continue
            reason = _reason(known, has_time=due is not None)
            self.counts[reason or "already_planned"] += 1
            if reason:
                self.excluded[household_id] = reason
        if len(keep) == len(states):
            return chunk
        return {name: [column[index] for index in keep] for name, column in chunk.items()}


def _first_only(arm: Arm, chunk: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """The chunk with one open medium a household: the first in the arm's order, none where one is planned already."""
    names = [f"{medium}_state" for medium in arm.media]
    rows = [_one_open(states) for states in zip(*(chunk[name] for name in names), strict=True)]
    return {**chunk, **{name: [row[place] for row in rows] for place, name in enumerate(names)}}


def _one_open(states: Sequence[str]) -> Sequence[str]:
    if states.count(OPEN) + states.count(PLANNED) < 2:
        return states
    first = None if PLANNED in states else states.index(OPEN)
    return [SPARE if state == OPEN and place != first else state for place, state in enumerate(states)]


def _reason(known: Sequence[str], *, has_time: bool) -> Reason | None:
    """Why there is nothing to write; None when it is written already."""
    if PLANNED in known:
        return None
    if OPEN in known and not has_time:
        return Reason.NO_COLLECTION
    return Reason.SUPPRESSED if "suppressed" in known else Reason.NO_CONTACT
