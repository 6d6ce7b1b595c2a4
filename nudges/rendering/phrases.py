"""Stored values into words, per language: weekdays, dates, bins, reasons. Nothing here names a household."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache, partial

from nudges.domain import Language, Stream, TagReason
from nudges.rendering.facts import Kind

Value = str | int | None
Words = str | int | None

_DAYS = {
    Language.EN: ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    Language.CY: (
        "dydd Llun",
        "dydd Mawrth",
        "dydd Mercher",
        "dydd Iau",
        "dydd Gwener",
        "dydd Sadwrn",
        "dydd Sul",
    ),
}
_MONTHS = {
    Language.EN: (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    Language.CY: (
        "Ionawr", "Chwefror", "Mawrth", "Ebrill", "Mai", "Mehefin",
        "Gorffennaf", "Awst", "Medi", "Hydref", "Tachwedd", "Rhagfyr",
    ),
}  # fmt: skip
_SHORT_MONTHS = {
    Language.EN: tuple(month[:3] for month in _MONTHS[Language.EN]),
    Language.CY: ("Ion", "Chwe", "Maw", "Ebr", "Mai", "Meh", "Gor", "Awst", "Medi", "Hyd", "Tach", "Rhag"),
}
STREAMS = {
    Language.EN: {
        Stream.RESIDUAL: "rubbish",
        Stream.RECYCLING: "recycling",
        Stream.FOOD: "food waste",
        Stream.GARDEN: "garden waste",
    },
    Language.CY: {
        Stream.RESIDUAL: "sbwriel",
        Stream.RECYCLING: "ailgylchu",
        Stream.FOOD: "gwastraff bwyd",
        Stream.GARDEN: "gwastraff gardd",
    },
}
BINS = {
    Language.EN: {
        Stream.RESIDUAL: "rubbish bin",
        Stream.RECYCLING: "recycling bin",
        Stream.FOOD: "food caddy",
        Stream.GARDEN: "garden bin",
    },
    Language.CY: {
        Stream.RESIDUAL: "bin sbwriel",
        Stream.RECYCLING: "bin ailgylchu",
        Stream.FOOD: "cadi bwyd",
        Stream.GARDEN: "bin gardd",
    },
}
# Welsh is worded so that no letter leaves the SMS alphabet (no circumflex) and no mutation depends on a neighbour.
REASONS = {
    Language.EN: {
        TagReason.FOOD: "food waste",
        TagReason.GARDEN: "garden waste",
        TagReason.REFUSE: "general rubbish",
        TagReason.BULKY: "a large item",
        TagReason.RUBBLE: "rubble",
        TagReason.COMMERCIAL: "business waste",
        TagReason.SOIL: "soil or turf",
        TagReason.ANIMAL_BEDDING: "pet bedding",
    },
    Language.CY: {
        TagReason.FOOD: "gwastraff bwyd",
        TagReason.GARDEN: "gwastraff gardd",
        TagReason.REFUSE: "sbwriel cyffredinol",
        TagReason.BULKY: "eitem fawr",
        TagReason.RUBBLE: "rwbel",
        TagReason.COMMERCIAL: "gwastraff busnes",
        TagReason.SOIL: "pridd neu dywarchen",
        TagReason.ANIMAL_BEDDING: "gwasarn anifeiliaid",
    },
}
ADVICE = {
    Language.EN: {
        TagReason.FOOD: "food goes in your caddy or rubbish bin",
        TagReason.GARDEN: "garden waste goes in a garden bin or to the tip",
        TagReason.REFUSE: "general rubbish goes in your rubbish bin",
        TagReason.BULKY: "large items go to the tip",
        TagReason.RUBBLE: "rubble goes to the tip",
        TagReason.COMMERCIAL: "business waste needs a business collection",
        TagReason.SOIL: "soil and turf go to the tip",
        TagReason.ANIMAL_BEDDING: "pet bedding goes in your rubbish bin",
    },
    Language.CY: {
        TagReason.FOOD: "mae bwyd yn mynd yn y cadi neu'r bin sbwriel",
        TagReason.GARDEN: "mae gwastraff gardd yn mynd yn y bin gardd neu i'r domen",
        TagReason.REFUSE: "mae sbwriel yn mynd yn y bin sbwriel",
        TagReason.BULKY: "mae eitemau mawr yn mynd i'r domen",
        TagReason.RUBBLE: "mae rwbel yn mynd i'r domen",
        TagReason.COMMERCIAL: "mae angen casgliad busnes ar wastraff busnes",
        TagReason.SOIL: "mae pridd yn mynd i'r domen",
        TagReason.ANIMAL_BEDDING: "mae gwasarn anifeiliaid yn mynd yn y bin sbwriel",
    },
}


@cache
def day(on: str, language: Language) -> str:
    """Weekday of an ISO date: `Tuesday`, `dydd Mawrth`."""
    return _DAYS[language][date.fromisoformat(on).weekday()]


@cache
def full_date(on: str, language: Language) -> str:
    """ISO date as words: `Tuesday 3 March`, `dydd Mawrth 3 Mawrth`."""
    moment = date.fromisoformat(on)
    return f"{day(on, language)} {moment.day} {_MONTHS[language][moment.month - 1]}"


@cache
def short_date(on: str, language: Language) -> str:
    """ISO date as few letters: `3 Mar`, `3 Maw`."""
    moment = date.fromisoformat(on)
    return f"{moment.day} {_SHORT_MONTHS[language][moment.month - 1]}"


def times(count: int, language: Language) -> str:
    """A count as words: `once`, `twice`, `3 times`."""
    if language is Language.CY:
        return {1: "unwaith", 2: "dwywaith"}.get(count, f"{count} gwaith")
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def tenths(count: int, language: Language) -> str:
    """Tenths of homes as words: `8 in 10 homes`; ten tenths are rounded, so `nearly every home`."""
    if language is Language.CY:
        return "bron pob cartref" if count >= 10 else f"{count} o bob 10 cartref"
    return "nearly every home" if count >= 10 else f"{count} in 10 homes"


def own_bin(shared: int, language: Language, stream: Stream) -> str:
    """The household's bin: `your recycling bin`, `your shared recycling bin`."""
    name = BINS[language][stream]
    if language is Language.CY:
        return f"eich {name} a rennir" if shared else f"eich {name}"
    return f"your shared {name}" if shared else f"your {name}"


