"""Templates and facts into words: compiled once, written for many, checked again before sending."""

from nudges.rendering.compiling import (
    BILINGUAL,
    check_twins,
    compile_bilingual,
    compile_for,
    compile_template,
    language_for,
    languages_of,
    placeholders,
)
from nudges.rendering.content import CompiledTemplate, Content, MissingFactError, rebuild, stop_link
from nudges.rendering.facts import FACTS, Fact, Kind
from nudges.rendering.samples import Persona, sample_facts

__all__ = [
    "BILINGUAL",
    "FACTS",
    "CompiledTemplate",
    "Content",
    "Fact",
    "Kind",
    "MissingFactError",
    "Persona",
    "check_twins",
    "compile_bilingual",
    "compile_for",
    "compile_template",
    "language_for",
    "languages_of",
    "placeholders",
    "rebuild",
    "sample_facts",
    "stop_link",
]
