"""The one frame of every email: HTML that prints, reads aloud and fetches nothing, and its text twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import css_inline

from nudges.domain import Language
from nudges.rendering.blocks import pieces
from nudges.rendering.markdown import Vault

# Dark text on white at 15:1, links underlined and told apart by more than colour, nothing narrower than a phone.
_STYLE = """
body{margin:0;background:#fff;color:#0b0c0c;font:18px/1.5 Arial,Helvetica,sans-serif}
.page{max-width:34em;margin:0 auto;padding:16px}
.council{margin:0 0 24px;padding-bottom:8px;border-bottom:4px solid #00703c;font-size:22px;font-weight:bold}
h1,h2,h3{margin:24px 0 8px;font-size:20px}
p,ul,ol{margin:0 0 16px}
a{color:#1d4f91}
footer{margin-top:24px;padding-top:16px;border-top:1px solid #b1b4b6;font-size:16px}
@media print{body{font-size:12pt}a{color:#000}}
@media(prefers-color-scheme:dark){body{background:#0b0c0c!important;color:#fff!important}a{color:#9ecbff!important}}
"""

_WHY = {
    Language.EN: (
        "You get this message because {{ council.name }} collects the bins at"
        "{% if household.address %} {{ household.address }}{% else %} your home{% endif %}."
    ),
    Language.CY: (
        "Rydych yn cael y neges hon am fod {{ council.name }} yn casglu biniau yn"
        "{% if household.address %} {{ household.address }}{% else %} eich cartref{% endif %}."
    ),
}
_STOP = {Language.EN: "Stop these messages", Language.CY: "Stopio'r negeseuon hyn"}
_CALL = {Language.EN: "Questions? Ring", Language.CY: "Cwestiynau? Ffoniwch"}


_SPLIT = "JSQ0QJ"
_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Section:
    """One language's part of an email, Jinja tags included; `html` and `text` are the body alone."""

    language: Language
    subject: str
    html: str
    text: str


def html_pages(sections: Sequence[Section]) -> list[str]:
    """Frame all sections as one page with its CSS inlined, cut again into one piece of source a section."""
    body = _SPLIT.join(_html_section(section) for section in sections)
    first = sections[0]
    page = (
        f'<!DOCTYPE html>\n<html lang="{first.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{first.subject}</title><style>{_STYLE}</style></head>\n'
        f'<body><div class="page"><p class="council">{{{{ council.name }}}}</p>\n{body}</div></body></html>'
    )
    vault = Vault()
    inlined = _INLINER.inline(vault.protect(pieces(page, file="frame", block="email"), own_lines=False))
    return vault.restore(inlined).split(_SPLIT)


def text_pages(sections: Sequence[Section]) -> list[str]:
    """The text twin of each section, footer included."""
    pages = [f"{section.text}\n\n--\n{_footer(section.language, _TEXT_FOOTER)}\n" for section in sections]
    return [pages[0], *(f"\n\n{page}" for page in pages[1:])]


def _html_section(section: Section) -> str:
    footer = _footer(section.language, _HTML_FOOTER)
    return f'<div lang="{section.language}">\n{section.html}\n<footer>{footer}</footer></div>\n'


def _footer(language: Language, form: str) -> str:
    return form.format(why=_WHY[language], call=_CALL[language], stop=_STOP[language])


_TEXT_FOOTER = "{why}\n{call} {{{{ council.phone }}}} - {{{{ council.website }}}}\n{stop}: {{{{ links.stop }}}}"
_HTML_FOOTER = (
    "<p>{why}</p>\n<p>{call} {{{{ council.phone }}}} &middot; "
    '<a href="{{{{ council.website }}}}">{{{{ council.website }}}}</a></p>\n'
    '<p><a href="{{{{ links.stop }}}}">{stop}</a></p>'
)
