"""Read every file of a workspace as the weekly run would, and list everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from nudges import channels, estimators
from nudges.catalogue import campaign_files, load_campaign, load_segment, load_template, segment_files, template_files
from nudges.domain import Campaign, Council, Language, Segment, Template
from nudges.errors import NudgesError
from nudges.rendering import check_twins, compile_for, languages_of
from nudges.settings import load_council
from nudges.steps.segments import check_segment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read and everything wrong with it."""

    campaigns: tuple[str, ...]
    segments: tuple[str, ...]
    templates: tuple[str, ...]
    problems: tuple[str, ...]


class _Problems:
    """Collects complaints instead of stopping at the first."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def attempt(self, work: Callable[..., T], *given: object) -> T | None:
        try:
            return work(*given)
        except NudgesError as error:
            self.found.append(str(error))
            return None

    def each(self, files: Iterable[Path], load: Callable[[Path], T]) -> list[T]:
        loaded = (self.attempt(load, path) for path in files)
        return [item for item in loaded if item is not None]


def check(home: Path) -> Checked:
    """Check council.toml, campaigns, segments and templates of the workspace in `home`, and how they fit together."""
    problems = _Problems()
    council = problems.attempt(load_council, home)
    segments = {item.id: item for item in _listed(problems, partial(segment_files, home), load_segment)}
    found = _listed(problems, partial(template_files, home), load_template)
    templates = {(item.id, item.language): item for item in found}
    campaigns = _listed(problems, partial(campaign_files, home), load_campaign)
    for segment in segments.values():
        problems.attempt(check_segment, segment)
    if council is not None:
        _check_channels(problems, council)
        _check_templates(problems, council, templates)
    for campaign in campaigns:
        _check_campaign(problems, campaign, segments, templates, council)
    return Checked(
        campaigns=tuple(campaign.id for campaign in campaigns),
        segments=tuple(segments),
        templates=tuple(f"{name}.{language}" for name, language in templates),
        problems=tuple(dict.fromkeys(problems.found)),
    )


def _listed(problems: _Problems, files: Callable[[], list[Path]], load: Callable[[Path], T]) -> list[T]:
    return problems.each(problems.attempt(files) or [], load)


def _check_channels(problems: _Problems, council: Council) -> None:
    for name in dict.fromkeys(council.channels.values()):
        problems.attempt(channels.load, name)


def _check_templates(problems: _Problems, council: Council, templates: Mapping[tuple[str, Language], Template]) -> None:
    for template_id in dict.fromkeys(name for name, _ in templates):
        welsh, english = templates.get((template_id, Language.CY)), templates.get((template_id, Language.EN))
        if english is None:
            problems.found.append(f"templates/{template_id}.cy.j2: has no English twin. Add {template_id}.j2.")
            continue
        if welsh is not None:
            problems.attempt(check_twins, welsh, english)
        for language in languages_of(templates, template_id, council):
            problems.attempt(compile_for, templates, template_id, language, council)


def _check_campaign(
    problems: _Problems,
    campaign: Campaign,
    segments: Mapping[str, Segment],
    templates: Mapping[tuple[str, Language], Template],
    council: Council | None,
) -> None:
    where = f"campaigns/{campaign.id}.toml"
    for name in campaign.segments:
        if name not in segments:
            problems.found.append(
                f"{where}: segments has {name!r}, must be one of: {', '.join(segments) or 'none yet'}."
            )
    for name in campaign.coverage:
        if name not in segments:
            problems.found.append(
                f"{where}: coverage.{name} names no segment, must be one of: {', '.join(segments) or 'none yet'}."
            )
    problems.attempt(estimators.load, campaign.estimator)
    for arm in campaign.arms:
        if (arm.template, Language.EN) not in templates:
            known = ", ".join(sorted({name for name, _ in templates})) or "none yet"
            problems.found.append(f"{where}: arms.{arm.id}.template == {arm.template!r}, must be one of: {known}.")
        elif council is not None:
            compiled = problems.attempt(compile_for, templates, arm.template, "en", council)
            for medium in arm.media:
                if compiled is not None and medium not in compiled.media:
                    problems.found.append(
                        f"{where}: arms.{arm.id}.media has {medium}, templates/{arm.template}.j2 has no words for it. "
                        f"Add a block, or take {medium} off the arm."
                    )
