"""Template files into compiled templates: Markdown, frame, CSS and syntax are dealt with once, here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

from nudges.domain import Council, Language, Medium, Template
from nudges.errors import ConfigError
from nudges.rendering.blocks import Part, file_of, pieces, split
from nudges.rendering.content import Block, CompiledTemplate
from nudges.rendering.facts import COUNCIL_FACTS, FACTS, LINK
from nudges.rendering.frame import Section, html_pages, text_pages
from nudges.rendering.markdown import Vault, convert
from nudges.rendering.phrases import BINS, STREAMS, Value, Words, wording
from nudges.rendering.sandbox import Place, Program, compile_tree, flat, parse

BILINGUAL = "cy+en"
"""Language of a message in both: Welsh first, as the Welsh Language Standards ask."""


def compile_template(template: Template, council: Council) -> CompiledTemplate:
    """Compile one template; raises ConfigError or RenderError naming file, block and what to change."""
    return _compile([template], council)


def compile_bilingual(welsh: Template, english: Template, council: Council) -> CompiledTemplate:
    """Compile Welsh and English side by side in one message; raises ConfigError when they are no twins."""
    check_twins(welsh, english)
    return _compile([welsh, english], council)


def compile_for(
    templates: Mapping[tuple[str, Language], Template], template_id: str, language: str, council: Council
) -> CompiledTemplate:
    """Compile `template_id` in `en`, `cy` or `cy+en`; raises ConfigError when there is no such file."""
    found = []
    for word in language.split("+"):
        template = templates.get((template_id, Language(word)))
        if template is None:
            known = ", ".join(sorted({name for name, _ in templates})) or "none yet"
            raise ConfigError(f"templates: no {template_id!r} in language {word}, must be one of: {known}.")
        found.append(template)
    return compile_bilingual(found[0], found[1], council) if len(found) == 2 else compile_template(found[0], council)


def languages_of(templates: Mapping[tuple[str, Language], Template], template_id: str, council: Council) -> list[str]:
    """Languages that households of this council can get `template_id` in."""
    if (template_id, Language.CY) not in templates:
        return [Language.EN.value]
    both = [BILINGUAL] if council.nation == "wales" else []
    return [Language.EN.value, Language.CY.value, *both]


def language_for(chosen: str | None, *, has_welsh: bool, council: Council) -> str:
    """The language of a household's message: its own choice; in Wales, unknown means both."""
    if not has_welsh or chosen == Language.EN:
        return Language.EN.value
    if chosen == Language.CY:
        return Language.CY.value
    return BILINGUAL if council.nation == "wales" else Language.EN.value


def check_twins(welsh: Template, english: Template) -> None:
    """Hold a Welsh template to its English twin: same front matter, same facts in each block; raises ConfigError."""
    for name in ("id", "mechanism", "purpose", "stream", "lead"):
        ours, theirs = getattr(welsh, name), getattr(english, name)
        if ours != theirs:
            raise ConfigError(f"{file_of(welsh)}: {name} == {ours!r}, must be {theirs!r} as in {file_of(english)}.")
    ours_by_block, theirs_by_block = placeholders(welsh), placeholders(english)
    for block in sorted({*ours_by_block, *theirs_by_block}):
        ours, theirs = ours_by_block.get(block, frozenset()), theirs_by_block.get(block, frozenset())
        if ours != theirs:
            odd = ", ".join(sorted(ours ^ theirs))
            raise ConfigError(
                f"{file_of(welsh)}: block {block} differs from {file_of(english)} in {odd}. Use the same facts in both."
            )


def placeholders(template: Template) -> dict[str, frozenset[str]]:
    """Facts named in each block of the file, council facts included, as dotted paths."""
    file = file_of(template)
    found = {}
    for name, source in split(template).items():
        place = Place(file, name)
        found[name] = compile_tree(parse(source, place), place, constants={}, prefix=template.language).facts
    return found


