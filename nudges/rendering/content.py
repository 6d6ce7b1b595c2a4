"""Compiled templates and facts into finished words, and finished words into their hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import UndefinedError
from jinja2.utils import missing

from nudges.domain import Language, Lead, Medium, Stream
from nudges.errors import RenderError
from nudges.rendering.facts import FACTS, LINK
from nudges.rendering.phrases import Value, Words
from nudges.rendering.sandbox import Program, dotted, flat

ABSENT: Any = missing
"""Stands for a fact that is not known, among the words handed to a compiled block."""

_SPACES = re.compile(r" {2,}")
_GAPS = re.compile(r"\n{3,}")


class MissingFactError(RenderError):
    """A template would write a fact that a household does not have."""

    def __init__(self, file: str, block: str, variable: str, household_id: str) -> None:
        super().__init__(
            f"{file}: block {block}, household {household_id or 'unknown'}: {variable} is not known, must be for this"
            f" template. Leave the household out, or write {{% if {variable} %}} around it."
        )
        self.file, self.block, self.variable, self.household_id = file, block, variable, household_id


@dataclass(frozen=True, slots=True)
class Content:
    """Words of one message. SMS has a text only."""

    subject: str
    text: str
    html: str

    def digest(self) -> str:
        """First 16 hex digits of sha256 over all words."""
        return hashlib.sha256(f"{self.subject}\0{self.text}\0{self.html}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Block:
    """One compiled block: a program a language, written one after the other."""

    name: str
    programs: tuple[Program, ...]

    @property
    def facts(self) -> frozenset[str]:
        """Facts it names, as dotted paths."""
        return frozenset[str]().union(*(program.facts for program in self.programs))

    @property
    def guarded(self) -> frozenset[str]:
        """Facts that every language tests in an `if` before use."""
        return frozenset(self.facts - {f for p in self.programs for f in p.facts - p.guarded})


class WordsContext(dict[str, Any]):
    """Words by flat name, in the only shape a compiled block asks for."""

    __slots__ = ()
    resolve_or_missing = dict.__getitem__


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A template ready to be written for any household. `language` is `en`, `cy` or, side by side, `cy+en`."""

    id: str
    file: str
    language: str
    languages: tuple[Language, ...]
    stream: Stream
    lead: Lead
    template_hash: str
    public_url: str
    blocks: Mapping[str, Block]
    wordings: Mapping[str, tuple[str, Callable[[Value], Words]]]  # flat name: stored value's name, its words

    @property
    def media(self) -> tuple[Medium, ...]:
        """Media this template is written for."""
        return tuple(m for m, block in ((Medium.SMS, "sms"), (Medium.EMAIL, "html")) if block in self.blocks)

    def facts(self, medium: Medium) -> frozenset[str]:
        """Facts named by the blocks of `medium`, as dotted paths."""
        return frozenset[str]().union(*(block.facts for block in self._blocks(medium)))

    def values(self, medium: Medium) -> tuple[str, ...]:
        """Names of the stored values that `medium` needs, in order; the opt-out link is made, not stored."""
        return tuple(sorted({FACTS[name].value for name in self.facts(medium)} - {LINK}))

    def names(self, medium: Medium) -> tuple[str, ...]:
        """Flat names that the compiled blocks of `medium` look up, in order."""
        used = {flat(lang, name) for lang in self.languages for name in self.facts(medium)}
        return tuple(sorted(used & self.wordings.keys()))

    def writer(self, medium: Medium) -> Callable[[WordsContext], Content]:
        """The function from words to Content for one medium: the inner loop of rendering."""
        if medium not in self.media:
            raise RenderError(f"{self.file}: has no words for {medium}. Add the block, or take {medium} off the arm.")
        if medium is Medium.SMS:
            sms = _writer(self.blocks["sms"])
            return lambda words: Content("", _tidy(sms(words)), "")
        subject, text, html = (_writer(self.blocks[name]) for name in ("subject", "text", "html"))
        return lambda words: Content(_line(subject(words)), _tidy(text(words)), html(words))

    def render(self, medium: Medium, facts: Mapping[str, object]) -> Content:
        """Write one message from stored values; raises MissingFactError naming what is not known.

        `facts` maps value names (`collection.on`: `2026-03-03`) as `values()` lists them, and may hold `links.stop`
        and `household.id`, which errors name.
        """
        words = WordsContext()
        for name in self.names(medium):
            value_name, speak = self.wordings[name]
            value = facts.get(value_name)
            spoken = speak(_value(value, value_name))
            words[name] = ABSENT if spoken is None else spoken
        try:
            return self.writer(medium)(words)
        except UndefinedError as error:
            raise self.missing(medium, words, error, str(facts.get("household.id") or "")) from error

    def missing(
        self, medium: Medium, words: WordsContext, error: UndefinedError, household_id: str
    ) -> MissingFactError:
        """Name the block and the fact behind an error of Jinja's."""
        variable = dotted(str(error).split("'")[1])
        for block in self._blocks(medium):
            try:
                _writer(block)(words)
            except UndefinedError:
                return MissingFactError(self.file, block.name, variable, household_id)
        return MissingFactError(self.file, medium, variable, household_id)

    def _blocks(self, medium: Medium) -> list[Block]:
        names = ("sms",) if medium is Medium.SMS else ("subject", "text", "html")
        return [self.blocks[name] for name in names if name in self.blocks]


def stop_link(public_url: str, message_id: str) -> str:
    """The opt-out link of one message."""
    return f"{public_url}/s/{message_id}"


def rebuild(compiled: CompiledTemplate, row: Mapping[str, object]) -> Content:
    """Write a planned message again from its row of `messages`; raises RenderError when the words are not the same."""
    message_id = str(row["message_id"])
    facts: dict[str, object] = dict(json.loads(str(row["facts"])))
    facts[LINK] = stop_link(compiled.public_url, message_id)
    facts["household.id"] = row["household_id"]
    content = compiled.render(Medium(str(row["medium"])), facts)
    if content.digest() != row["content_hash"]:
        raise RenderError(
            f"{compiled.file}: message {message_id} would now say something else than was planned and approved."
            " The template or council.toml was edited since: render and approve again."
        )
    return content


def _writer(block: Block) -> Callable[[WordsContext], str]:
    roots = [program.root for program in block.programs]
    if len(roots) == 1:
        root = roots[0]
        return lambda words: "".join(root(words))
    return lambda words: "".join(["".join(root(words)) for root in roots])


def _value(value: object, name: str) -> Value:
    if value is None or isinstance(value, str | int):
        return value
    raise RenderError(
        f"facts: {name} == {value!r}, must be text, a whole number or nothing. Write dates as 2026-03-03."
    )


def _tidy(text: str) -> str:
    """Close the gaps that an `if` not taken leaves behind."""
    text = text.strip()
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return _GAPS.sub("\n\n", text) if "\n\n\n" in text else text


def _line(text: str) -> str:
    return " ".join(text.split())
