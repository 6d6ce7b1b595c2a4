"""Made-up households that show a template from every side: in previews, in checks and in tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nudges.rendering.content import stop_link
from nudges.rendering.facts import LINK

Values = Mapping[str, str | int | None]
_Known = dict[str, str | int | None]

_ID = "k3j5h2g7f4d6s2a3"
_HOUSE: Values = MappingProxyType(
    {
        "household.id": "sample-house",
        "household.name": "Sam",
        "household.address": "12 Acacia Road",
        "household.shared": 0,
        "household.set_outs": 4,
        "collection.on": "2026-03-03",
        "tag.reason": "food",
        "tag.on": "2026-02-24",
        "tag.count": 1,
        "street.name": "Acacia Road",
        "street.tenths": 8,
        "missed.on": "2026-02-24",
    }
)


@dataclass(frozen=True, slots=True)
class Persona:
    """One made-up household: a name for people, the language it gets, its stored values by name."""

    id: str
    title: str
    language: str
    values: Values
    is_complete: bool = True  # False: some templates rightly refuse it


def sample_facts(public_url: str) -> tuple[Persona, ...]:
    """The households every template is shown with."""
    house: _Known = {**_HOUSE, LINK: stop_link(public_url, _ID)}
    flat: _Known = {
        "household.id": "sample-flat",
        "household.name": None,
        "household.address": "Flat 3 20 Mill Street",
        "household.shared": 1,
        "street.name": "Mill Street",
        "tag.reason": "refuse",
        "tag.count": 3,
    }
    longest: _Known = {
        "household.id": "sample-longest",
        "household.name": "Christopher",
        "household.address": "The Old Coach House Upper Brook Street",
        "household.shared": 1,
        "street.name": "Upper Brook Street",
        "street.tenths": 10,
        "collection.on": "2026-09-30",
        "tag.reason": "commercial",
        "tag.on": "2026-09-23",
        "tag.count": 8,
        "missed.on": "2026-09-23",
    }
    bare: _Known = {
        "household.id": "sample-bare",
        "household.name": None,
        "household.address": None,
        "tag.count": None,
    }
    unknown: _Known = dict.fromkeys(_HOUSE)
    return (
        Persona("house", "House, first name known", "en", house),
        Persona("flat", "Flat with shared bins, no name", "en", {**house, **flat}),
        Persona(
            "welsh", "House, Welsh chosen", "cy", {**house, "household.id": "sample-welsh", "household.name": "Carys"}
        ),
        Persona("longest", "The longest words there are", "en", {**house, **longest}),
        Persona("bare", "Only what templates must know", "en", {**house, **bare}),
        Persona(
            "unknown", "Nothing known", "en", {**unknown, "household.id": "sample-unknown", LINK: house[LINK]}, False
        ),
    )
