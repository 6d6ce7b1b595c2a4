"""A chunk of households and their values into messages: the inner loop of rendering, once a message and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Any

from jinja2 import UndefinedError

from nudges.domain import Medium
from nudges.rendering.content import ABSENT, CompiledTemplate, MissingFactError, WordsContext, stop_link
from nudges.rendering.facts import LINK
from nudges.rendering.queries import PER_MEDIUM
from nudges.sms import measure

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_TWO_CHARACTERS = tuple(a + b for a in _BASE32 for b in _BASE32)  # base64.b32encode costs three times as much

OPEN = "open"
"""State of a medium by which a household can be written to."""


@dataclass(slots=True)
class Messages:
    """Messages of one chunk as columns, and the households that lack a fact."""

    message_id: list[str] = field(default_factory=list)
    household_id: list[str] = field(default_factory=list)
    medium: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    content_hash: list[str] = field(default_factory=list)
    fragments: list[int] = field(default_factory=list)
    due_at: list[Any] = field(default_factory=list)
    missing: dict[str, MissingFactError] = field(default_factory=dict)

    def without_missing(self) -> Messages:
        """Leave out every message to a household that lacks a fact in any medium: never half a nudge."""
        if not self.missing:
            return self
        keep = [household not in self.missing for household in self.household_id]
        columns = {
            name: [value for value, kept in zip(getattr(self, name), keep, strict=True) if kept]
            for name in ("message_id", "household_id", "medium", "facts", "content_hash", "fragments", "due_at")
        }
        return Messages(**columns, missing=self.missing)


class Naming:
    """What message ids are made of: unguessable without the council's salt, the same on every run."""

    def __init__(self, campaign: str, week_no: int, salt: str) -> None:
        key = salt.encode()
        self._state = blake2b(key=key if len(key) <= 64 else sha256(key).digest(), digest_size=10)
        self._state.update(f"{campaign}|{week_no}|".encode())

    def message_id(self, household_id: str, medium: str) -> str:
        """16 lower-case base32 characters of a keyed hash of campaign, week, household and medium."""
        state = self._state.copy()
        state.update(f"{household_id}|{medium}".encode())
        n, two = int.from_bytes(state.digest(), "big"), _TWO_CHARACTERS
        return (
            f"{two[n >> 70]}{two[n >> 60 & 1023]}{two[n >> 50 & 1023]}{two[n >> 40 & 1023]}"
            f"{two[n >> 30 & 1023]}{two[n >> 20 & 1023]}{two[n >> 10 & 1023]}{two[n & 1023]}"
        )


def write_chunk(
    compiled: CompiledTemplate, media: Sequence[Medium], chunk: Mapping[str, Sequence[Any]], naming: Naming
) -> Messages:
    """Write every open medium of every household in `chunk` (columns as `queries.facts_sql` gives them)."""
    messages = Messages()
    for medium in media:
        states = chunk[f"{medium}_state"]
        rows = [index for index, state in enumerate(states) if state == OPEN]
        _write_medium(compiled, medium, _picked(chunk, rows, len(states)), naming, messages)
    return messages.without_missing()


def _write_medium(
    compiled: CompiledTemplate,
    medium: Medium,
    chunk: Mapping[str, Sequence[Any]],
    naming: Naming,
    messages: Messages,
) -> None:
    write = compiled.writer(medium)
    names, links, columns = _spoken(compiled, medium, chunk)
    households = chunk["household_id"]
    is_sms = medium is Medium.SMS
    for household_id, facts, due_at, words in zip(
        households, chunk[f"{medium}_facts"], chunk["due_at"], _rows(columns, len(households)), strict=True
    ):
        message_id = naming.message_id(household_id, medium)
        context = WordsContext(zip(names, words, strict=True))
        url = stop_link(compiled.public_url, message_id)
        for link in links:
            context[link] = url
        try:
            content = write(context)
        except UndefinedError as error:
            messages.missing.setdefault(household_id, compiled.missing(medium, context, error, household_id))
            continue
        messages.message_id.append(message_id)
        messages.household_id.append(household_id)
        messages.medium.append(medium)
        messages.facts.append(facts)
        messages.content_hash.append(content.digest())
        messages.fragments.append(measure(content.text).fragments if is_sms else 0)
        messages.due_at.append(due_at)


def _spoken(
    compiled: CompiledTemplate, medium: Medium, chunk: Mapping[str, Sequence[Any]]
) -> tuple[list[str], list[str], list[list[Any]]]:
    """Flat names, those of the opt-out link, and a column of words for each of the others."""
    names: list[str] = []
    links: list[str] = []
    columns: list[list[Any]] = []
    for name in compiled.names(medium):
        value_name, speak = compiled.wordings[name]
        if value_name == LINK:
            links.append(name)
            continue
        values = chunk[f"{medium}_name" if value_name == PER_MEDIUM else value_name]
        words = {value: speak(value) for value in set(values)}
        spoken = {value: ABSENT if word is None else word for value, word in words.items()}
        names.append(name)
        columns.append([spoken[value] for value in values])
    return names, links, columns


def _rows(columns: Sequence[Sequence[Any]], count: int) -> Iterable[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else [()] * count


def _picked(chunk: Mapping[str, Sequence[Any]], rows: Sequence[int], total: int) -> Mapping[str, Sequence[Any]]:
    if len(rows) == total:
        return chunk
    return {name: [column[index] for index in rows] for name, column in chunk.items()}