def wording(kind: Kind, language: Language, stream: Stream) -> Callable[[Value], Words]:
    """The function that turns one stored value of `kind` into words; None stays None."""
    speak = _speaker(kind, language, stream)
    known: dict[Value, Words] = {None: None}

    def words(value: Value) -> Words:
        if value not in known:
            known[value] = speak(value)
        return known[value]

    return (lambda value: value) if kind in (Kind.TEXT, Kind.NUMBER) else words


def _speaker(kind: Kind, language: Language, stream: Stream) -> Callable[..., Words]:
    speakers: dict[Kind, Callable[..., Words]] = {
        Kind.TIMES: partial(times, language=language),
        Kind.DAY: partial(day, language=language),
        Kind.DATE: partial(full_date, language=language),
        Kind.SHORT: partial(short_date, language=language),
        Kind.STREAM: lambda value: STREAMS[language][Stream(value)],
        Kind.BIN: lambda value: BINS[language][Stream(value)],
        Kind.OWN_BIN: partial(own_bin, language=language, stream=stream),
        Kind.REASON: lambda value: REASONS[language][TagReason(value)],
        Kind.ADVICE: lambda value: ADVICE[language][TagReason(value)],
        Kind.TENTHS: partial(tenths, language=language),
        Kind.FLAG: lambda value: "yes" if value else None,
    }
    return speakers.get(kind, lambda value: value)
