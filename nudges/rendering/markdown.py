"""Markdown with Jinja tags into HTML and into plain text, both still with their tags: done once, at compiling.

Tags are swapped for tokens that Markdown and CSS tools carry along unharmed, and swapped back afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from nudges.errors import ConfigError
from nudges.rendering.blocks import Part, Piece
from nudges.rendering.sandbox import Place

_TOKEN = re.compile(r"J[VT]Q\d+QJ")
_TAG_MARK = r"JTQ\d+QJ"
_ALONE = re.compile(rf"<p>((?:\s*{_TAG_MARK}\s*)+)</p>\n?")
_OWN_LINE = re.compile(rf"^[ \t]*((?:{_TAG_MARK}[ \t]*)+)$", re.MULTILINE)
_MARKUP = re.compile(rf"<(/?)([a-z][a-z0-9]*)[^>]*?(/?)>|({_TAG_MARK})")
_SAFE_HREFS = re.compile(r"\{\{-?\s*(links\.\w+|council\.website)\s*-?\}\}")
_BARRED = {"image": "a picture", "html_inline": "HTML", "html_block": "HTML"}


@dataclass(slots=True)
class Vault:
    """Tokens and the Jinja source each stands for."""

    pieces: dict[str, Piece] = field(default_factory=dict)

    def protect(self, found: Sequence[Piece], *, own_lines: bool = True) -> str:
        """Join pieces with every tag replaced by a token; with `own_lines` a tag alone on its line is a paragraph."""
        text = "".join(piece.text if piece.part is Part.DATA else self._keep(piece) for piece in found)
        return _OWN_LINE.sub(r"\n\1\n", text) if own_lines else text

    def restore(self, text: str) -> str:
        """Put every tag back."""
        return _TOKEN.sub(lambda match: self.pieces[match[0]].text, text)

    def _keep(self, piece: Piece) -> str:
        token = f"J{'T' if piece.part is Part.TAG else 'V'}Q{len(self.pieces)}QJ"
        self.pieces[token] = piece
        return token


@dataclass(frozen=True, slots=True)
class Converted:
    """One email body, tokens inside."""

    html: str
    text: str


def convert(found: Sequence[Piece], vault: Vault, place: Place) -> Converted:
    """Convert a Markdown block; raises RenderError for HTML and pictures, ConfigError where tags cut across markup."""
    source = vault.protect(found)
    parser = MarkdownIt("commonmark", {"html": True, "breaks": True})  # HTML is read so that it can be refused
    tokens = parser.parse(source)
    _refuse_barred(tokens, vault, place)
    html = _ALONE.sub(r"\1", parser.renderer.render(tokens, parser.options, {}))
    _check_nesting(html, vault, place)
    return Converted(html, _plain(tokens))


def _refuse_barred(tokens: Sequence[Token], vault: Vault, place: Place) -> None:
    for token in tokens:
        if token.type in _BARRED:
            place.refuse(
                f"{_BARRED[token.type]} ({token.content[:40]!r})", "Write Markdown: **bold**, - lists, [links](...)."
            )
        if token.type == "link_open":
            for match in _TOKEN.findall(str(token.attrs.get("href", ""))):
                if not _SAFE_HREFS.fullmatch(vault.pieces[match].text):
                    place.refuse(
                        f"a link to {vault.pieces[match].text}", "Link to {{ council.website }} or {{ links.stop }}."
                    )
        _refuse_barred(token.children or (), vault, place)


def _check_nesting(html: str, vault: Vault, place: Place) -> None:
    """Every `if` must begin and end inside the same paragraph, list item or emphasis."""
    opened: list[str] = []
    for close, name, empty, token in _MARKUP.findall(html):
        word = vault.pieces[token].word if token else name
        if token and word not in ("if", "elif", "else", "endif"):
            place.refuse(f"the tag {vault.pieces[token].text}", "Only if, elif, else and endif are.")
        if word == "if" or (name and not close and not empty and name not in ("br", "hr")):
            opened.append(word)
        elif word in ("elif", "else") and token:
            _expect(opened, "if", place)
        elif close or word == "endif":
            _expect(opened, "if" if word == "endif" else name, place)
            opened.pop()
    if opened:
        _expect([], opened[-1], place)


def _expect(opened: Sequence[str], word: str, place: Place) -> None:
    if not opened or opened[-1] != word:
        raise ConfigError(
            f"{place.file}: block {place.block} has an if that begins in one paragraph or list item and ends in"
            " another. Put {% if %} and {% endif %} on lines of their own, or both inside one paragraph."
        )


def _plain(tokens: Sequence[Token]) -> str:
    """Write Markdown tokens as text a person would type."""
    out: list[str] = []
    lists: list[int | None] = []  # None for bullets, else the next number
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            lists.append(int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
            out.append("\n")
        elif token.type == "list_item_open":
            out.append("  " * (len(lists) - 1) + _bullet(lists))
        elif token.type == "inline":
            out.append(_inline(token, in_list=bool(lists)))
        elif token.type in ("code_block", "fence"):
            out.append(f"{token.content.rstrip()}\n\n")
        elif token.type == "hr":
            out.append("---\n\n")
    return "".join(out).strip()


def _bullet(lists: list[int | None]) -> str:
    number = lists[-1]
    if number is None:
        return "- "
    lists[-1] = number + 1
    return f"{number}. "


def _inline(token: Token, *, in_list: bool) -> str:
    text = _spans(token.children or ())
    if re.fullmatch(rf"(?:\s*{_TAG_MARK}\s*)+", text):
        return text.strip()
    return text + ("\n" if in_list else "\n\n")


def _spans(children: Sequence[Token]) -> str:
    out: list[str] = []
    links: list[tuple[int, str]] = []
    for child in children:
        if child.type == "link_open":
            links.append((len(out), str(child.attrs.get("href", ""))))
        elif child.type == "link_close":
            start, href = links.pop()
            words = "".join(out[start:])
            out[start:] = [words if words == href else f"{words}: {href}"]
        elif child.type in ("softbreak", "hardbreak"):
            out.append("\n")
        else:
            out.append(child.content)
    return "".join(out)