def _compile(templates: Sequence[Template], council: Council) -> CompiledTemplate:
    first = templates[0]
    blocks: dict[str, Block] = {}
    sources = [split(template) for template in templates]
    if all("sms" in source for source in sources):
        texts = [_sms(template, source["sms"]) for template, source in zip(templates, sources, strict=True)]
        blocks["sms"] = _block("sms", templates, _joined(texts, "\n\n"), council)
    if all("email" in source for source in sources):
        blocks.update(_email(templates, sources, council))
    both = "+".join(template.language for template in templates)
    return CompiledTemplate(
        id=first.id,
        file=" + ".join(file_of(template) for template in templates),
        language=both,
        languages=tuple(template.language for template in templates),
        stream=first.stream,
        lead=first.lead,
        template_hash=_source_hash(templates, council),
        public_url=council.public_url,
        blocks=blocks,
        wordings=_wordings(templates, blocks),
    )


def _source_hash(templates: Sequence[Template], council: Council) -> str:
    """First 16 hex digits of sha256 over all that compiling writes in: the files and the council's own words."""
    parts = [template.raw for template in templates]
    parts += [council.name, council.phone, council.website, council.public_url]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _sms(template: Template, source: str) -> str:
    """Fold an SMS block's lines into one; an empty line stays a new paragraph. Demands the opt-out link."""
    file = file_of(template)
    parse(source, Place(file, Medium.SMS))
    if LINK not in source:
        raise ConfigError(
            f"{file}: block sms has no way to stop, must name {LINK}: replies do not reach us."
            f" Write Stop: {{{{ {LINK} }}}} at its end."
        )
    folded = [
        re.sub(r"[ \t]*\n[ \t]*", " ", re.sub(r"\n[ \t]*\n\s*", "\0", piece.text)).replace("\0", "\n\n")
        if piece.part is Part.DATA
        else piece.text
        for piece in pieces(source, file=file, block=Medium.SMS)
    ]
    return "".join(folded)


def _email(templates: Sequence[Template], sources: Sequence[Mapping[str, str]], council: Council) -> dict[str, Block]:
    sections = []
    for template, source in zip(templates, sources, strict=True):
        place = Place(file_of(template), "email")
        parse(source["email"], place)
        vault = Vault()
        body = convert(pieces(source["email"], file=place.file, block=place.block), vault, place)
        sections.append(
            Section(template.language, source["subject"], vault.restore(body.html), vault.restore(body.text))
        )
    subjects = _joined([section.subject for section in sections], " / ")
    return {
        "subject": _block("subject", templates, subjects, council),
        "text": _block("text", templates, text_pages(sections), council),
        "html": _block("html", templates, html_pages(sections), council),
    }


def _joined(sources: Sequence[str], between: str) -> list[str]:
    return [sources[0], *(between + source for source in sources[1:])]


def _block(name: str, templates: Sequence[Template], sources: Sequence[str], council: Council) -> Block:
    programs = tuple(
        _program(name, template, source, council) for template, source in zip(templates, sources, strict=True)
    )
    return Block(name, programs)


def _program(name: str, template: Template, source: str, council: Council) -> Program:
    is_html = name == "html"
    place = Place(file_of(template), name)
    tree = parse(source, place, html=is_html)
    constants = _constants(template, council)
    return compile_tree(tree, place, constants=constants, prefix=template.language, html=is_html)


def _constants(template: Template, council: Council) -> dict[str, str]:
    values = (
        council.name,
        council.phone,
        council.website,
        STREAMS[template.language][template.stream],
        BINS[template.language][template.stream],
    )
    return dict(zip(COUNCIL_FACTS, values, strict=True))


def _wordings(
    templates: Sequence[Template], blocks: Mapping[str, Block]
) -> dict[str, tuple[str, Callable[[Value], Words]]]:
    """Say for each flat name which stored value it is made from, and how."""
    names = sorted({name for block in blocks.values() for name in block.facts})
    return {
        flat(template.language, name): (
            FACTS[name].value,
            wording(FACTS[name].kind, template.language, template.stream),
        )
        for template in templates
        for name in names
    }
