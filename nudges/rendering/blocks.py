"""A template file's source into its blocks: sms, subject and email, each plain text with Jinja tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from jinja2 import TemplateSyntaxError

from nudges.domain import Language, Template
from nudges.errors import ConfigError, RenderError
from nudges.rendering.sandbox import MAX_SOURCE, environment

BLOCKS = ("sms", "subject", "email")
_BLOCK = re.compile(r"\{%-?\s*block\s+(\w+)\s*-?%\}(.*?)\{%-?\s*endblock(?:\s+\w+)?\s*-?%\}", re.DOTALL)
_ENV = environment(autoescape=False)


class Part(StrEnum):
    """What a piece of block source is."""

    DATA = "data"
    WORDS = "words"  # {{ ... }}
    TAG = "tag"  # {% ... %}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a block's source."""

    part: Part
    text: str
    word: str = ""  # first word of a tag: if, else, endif


def file_of(template: Template) -> str:
    """The file a template came from, for errors."""
    suffix = "" if template.language is Language.EN else f".{template.language}"
    return f"templates/{template.id}{suffix}.j2"


def split(template: Template) -> dict[str, str]:
    """Cut a template's source into its blocks; raises ConfigError or RenderError naming the file."""
    file = file_of(template)
    if len(template.source) > MAX_SOURCE:
        raise RenderError(f"{file}: {len(template.source)} characters, must be under {MAX_SOURCE}. Make it shorter.")
    blocks: dict[str, str] = {}
    for match in _BLOCK.finditer(template.source):
        name = match[1]
        if name not in BLOCKS or name in blocks:
            raise ConfigError(f"{file}: block {name!r}, must be one each of: {', '.join(BLOCKS)}. Rename or remove it.")
        if "block" in re.findall(r"\{%-?\s*(\w+)", match[2]):
            raise RenderError(f"{file}: block {name} holds another block, which is not allowed. Take it out.")
        blocks[name] = match[2].strip()
    outside = re.sub(r"\{#.*?#\}", "", _BLOCK.sub("", template.source), flags=re.DOTALL).strip()
    if outside:
        raise ConfigError(f"{file}: {outside[:40]!r} is outside the blocks {', '.join(BLOCKS)}. Move it into one.")
    if not blocks or ("subject" in blocks) != ("email" in blocks) or not all(blocks.values()):
        raise ConfigError(f"{file}: must have a block sms, or blocks subject and email, none of them empty.")
    return blocks


def pieces(source: str, *, file: str, block: str) -> list[Piece]:
    """Cut a block into text, words and tags, comments left out."""
    found: list[Piece] = []
    held: list[str] = []
    try:
        for line, kind, text in _ENV.lex(source):
            if kind == "raw_begin":
                raise RenderError(f"{file}: block {block}, line {line} has raw, which is not allowed. Take it out.")
            if kind == "data":
                found.append(Piece(Part.DATA, text))
            elif not kind.startswith("comment"):
                held.append(text)
                if kind in ("variable_end", "block_end"):
                    found.append(_piece("".join(held), is_tag=kind == "block_end"))
                    held = []
    except TemplateSyntaxError as error:
        raise ConfigError(f"{file}: block {block}, line {error.lineno}: {error.message}. Mend the tag.") from error
    if held:
        raise ConfigError(
            f"{file}: block {block}: {''.join(held)[:40]!r} is never closed. Write {{{{ fact }}}} or {{% if %}}."
        )
    return found


def _piece(text: str, *, is_tag: bool) -> Piece:
    if not is_tag:
        return Piece(Part.WORDS, text)
    word = re.match(r"\{%[-+]?\s*(\w*)", text)
    return Piece(Part.TAG, text, word[1] if word else "")
