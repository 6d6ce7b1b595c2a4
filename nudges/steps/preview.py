"""A template or a campaign → its words, for made-up households or for the first real ones. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from nudges.domain import Language, Medium
from nudges.errors import ConfigError
from nudges.masking import mask_contacts
from nudges.rendering import (
    CompiledTemplate,
    Content,
    MissingFactError,
    Persona,
    compile_for,
    language_for,
    sample_facts,
)
from nudges.sms import measure
from nudges.steps.plan import plan
from nudges.steps.render import Draft
from nudges.steps.workspace import Workspace
from nudges.weeks import Week


@dataclass(frozen=True, slots=True)
class Sample:
    """One message as somebody would read it. `who` is a made-up household's title, or a real one's id and draw."""

    template: str
    medium: Medium
    language: str
    who: str
    subject: str
    text: str
    fragments: int
    cost_pence: float
    refused: str = ""  # why this household would get no message


def preview(ws: Workspace, name: str, week: Week, *, now: datetime) -> tuple[Sample, ...]:
    """The words of template `name` for every made-up household, or of campaign `name` for its first real ones.

    Raises:
        ConfigError, RenderError: no such template or campaign, or its file is wrong.
        NotReadyError: a campaign's week has no features.
    """
    if (name, Language.EN) in ws.templates:
        return _joined(_of_template(ws, name))
    if name in ws.campaigns:
        planned = plan(ws, name, week, now=now)
        arms = {arm.id: arm.template for arm in ws.campaign(name).arms}
        first = planned.drafts.first if planned.drafts else ()
        return tuple(_of_draft(ws, arms[draft.arm], draft, planned.drawn[draft.household_id]) for draft in first)
    known = ", ".join([*sorted({template for template, _ in ws.templates}), *ws.campaigns])
    raise ConfigError(f"name == {name!r}, must be a template or a campaign: {known}.")


def _of_template(ws: Workspace, name: str) -> Iterator[Sample]:
    has_welsh = (name, Language.CY) in ws.templates
    for persona in sample_facts(ws.council.public_url):
        language = language_for(persona.language, has_welsh=has_welsh, council=ws.council)
        compiled = compile_for(ws.templates, name, language, ws.council)
        for medium in compiled.media:
            yield _of_persona(ws, compiled, medium, persona)


def _of_persona(ws: Workspace, compiled: CompiledTemplate, medium: Medium, persona: Persona) -> Sample:
    try:
        content = compiled.render(medium, persona.values)
    except MissingFactError as error:
        why = f"No message: {error.variable} is not known for this household."
        return Sample(compiled.id, medium, compiled.language, persona.title, "", "", 0, 0.0, why)
    return _sample(ws, compiled.id, medium, compiled.language, persona.title, content)


def _of_draft(ws: Workspace, template: str, draft: Draft, drawn: str) -> Sample:
    who = f"household {draft.household_id}, {drawn}"
    return _sample(ws, template, draft.medium, draft.language, who, draft.content)


def _sample(ws: Workspace, template: str, medium: Medium, language: str, who: str, content: Content) -> Sample:
    fragments = measure(content.text).fragments if medium is Medium.SMS else 0
    price = fragments * ws.council.pence_per_fragment if medium is Medium.SMS else ws.council.pence_per_email
    text = mask_contacts(content.text)
    return Sample(template, medium, language, who, content.subject, text, fragments, round(price, 2))


def _joined(samples: Iterator[Sample]) -> tuple[Sample, ...]:
    """The same words once, with everybody who would read them; text messages first."""
    once: dict[Sample, list[str]] = {}
    for sample in sorted(samples, key=lambda sample: sample.medium is not Medium.SMS):
        once.setdefault(replace(sample, who=""), []).append(sample.who)
    return tuple(replace(sample, who="; ".join(who)) for sample, who in once.items())
