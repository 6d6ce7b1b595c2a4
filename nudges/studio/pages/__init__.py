"""Turn values into HTML by the templates in this folder; everything is escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent
_PAGES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")


def page(name: str, **values: object) -> str:
    """One whole page."""
    return _PAGES.get_template(name).render(values)
